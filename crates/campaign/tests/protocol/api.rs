//! What the Cloud API may do with a send, and what the sender makes of it.

use campaign::delivery::outcome::{
    Acceptance, Backoff, ErrorClass, ErrorInfo, GiveUpRule, NextAction, Outcome, Refusal,
    RetryContext, ThrottleScope, next_action,
};

/// What the API did with a send, and what the sender learned of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ApiResponse {
    Accepted,
    AcceptedResponseLost,
    NotSentResponseLost,
    RetryLater,
    RecipientRejected,
    CampaignRejected,
}

/// What a send left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SendEffect {
    /// The recipient has the message.
    Sent,
    /// Nothing was sent, but the sender cannot know.
    NotSentUnknown,
    /// Nothing was sent, and the sender knows.
    NotSent,
    /// It was accepted, then reported as not delivered.
    Undelivered,
}

impl ApiResponse {
    pub(crate) const ALL: [ApiResponse; 6] = [
        ApiResponse::Accepted,
        ApiResponse::AcceptedResponseLost,
        ApiResponse::NotSentResponseLost,
        ApiResponse::RetryLater,
        ApiResponse::RecipientRejected,
        ApiResponse::CampaignRejected,
    ];

    /// What the send left behind.
    pub(crate) fn effect(self) -> SendEffect {
        match self {
            ApiResponse::Accepted | ApiResponse::AcceptedResponseLost => SendEffect::Sent,
            ApiResponse::NotSentResponseLost => SendEffect::NotSentUnknown,
            ApiResponse::RetryLater
            | ApiResponse::RecipientRejected
            | ApiResponse::CampaignRejected => SendEffect::NotSent,
        }
    }

    /// What the sender does next, by its own rules.
    pub(crate) fn next_action(self, attempt: u32) -> NextAction {
        let context = RetryContext {
            attempt,
            now: 0,
            values_vary: true,
            name_varies: false,
            media_varies: false,
            has_acceptance: true,
            jitter: 0.0,
        };
        next_action(self.outcome(), context)
    }

    fn outcome(self) -> Outcome {
        match self {
            ApiResponse::Accepted => Outcome::Accepted(Acceptance {
                wamid: "w".into(),
                wa_id: None,
                user_id: None,
                message_status: None,
            }),
            ApiResponse::AcceptedResponseLost | ApiResponse::NotSentResponseLost => {
                Outcome::Unconfirmed(ErrorInfo::default())
            }
            ApiResponse::RetryLater => refusal_of(ErrorClass::Retry(ONE_SECOND)),
            ApiResponse::RecipientRejected => refusal_of(ErrorClass::Recipient),
            ApiResponse::CampaignRejected => refusal_of(ErrorClass::Campaign),
        }
    }
}

const ONE_SECOND: Backoff = Backoff {
    scope: ThrottleScope::Row,
    first_seconds: 1,
    factor: 1,
    max_seconds: 1,
    max_attempts: u32::MAX,
    give_up: GiveUpRule::Reject,
};

fn refusal_of(class: ErrorClass) -> Outcome {
    Outcome::Refused(Refusal {
        class,
        error: ErrorInfo::default(),
        retry_after: None,
    })
}
