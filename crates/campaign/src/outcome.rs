//! After a call: what is known, and what to do next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
pub type Millis = u64;

/// What is known after a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The API took the message.
    Accepted(Acceptance),
    /// The API answered that it did not.
    Refused(Refusal),
    /// The request never left: certainly not sent.
    NotSent(Fault),
    /// The request may have arrived, and no answer says what became of it.
    InDoubt(Fault),
}

/// The API's word that it took a message; delivery is another matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The message's id.
    pub wamid: String,
    /// The recipient's id; may differ from the number (Brazil, Mexico) or be absent.
    pub wa_id: Option<String>,
    /// The recipient's business-scoped id, where Meta names it.
    pub user_id: Option<String>,
    /// `accepted`, `held_for_quality_assessment` or `paused`, where the API says.
    pub message_status: Option<String>,
}

/// A refusal with the decision on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The decision.
    pub class: Class,
    /// What happened.
    pub fault: Fault,
    /// How long the API asks to wait, where it does.
    pub wait: Option<Duration>,
}

/// What went wrong, for the ledger and for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The Graph API's code; none for faults of the way there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// What it means, in a few words.
    pub title: String,
    /// What the API adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// Meta's trace id, for their support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fbtrace_id: Option<String>,
}

impl Fault {
    /// A fault of the way there, which no answer of the API describes.
    pub fn on_the_way(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }
}

/// What a refusal calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Another try after a while.
    Again(Backoff),
    /// Final for this recipient.
    Recipient,
    /// Final for this recipient if the row's own data are to blame; else no row will fare better.
    RowOrCampaign(Blame),
    /// The campaign must stop: no row will fare better.
    Campaign,
    /// The account must stop: no campaign will fare better.
    Account,
    /// The access token is not valid (any more): read it anew once, then stop the account.
    Token,
    /// It may have been sent all the same.
    Doubt,
}

/// Which of a row's data an ambiguous refusal may be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Anything, the number included.
    Anything,
    /// What the row filled in.
    Values,
    /// The template's name or language.
    TemplateName,
    /// The link or id of a media file.
    Media,
}

/// Whom a refusal asks to slow down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slows {
    /// This row only.
    Row,
    /// The slot that met it.
    Slot,
    /// Every row of the campaign: none would fare better before.
    Campaign,
}

/// Waits that grow: `first`, `first × factor`, … at most `cap` seconds, `tries` times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Who waits.
    pub slows: Slows,
    /// Seconds before the second attempt.
    pub first: u32,
    /// Growth from try to try.
    pub factor: u32,
    /// The longest wait in seconds.
    pub cap: u32,
    /// How many attempts may meet this refusal before giving up.
    pub tries: u32,
    /// What giving up means.
    pub then: GiveUp,
}

/// The end of patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// The row is rejected.
    Reject,
    /// The campaign stops and the row is held.
    Stop,
    /// The same, unless the row's own data may be to blame: then it is rejected.
    StopUnless(Blame),
}

/// What the sender does about a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Record that it was taken.
    Accept(Acceptance),
    /// Record that it is refused for good.
    Reject(Fault),
    /// Offer it again, not before this time.
    Retry {
        /// Earliest time of the next attempt.
        not_before: Millis,
        /// Why.
        fault: Fault,
        /// Who else slows down.
        slows: Slows,
    },
    /// Keep it and stop.
    Hold {
        /// Why.
        fault: Fault,
        /// What stops.
        stops: Stops,
    },
    /// Record the doubt.
    Doubt(Fault),
}

/// What a refusal stops that no row would escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stops {
    /// The campaign.
    Campaign,
    /// Every campaign of the account.
    Account,
}

/// What a decision depends on besides the outcome.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// The attempt that ended, from 1.
    pub attempt: u32,
    /// Now.
    pub now: Millis,
    /// Whether the row filled in any value.
    pub values_vary: bool,
    /// Whether the template's name or language came from the row.
    pub name_varies: bool,
    /// Whether a media file's link or id came from the row.
    pub media_varies: bool,
    /// Whether any row of this campaign was accepted yet.
    pub proven: bool,
    /// 0 to 1, drawn anew each time: spreads retries over a quarter of the wait.
    pub jitter: f64,
}

/// How often an ambiguous refusal is tried before the whole campaign is blamed, and how many seconds apart.
const UNPROVEN: Backoff = Backoff {
    slows: Slows::Row,
    first: 2,
    factor: 2,
    cap: 8,
    tries: 3,
    then: GiveUp::Stop,
};

/// A connection that could not be made.
const NOT_SENT: Backoff = Backoff {
    slows: Slows::Slot,
    first: 1,
    factor: 2,
    cap: 60,
    tries: 12,
    then: GiveUp::Stop,
};

/// Decides what becomes of a row after a call.
pub fn next_step(outcome: Outcome, at: Circumstances) -> Step {
    match outcome {
        Outcome::Accepted(acceptance) => Step::Accept(acceptance),
        Outcome::InDoubt(fault) => Step::Doubt(fault),
        Outcome::NotSent(fault) => again(NOT_SENT, None, fault, at),
        Outcome::Refused(Refusal { class, fault, wait }) => match class {
            Class::Again(backoff) => again(backoff, wait, fault, at),
            Class::Recipient => Step::Reject(fault),
            Class::Account | Class::Token => hold(fault, Stops::Account),
            Class::Campaign => hold(fault, Stops::Campaign),
            Class::RowOrCampaign(blame) if !may_be_the_row(blame, at) => {
                hold(fault, Stops::Campaign)
            }
            // Once a row went through, the message as such is sound, so this row's data are at fault.
            Class::RowOrCampaign(_) if at.proven => Step::Reject(fault),
            Class::RowOrCampaign(_) => again(UNPROVEN, wait, fault, at),
            Class::Doubt => Step::Doubt(fault),
        },
    }
}

