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
    NotSent(ErrorInfo),
    /// The request may have arrived, and no answer says what became of it.
    Unconfirmed(ErrorInfo),
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
    pub class: ErrorClass,
    /// What happened.
    pub error: ErrorInfo,
    /// How long the API asks to wait, where it does.
    pub retry_after: Option<Duration>,
}

/// What went wrong, for the ledger and for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInfo {
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

impl ErrorInfo {
    /// A fault of the way there, which no answer of the API describes.
    pub fn transport(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }
}

/// What a refusal calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Another try after a while.
    Retry(Backoff),
    /// Final for this recipient.
    Recipient,
    /// Final for this recipient if the row's own data are to blame; else no row will fare better.
    RowOrCampaign(ErrorCause),
    /// The campaign must stop: no row will fare better.
    Campaign,
    /// The account must stop: no campaign will fare better.
    Account,
    /// The access token is not valid (any more): read it anew once, then stop the account.
    InvalidToken,
    /// It may have been sent all the same.
    Unconfirmed,
}

/// Which of a row's data an ambiguous refusal may be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCause {
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
pub enum ThrottleScope {
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
    pub scope: ThrottleScope,
    /// Seconds before the second attempt.
    pub first_seconds: u32,
    /// Growth from try to try.
    pub factor: u32,
    /// The longest wait in seconds.
    pub max_seconds: u32,
    /// How many attempts may meet this refusal before giving up.
    pub max_attempts: u32,
    /// What giving up means.
    pub give_up: GiveUpRule,
}

/// The end of patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUpRule {
    /// The row is rejected.
    Reject,
    /// The campaign stops and the row is held.
    Pause,
    /// The same, unless the row's own data may be to blame: then it is rejected.
    PauseUnless(ErrorCause),
}

/// What the sender does about a row.
#[derive(Clone, Debug, PartialEq)]
pub enum NextAction {
    /// Record that it was taken.
    Accept(Acceptance),
    /// Record that it is refused for good.
    Reject(ErrorInfo),
    /// Offer it again, not before this time.
    Retry {
        /// Earliest time of the next attempt.
        not_before: Millis,
        /// Why.
        error: ErrorInfo,
        /// Who else slows down.
        scope: ThrottleScope,
    },
    /// Keep it and stop.
    Hold {
        /// Why.
        error: ErrorInfo,
        /// What stops.
        pause: PauseScope,
    },
    /// Record the doubt.
    MarkUnconfirmed(ErrorInfo),
}

/// What a refusal stops that no row would escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseScope {
    /// The campaign.
    Campaign,
    /// Every campaign of the account.
    Account,
}

/// What a decision depends on besides the outcome.
#[derive(Clone, Copy, Debug)]
pub struct RetryContext {
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
    pub has_acceptance: bool,
    /// 0 to 1, drawn anew each time: spreads retries over a quarter of the wait.
    pub jitter: f64,
}

/// How often an ambiguous refusal is tried before the whole campaign is blamed, and how many seconds apart.
const AMBIGUOUS_BACKOFF: Backoff = Backoff {
    scope: ThrottleScope::Row,
    first_seconds: 2,
    factor: 2,
    max_seconds: 8,
    max_attempts: 3,
    give_up: GiveUpRule::Pause,
};

/// A connection that could not be made.
const NOT_SENT_BACKOFF: Backoff = Backoff {
    scope: ThrottleScope::Slot,
    first_seconds: 1,
    factor: 2,
    max_seconds: 60,
    max_attempts: 12,
    give_up: GiveUpRule::Pause,
};

/// Decides what becomes of a row after a call.
pub fn next_action(outcome: Outcome, at: RetryContext) -> NextAction {
    match outcome {
        Outcome::Accepted(acceptance) => NextAction::Accept(acceptance),
        Outcome::Unconfirmed(fault) => NextAction::MarkUnconfirmed(fault),
        Outcome::NotSent(fault) => schedule_retry(NOT_SENT_BACKOFF, None, fault, at),
        Outcome::Refused(Refusal {
            class,
            error: fault,
            retry_after: wait,
        }) => match class {
            ErrorClass::Retry(backoff) => schedule_retry(backoff, wait, fault, at),
            ErrorClass::Recipient => NextAction::Reject(fault),
            ErrorClass::Account | ErrorClass::InvalidToken => hold(fault, PauseScope::Account),
            ErrorClass::Campaign => hold(fault, PauseScope::Campaign),
            ErrorClass::RowOrCampaign(blame) if !row_may_be_the_cause(blame, at) => {
                hold(fault, PauseScope::Campaign)
            }
            // Once a row went through, the message as such is sound, so this row's data are at fault.
            ErrorClass::RowOrCampaign(_) if at.has_acceptance => NextAction::Reject(fault),
            ErrorClass::RowOrCampaign(_) => schedule_retry(AMBIGUOUS_BACKOFF, wait, fault, at),
            ErrorClass::Unconfirmed => NextAction::MarkUnconfirmed(fault),
        },
    }
}

fn hold(fault: ErrorInfo, stops: PauseScope) -> NextAction {
    NextAction::Hold {
        error: fault,
        pause: stops,
    }
}

