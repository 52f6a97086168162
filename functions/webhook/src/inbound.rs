//! What people say: whether they want messages, and everything else they write.

use std::sync::Arc;

use campaign::contacts::consent::ConsentIntent;
use campaign::contacts::contact::{
    ConsentEvent, ConsentSource, Contact, OPT_OUT_EFFECTIVE_AFTER_MS,
};
use campaign::contacts::settings::Settings;
use campaign::delivery::outcome::Millis;
use campaign::id::CorrelationId;
use campaign::import::phone::{self, Phone};
use cloud::contacts::ContactKey;
use cloud::inbox::InboundMessage;
use lambda_http::tracing;
use whatsapp::callback::{parse_stored_status, status_keys};
use whatsapp::contact::ContactIds;
use whatsapp::inbound::{MarketingPreference, ReceivedMessage};

use crate::Webhook;

/// Meta's times are whole seconds: a stop is taken for the last moment of its own, so that it is not older than what it
/// answers.
const END_OF_SECOND_MS: Millis = 999;

impl Webhook {
    /// Takes in a message: consent first, then the window, the inbox, and an answer where a rule has one. Gives the time
    /// from which on a word that forbids is in force.
    pub(crate) async fn on_message(
        &self,
        inbound: &ReceivedMessage,
        raw: &str,
        now: Millis,
    ) -> Result<Option<Millis>, cloud::Error> {
        let phone = inbound.from.phone.as_deref().and_then(parse_phone);
        let user_id = inbound.from.user_id.as_deref();
        let Some(who) = self.contacts.resolve_key(phone, user_id).await? else {
            tracing::warn!("a message from nobody: kept raw only");
            return Ok(None);
        };
        let settings = self.settings.get().await?;
        let at = inbound.at.unwrap_or(now);
        let said = settings
            .opt_out_keywords
            .detect_intent(inbound.text.as_deref(), inbound.payload.as_deref())
            .filter(|_| inbound.opens_service_window());
        let in_force = match said {
            Some(said) => self.record_consent_intent(&who, inbound, said, at).await?,
            None => None,
        };
        let mut contact = match inbound.opens_service_window() {
            true => self.contacts.record_inbound(&who, at, now).await?,
            false => self.contacts.get(&who).await?.unwrap_or_default(),
        };
        if let (ContactKey::Phone(phone), Some(user_id)) = (&who, user_id)
            && contact.user_id.as_deref() != Some(user_id)
        {
            self.contacts.link_user_id(*phone, user_id, now).await?;
            contact = self.contacts.get(&who).await?.unwrap_or_default();
        }
        if let Some(moved_to) = inbound.new_phone.as_deref().and_then(parse_phone) {
            self.carry_opt_out_to(&contact, moved_to).await?;
        }
        self.store_in_inbox(inbound, raw, &contact, &settings, now)
            .await?;
        if said.is_none() && inbound.opens_service_window() && !contact.suppressed {
            self.reply_by_rule(inbound, &contact, &settings, now)
                .await?;
        }
        Ok(in_force)
    }

    /// A switch in WhatsApp's own settings.
    pub(crate) async fn on_preference(
        &self,
        preference: &MarketingPreference,
        now: Millis,
    ) -> Result<Option<Millis>, cloud::Error> {
        let ContactIds { phone, user_id } = &preference.contact;
        let phone = phone.as_deref().and_then(parse_phone);
        let Some(who) = self.contacts.resolve_key(phone, user_id.as_deref()).await? else {
            return Ok(None);
        };
        let word = consent_event(
            preference.opted_out,
            ConsentSource::Preferences,
            preference.detail.clone(),
            preference.at.unwrap_or(now),
        );
        let contact = self.contacts.record_consent(&who, word).await?;
        Ok(opt_out_effective_at(&contact, preference.opted_out))
    }

    async fn record_consent_intent(
        &self,
        who: &ContactKey,
        inbound: &ReceivedMessage,
        said: ConsentIntent,
        at: Millis,
    ) -> Result<Option<Millis>, cloud::Error> {
        let source = match inbound.payload {
            Some(_) => ConsentSource::Button,
            None => ConsentSource::Text,
        };
        let stop = said == ConsentIntent::OptOut;
        let text = inbound.text.clone().or_else(|| inbound.payload.clone());
        let contact = self
            .contacts
            .record_consent(who, consent_event(stop, source, text, at))
            .await?;
        Ok(opt_out_effective_at(&contact, stop))
    }

