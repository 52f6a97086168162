//! Campaigns as a sender knows them: never older than two seconds when a call starts, so a stop is a stop by then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use campaign::id::CampaignId;
use campaign::record::Campaign;
use cloud::Error;
use cloud::campaigns::Campaigns;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Before a claim. The wait for the tick that follows is a second at most.
pub(crate) const BEFORE_CLAIM: Duration = Duration::from_secs(1);

/// When a call starts. Nothing is read then, unless the campaign was stopped by this very process: a read would
/// delay the tick.
pub(crate) const BEFORE_CALL: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Known {
    campaigns: Campaigns,
    kept: Mutex<HashMap<CampaignId, Kept>>,
}

#[derive(Debug)]
struct Kept {
    read_at: Instant,
    campaign: Option<Arc<Campaign>>,
}

impl Known {
    pub(crate) fn new(campaigns: Campaigns) -> Self {
        Self {
            campaigns,
            kept: Mutex::default(),
        }
    }

    /// The campaign if calls may start, as it was at most `age` ago.
    pub(crate) async fn sending(
        &self,
        id: &CampaignId,
        age: Duration,
    ) -> Result<Option<Arc<Campaign>>, Error> {
        let campaign = self.younger_than(id, age).await?;
        Ok(campaign.filter(|campaign| campaign.state.may_send()))
    }

    async fn younger_than(
        &self,
        id: &CampaignId,
        age: Duration,
    ) -> Result<Option<Arc<Campaign>>, Error> {
        let mut kept = self.kept.lock().await;
        if let Some(known) = kept.get(id)
            && known.read_at.elapsed() < age
        {
            return Ok(known.campaign.clone());
        }
        let read_at = Instant::now();
        let campaign = self.campaigns.get(id).await?.map(Arc::new);
        kept.retain(|_, known| known.read_at.elapsed() < BEFORE_CALL);
        kept.insert(
            id.clone(),
            Kept {
                read_at,
                campaign: campaign.clone(),
            },
        );
        Ok(campaign)
    }

    /// A row was accepted: noted once, whatever the number of rows.
    pub(crate) async fn prove(&self, id: &CampaignId) -> Result<(), Error> {
        self.campaigns.prove(id).await?;
        self.forget(id).await;
        Ok(())
    }

    /// Stops the campaign, for the reason given.
    pub(crate) async fn pause(&self, id: &CampaignId, reason: &str) -> Result<(), Error> {
        if self.campaigns.pause(id, reason).await? {
            lambda_runtime::tracing::warn!(campaign.id = %id, "campaign paused: {reason}");
        }
        self.forget(id).await;
        Ok(())
    }

    async fn forget(&self, id: &CampaignId) {
        self.kept.lock().await.remove(id);
    }
}
