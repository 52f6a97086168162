//! The outcome of a send: what the sender knows, and what it does next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backoff::exponential_delay;
use crate::time::Millis;

/// What the sender knows after a send.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The API accepted the message.
    Accepted(Acceptance),
    /// The API answered that it did not accept it.
    Refused(Refusal),
    /// The request did not reach the API: certainly not sent.
    NotSent(ErrorInfo),
    /// The request may have reached the API, but no usable response came back.
    Unconfirmed(ErrorInfo),
}

/// The API's response to an accepted message. It says nothing about delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The message's id.
    pub wamid: String,
    /// The recipient's WhatsApp id; it may differ from the phone number (Brazil, Mexico) or be absent.
    pub wa_id: Option<String>,
    /// The recipient's business-scoped user id, where Meta sends it.
    pub user_id: Option<String>,
    /// `accepted`, `held_for_quality_assessment` or `paused`, where the API sends it.
    pub message_status: Option<String>,
}

/// The API's refusal of a message, classified.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// What to do about it.
    pub class: ErrorClass,
    /// What happened.
    pub error: ErrorInfo,
    /// How long to wait before the next attempt, where the API says so.
    pub retry_after: Option<Duration>,
}

/// What went wrong, for the ledger and for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// The Graph API's error code; `None` for errors of the transport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// A short description.
    pub title: String,
    /// Details from the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// Meta's trace id, for its support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fbtrace_id: Option<String>,
}

impl ErrorInfo {
    /// An error of the transport, or of our own: no response of the API describes it.
    pub fn transport(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }
}

/// What to do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Try again later.
    Retry(Backoff),
    /// Final for this recipient.
    Recipient,
    /// Final for this recipient if the row's own data may be the cause; otherwise every row would be refused.
    RowOrCampaign(ErrorCause),
    /// Every row of the campaign would be refused: pause it.
    Campaign,
    /// Every message from this number would be refused: pause the number.
    Number,
    /// Every message of the account would be refused: pause all campaigns.
    Account,
    /// The access token is not valid, or no longer: read it again once, then pause all campaigns.
    InvalidToken,
    /// The message may have been sent in spite of the error.
    Unconfirmed,
}

/// Which of a row's data may have caused an ambiguous refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCause {
    /// Any of its data, including the phone number.
    Anything,
    /// Its values in the message.
    Values,
    /// The template's name or language, where they come from the row.
    TemplateName,
    /// The link or id of its media file.
    Media,
}

/// What a refusal asks to slow down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleScope {
    /// This row only.
    Row,
    /// The slot that received it.
    Slot,
    /// The whole campaign: no row would be accepted earlier.
    Campaign,
    /// The number: no message from it would be accepted earlier, whatever its campaign.
    Number,
}

/// Exponential delays: `first_seconds`, `first_seconds × factor`, …, at most `max_seconds` each. Jitter makes a delay
/// longer, never shorter: Meta documents how long to wait at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// What waits.
    pub scope: ThrottleScope,
    /// Seconds before the second attempt.
    pub first_seconds: u32,
    /// Growth of the delay from attempt to attempt.
    pub factor: u32,
    /// The longest delay in seconds.
    pub max_seconds: u32,
    /// How many attempts are made before the give-up rule applies.
    pub max_attempts: u32,
    /// What happens then.
    pub give_up: GiveUpRule,
}

/// What happens when no attempts are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUpRule {
    /// The row is rejected.
    Reject,
    /// The campaign is paused, or the number that slows down, and the row is held.
    Pause,
    /// The same, unless the row's own data may be the cause: then the row is rejected.
    PauseUnless(ErrorCause),
}

/// What the sender does next about a row.
#[derive(Clone, Debug, PartialEq)]
pub enum NextAction {
    /// Record the acceptance.
    Accept(Acceptance),
    /// Record the final refusal.
    Reject(ErrorInfo),
    /// Put it into the queue again.
    Retry {
        /// Earliest time of the next attempt.
        not_before: Millis,
        /// Why.
        error: ErrorInfo,
        /// What else slows down.
        scope: ThrottleScope,
    },
    /// Hold the row and pause the campaign, the number or the account.
    Hold {
        /// Why.
        error: ErrorInfo,
        /// What is paused.
        pause: PauseScope,
    },
    /// Record that the message may have been sent.
    MarkUnconfirmed {
        /// Why.
        error: ErrorInfo,
        /// What slows down.
        scope: ThrottleScope,
    },
}

/// What a refusal pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseScope {
    /// The campaign.
    Campaign,
    /// The number that the message was sent from.
    Number,
    /// Every campaign of the account.
    Account,
}

