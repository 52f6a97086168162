//! What Meta says of templates, the number and the account: shown, and obeyed.

use campaign::outcome::Millis;
use campaign::record::Campaign;
use cloud::notices::Noted;
use lambda_http::tracing;
use whatsapp::notice::{Notice, Stops};

use crate::Webhook;
use crate::failures::is_news;

impl Webhook {
    /// Stops the campaigns that a notice concerns, then notes it.
    pub(crate) async fn noticed(
        &self,
        key: &str,
        notice: &Notice,
        now: Millis,
    ) -> Result<(), cloud::Error> {
        let at = notice.at.unwrap_or(now);
        tracing::warn!(
            field = notice.field,
            event = notice.event,
            "notice: {}",
            notice.text
        );
        if notice.stops != Stops::Nothing {
            self.stop(notice, at).await?;
        }
        let noted = Noted {
            at,
            field: notice.field.clone(),
            event: notice.event.clone(),
            text: notice.text.clone(),
        };
        self.notices.note(key, &noted).await
    }

    async fn stop(&self, notice: &Notice, at: Millis) -> Result<(), cloud::Error> {
        let campaigns = self.known.campaigns();
        for id in campaigns.open().await? {
            let Some(campaign) = campaigns.get(&id).await? else {
                continue;
            };
            if concerns(&notice.stops, &campaign) && is_news(&campaign, at) {
                campaigns.pause(&id, &notice.text).await?;
            }
        }
        Ok(())
    }
}

/// Whether what stops is what the campaign sends.
fn concerns(stops: &Stops, campaign: &Campaign) -> bool {
    match stops {
        Stops::Nothing => false,
        Stops::Account => true,
        Stops::Template { name, language } => {
            let messages = [Some(&campaign.message), campaign.fallback.as_ref()];
            messages.into_iter().flatten().any(|message| {
                let template = &message.body()["template"];
                template["name"] == name.as_str()
                    && template["language"]["code"] == language.as_str()
            })
        }
    }
}
