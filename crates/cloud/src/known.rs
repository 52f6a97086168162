//! Campaigns as a process knows them. For a sender never older than two seconds when a call starts, so a stop is a stop by
//! then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use campaign::id::CampaignId;
use campaign::outcome::Stops;
use campaign::record::{Campaign, Rest};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use crate::Error;
use crate::campaigns::Campaigns;

/// What is older is forgotten.
const OLDEST: Duration = Duration::from_secs(10);

/// Campaigns that were read a moment ago.
#[derive(Debug)]
pub struct Known {
    campaigns: Campaigns,
    kept: Mutex<HashMap<CampaignId, Kept>>,
}

#[derive(Debug)]
struct Kept {
    read_at: Instant,
    campaign: Option<Arc<Campaign>>,
}

impl Known {
    /// Reads from this table.
    pub fn new(campaigns: Campaigns) -> Self {
        Self {
            campaigns,
            kept: Mutex::default(),
        }
    }

    /// The table.
    pub fn campaigns(&self) -> &Campaigns {
        &self.campaigns
    }

    /// The campaign, as it was at most `age` ago.
    pub async fn younger_than(
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
        kept.retain(|_, known| known.read_at.elapsed() < OLDEST);
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
    pub async fn prove(&self, id: &CampaignId) -> Result<(), Error> {
        self.campaigns.prove(id).await?;
        self.forget(id).await;
        Ok(())
    }

    /// The breaker: stops the campaign, for the reason given, and every other one where the account is at fault.
    pub async fn pause(&self, id: &CampaignId, stops: Stops, reason: &str) -> Result<(), Error> {
        let first = self.campaigns.pause(id, reason).await?;
        self.forget(id).await;
        if !first {
            return Ok(());
        }
        if stops == Stops::Account {
            for other in self.campaigns.open().await? {
                self.campaigns.pause(&other, reason).await?;
            }
        }
        Ok(())
    }

    /// The API asks the campaign to rest.
    pub async fn rest(&self, id: &CampaignId, rest: &Rest) -> Result<(), Error> {
        warn!(campaign.id = %id, until = rest.until, "campaign rests: {}", rest.reason);
        self.campaigns.rest(id, rest).await?;
        self.forget(id).await;
        Ok(())
    }

    async fn forget(&self, id: &CampaignId) {
        self.kept.lock().await.remove(id);
    }
}