/// What the decision depends on besides the outcome.
#[derive(Clone, Copy, Debug)]
pub struct RetryContext {
    /// The attempt that ended, from 1.
    pub attempt: u32,
    /// Now.
    pub now: Millis,
    /// Whether any value of the message comes from the row.
    pub values_vary: bool,
    /// Whether the template's name or language comes from the row.
    pub name_varies: bool,
    /// Whether a media file's link or id comes from the row.
    pub media_varies: bool,
    /// Whether any row of the campaign was accepted so far.
    pub has_acceptance: bool,
    /// A random number from 0 to 1, new for each decision: it adds up to a quarter of the delay.
    pub jitter: f64,
}

/// For an ambiguous refusal, before any row was accepted: after the last attempt the whole campaign is paused.
const AMBIGUOUS_BACKOFF: Backoff = Backoff {
    scope: ThrottleScope::Row,
    first_seconds: 2,
    factor: 2,
    max_seconds: 8,
    max_attempts: 3,
    give_up: GiveUpRule::Pause,
};

/// For a connection that could not be made.
const NOT_SENT_BACKOFF: Backoff = Backoff {
    scope: ThrottleScope::Slot,
    first_seconds: 1,
    factor: 2,
    max_seconds: 60,
    max_attempts: 12,
    give_up: GiveUpRule::Pause,
};

/// Decides what the sender does next about a row.
pub fn next_action(outcome: Outcome, context: RetryContext) -> NextAction {
    match outcome {
        Outcome::Accepted(acceptance) => NextAction::Accept(acceptance),
        Outcome::Unconfirmed(error) => NextAction::MarkUnconfirmed {
            error,
            scope: ThrottleScope::Row,
        },
        Outcome::NotSent(error) => schedule_retry(NOT_SENT_BACKOFF, None, error, context),
        Outcome::Refused(refusal) => after_refusal(refusal, context),
    }
}

fn after_refusal(refusal: Refusal, context: RetryContext) -> NextAction {
    let Refusal {
        class,
        error,
        retry_after,
    } = refusal;
    match class {
        ErrorClass::Retry(backoff) => schedule_retry(backoff, retry_after, error, context),
        ErrorClass::Recipient => NextAction::Reject(error),
        ErrorClass::Number => hold(error, PauseScope::Number),
        ErrorClass::Account | ErrorClass::InvalidToken => hold(error, PauseScope::Account),
        ErrorClass::Campaign => hold(error, PauseScope::Campaign),
        ErrorClass::RowOrCampaign(cause) if !row_may_be_the_cause(cause, context) => {
            hold(error, PauseScope::Campaign)
        }
        // After one acceptance the message as such is valid, so the cause is in this row's data.
        ErrorClass::RowOrCampaign(_) if context.has_acceptance => NextAction::Reject(error),
        ErrorClass::RowOrCampaign(_) => {
            schedule_retry(AMBIGUOUS_BACKOFF, retry_after, error, context)
        }
        // The API has trouble: sends at full pace would only leave more rows unconfirmed.
        ErrorClass::Unconfirmed => NextAction::MarkUnconfirmed {
            error,
            scope: ThrottleScope::Slot,
        },
    }
}

fn hold(error: ErrorInfo, pause: PauseScope) -> NextAction {
    NextAction::Hold { error, pause }
}

fn row_may_be_the_cause(cause: ErrorCause, context: RetryContext) -> bool {
    match cause {
        ErrorCause::Anything => true,
        ErrorCause::Values => context.values_vary,
        ErrorCause::TemplateName => context.name_varies,
        ErrorCause::Media => context.media_varies,
    }
}

/// A retry after the delay that the API asks for, else after the backoff's; without retries left, the give-up rule.
fn schedule_retry(
    backoff: Backoff,
    retry_after: Option<Duration>,
    error: ErrorInfo,
    context: RetryContext,
) -> NextAction {
    if context.attempt >= backoff.max_attempts {
        return give_up(backoff, error, context);
    }
    let delay = retry_after.unwrap_or_else(|| backoff.delay_after(context.attempt));
    let with_jitter = delay.as_secs_f64() * (1.0 + 0.25 * context.jitter.clamp(0.0, 1.0));
    NextAction::Retry {
        not_before: context.now + (with_jitter * 1000.0) as Millis,
        error,
        scope: backoff.scope,
    }
}

