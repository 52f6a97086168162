//! What Meta says of templates, the number and the account: shown, and obeyed.

use campaign::delivery::outcome::Millis;
use campaign::lifecycle::campaign::Campaign;
use cloud::account_events::StoredAccountEvent;
use lambda_http::tracing;
use whatsapp::account_notification::{AccountNotification, PauseTarget};

use crate::Webhook;
use crate::failures::is_newer;

impl Webhook {
    /// Stops the campaigns that a notice concerns, then notes it.
    pub(crate) async fn on_account_event(
        &self,
        key: &str,
        notice: &AccountNotification,
        now: Millis,
    ) -> Result<(), cloud::Error> {
        let at = notice.at.unwrap_or(now);
        tracing::warn!(
            field = notice.field,
            event = notice.event,
            "notice: {}",
            notice.text
        );
        if notice.pauses != PauseTarget::Nothing {
            self.pause_affected_campaigns(notice, at).await?;
        }
        let noted = StoredAccountEvent {
            at,
            field: notice.field.clone(),
            event: notice.event.clone(),
            text: notice.text.clone(),
        };
        self.account_events.record(key, &noted).await
    }

    async fn pause_affected_campaigns(
        &self,
        notice: &AccountNotification,
        at: Millis,
    ) -> Result<(), cloud::Error> {
        let campaigns = self.campaign_cache.campaigns();
        for id in campaigns.list_open_ids().await? {
            let Some(campaign) = campaigns.get(&id).await? else {
                continue;
            };
            if affects(&notice.pauses, &campaign) && is_newer(&campaign, at) {
                campaigns.pause(&id, &notice.text).await?;
            }
        }
        Ok(())
    }
}

/// Whether what stops is what the campaign sends.
fn affects(stops: &PauseTarget, campaign: &Campaign) -> bool {
    match stops {
        PauseTarget::Nothing => false,
        PauseTarget::Account => true,
        PauseTarget::Template { name, language } => {
            let messages = [Some(&campaign.message), campaign.fallback.as_ref()];
            messages.into_iter().flatten().any(|message| {
                let template = &message.body()["template"];
                template["name"] == name.as_str()
                    && template["language"]["code"] == language.as_str()
            })
        }
    }
}
