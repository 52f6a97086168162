//! Rows that stand still: read page by page, since no index would be cheaper. An index of what is due costs two more
//! writes a row, twice what the ledger costs now; reading a million rows costs two cents, and only happens while a
//! campaign stands still.

use campaign::id::{RowNumber, page};
use campaign::ledger::{Move, OWNER_DIED, State, repair};
use campaign::offer::{Fate, fate};
use campaign::outcome::{Fault, Millis};
use campaign::record::Campaign;
use cloud::ledger::LedgerRow;
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda_runtime::tracing;

use crate::{Sweep, Swept, WIND_UP_MS};

/// Pages under way at once.
const IN_FLIGHT: usize = 16;

/// What a page showed.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    doubts: usize,
    resent: usize,
    overdue: usize,
}

impl Sweep {
    /// Reads a campaign's ledger and settles what stands still; gives the number of retries whose time has come.
    pub(crate) async fn repair(
        &self,
        campaign: &Campaign,
        now: Millis,
        deadline: Millis,
        swept: &mut Swept,
    ) -> Result<usize, cloud::Error> {
        let last = RowNumber::try_from(campaign.counts().rows).unwrap_or(RowNumber::MAX);
        let mut pages = stream::iter(0..=page(last))
            .map(|page| self.repair_page(campaign, page, now))
            .buffer_unordered(IN_FLIGHT);
        let mut overdue = 0;
        while let Some(found) = pages.try_next().await? {
            swept.doubts += found.doubts;
            swept.resent += found.resent;
            overdue += found.overdue;
            if cloud::now() + WIND_UP_MS > deadline {
                tracing::warn!(campaign.id = %campaign.id, "time is over before the ledger was read to its end");
                return Ok(overdue);
            }
        }
        self.campaigns.swept(&campaign.id, now).await?;
        Ok(overdue)
    }

    async fn repair_page(
        &self,
        campaign: &Campaign,
        page: RowNumber,
        now: Millis,
    ) -> Result<Found, cloud::Error> {
        let mut found = Found::default();
        for row in self.ledger.page(&campaign.id, page).await? {
            let due = row.not_before.is_none_or(|due| due <= now);
            found.overdue += usize::from(row.state == State::Retry && due);
            self.repair_row(campaign, &row, now, &mut found).await?;
        }
        Ok(found)
    }

    async fn repair_row(
        &self,
        campaign: &Campaign,
        row: &LedgerRow,
        now: Millis,
        found: &mut Found,
    ) -> Result<(), cloud::Error> {
        let step = repair(
            row.standing(),
            row.claimed_at,
            campaign.policy,
            fate(campaign, now) == Fate::Sent,
            now,
        );
        let (Some(step), Some(number)) = (step, row.number()) else {
            return Ok(());
        };
        let (id, attempt) = (&campaign.id, row.attempt);
        if step == Move::Resend {
            let resent = self.ledger.resend(id, number, attempt).await?;
            found.resent += usize::from(resent);
            found.overdue += usize::from(resent);
        } else {
            let fault = Fault::on_the_way(OWNER_DIED);
            let doubted = self
                .ledger
                .settle(id, number, attempt, step, &fault)
                .await?;
            found.doubts += usize::from(doubted);
        }
        Ok(())
    }
}
