//! Notifications about templates, the phone number and the account: stored for the operator, and campaigns or numbers pause.

use std::collections::BTreeMap;

use campaign::delivery::number_suspension::NumberPause;
use campaign::id::NumberId;
use campaign::lifecycle::campaign::{Campaign, PausedBy};
use campaign::time::Millis;
use cloud::account_events::StoredAccountEvent;
use tracing::{instrument, warn};
use whatsapp::account_notification::{AccountNotification, PauseTarget};
use whatsapp::callback::Update;

use crate::Webhook;
use crate::failures::is_newer;

impl Webhook {
    /// Pauses what a notification affects, then stores it.
    #[instrument(skip_all, fields(field = notification.field, event = notification.event))]
    pub(crate) async fn on_account_event(
        &self,
        key: &str,
        notification: &AccountNotification,
        now: Millis,
    ) -> Result<(), cloud::Error> {
        let at = notification.at.unwrap_or(now);
        warn!("Meta notifies: {}", notification.text);
        match &notification.pauses {
            PauseTarget::Nothing => {}
            PauseTarget::Number { phone } => {
                self.pause_flagged(phone.as_deref(), &notification.text, at)
                    .await?;
            }
            PauseTarget::Template { .. } | PauseTarget::Account => {
                self.pause_affected_campaigns(notification, at).await?;
            }
        }
        let event = StoredAccountEvent {
            at,
            field: notification.field.clone(),
            event: notification.event.clone(),
            text: notification.text.clone(),
        };
        self.account_events.record(key, &event).await
    }

    /// Pauses the number with this phone; if it is not known which one that is, those that it may be.
    async fn pause_flagged(
        &self,
        phone: Option<&str>,
        reason: &str,
        at: Millis,
    ) -> Result<(), cloud::Error> {
        let numbers = self.numbers.all().await?;
        let ids = numbers.iter().map(|number| &number.id);
        for id in self.numbers.records().with_phone(phone, ids).await? {
            self.pause_number(id, reason, at).await?;
        }
        Ok(())
    }

    /// Pauses a number because of something that happened at `at`, unless an operator has resumed it since. Meta's times are
    /// whole seconds.
    pub(crate) async fn pause_number(
        &self,
        id: &NumberId,
        reason: &str,
        at: Millis,
    ) -> Result<(), cloud::Error> {
        let pause = NumberPause {
            reason: reason.to_owned(),
            by: PausedBy::Crier,
            at: cloud::now(),
        };
        let paused = self.numbers.records().pause(id, &pause, Some(at + 999));
        paused.await.map(drop)
    }

    /// Stores which phones our numbers have: notifications name no ids.
    pub(crate) async fn note_our_phones(&self, updates: &[Update]) -> Result<(), cloud::Error> {
        let named = updates.iter().filter_map(Update::our_number);
        let phones: BTreeMap<_, _> = named.filter_map(|(id, phone)| Some((id, phone?))).collect();
        for (id, phone) in phones {
            if self.numbers.get(&id).await?.is_some() {
                self.numbers.records().note_phone(&id, &phone).await?;
            }
        }
        Ok(())
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
        PauseTarget::Nothing | PauseTarget::Number { .. } => false,
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