fn row_may_be_the_cause(blame: ErrorCause, at: RetryContext) -> bool {
    match blame {
        ErrorCause::Anything => true,
        ErrorCause::Values => at.values_vary,
        ErrorCause::TemplateName => at.name_varies,
        ErrorCause::Media => at.media_varies,
    }
}

fn schedule_retry(
    backoff: Backoff,
    wait: Option<Duration>,
    fault: ErrorInfo,
    at: RetryContext,
) -> NextAction {
    if at.attempt >= backoff.max_attempts {
        return match backoff.give_up {
            GiveUpRule::Reject => NextAction::Reject(fault),
            GiveUpRule::PauseUnless(blame) if row_may_be_the_cause(blame, at) => {
                NextAction::Reject(fault)
            }
            GiveUpRule::PauseUnless(_) => hold(fault, PauseScope::Campaign),
            GiveUpRule::Pause => hold(fault, PauseScope::Campaign),
        };
    }
    let wait = wait.unwrap_or_else(|| backoff.delay_after(at.attempt));
    let spread = wait.as_secs_f64() * (1.0 + 0.25 * at.jitter.clamp(0.0, 1.0));
    NextAction::Retry {
        not_before: at.now + (spread * 1000.0) as Millis,
        error: fault,
        scope: backoff.scope,
    }
}

impl Backoff {
    /// The wait after the given attempt, from 1.
    pub fn delay_after(self, attempt: u32) -> Duration {
        let growth = self.factor.saturating_pow(attempt.saturating_sub(1));
        Duration::from_secs(u64::from(
            self.first_seconds
                .saturating_mul(growth)
                .min(self.max_seconds),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(attempt: u32, proven: bool) -> RetryContext {
        RetryContext {
            attempt,
            now: 1_000_000,
            values_vary: true,
            name_varies: false,
            media_varies: false,
            has_acceptance: proven,
            jitter: 0.0,
        }
    }

    fn refusal_of(class: ErrorClass) -> Outcome {
        Outcome::Refused(Refusal {
            class,
            error: ErrorInfo {
                code: Some(100),
                ..ErrorInfo::default()
            },
            retry_after: None,
        })
    }

    #[test]
    fn delays_grow_to_their_maximum() {
        let backoff = Backoff {
            scope: ThrottleScope::Row,
            first_seconds: 1,
            factor: 2,
            max_seconds: 60,
            max_attempts: u32::MAX,
            give_up: GiveUpRule::Pause,
        };
        let seconds: Vec<u64> = (1..=8)
            .map(|attempt| backoff.delay_after(attempt).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.delay_after(u32::MAX).as_secs(), 60);
    }

    #[test]
    fn ambiguous_refusal_pauses_campaign_until_one_row_is_accepted() {
        let ambiguous = ErrorClass::RowOrCampaign(ErrorCause::Anything);
        assert!(matches!(
            next_action(refusal_of(ambiguous), at(1, true)),
            NextAction::Reject(_)
        ));
        assert!(matches!(
            next_action(refusal_of(ambiguous), at(1, false)),
            NextAction::Retry {
                not_before: 1_002_000,
                ..
            }
        ));
        assert!(matches!(
            next_action(refusal_of(ambiguous), at(3, false)),
            NextAction::Hold { .. }
        ));
        let template = ErrorClass::RowOrCampaign(ErrorCause::TemplateName);
        assert!(matches!(
            next_action(refusal_of(template), at(1, true)),
            NextAction::Hold { .. }
        ));
    }

    #[test]
    fn retry_after_overrides_backoff() {
        let backoff = Backoff {
            scope: ThrottleScope::Row,
            first_seconds: 300,
            factor: 1,
            max_seconds: 300,
            max_attempts: 9,
            give_up: GiveUpRule::Pause,
        };
        let wait = Some(Duration::from_secs(3600));
        let refusal = Refusal {
            class: ErrorClass::Retry(backoff),
            error: ErrorInfo::default(),
            retry_after: wait,
        };
        let step = next_action(Outcome::Refused(refusal), at(1, true));
        assert!(matches!(
            step,
            NextAction::Retry {
                not_before: 4_600_000,
                ..
            }
        ));
    }

    proptest! {
        #[test]
        fn unconfirmed_is_never_retried_and_retry_is_never_early(attempt in 1u32..100, proven: bool, jitter in 0.0f64..1.0, tries in 1u32..20) {
            let circumstances = RetryContext { jitter, ..at(attempt, proven) };
            let doubt = next_action(Outcome::Unconfirmed(ErrorInfo::default()), circumstances);
            prop_assert!(matches!(doubt, NextAction::MarkUnconfirmed(_)));
            let backoff = Backoff { scope: ThrottleScope::Row, first_seconds: 2, factor: 2, max_seconds: 60, max_attempts: tries, give_up: GiveUpRule::Reject };
            match next_action(refusal_of(ErrorClass::Retry(backoff)), circumstances) {
                NextAction::Retry { not_before, .. } => {
                    prop_assert!(attempt < tries);
                    let wait = backoff.delay_after(attempt).as_millis() as u64;
                    prop_assert!((wait..=wait + wait / 4).contains(&(not_before - circumstances.now)));
                }
                NextAction::Reject(_) => prop_assert!(attempt >= tries),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
