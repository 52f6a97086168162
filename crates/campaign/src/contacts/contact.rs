//! People, as far as they are known apart from any campaign: whether they may be messaged, and what they said about it.

use serde::{Deserialize, Serialize};

use crate::delivery::outcome::Millis;
use crate::id::{CampaignId, RowNumber};
use crate::import::phone::Phone;

/// How long somebody who wrote may be sent free-form messages (Meta, "Customer service windows").
const SERVICE_WINDOW_MS: Millis = 24 * 3_600_000;

/// A message sent this shortly before the window's end may come too late.
const SERVICE_WINDOW_MARGIN_MS: Millis = 60_000;

/// A sender calls within this time of asking whether it may, or asks again.
pub const CONSENT_MAX_AGE_MS: Millis = 1_900;

/// Whoever was asked for this long ago has been called, or will not be before the next question. So a word that forbids is
/// in force once it is written and this time has passed since the last question: the connection that a call may have to make
/// (two seconds at most), a request's way and two clocks included.
pub const OPT_OUT_EFFECTIVE_AFTER_MS: Millis = 5_000;

/// How many words about consent are kept of a person, the latest.
const MAX_CONSENT_EVENTS: usize = 50;

/// Somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// As last written; [`Phone::key`] is the same for every spelling. None where only Meta's id is known.
    #[serde(default)]
    pub phone: Option<Phone>,
    /// Meta's business-scoped id.
    #[serde(default)]
    pub user_id: Option<String>,
    /// On the standing list of people whom no campaign messages.
    #[serde(default)]
    pub suppressed: bool,
    /// What was said about it, oldest first.
    #[serde(default)]
    pub consent: Vec<ConsentEvent>,
    /// When they last wrote.
    #[serde(default)]
    pub last_inbound_at: Option<Millis>,
    /// How far the erasure of everything about them is, where they asked for one.
    #[serde(default)]
    pub erasure: Option<String>,
    /// The campaign that called them last.
    #[serde(default)]
    pub last_campaign: Option<CampaignId>,
    /// Their row in it.
    #[serde(default)]
    pub last_row: Option<RowNumber>,
    /// When.
    #[serde(default)]
    pub last_messaged_at: Option<Millis>,
}

/// A word about whether somebody may be messaged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConsentEvent {
    /// When it was said.
    pub at: Millis,
    /// Whether they are not to be messaged from then on.
    pub suppressed: bool,
    /// Who said so.
    pub source: ConsentSource,
    /// In what words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Who says whether somebody may be messaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentSource {
    /// An operator.
    Operator,
    /// They, in a message.
    Text,
    /// They, by a button.
    Button,
    /// They, in WhatsApp's own settings.
    Preferences,
    /// WhatsApp, refusing a message because they stopped marketing (131050).
    Refusal,
    /// They moved here from another number.
    Moved,
    /// They asked to be forgotten.
    Erasure,
}

impl ConsentSource {
    /// As the API shows it.
    pub fn name(self) -> &'static str {
        match self {
            ConsentSource::Operator => "operator",
            ConsentSource::Text => "text",
            ConsentSource::Button => "button",
            ConsentSource::Preferences => "preferences",
            ConsentSource::Refusal => "refusal",
            ConsentSource::Moved => "moved",
            ConsentSource::Erasure => "erasure",
        }
    }
}

impl Contact {
    /// The contact after a word about consent: the latest one counts, in whatever order they come. `None` where it was
    /// known.
    pub fn with_consent(&self, word: ConsentEvent) -> Option<Contact> {
        if self.consent.contains(&word) {
            return None;
        }
        let mut told = self.clone();
        told.consent.push(word);
        // Of two of the same moment the one that forbids is last.
        told.consent.sort();
        let superfluous = told.consent.len().saturating_sub(MAX_CONSENT_EVENTS);
        told.consent.drain(..superfluous);
        told.suppressed = told.consent.last().is_some_and(|last| last.suppressed);
        Some(told)
    }

    /// The word that counts.
    pub fn last_consent(&self) -> Option<&ConsentEvent> {
        self.consent.last()
    }

    /// Until when they may be sent free-form messages; `None` where they may not now.
    pub fn service_window_end(&self, now: Millis) -> Option<Millis> {
        let until = self.last_inbound_at? + SERVICE_WINDOW_MS;
        (now + SERVICE_WINDOW_MARGIN_MS < until).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words() -> impl Strategy<Value = Vec<ConsentEvent>> {
        let source = prop::sample::select(vec![
            ConsentSource::Operator,
            ConsentSource::Text,
            ConsentSource::Refusal,
        ]);
        let word =
            (0u64..6, any::<bool>(), source).prop_map(|(at, suppressed, source)| ConsentEvent {
                at,
                suppressed,
                source,
                text: None,
            });
        prop::collection::vec(word, 0..12)
    }

    fn told(words: &[ConsentEvent]) -> Contact {
        words
            .iter()
            .cloned()
            .fold(Contact::default(), |contact, word| {
                contact.with_consent(word).unwrap_or(contact)
            })
    }

    proptest! {
        #[test]
        fn the_latest_word_counts_in_whatever_order_and_however_often_they_come(
            (words, other) in words().prop_flat_map(|words| (Just(words.clone()), Just(words).prop_shuffle())),
        ) {
            let contact = told(&words);
            prop_assert_eq!(&told(&other), &contact);
            prop_assert_eq!(&told(&[words.clone(), other].concat()), &contact);
            let last = words.iter().map(|word| word.at).max();
            let forbids = words.iter().any(|word| Some(word.at) == last && word.suppressed);
            prop_assert_eq!(contact.suppressed, forbids);
        }
    }

    #[test]
    fn a_window_is_open_for_a_day_but_its_last_minute() {
        let contact = Contact {
            last_inbound_at: Some(1000),
            ..Contact::default()
        };
        assert_eq!(
            contact.service_window_end(2000),
            Some(SERVICE_WINDOW_MS + 1000)
        );
        assert_eq!(
            contact.service_window_end(SERVICE_WINDOW_MS + 1000 - SERVICE_WINDOW_MARGIN_MS),
            None
        );
        assert_eq!(Contact::default().service_window_end(0), None);
    }
}
