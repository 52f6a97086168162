//! What people say: whether they want messages, and everything else they write.

use std::sync::Arc;

use campaign::consent::Said;
use campaign::contact::{CALLED_BY_MS, Consent, Contact, Source};
use campaign::id::Tracker;
use campaign::outcome::Millis;
use campaign::phone::{self, Phone};
use campaign::settings::Settings;
use cloud::contacts::Who;
use cloud::inbox::Letter;
use lambda_http::tracing;
use whatsapp::callback::{Person, kept_status, status_keys};
use whatsapp::inbound::{Inbound, Preference};

use crate::Webhook;

/// Meta's times are whole seconds: a stop is taken for the last moment of its own, so that it is not older than what it
/// answers.
const LAST_MOMENT_MS: Millis = 999;

impl Webhook {
    /// Takes in a message: consent first, then the window, the inbox, and an answer where a rule has one. Gives the time
    /// from which on a word that forbids is in force.
    pub(crate) async fn wrote(
        &self,
        inbound: &Inbound,
        raw: &str,
        now: Millis,
    ) -> Result<Option<Millis>, cloud::Error> {
        let phone = inbound.from.phone.as_deref().and_then(number);
        let user_id = inbound.from.user_id.as_deref();
        let Some(who) = self.contacts.who(phone, user_id).await? else {
            tracing::warn!("a message from nobody: kept raw only");
            return Ok(None);
        };
        let settings = self.settings.get().await?;
        let at = inbound.at.unwrap_or(now);
        let said = settings
            .words
            .said(inbound.text.as_deref(), inbound.payload.as_deref())
            .filter(|_| inbound.opens_window());
        let in_force = match said {
            Some(said) => self.said(&who, inbound, said, at).await?,
            None => None,
        };
        let mut contact = match inbound.opens_window() {
            true => self.contacts.heard(&who, at, now).await?,
            false => self.contacts.get(&who).await?.unwrap_or_default(),
        };
        if let (Who::Phone(phone), Some(user_id)) = (&who, user_id)
            && contact.user_id.as_deref() != Some(user_id)
        {
            self.contacts.link(*phone, user_id, now).await?;
            contact = self.contacts.get(&who).await?.unwrap_or_default();
        }
        if let Some(moved_to) = inbound.moved_to.as_deref().and_then(number) {
            self.moved(&contact, moved_to).await?;
        }
        self.keep(inbound, raw, &contact, &settings, now).await?;
        if said.is_none() && inbound.opens_window() && !contact.suppressed {
            self.answer(inbound, &contact, &settings, now).await?;
        }
        Ok(in_force)
    }

    /// A switch in WhatsApp's own settings.
    pub(crate) async fn prefers(
        &self,
        preference: &Preference,
        now: Millis,
    ) -> Result<Option<Millis>, cloud::Error> {
        let Person { phone, user_id } = &preference.person;
        let phone = phone.as_deref().and_then(number);
        let Some(who) = self.contacts.who(phone, user_id.as_deref()).await? else {
            return Ok(None);
        };
        let word = word(
            preference.stop,
            Source::Preferences,
            preference.detail.clone(),
            preference.at.unwrap_or(now),
        );
        let contact = self.contacts.tell(&who, word).await?;
        Ok(in_force(&contact, preference.stop))
    }

    async fn said(
        &self,
        who: &Who,
        inbound: &Inbound,
        said: Said,
        at: Millis,
    ) -> Result<Option<Millis>, cloud::Error> {
        let source = match inbound.payload {
            Some(_) => Source::Button,
            None => Source::Text,
        };
        let stop = said == Said::Stop;
        let text = inbound.text.clone().or_else(|| inbound.payload.clone());
        let contact = self
            .contacts
            .tell(who, word(stop, source, text, at))
            .await?;
        Ok(in_force(&contact, stop))
    }

    /// Who wants no messages wants none on a new number either.
    async fn moved(&self, contact: &Contact, to: Phone) -> Result<(), cloud::Error> {
        let Some(last) = contact.last_word().filter(|last| last.suppressed) else {
            return Ok(());
        };
        let word = Consent {
            source: Source::Moved,
            ..last.clone()
        };
        self.contacts.tell(&Who::Phone(to), word).await.map(drop)
    }

    async fn keep(
        &self,
        inbound: &Inbound,
        raw: &str,
        contact: &Contact,
        settings: &Settings,
        now: Millis,
    ) -> Result<(), cloud::Error> {
        let answered = self.answered(inbound, contact, settings, now).await?;
        let (row, attribution) = match answered {
            Some((tracker, how)) => (Some(tracker), Some(how.to_owned())),
            None => (None, None),
        };
        let letter = Letter {
            id: inbound.wamid.clone(),
            received_at: now,
            written_at: inbound.at.unwrap_or(now),
            phone: contact.phone,
            user_id: inbound.from.user_id.clone(),
            name: inbound.name.clone(),
            kind: inbound.kind.clone(),
            text: inbound.text.clone(),
            payload: inbound.payload.clone(),
            context: inbound.context.clone(),
            row: row.as_ref().map(|tracker| tracker.row),
            campaign: row.map(|tracker| tracker.campaign),
            attribution,
            raw: raw.to_owned(),
        };
        self.inbox.put(&letter).await
    }

    /// The row that somebody answers: the one whose message they quote, else the latest one within the settings' time.
    async fn answered(
        &self,
        inbound: &Inbound,
        contact: &Contact,
        settings: &Settings,
        now: Millis,
    ) -> Result<Option<(Tracker, &'static str)>, cloud::Error> {
        if let Some(wamid) = &inbound.context {
            let kept = self.callbacks.first_of(&status_keys(wamid)).await?;
            let tracker = kept.and_then(|raw| kept_status(&raw)?.tracker);
            if let Some(tracker) = tracker {
                return Ok(Some((tracker, "context")));
            }
        }
        let latest = (
            &contact.last_campaign,
            contact.last_row,
            contact.last_called_at,
        );
        Ok(match latest {
            (Some(campaign), Some(row), Some(at)) if settings.attributes(at, now) => {
                let tracker = Tracker {
                    campaign: campaign.clone(),
                    row,
                    attempt: 0,
                };
                Some((tracker, "latest"))
            }
            _ => None,
        })
    }

    async fn answer(
        &self,
        inbound: &Inbound,
        contact: &Contact,
        settings: &Arc<Settings>,
        now: Millis,
    ) -> Result<(), cloud::Error> {
        let (text, payload) = (inbound.text.as_deref(), inbound.payload.as_deref());
        match (contact.phone, settings.reply(text, payload)) {
            (Some(phone), Some(message)) => {
                self.reply(&inbound.wamid, phone, message.clone(), now)
                    .await
            }
            _ => Ok(()),
        }
    }
}

/// A number of a callback: digits without a plus.
pub(crate) fn number(digits: &str) -> Option<Phone> {
    phone::read(&format!("+{}", digits.trim_start_matches('+')), None).ok()
}

fn word(stop: bool, source: Source, text: Option<String>, at: Millis) -> Consent {
    Consent {
        at: if stop { at + LAST_MOMENT_MS } else { at },
        suppressed: stop,
        source,
        text,
    }
}

/// When a word that forbids is in force: whoever asked before it was written has called by then.
fn in_force(contact: &Contact, stop: bool) -> Option<Millis> {
    let called_by = contact.last_called_at.map(|at| at + CALLED_BY_MS);
    called_by.filter(|_| stop)
}
