//! What may happen to a row.

use super::rule::{AttemptRule, FlagChange, Precondition, Rule};
use super::state::State;

/// A change of a row from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::VariantArray)]
pub enum Transition {
    /// The sender claims the row before it sends; a new attempt begins. A retry must be due: see [`super::Claim::of`].
    Claim,
    /// The API answered with 200 and a message id.
    Accept,
    /// The API refused the message, and a further attempt would be refused, too.
    Reject,
    /// The sender knows that nothing was sent, and another attempt is due.
    Retry,
    /// The API refused the message with an error that pauses the campaign.
    Hold,
    /// The response was lost, or the sender died.
    MarkUnconfirmed,
    /// The recipient is not to be messaged after all.
    Skip,
    /// No further attempt is made, but an earlier one may have been sent: the row stays visible as unconfirmed.
    Abandon,
    /// As [`Transition::Skip`], by the sender that has claimed the row and sends nothing.
    SkipClaimed,
    /// As [`Transition::Abandon`], by the sender that has claimed the row and sends nothing.
    AbandonClaimed,
    /// A callback reports a status of this attempt, so the API accepted it.
    ApplyStatus,
    /// A callback reports that this attempt was accepted, but not delivered.
    ApplyFailure,
    /// The timeout of an unconfirmed row has passed, and the operator chose to send it again.
    Resend,
    /// The message was not delivered, a later attempt may succeed, and the operator chose to make one.
    RequeueUndelivered,
}

const CLAIMED: &[Precondition] = &[Precondition::states(&[State::Claimed])];

/// Claimed, and no attempt before may have been sent.
const CLAIMED_NEVER_SENT: &[Precondition] = &[Precondition {
    was_unconfirmed: Some(false),
    ..Precondition::states(&[State::Claimed])
}];

/// Claimed, and an attempt before may have been sent.
const CLAIMED_MAY_HAVE_BEEN_SENT: &[Precondition] = &[Precondition {
    was_unconfirmed: Some(true),
    ..Precondition::states(&[State::Claimed])
}];

/// Not sent by the latest attempt, and not given up.
const OPEN: Precondition = Precondition::states(&[State::Retry, State::Held]);

const NEVER_SENT: &[Precondition] = &[Precondition {
    was_unconfirmed: Some(false),
    ..OPEN
}];

const MAY_HAVE_BEEN_SENT: &[Precondition] = &[Precondition {
    was_unconfirmed: Some(true),
    ..OPEN
}];

const UNCONFIRMED: &[Precondition] = &[Precondition::states(&[State::Unconfirmed])];

const UNDELIVERED: &[Precondition] = &[Precondition {
    failed: Some(true),
    ..Precondition::states(&[State::Accepted])
}];

/// The states in which proof that an attempt was accepted is applied: a callback may come before the sender records the
/// response, or after the row became unconfirmed. The sender may record it after that, too, if it could not for longer than
/// its lease. It also settles a row that waits to be sent again because it was unconfirmed, but not one that was undelivered.
const ATTEMPTED: &[Precondition] = &[
    Precondition::states(&[State::Claimed, State::Unconfirmed, State::Accepted]),
    Precondition {
        states: &[State::Retry],
        was_unconfirmed: Some(true),
        failed: Some(false),
    },
];

impl Transition {
    /// Its rule.
    pub fn rule(self) -> Rule {
        let rule = |to, from| Rule {
            to,
            first_attempt: None,
            from,
            attempt: AttemptRule::Latest,
            was_unconfirmed: FlagChange::Keep,
            failed: FlagChange::Keep,
            abandoned: FlagChange::Keep,
        };
        match self {
            Transition::Claim => Rule {
                first_attempt: Some(1),
                attempt: AttemptRule::Next,
                failed: FlagChange::Clear,
                ..rule(State::Claimed, &[OPEN])
            },
            Transition::Accept | Transition::ApplyStatus => Rule {
                was_unconfirmed: FlagChange::Clear,
                ..rule(State::Accepted, ATTEMPTED)
            },
            Transition::ApplyFailure => Rule {
                was_unconfirmed: FlagChange::Clear,
                failed: FlagChange::Set,
                ..rule(State::Accepted, ATTEMPTED)
            },
            Transition::Reject => rule(State::Rejected, CLAIMED),
            Transition::Retry => rule(State::Retry, CLAIMED),
            Transition::Hold => rule(State::Held, CLAIMED),
            Transition::MarkUnconfirmed => Rule {
                was_unconfirmed: FlagChange::Set,
                ..rule(State::Unconfirmed, CLAIMED)
            },
            // A row that may have been sent must not be shown as skipped.
            Transition::Skip => Rule {
                first_attempt: Some(0),
                attempt: AttemptRule::Any,
                ..rule(State::Skipped, NEVER_SENT)
            },
            Transition::Abandon => Rule {
                attempt: AttemptRule::Any,
                abandoned: FlagChange::Set,
                ..rule(State::Unconfirmed, MAY_HAVE_BEEN_SENT)
            },
            Transition::SkipClaimed => rule(State::Skipped, CLAIMED_NEVER_SENT),
            Transition::AbandonClaimed => Rule {
                abandoned: FlagChange::Set,
                ..rule(State::Unconfirmed, CLAIMED_MAY_HAVE_BEEN_SENT)
            },
            Transition::Resend => rule(State::Retry, UNCONFIRMED),
            Transition::RequeueUndelivered => rule(State::Retry, UNDELIVERED),
        }
    }
}
