//! The ledger in the order of a file.

use std::pin::Pin;

use campaign::delivery::ledger::LedgerRow;
use campaign::id::RowNumber;
use campaign::lifecycle::campaign::Campaign;
use cloud::ledger::Ledger;
use futures::stream::{BoxStream, Peekable, StreamExt};

/// Reads the rows of one file in ascending order.
pub struct LedgerReader<'a> {
    rows: Peekable<BoxStream<'a, Result<LedgerRow, cloud::Error>>>,
}

impl<'a> LedgerReader<'a> {
    /// For the file at `index`.
    pub fn new(ledger: &'a Ledger, campaign: &'a Campaign, index: usize) -> Self {
        let number = |rows: u64| RowNumber::try_from(rows).unwrap_or(RowNumber::MAX);
        let first = number(campaign.rows_before(index) + 1);
        let last = number(campaign.rows_before(index + 1));
        Self {
            rows: ledger.rows(&campaign.id, first..=last).boxed().peekable(),
        }
    }

    /// Returns the row with this number, once. Returns `None` if the ledger does not have it. Numbers must ascend from call
    /// to call.
    pub async fn take_row(&mut self, row: RowNumber) -> Result<Option<LedgerRow>, cloud::Error> {
        let mut rows = Pin::new(&mut self.rows);
        let is_before =
            |read: &Result<LedgerRow, _>| matches!(read, Ok(read) if read.row_number() < Some(row));
        while rows.as_mut().next_if(is_before).await.is_some() {}
        let is_wanted = |read: &Result<LedgerRow, _>| !matches!(read, Ok(read) if read.row_number() > Some(row));
        rows.next_if(is_wanted).await.transpose()
    }
}
