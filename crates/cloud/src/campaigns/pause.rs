//! Automatic pauses: because of failures, or of an error of the campaign or the account.

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::PausedBy;
use campaign::lifecycle::event::Event;
use campaign::time::Millis;

use super::Campaigns;
use crate::metrics::count_pause;
use crate::{Error, now};

impl Campaigns {
    /// Pauses a campaign that cannot succeed until the operator has done what `reason` says. Returns whether
    /// this call paused it; if so, it is logged and counted, and the alarm on the metric notifies the
    /// operator.
    pub async fn pause(&self, id: &CampaignId, reason: &str) -> Result<bool, Error> {
        self.pause_by(id, reason, PausedBy::Crier, None).await
    }

    /// Pauses a campaign, and notes in the same write that all others must be paused, too: see
    /// [`Campaigns::pause_others`]. If the process dies between the two, the reconciler goes on. Returns whether the others
    /// are to be paused.
    pub async fn pause_for_account(&self, id: &CampaignId, reason: &str) -> Result<bool, Error> {
        let by = PausedBy::AccountError;
        if self.pause_by(id, reason, by, None).await? {
            return Ok(true);
        }
        // Another process is pausing the others, or died while it did.
        let campaign = self.get(id).await?;
        Ok(campaign
            .and_then(|campaign| campaign.paused)
            .is_some_and(|pause| pause.is_pausing_others))
    }

    /// Pauses every other campaign that sends, because of what paused `first`, unless the operator has resumed it since. It
    /// may be repeated.
    pub async fn pause_others(&self, first: &CampaignId, reason: &str) -> Result<(), Error> {
        let cause = self.get(first).await?.and_then(|first| first.paused);
        let Some(cause) = cause.filter(|pause| pause.is_pausing_others) else {
            // The operator has resumed it, or another process has paused the others.
            return Ok(());
        };
        let open = self.list_open_ids().await?;
        for id in open.iter().filter(|&id| id != first) {
            self.pause_by(id, reason, PausedBy::Crier, Some(cause.at))
                .await?;
        }
        self.apply_to(first, &Event::OthersPaused, now())
            .await
            .map(drop)
    }

    /// Returns whether this call paused it.
    async fn pause_by(
        &self,
        id: &CampaignId,
        reason: &str,
        by: PausedBy,
        caused_at: Option<Millis>,
    ) -> Result<bool, Error> {
        let event = Event::Pause {
            reason: reason.to_owned(),
            by,
            caused_at,
        };
        let applied = self.apply_to(id, &event, now()).await?;
        let is_paused = applied.is_ok_and(|change| change.is_changed);
        if is_paused {
            tracing::error!(campaign.id = %id, "campaign paused: {reason}");
            count_pause();
        }
        Ok(is_paused)
    }
}
