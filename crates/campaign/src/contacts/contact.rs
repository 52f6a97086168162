//! What is known of a recipient beyond any one campaign: consent, the service window, the last message.

use serde::{Deserialize, Serialize};

use crate::id::{CampaignId, NumberId, RowNumber};
use crate::import::phone::Phone;
use crate::time::{CLOCK_MARGIN_MS, Millis};

/// How long a recipient who wrote or called may be sent free-form messages (Meta, "Customer service windows").
const SERVICE_WINDOW_MS: Millis = 24 * 3_600_000;

/// A message that is sent later than this before the window's end may arrive after it.
const SERVICE_WINDOW_MARGIN_MS: Millis = 60_000;

/// A send starts within this time of its permission check, or the check is repeated.
pub const CONSENT_MAX_AGE_MS: Millis = 1_900;

/// An opt-out holds once it is stored and this time has passed since the last permission check: a send whose
/// check preceded the opt-out has reached Meta by then. The time covers [`CONSENT_MAX_AGE_MS`], a new
/// connection (2 s at most), the request itself, and the difference between two clocks.
pub const OPT_OUT_EFFECTIVE_AFTER_MS: Millis = 5_000;

/// How many consent events of a contact are kept, the latest.
const MAX_CONSENT_EVENTS: usize = 50;

/// One recipient, across all campaigns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The number as last written; its [`Phone::canonical`] form identifies the contact. None if only Meta's
    /// id is known.
    #[serde(default)]
    pub phone: Option<Phone>,
    /// Meta's business-scoped user id.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Whether the contact is on the suppression list: no campaign messages it.
    #[serde(default)]
    pub suppressed: bool,
    /// Opt-outs and opt-ins, oldest first.
    #[serde(default)]
    pub consent: Vec<ConsentEvent>,
    /// When the recipient last wrote or called.
    #[serde(default)]
    pub last_inbound_at: Option<Millis>,
    /// To which of our numbers.
    #[serde(default)]
    pub last_inbound_number: Option<NumberId>,
    /// From which of our numbers the recipient hears, once a campaign or another has sent from it.
    #[serde(default)]
    pub number: Option<NumberId>,
    /// The state of the erasure of the recipient's data, if one was requested.
    #[serde(default)]
    pub erasure: Option<String>,
    /// The campaign that sent the last message.
    #[serde(default)]
    pub last_campaign: Option<CampaignId>,
    /// The recipient's row in that campaign.
    #[serde(default)]
    pub last_row: Option<RowNumber>,
    /// When the last message was sent.
    #[serde(default)]
    pub last_messaged_at: Option<Millis>,
}

/// An opt-out or an opt-in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConsentEvent {
    /// When it happened.
    pub at: Millis,
    /// Whether the recipient may not be messaged from then on. Of two events of the same time, opt-outs are
    /// ordered last.
    pub suppressed: bool,
    /// Where it came from.
    pub source: ConsentSource,
    /// The recipient's or the operator's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Where an opt-out or opt-in came from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ConsentSource {
    /// An operator set it.
    Operator,
    /// The recipient wrote it.
    Text,
    /// The recipient pressed a button.
    Button,
    /// The recipient set it in WhatsApp.
    Preferences,
    /// WhatsApp refused a message because the recipient stopped marketing (error 131050).
    Refusal,
    /// The recipient moved here from another number, which had opted out.
    Moved,
    /// The recipient's data were erased.
    Erasure,
}

impl ConsentSource {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Contact {
    /// The contact with another consent event, or `None` if the event is already known. The latest event
    /// decides, in whatever order events arrive.
    pub fn with_consent(&self, event: ConsentEvent) -> Option<Contact> {
        if self.consent.contains(&event) {
            return None;
        }
        let mut contact = self.clone();
        let events = &mut contact.consent;
        events.push(event);
        events.sort();
        let surplus = events.len().saturating_sub(MAX_CONSENT_EVENTS);
        events.drain(..surplus);
        contact.suppressed = contact
            .last_consent()
            .is_some_and(|latest| latest.suppressed);
        Some(contact)
    }