    /// Who wants no messages wants none on a new number either.
    async fn carry_opt_out_to(&self, contact: &Contact, to: Phone) -> Result<(), cloud::Error> {
        let Some(last) = contact.last_consent().filter(|last| last.suppressed) else {
            return Ok(());
        };
        let word = ConsentEvent {
            source: ConsentSource::Moved,
            ..last.clone()
        };
        self.contacts
            .record_consent(&ContactKey::Phone(to), word)
            .await
            .map(drop)
    }

    async fn store_in_inbox(
        &self,
        inbound: &ReceivedMessage,
        raw: &str,
        contact: &Contact,
        settings: &Settings,
        now: Millis,
    ) -> Result<(), cloud::Error> {
        let answered = self
            .find_answered_row(inbound, contact, settings, now)
            .await?;
        let (row, attribution) = match answered {
            Some((tracker, how)) => (Some(tracker), Some(how.to_owned())),
            None => (None, None),
        };
        let letter = InboundMessage {
            id: inbound.wamid.clone(),
            received_at: now,
            written_at: inbound.at.unwrap_or(now),
            phone: contact.phone,
            user_id: inbound.from.user_id.clone(),
            name: inbound.name.clone(),
            kind: inbound.kind.clone(),
            text: inbound.text.clone(),
            payload: inbound.payload.clone(),
            context: inbound.reply_to.clone(),
            row: row.as_ref().map(|tracker| tracker.row),
            campaign: row.map(|tracker| tracker.campaign),
            attribution,
            raw: raw.to_owned(),
        };
        self.inbox.store(&letter).await
    }

    /// The row that somebody answers: the one whose message they quote, else the latest one within the settings' time.
    async fn find_answered_row(
        &self,
        inbound: &ReceivedMessage,
        contact: &Contact,
        settings: &Settings,
        now: Millis,
    ) -> Result<Option<(CorrelationId, &'static str)>, cloud::Error> {
        if let Some(wamid) = &inbound.reply_to {
            let kept = self.callbacks.get_first(&status_keys(wamid)).await?;
            let tracker = kept.and_then(|raw| parse_stored_status(&raw)?.correlation_id);
            if let Some(tracker) = tracker {
                return Ok(Some((tracker, "context")));
            }
        }
        let latest = (
            &contact.last_campaign,
            contact.last_row,
            contact.last_messaged_at,
        );
        Ok(match latest {
            (Some(campaign), Some(row), Some(at)) if settings.is_attributable(at, now) => {
                let tracker = CorrelationId {
                    campaign: campaign.clone(),
                    row,
                    attempt: 0,
                };
                Some((tracker, "latest"))
            }
            _ => None,
        })
    }

    async fn reply_by_rule(
        &self,
        inbound: &ReceivedMessage,
        contact: &Contact,
        settings: &Arc<Settings>,
        now: Millis,
    ) -> Result<(), cloud::Error> {
        let (text, payload) = (inbound.text.as_deref(), inbound.payload.as_deref());
        match (contact.phone, settings.find_reply(text, payload)) {
            (Some(phone), Some(message)) => {
                self.send_reply(&inbound.wamid, phone, message.clone(), now)
                    .await
            }
            _ => Ok(()),
        }
    }
}

/// A number of a callback: digits without a plus.
pub(crate) fn parse_phone(digits: &str) -> Option<Phone> {
    phone::parse(&format!("+{}", digits.trim_start_matches('+')), None).ok()
}

fn consent_event(
    stop: bool,
    source: ConsentSource,
    text: Option<String>,
    at: Millis,
) -> ConsentEvent {
    ConsentEvent {
        at: if stop { at + END_OF_SECOND_MS } else { at },
        suppressed: stop,
        source,
        text,
    }
}

/// When a word that forbids is in force: whoever asked before it was written has called by then.
fn opt_out_effective_at(contact: &Contact, stop: bool) -> Option<Millis> {
    let called_by = contact
        .last_messaged_at
        .map(|at| at + OPT_OUT_EFFECTIVE_AFTER_MS);
    called_by.filter(|_| stop)
}
