//! Campaigns as a process knows them. For a sender never older than two seconds when a call starts, so a stop is a stop by
//! then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use campaign::delivery::outcome::PauseScope;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, Cooldown};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use crate::Error;
use crate::campaigns::Campaigns;

/// What is older is forgotten.
const MAX_AGE: Duration = Duration::from_secs(10);

/// Campaigns that were read a moment ago.
#[derive(Debug)]
pub struct CampaignCache {
    campaigns: Campaigns,
    entries: Mutex<HashMap<CampaignId, Cached>>,
}

#[derive(Debug)]
struct Cached {
    read_at: Instant,
    campaign: Option<Arc<Campaign>>,
}

impl CampaignCache {
    /// Reads from this table.
    pub fn new(campaigns: Campaigns) -> Self {
        Self {
            campaigns,
            entries: Mutex::default(),
        }
    }

    /// The table.
    pub fn campaigns(&self) -> &Campaigns {
        &self.campaigns
    }

    /// The campaign, as it was at most `age` ago.
    pub async fn get_with_max_age(
        &self,
        id: &CampaignId,
        age: Duration,
    ) -> Result<Option<Arc<Campaign>>, Error> {
        let mut kept = self.entries.lock().await;
        if let Some(known) = kept.get(id)
            && known.read_at.elapsed() < age
        {
            return Ok(known.campaign.clone());
        }
        let read_at = Instant::now();
        let campaign = self.campaigns.get(id).await?.map(Arc::new);
        kept.retain(|_, known| known.read_at.elapsed() < MAX_AGE);
        kept.insert(
            id.clone(),
            Cached {
                read_at,
                campaign: campaign.clone(),
            },
        );
        Ok(campaign)
    }

    /// A row was accepted: noted once, whatever the number of rows.
    pub async fn mark_accepted(&self, id: &CampaignId) -> Result<(), Error> {
        self.campaigns.mark_accepted(id).await?;
        self.invalidate(id).await;
        Ok(())
    }

    /// The breaker: stops the campaign, for the reason given, and every other one where the account is at fault.
    pub async fn pause(
        &self,
        id: &CampaignId,
        stops: PauseScope,
        reason: &str,
    ) -> Result<(), Error> {
        let first = self.campaigns.pause(id, reason).await?;
        self.invalidate(id).await;
        if !first {
            return Ok(());
        }
        if stops == PauseScope::Account {
            for other in self.campaigns.list_open_ids().await? {
                self.campaigns.pause(&other, reason).await?;
            }
        }
        Ok(())
    }

    /// The API asks the campaign to rest.
    pub async fn start_cooldown(&self, id: &CampaignId, rest: &Cooldown) -> Result<(), Error> {
        warn!(campaign.id = %id, until = rest.until, "campaign rests: {}", rest.reason);
        self.campaigns.set_cooldown(id, rest).await?;
        self.invalidate(id).await;
        Ok(())
    }

    async fn invalidate(&self, id: &CampaignId) {
        self.entries.lock().await.remove(id);
    }
}