    /// When an opt-out that was recorded at `now` takes effect: a send whose permission was checked before it has started by
    /// then. `None` if that is at once. The sender's clock may differ from ours, so a send that seems to be minutes old may
    /// just be starting.
    pub fn opt_out_effective_at(&self, now: Millis) -> Option<Millis> {
        let may_be_starting =
            self.last_messaged_at? + OPT_OUT_EFFECTIVE_AFTER_MS + CLOCK_MARGIN_MS > now;
        may_be_starting.then_some(now + OPT_OUT_EFFECTIVE_AFTER_MS)
    }

    /// The consent event that decides.
    pub fn last_consent(&self) -> Option<&ConsentEvent> {
        self.consent.last()
    }

    /// When the service window of the number ends to which the recipient wrote last; `None` if it is closed.
    pub fn latest_service_window_end(&self, now: Millis) -> Option<Millis> {
        let end = self.last_inbound_at? + SERVICE_WINDOW_MS;
        (now + SERVICE_WINDOW_MARGIN_MS < end).then_some(end)
    }

    /// When the service window of one of our numbers ends, in which free-form messages may be sent from it; `None` if it is
    /// closed. Each number has a window of its own (Meta, "Customer service windows"). Only the one of the number to which the
    /// recipient wrote last is known, so another counts as closed.
    pub fn service_window_end(&self, number: &NumberId, now: Millis) -> Option<Millis> {
        let is_other = self
            .last_inbound_number
            .as_ref()
            .is_some_and(|last| last != number);
        self.latest_service_window_end(now).filter(|_| !is_other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn consent_events() -> impl Strategy<Value = Vec<ConsentEvent>> {
        let source = prop::sample::select(vec![
            ConsentSource::Operator,
            ConsentSource::Text,
            ConsentSource::Refusal,
        ]);
        let event =
            (0u64..6, any::<bool>(), source).prop_map(|(at, suppressed, source)| ConsentEvent {
                at,
                suppressed,
                source,
                text: None,
            });
        prop::collection::vec(event, 0..12)
    }

    fn contact_with(events: &[ConsentEvent]) -> Contact {
        events
            .iter()
            .cloned()
            .fold(Contact::default(), |contact, event| {
                contact.with_consent(event).unwrap_or(contact)
            })
    }

    proptest! {
        #[test]
        fn latest_consent_decides_in_any_order_and_repetition(
            (events, shuffled) in consent_events().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        ) {
            let contact = contact_with(&events);
            prop_assert_eq!(&contact_with(&shuffled), &contact);
            prop_assert_eq!(&contact_with(&[events.clone(), shuffled].concat()), &contact);
            let latest = events.iter().map(|event| event.at).max();
            let opts_out = events.iter().any(|event| Some(event.at) == latest && event.suppressed);
            prop_assert_eq!(contact.suppressed, opts_out);
        }
    }

    #[test]
    fn service_window_is_open_for_a_day_except_its_last_minute() {
        let contact = Contact {
            last_inbound_at: Some(1000),
            ..Contact::default()
        };
        let number: NumberId = "1".parse().expect("id");
        let end = SERVICE_WINDOW_MS + 1000;
        assert_eq!(contact.service_window_end(&number, 2000), Some(end));
        let closed = end - SERVICE_WINDOW_MARGIN_MS;
        assert_eq!(contact.service_window_end(&number, closed), None);
        assert_eq!(Contact::default().service_window_end(&number, 0), None);
    }

    #[test]
    fn service_window_is_that_of_the_number_written_to() {
        let [one, other] = ["1", "2"].map(|id| id.parse::<NumberId>().expect("id"));
        let contact = Contact {
            last_inbound_at: Some(1000),
            last_inbound_number: Some(one.clone()),
            ..Contact::default()
        };
        assert!(contact.service_window_end(&one, 2000).is_some());
        assert_eq!(contact.service_window_end(&other, 2000), None);
    }

    #[test]
    fn source_has_the_same_name_in_json() {
        for source in [ConsentSource::Operator, ConsentSource::Preferences] {
            let json = serde_json::to_value(source).expect("json");
            assert_eq!(json, source.name());
        }
    }
}
