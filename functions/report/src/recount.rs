//! The counters anew: what the ledger says less what was counted becomes a correction, a shard of its own that nobody else
//! writes. What the stream still brings is added as ever, so nothing may be on its way when the correction is made: the
//! ledger and the counters are looked at twice, some time apart, and must be the same.

use std::hash::{DefaultHasher, Hash, Hasher};

use campaign::id::{RowNumber, page};
use campaign::record::Campaign;
use campaign::tally::Counters;
use cloud::ledger::LedgerRow;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::{JobError, Report, Work};

/// Pages under way at once.
const IN_FLIGHT: usize = 16;

/// How often is looked before giving up.
const LOOKS: usize = 8;

/// The shard that holds the correction.
const CORRECTION: &str = "recount";

/// The ledger and the counters at one moment.
#[derive(Debug, PartialEq)]
struct Look {
    ledger: Counters,
    /// Of every row, whatever their order.
    rows: u64,
    counted: Counters,
}

impl Report {
    pub(crate) async fn recount(
        &self,
        campaign: &Campaign,
        work: &mut Work<'_>,
    ) -> Result<String, JobError> {
        let mut before = self.look(campaign, work).await?;
        for _ in 1..LOOKS {
            tokio::time::sleep(self.settle).await;
            let now = self.look(campaign, work).await?;
            if now == before {
                return self.correct(campaign, now).await;
            }
            before = now;
        }
        let why =
            "Rows still move. Pause the campaign, or wait until it is finished, and recount then.";
        Err(JobError::Impossible(why.into()))
    }

    async fn look(&self, campaign: &Campaign, work: &mut Work<'_>) -> Result<Look, JobError> {
        let last = RowNumber::try_from(campaign.counts().rows).unwrap_or(RowNumber::MAX);
        let mut pages = stream::iter(0..=page(last))
            .map(|page| self.ledger.page(&campaign.id, page))
            .buffer_unordered(IN_FLIGHT);
        let (mut ledger, mut rows) = (Counters::default(), 0u64);
        work.progress.rows = 0;
        while let Some(page) = pages.try_next().await? {
            for row in page {
                ledger.change(None, row.facts());
                rows = rows.wrapping_add(print(&row));
                work.record().await?;
            }
        }
        let counted = self.counters.total(&campaign.id).await?;
        Ok(Look {
            ledger,
            rows,
            counted,
        })
    }

    async fn correct(&self, campaign: &Campaign, look: Look) -> Result<String, JobError> {
        let id = &campaign.id;
        let off = look.ledger.less(&look.counted);
        if off.is_zero() {
            return Ok("The counters were right.".into());
        }
        let mut shard = self.counters.shard(id, CORRECTION).await?;
        let seen = shard.last_sequence.clone();
        shard.last_sequence.push('1');
        shard.counters = shard.counters.merge(off);
        let now = cloud::now();
        if !self
            .counters
            .replace(id, CORRECTION, &seen, &shard, now)
            .await?
        {
            let why = "Another recount was at it at the same time.";
            return Err(JobError::Impossible(why.into()));
        }
        Ok("The counters were wrong and are right now.".into())
    }
}

/// A row's state as a number.
fn print(row: &LedgerRow) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&row.page, &row.row, row.state, row.attempt, row.given_up).hash(&mut hasher);
    (row.sent_at, row.delivered_at, row.read_at, row.failed_at).hash(&mut hasher);
    hasher.finish()
}
