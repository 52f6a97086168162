//! Notifications about templates, the phone number and the account: stored for the operator, and campaigns pause.

use campaign::lifecycle::campaign::Campaign;
use campaign::time::Millis;
use cloud::account_events::StoredAccountEvent;
use tracing::{instrument, warn};
use whatsapp::account_notification::{AccountNotification, PauseTarget};

use crate::Webhook;
use crate::failures::is_newer;

impl Webhook {
    /// Pauses the campaigns that a notification affects, then stores it.
    #[instrument(skip_all, fields(field = notification.field, event = notification.event))]
    pub(crate) async fn on_account_event(
        &self,
        key: &str,
        notification: &AccountNotification,
        now: Millis,
    ) -> Result<(), cloud::Error> {
        let at = notification.at.unwrap_or(now);
        warn!("Meta notifies: {}", notification.text);
        if notification.pauses != PauseTarget::Nothing {
            self.pause_affected_campaigns(notification, at).await?;
        }
        let event = StoredAccountEvent {
            at,
            field: notification.field.clone(),
            event: notification.event.clone(),
            text: notification.text.clone(),
        };
        self.account_events.record(key, &event).await
    }

    async fn pause_affected_campaigns(
        &self,
        notification: &AccountNotification,
        at: Millis,
    ) -> Result<(), cloud::Error> {
        let campaigns = self.campaign_cache.campaigns();
        for id in campaigns.list_open_ids().await? {
            let Some(campaign) = campaigns.get(&id).await? else {
                continue;
            };
            if affects(&notification.pauses, &campaign) && is_newer(&campaign, at) {
                campaigns.pause(&id, &notification.text).await?;
            }
        }
        Ok(())
    }
}

/// Whether the campaign sends what must pause.
fn affects(target: &PauseTarget, campaign: &Campaign) -> bool {
    match target {
        PauseTarget::Nothing => false,
        PauseTarget::Account => true,
        PauseTarget::Template { name, language } => {
            let messages = [Some(&campaign.message), campaign.fallback.as_ref()];
            messages.into_iter().flatten().any(|message| {
                let template = &message.body()["template"];
                let code = template["language"]["code"].as_str().unwrap_or_default();
                template["name"] == name.as_str() && is_same_language(code, language)
            })
        }
    }
}

/// Meta's notifications write `en-US` where messages have `en_US` (Meta, "`template_category_update` webhook reference").
fn is_same_language(one: &str, other: &str) -> bool {
    one.replace('-', "_") == other.replace('-', "_")
}
