//! Messages and calls of recipients: their consent, the service window, the inbox, automatic replies.

use campaign::contacts::consent::ConsentIntent;
use campaign::contacts::contact::{ConsentEvent, ConsentSource, Contact};
use campaign::contacts::settings::Settings;
use campaign::id::CorrelationId;
use campaign::import::phone::{self, Phone};
use campaign::time::Millis;
use cloud::Error;
use cloud::contacts::ContactKey;
use cloud::inbox::InboundMessage;
use tracing::field::{Empty, display};
use tracing::{Span, instrument, warn};
use whatsapp::callback::{parse_stored_status, status_keys};
use whatsapp::contact::ContactIds;
use whatsapp::inbound::{MarketingPreference, ReceivedCall, ReceivedMessage};

use crate::Webhook;

/// Meta truncates times to seconds. An opt-out is dated at the end of its second, so that it is not older than the message
/// it answers.
const END_OF_SECOND_MS: Millis = 999;

impl Webhook {
    /// Applies a message: first the consent, then the service window, the inbox, and an automatic reply if a rule matches.
    /// Returns when an opt-out in it takes effect.
    #[instrument(skip_all, fields(kind = message.kind))]
    pub(crate) async fn on_message(
        &self,
        message: &ReceivedMessage,
        raw: &str,
        now: Millis,
    ) -> Result<Option<Millis>, Error> {
        let phone = message.from.phone.as_deref().and_then(parse_phone);
        let user_id = message.from.user_id.as_deref();
        let Some(key) = self.contacts.resolve_key(phone, user_id).await? else {
            warn!("a message names no sender; it is stored raw only");
            return Ok(None);
        };
        let settings = self.settings.get().await?;
        let intent = settings
            .opt_out_keywords
            .detect_intent(message.text.as_deref(), message.payload.as_deref())
            .filter(|_| message.opens_service_window());
        let effective_at = match intent {
            Some(intent) => {
                self.record_consent_intent(&key, message, intent, now)
                    .await?
            }
            None => None,
        };
        let contact = self.update_contact(&key, message, now).await?;
        if let Some(new_phone) = message.new_phone.as_deref().and_then(parse_phone) {
            self.carry_opt_out_to(&contact, new_phone).await?;
        }
        self.store_in_inbox(message, raw, &contact, &settings, now)
            .await?;
        if intent.is_none() && message.opens_service_window() && !contact.suppressed {
            self.reply_by_rule(message, &contact, &settings, now)
                .await?;
        }
        Ok(effective_at)
    }

    /// Opens the service window: a call opens it as a message does (Meta, "Send messages: customer service windows").
    pub(crate) async fn on_call(&self, call: &ReceivedCall, now: Millis) -> Result<(), Error> {
        let ContactIds { phone, user_id } = &call.from;
        let phone = phone.as_deref().and_then(parse_phone);
        let Some(key) = self.contacts.resolve_key(phone, user_id.as_deref()).await? else {
            return Ok(());
        };
        let at = call.at.unwrap_or(now);
        let number = call.number.as_ref();
        let recorded = self.contacts.record_inbound(&key, number, at, now).await;
        recorded.map(drop)
    }

    /// Applies a change in WhatsApp's own settings. Returns when an opt-out in it takes effect.
    #[instrument(skip_all, fields(opted_out = preference.opted_out))]
    pub(crate) async fn on_preference(
        &self,
        preference: &MarketingPreference,
        now: Millis,
    ) -> Result<Option<Millis>, Error> {
        let ContactIds { phone, user_id } = &preference.contact;
        let phone = phone.as_deref().and_then(parse_phone);
        let Some(key) = self.contacts.resolve_key(phone, user_id.as_deref()).await? else {
            return Ok(None);
        };
        let event = consent_event(
            preference.opted_out,
            ConsentSource::Preferences,
            preference.detail.clone(),
            preference.at.unwrap_or(now),
        );
        let contact = self.contacts.record_consent(&key, event).await?;
        Ok(contact
            .opt_out_effective_at(cloud::now())
            .filter(|_| preference.opted_out))
    }

    async fn record_consent_intent(
        &self,
        key: &ContactKey,
        message: &ReceivedMessage,
        intent: ConsentIntent,
        now: Millis,
    ) -> Result<Option<Millis>, Error> {
        let source = match message.payload {
            Some(_) => ConsentSource::Button,
            None => ConsentSource::Text,
        };
        let opted_out = intent == ConsentIntent::OptOut;
        let text = message.text.clone().or_else(|| message.payload.clone());
        let event = consent_event(opted_out, source, text, message.at.unwrap_or(now));
        let contact = self.contacts.record_consent(key, event).await?;
        Ok(contact
            .opt_out_effective_at(cloud::now())
            .filter(|_| opted_out))
    }

