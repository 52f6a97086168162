//! The ledger beside a file: pages are read ahead, in order, and a row is there when its turn comes.

use std::collections::HashMap;

use campaign::id::{RowNumber, page};
use campaign::record::Campaign;
use cloud::ledger::{Ledger, LedgerRow};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

/// Pages under way at once: a thousand rows.
const AHEAD: usize = 16;

type Page = (RowNumber, Vec<LedgerRow>);

/// Rows of one file, asked for in their order.
pub(crate) struct Rows<'a> {
    pages: BoxStream<'a, Result<Page, cloud::Error>>,
    page: Option<RowNumber>,
    rows: HashMap<RowNumber, LedgerRow>,
}

impl<'a> Rows<'a> {
    /// Of the file at `index`.
    pub(crate) fn new(ledger: &'a Ledger, campaign: &'a Campaign, index: usize) -> Self {
        let number = |rows: u64| RowNumber::try_from(rows).unwrap_or(RowNumber::MAX);
        let first = page(number(campaign.rows_before(index) + 1));
        let last = page(number(campaign.rows_before(index + 1)));
        let read = move |page| async move { Ok((page, ledger.page(&campaign.id, page).await?)) };
        Self {
            pages: stream::iter(first..=last).map(read).buffered(AHEAD).boxed(),
            page: None,
            rows: HashMap::new(),
        }
    }

    /// The row of that number, once; `None` where it is not in the ledger.
    pub(crate) async fn get(&mut self, row: RowNumber) -> Result<Option<LedgerRow>, cloud::Error> {
        while self.page.is_none_or(|at| at < page(row)) {
            let Some((page, rows)) = self.pages.try_next().await? else {
                return Ok(None);
            };
            self.page = Some(page);
            let numbered = rows
                .into_iter()
                .filter_map(|row| Some((row.number()?, row)));
            self.rows = numbered.collect();
        }
        Ok(self.rows.remove(&row))
    }
}