fn hold(fault: Fault, stops: Stops) -> Step {
    Step::Hold { fault, stops }
}

fn may_be_the_row(blame: Blame, at: Circumstances) -> bool {
    match blame {
        Blame::Anything => true,
        Blame::Values => at.values_vary,
        Blame::TemplateName => at.name_varies,
        Blame::Media => at.media_varies,
    }
}

fn again(backoff: Backoff, wait: Option<Duration>, fault: Fault, at: Circumstances) -> Step {
    if at.attempt >= backoff.tries {
        return match backoff.then {
            GiveUp::Reject => Step::Reject(fault),
            GiveUp::StopUnless(blame) if may_be_the_row(blame, at) => Step::Reject(fault),
            GiveUp::StopUnless(_) => hold(fault, Stops::Campaign),
            GiveUp::Stop => hold(fault, Stops::Campaign),
        };
    }
    let wait = wait.unwrap_or_else(|| backoff.after(at.attempt));
    let spread = wait.as_secs_f64() * (1.0 + 0.25 * at.jitter.clamp(0.0, 1.0));
    Step::Retry {
        not_before: at.now + (spread * 1000.0) as Millis,
        fault,
        slows: backoff.slows,
    }
}

impl Backoff {
    /// The wait after the given attempt, from 1.
    pub fn after(self, attempt: u32) -> Duration {
        let growth = self.factor.saturating_pow(attempt.saturating_sub(1));
        Duration::from_secs(u64::from(self.first.saturating_mul(growth).min(self.cap)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(attempt: u32, proven: bool) -> Circumstances {
        Circumstances {
            attempt,
            now: 1_000_000,
            values_vary: true,
            name_varies: false,
            media_varies: false,
            proven,
            jitter: 0.0,
        }
    }

    fn refused(class: Class) -> Outcome {
        Outcome::Refused(Refusal {
            class,
            fault: Fault {
                code: Some(100),
                ..Fault::default()
            },
            wait: None,
        })
    }

    #[test]
    fn waits_grow_to_their_cap() {
        let backoff = Backoff {
            slows: Slows::Row,
            first: 1,
            factor: 2,
            cap: 60,
            tries: u32::MAX,
            then: GiveUp::Stop,
        };
        let seconds: Vec<u64> = (1..=8)
            .map(|attempt| backoff.after(attempt).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.after(u32::MAX).as_secs(), 60);
    }

    #[test]
    fn an_ambiguous_refusal_blames_the_campaign_until_a_row_went_through() {
        let ambiguous = Class::RowOrCampaign(Blame::Anything);
        assert!(matches!(
            next_step(refused(ambiguous), at(1, true)),
            Step::Reject(_)
        ));
        assert!(matches!(
            next_step(refused(ambiguous), at(1, false)),
            Step::Retry {
                not_before: 1_002_000,
                ..
            }
        ));
        assert!(matches!(
            next_step(refused(ambiguous), at(3, false)),
            Step::Hold { .. }
        ));
        let template = Class::RowOrCampaign(Blame::TemplateName);
        assert!(matches!(
            next_step(refused(template), at(1, true)),
            Step::Hold { .. }
        ));
    }

    #[test]
    fn what_the_api_asks_to_wait_is_waited() {
        let backoff = Backoff {
            slows: Slows::Row,
            first: 300,
            factor: 1,
            cap: 300,
            tries: 9,
            then: GiveUp::Stop,
        };
        let wait = Some(Duration::from_secs(3600));
        let refusal = Refusal {
            class: Class::Again(backoff),
            fault: Fault::default(),
            wait,
        };
        let step = next_step(Outcome::Refused(refusal), at(1, true));
        assert!(matches!(
            step,
            Step::Retry {
                not_before: 4_600_000,
                ..
            }
        ));
    }

    proptest! {
        #[test]
        fn a_doubt_is_never_retried_and_a_retry_never_comes_early(attempt in 1u32..100, proven: bool, jitter in 0.0f64..1.0, tries in 1u32..20) {
            let circumstances = Circumstances { jitter, ..at(attempt, proven) };
            let doubt = next_step(Outcome::InDoubt(Fault::default()), circumstances);
            prop_assert!(matches!(doubt, Step::Doubt(_)));
            let backoff = Backoff { slows: Slows::Row, first: 2, factor: 2, cap: 60, tries, then: GiveUp::Reject };
            match next_step(refused(Class::Again(backoff)), circumstances) {
                Step::Retry { not_before, .. } => {
                    prop_assert!(attempt < tries);
                    let wait = backoff.after(attempt).as_millis() as u64;
                    prop_assert!((wait..=wait + wait / 4).contains(&(not_before - circumstances.now)));
                }
                Step::Reject(_) => prop_assert!(attempt >= tries),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