    /// Opens the service window and links the sender's number to the business-scoped id. Returns the contact.
    async fn update_contact(
        &self,
        key: &ContactKey,
        message: &ReceivedMessage,
        now: Millis,
    ) -> Result<Contact, Error> {
        let contact = match message.opens_service_window() {
            true => {
                let at = message.at.unwrap_or(now);
                let number = message.number.as_ref();
                self.contacts.record_inbound(key, number, at, now).await?
            }
            false => self.contacts.get(key).await?.unwrap_or_default(),
        };
        let (ContactKey::Phone(phone), Some(user_id)) = (key, message.from.user_id.as_deref())
        else {
            return Ok(contact);
        };
        if contact.user_id.as_deref() == Some(user_id) {
            return Ok(contact);
        }
        self.contacts.link_user_id(*phone, user_id, now).await?;
        Ok(self.contacts.get(key).await?.unwrap_or_default())
    }

    /// Suppresses the contact's new number if the contact is suppressed.
    async fn carry_opt_out_to(&self, contact: &Contact, new_phone: Phone) -> Result<(), Error> {
        let Some(last) = contact.last_consent().filter(|last| last.suppressed) else {
            return Ok(());
        };
        let opt_out = ConsentEvent {
            source: ConsentSource::Moved,
            ..last.clone()
        };
        self.contacts
            .record_consent(&ContactKey::Phone(new_phone), opt_out)
            .await
            .map(drop)
    }

    #[instrument(skip_all, fields(campaign.id = Empty, row = Empty))]
    async fn store_in_inbox(
        &self,
        message: &ReceivedMessage,
        raw: &str,
        contact: &Contact,
        settings: &Settings,
        now: Millis,
    ) -> Result<(), Error> {
        let answered = self
            .find_answered_row(message, contact, settings, now)
            .await?;
        let (id, attribution) = answered.unzip();
        if let Some(id) = &id {
            Span::current().record("campaign.id", display(&id.campaign));
            Span::current().record("row", id.row);
        }
        let message = InboundMessage {
            id: message.wamid.clone(),
            received_at: now,
            written_at: message.at.unwrap_or(now),
            phone: contact.phone,
            user_id: message.from.user_id.clone(),
            name: message.name.clone(),
            kind: message.kind.clone(),
            text: message.text.clone(),
            payload: message.payload.clone(),
            context: message.reply_to.clone(),
            row: id.as_ref().map(|id| id.row),
            campaign: id.map(|id| id.campaign),
            attribution: attribution.map(str::to_owned),
            raw: raw.to_owned(),
        };
        self.inbox.store(&message).await
    }

    /// The row that a message answers, and how that is known: the row whose message it quotes, else the row that the
    /// contact was sent last, within the time that the settings allow.
    async fn find_answered_row(
        &self,
        message: &ReceivedMessage,
        contact: &Contact,
        settings: &Settings,
        now: Millis,
    ) -> Result<Option<(CorrelationId, &'static str)>, Error> {
        if let Some(wamid) = &message.reply_to {
            let stored = self.callbacks.get_first(&status_keys(wamid)).await?;
            let id = stored.and_then(|raw| parse_stored_status(&raw)?.correlation_id);
            if let Some(id) = id {
                return Ok(Some((id, "context")));
            }
        }
        let latest = (
            &contact.last_campaign,
            contact.last_row,
            contact.last_messaged_at,
        );
        Ok(match latest {
            (Some(campaign), Some(row), Some(at)) if settings.is_attributable(at, now) => {
                let id = CorrelationId {
                    campaign: campaign.clone(),
                    row,
                    attempt: 0,
                };
                Some((id, "latest"))
            }
            _ => None,
        })
    }

    async fn reply_by_rule(
        &self,
        message: &ReceivedMessage,
        contact: &Contact,
        settings: &Settings,
        now: Millis,
    ) -> Result<(), Error> {
        let (text, payload) = (message.text.as_deref(), message.payload.as_deref());
        match (contact.phone, settings.find_reply(text, payload)) {
            (Some(phone), Some(reply)) => {
                let number = self.numbers.written_to(message.number.as_ref()).await?;
                self.send_reply(&message.wamid, &number, phone, reply.clone(), now)
                    .await
            }
            _ => Ok(()),
        }
    }
}

/// Parses a phone number of a callback: digits without a plus sign.
pub(crate) fn parse_phone(digits: &str) -> Option<Phone> {
    phone::parse(&format!("+{}", digits.trim_start_matches('+')), None).ok()
}

fn consent_event(
    opted_out: bool,
    source: ConsentSource,
    text: Option<String>,
    at: Millis,
) -> ConsentEvent {
    ConsentEvent {
        at: match opted_out {
            true => at + END_OF_SECOND_MS,
            false => at,
        },
        suppressed: opted_out,
        source,
        text,
    }
}
