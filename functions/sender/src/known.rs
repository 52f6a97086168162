//! Campaigns as a sender knows them: never older than two seconds when a call starts, so a stop is a stop by then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use campaign::id::CampaignId;
use campaign::outcome::Stops;
use campaign::record::{Campaign, Rest};
use cloud::Error;
use cloud::campaigns::Campaigns;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Before a claim. The wait for the tick that follows is an interval at most.
pub(crate) const BEFORE_CLAIM: Duration = Duration::from_secs(1);

/// When a call starts, with what the request needs to be out within the two seconds. Nothing is read then, as a rule: a
/// read would delay the tick.
pub(crate) const BEFORE_CALL: Duration = Duration::from_millis(1_800);

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

    /// The campaign, as it was at most `age` ago.
    pub(crate) async fn younger_than(
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

    /// The breaker: stops the campaign, for the reason given, and every other one where the account is at fault.
    pub(crate) async fn pause(
        &self,
        id: &CampaignId,
        stops: Stops,
        reason: &str,
    ) -> Result<(), Error> {
        let first = self.campaigns.pause(id, reason).await?;
        self.forget(id).await;
        if !first {
            return Ok(());
        }
        lambda_runtime::tracing::error!(campaign.id = %id, "campaign paused: {reason}");
        if stops == Stops::Account {
            for other in self.campaigns.open().await? {
                if self.campaigns.pause(&other, reason).await? {
                    lambda_runtime::tracing::error!(campaign.id = %other, "campaign paused with the account: {reason}");
                }
            }
        }
        Ok(())
    }

    /// The API asks the campaign to rest.
    pub(crate) async fn rest(&self, id: &CampaignId, rest: &Rest) -> Result<(), Error> {
        lambda_runtime::tracing::warn!(campaign.id = %id, until = rest.until, "campaign rests: {}", rest.reason);
        self.campaigns.rest(id, rest).await?;
        self.forget(id).await;
        Ok(())
    }

    async fn forget(&self, id: &CampaignId) {
        self.kept.lock().await.remove(id);
    }
}