fn give_up(backoff: Backoff, error: ErrorInfo, context: RetryContext) -> NextAction {
    match backoff.give_up {
        GiveUpRule::Reject => NextAction::Reject(error),
        GiveUpRule::PauseUnless(cause) if row_may_be_the_cause(cause, context) => {
            NextAction::Reject(error)
        }
        GiveUpRule::PauseUnless(_) | GiveUpRule::Pause => match backoff.scope {
            ThrottleScope::Number => hold(error, PauseScope::Number),
            ThrottleScope::Row | ThrottleScope::Slot | ThrottleScope::Campaign => {
                hold(error, PauseScope::Campaign)
            }
        },
    }
}

impl Backoff {
    /// The delay after the given attempt, from 1.
    pub fn delay_after(self, attempt: u32) -> Duration {
        let seconds = |seconds| Duration::from_secs(u64::from(seconds));
        let (first, max) = (seconds(self.first_seconds), seconds(self.max_seconds));
        exponential_delay(first, self.factor, max, attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn context(attempt: u32, has_acceptance: bool) -> RetryContext {
        RetryContext {
            attempt,
            now: 1_000_000,
            values_vary: true,
            name_varies: false,
            media_varies: false,
            has_acceptance,
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

    fn unconfirmed_scope(action: NextAction) -> Option<ThrottleScope> {
        match action {
            NextAction::MarkUnconfirmed { scope, .. } => Some(scope),
            _ => None,
        }
    }

    const BACKOFF: Backoff = Backoff {
        scope: ThrottleScope::Row,
        first_seconds: 2,
        factor: 2,
        max_seconds: 60,
        max_attempts: 9,
        give_up: GiveUpRule::Pause,
    };

    #[test]
    fn delays_grow_to_their_maximum() {
        let backoff = Backoff {
            first_seconds: 1,
            ..BACKOFF
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
            next_action(refusal_of(ambiguous), context(1, true)),
            NextAction::Reject(_)
        ));
        assert!(matches!(
            next_action(refusal_of(ambiguous), context(1, false)),
            NextAction::Retry {
                not_before: 1_002_000,
                ..
            }
        ));
        assert!(matches!(
            next_action(refusal_of(ambiguous), context(3, false)),
            NextAction::Hold { .. }
        ));
        let template = ErrorClass::RowOrCampaign(ErrorCause::TemplateName);
        assert!(matches!(
            next_action(refusal_of(template), context(1, true)),
            NextAction::Hold { .. }
        ));
    }

    #[test]
    fn giving_up_pauses_what_slows_down() {
        for (scope, expected) in [
            (ThrottleScope::Row, PauseScope::Campaign),
            (ThrottleScope::Campaign, PauseScope::Campaign),
            (ThrottleScope::Number, PauseScope::Number),
        ] {
            let refused = refusal_of(ErrorClass::Retry(Backoff { scope, ..BACKOFF }));
            let action = next_action(refused, context(BACKOFF.max_attempts, true));
            assert!(
                matches!(action, NextAction::Hold { pause, .. } if pause == expected),
                "{scope:?}"
            );
        }
    }

    #[test]
    fn retry_after_overrides_backoff() {
        let refusal = Refusal {
            class: ErrorClass::Retry(BACKOFF),
            error: ErrorInfo::default(),
            retry_after: Some(Duration::from_secs(3600)),
        };
        assert!(matches!(
            next_action(Outcome::Refused(refusal), context(1, true)),
            NextAction::Retry {
                not_before: 4_600_000,
                ..
            }
        ));
    }

    proptest! {
        #[test]
        fn unconfirmed_is_never_retried_and_retry_is_never_early(
            attempt in 1u32..100, has_acceptance: bool, jitter in 0.0f64..1.0, max_attempts in 1u32..20,
        ) {
            let context = RetryContext { jitter, ..context(attempt, has_acceptance) };
            let unconfirmed = next_action(Outcome::Unconfirmed(ErrorInfo::default()), context);
            prop_assert_eq!(unconfirmed_scope(unconfirmed), Some(ThrottleScope::Row));
            let server_error = next_action(refusal_of(ErrorClass::Unconfirmed), context);
            prop_assert_eq!(unconfirmed_scope(server_error), Some(ThrottleScope::Slot));
            let backoff = Backoff { max_attempts, give_up: GiveUpRule::Reject, ..BACKOFF };
            match next_action(refusal_of(ErrorClass::Retry(backoff)), context) {
                NextAction::Retry { not_before, .. } => {
                    prop_assert!(attempt < max_attempts);
                    let delay = backoff.delay_after(attempt).as_millis() as u64;
                    prop_assert!((delay..=delay + delay / 4).contains(&(not_before - context.now)));
                }
                NextAction::Reject(_) => prop_assert!(attempt >= max_attempts),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
