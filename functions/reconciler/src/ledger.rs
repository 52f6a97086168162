//! Repairs of rows. The ledger is read partition by partition. An index of due rows would cost two more writes a row,
//! twice what the ledger costs now; reading a million rows costs two cents, and happens only while a campaign is idle.

use campaign::delivery::ledger::{LedgerRow, SENDER_DIED, State, Transition, repair_transition};
use campaign::delivery::outcome::ErrorInfo;
use campaign::delivery::requeue::{Disposition, disposition};
use campaign::lifecycle::campaign::Campaign;
use campaign::time::Millis;
use futures::{StreamExt, TryStreamExt};

use crate::Reconciler;
use crate::run::Run;

/// Rows that are repaired at once.
const CONCURRENT_REPAIRS: usize = 16;

/// What was done about a row, or is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowRepair {
    /// Nothing to do.
    None,
    /// Its sender died; it is unconfirmed now.
    MarkedUnconfirmed,
    /// A retry that is due.
    Overdue,
    /// It was unconfirmed; a retry is due now.
    ResendScheduled,
}

impl Reconciler {
    /// Reads a campaign's ledger and repairs its rows. Returns the number of retries that are due.
    pub(crate) async fn repair_ledger(
        &self,
        campaign: &Campaign,
        run: &mut Run,
    ) -> Result<usize, cloud::Error> {
        let now = run.now;
        let last_row = campaign.last_row();
        let mut repairs = self
            .ledger
            .rows(&campaign.id, 1..=last_row)
            .map(|row| async { self.repair_row(campaign, &row?, now).await })
            .buffer_unordered(CONCURRENT_REPAIRS);
        let mut overdue = 0;
        while let Some(repair) = repairs.try_next().await? {
            run.stats.unconfirmed += usize::from(repair == RowRepair::MarkedUnconfirmed);
            run.stats.resent += usize::from(repair == RowRepair::ResendScheduled);
            overdue += usize::from(matches!(
                repair,
                RowRepair::Overdue | RowRepair::ResendScheduled
            ));
            if run.is_over() {
                tracing::warn!("the run's time is over before the ledger was read to its end");
                return Ok(overdue);
            }
        }
        self.campaigns.mark_reconciled(&campaign.id, now).await?;
        Ok(overdue)
    }

    /// Repairs a row in which nothing happens any more.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign.id, row = %row.row, attempt = row.attempt))]
    async fn repair_row(
        &self,
        campaign: &Campaign,
        row: &LedgerRow,
        now: Millis,
    ) -> Result<RowRepair, cloud::Error> {
        let (id, policy) = (&campaign.id, campaign.policy);
        let sends = disposition(campaign, now) == Disposition::Send;
        let transition = repair_transition(row.status(), row.claimed_at, policy, sends, now);
        let (Some(transition), Some(number)) = (transition, row.row_number()) else {
            let is_due = row.not_before.is_none_or(|not_before| not_before <= now);
            let is_overdue = row.state == State::Retry && is_due;
            return Ok(if is_overdue {
                RowRepair::Overdue
            } else {
                RowRepair::None
            });
        };
        let (is_repaired, repair) = if transition == Transition::Resend {
            cloud::sometimes!("the reconciler has an unconfirmed row sent again");
            let resend = self.ledger.schedule_resend(id, number, row.attempt);
            (resend.await?, RowRepair::ResendScheduled)
        } else {
            cloud::sometimes!("the reconciler finds the row of a dead sender");
            let error = ErrorInfo::transport(SENDER_DIED);
            let record = self
                .ledger
                .record_outcome(id, number, row.attempt, transition, &error);
            (record.await?, RowRepair::MarkedUnconfirmed)
        };
        Ok(if is_repaired { repair } else { RowRepair::None })
    }
}
