//! The ledger beside a file: pages are read ahead, in order, and a row is there when its turn comes.

use std::collections::HashMap;

use campaign::id::{RowNumber, partition_of};
use campaign::lifecycle::campaign::Campaign;
use cloud::ledger::{Ledger, LedgerRow};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

/// Pages under way at once: a thousand rows.
const MAX_CONCURRENT_READS: usize = 16;

type LedgerPartition = (RowNumber, Vec<LedgerRow>);

/// Rows of one file, asked for in their order.
pub(crate) struct LedgerReader<'a> {
    partitions: BoxStream<'a, Result<LedgerPartition, cloud::Error>>,
    current_partition: Option<RowNumber>,
    rows: HashMap<RowNumber, LedgerRow>,
}

impl<'a> LedgerReader<'a> {
    /// Of the file at `index`.
    pub(crate) fn new(ledger: &'a Ledger, campaign: &'a Campaign, index: usize) -> Self {
        let number = |rows: u64| RowNumber::try_from(rows).unwrap_or(RowNumber::MAX);
        let first = partition_of(number(campaign.rows_before(index) + 1));
        let last = partition_of(number(campaign.rows_before(index + 1)));
        let read =
            move |page| async move { Ok((page, ledger.list_partition(&campaign.id, page).await?)) };
        Self {
            partitions: stream::iter(first..=last)
                .map(read)
                .buffered(MAX_CONCURRENT_READS)
                .boxed(),
            current_partition: None,
            rows: HashMap::new(),
        }
    }

    /// The row of that number, once; `None` where it is not in the ledger.
    pub(crate) async fn take_row(
        &mut self,
        row: RowNumber,
    ) -> Result<Option<LedgerRow>, cloud::Error> {
        while self
            .current_partition
            .is_none_or(|at| at < partition_of(row))
        {
            let Some((page, rows)) = self.partitions.try_next().await? else {
                return Ok(None);
            };
            self.current_partition = Some(page);
            let numbered = rows
                .into_iter()
                .filter_map(|row| Some((row.row_number()?, row)));
            self.rows = numbered.collect();
        }
        Ok(self.rows.remove(&row))
    }
}
