//! The ledger in the order of a file. Partitions are read ahead, in order, so that a row is usually there when it is needed.

use std::collections::HashMap;

use campaign::id::{RowNumber, partition_of};
use campaign::lifecycle::campaign::Campaign;
use cloud::ledger::{Ledger, LedgerRow};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

/// Partitions read at once: a thousand rows.
const MAX_CONCURRENT_READS: usize = 16;

type LedgerPartition = (RowNumber, Vec<LedgerRow>);

/// Reads the rows of one file in ascending order.
pub(crate) struct LedgerReader<'a> {
    partitions: BoxStream<'a, Result<LedgerPartition, cloud::Error>>,
    current_partition: Option<RowNumber>,
    /// What is left of the current partition.
    rows: HashMap<RowNumber, LedgerRow>,
}

impl<'a> LedgerReader<'a> {
    /// For the file at `index`.
    pub(crate) fn new(ledger: &'a Ledger, campaign: &'a Campaign, index: usize) -> Self {
        let number = |rows: u64| RowNumber::try_from(rows).unwrap_or(RowNumber::MAX);
        let first = partition_of(number(campaign.rows_before(index) + 1));
        let last = partition_of(number(campaign.rows_before(index + 1)));
        let read = move |partition| async move {
            let rows = ledger.list_partition(&campaign.id, partition).await?;
            Ok((partition, rows))
        };
        Self {
            partitions: stream::iter(first..=last)
                .map(read)
                .buffered(MAX_CONCURRENT_READS)
                .boxed(),
            current_partition: None,
            rows: HashMap::new(),
        }
    }

    /// Returns the row with this number, once. Returns `None` if the ledger does not have it. Numbers must ascend from call
    /// to call.
    pub(crate) async fn take_row(
        &mut self,
        row: RowNumber,
    ) -> Result<Option<LedgerRow>, cloud::Error> {
        let wanted = partition_of(row);
        while self
            .current_partition
            .is_none_or(|current| current < wanted)
        {
            let Some((partition, rows)) = self.partitions.try_next().await? else {
                return Ok(None);
            };
            self.current_partition = Some(partition);
            self.rows = rows
                .into_iter()
                .filter_map(|row| Some((row.row_number()?, row)))
                .collect();
        }
        Ok(self.rows.remove(&row))
    }
}
