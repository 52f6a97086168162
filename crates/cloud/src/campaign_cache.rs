//! Campaigns in memory, with a maximum age at each read. A sender accepts two seconds when a send starts, so
//! a pause is in force by then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, Cooldown};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use crate::Error;
use crate::cached::Cached;
use crate::campaigns::Campaigns;

/// Older entries are dropped.
const MAX_AGE: Duration = Duration::from_secs(10);

/// Campaigns that were read recently.
#[derive(Debug)]
pub struct CampaignCache {
    campaigns: Campaigns,
    entries: Mutex<HashMap<CampaignId, Cached<Option<Arc<Campaign>>>>>,
}

impl CampaignCache {
    /// A cache of this table.
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

    /// The campaign as it was less than `max_age` ago.
    pub async fn get_with_max_age(
        &self,
        id: &CampaignId,
        max_age: Duration,
    ) -> Result<Option<Arc<Campaign>>, Error> {
        let mut entries = self.entries.lock().await;
        if let Some(campaign) = entries.get(id).and_then(|cached| cached.get(max_age)) {
            return Ok(campaign);
        }
        let read_at = Instant::now();
        let campaign = self.campaigns.get(id).await?.map(Arc::new);
        entries.retain(|_, cached| cached.is_younger_than(MAX_AGE));
        entries.insert(id.clone(), Cached::new(campaign.clone(), read_at));
        Ok(campaign)
    }

    /// Stores that a row was accepted: once per campaign, whatever the number of rows.
    pub async fn mark_accepted(&self, id: &CampaignId) -> Result<(), Error> {
        self.campaigns.mark_accepted(id).await?;
        self.invalidate(id).await;
        Ok(())
    }

    /// Pauses the campaign for `reason`.
    pub async fn pause(&self, id: &CampaignId, reason: &str) -> Result<(), Error> {
        self.campaigns.pause(id, reason).await?;
        self.invalidate(id).await;
        Ok(())
    }

    /// Pauses the campaign because of an error of the account. Returns whether the others must be paused, too:
    /// [`CampaignCache::pause_others`].
    pub async fn pause_for_account(&self, id: &CampaignId, reason: &str) -> Result<bool, Error> {
        let is_first = self.campaigns.pause_for_account(id, reason).await?;
        self.invalidate(id).await;
        Ok(is_first)
    }

    /// Pauses every other campaign that sends, because of what paused `first`. It may be repeated.
    pub async fn pause_others(&self, first: &CampaignId, reason: &str) -> Result<(), Error> {
        crate::sometimes!("an error of the account pauses every campaign");
        self.campaigns.pause_others(first, reason).await
    }

    /// Starts a cooldown that the API asked for.
    pub async fn start_cooldown(&self, id: &CampaignId, cooldown: &Cooldown) -> Result<(), Error> {
        crate::sometimes!("the cooldown of a campaign begins");
        warn!(campaign.id = %id, until = cooldown.until, "cooldown: {}", cooldown.reason);
        self.campaigns.set_cooldown(id, cooldown).await?;
        self.invalidate(id).await;
        Ok(())
    }

    async fn invalidate(&self, id: &CampaignId) {
        self.entries.lock().await.remove(id);
    }
}
