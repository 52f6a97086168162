//! What the operator chose for unconfirmed sends, for failures and outside the service window.

use serde::{Deserialize, Serialize};

/// What the operator chose for unconfirmed sends and for failures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// What happens to rows that may have been sent.
    pub on_unconfirmed: OnUnconfirmed,
    /// How long an unconfirmed row waits for a callback before `on_unconfirmed` applies, in seconds.
    pub unconfirmed_timeout_seconds: u32,
    /// Whether messages are sent again that were accepted and then not delivered, where a later attempt may succeed.
    pub retry_undelivered: bool,
    /// The campaign pauses when more than this share of the latest rows failed, 0 to 1; 1 for never.
    pub max_failure_ratio: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            on_unconfirmed: OnUnconfirmed::Leave,
            unconfirmed_timeout_seconds: 900,
            retry_undelivered: false,
            max_failure_ratio: 0.2,
        }
    }
}

/// What happens to a row that may have been sent, after its timeout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnconfirmed {
    /// It stays unconfirmed and is reported as such.
    #[default]
    Leave,
    /// It is sent again: the recipient may get the message twice.
    Resend,
}

/// What happens to recipients outside the 24-hour service window in a free-form campaign without a fallback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsideServiceWindow {
    /// They are skipped.
    #[default]
    Skip,
    /// The message is sent anyway: for accounts whose callbacks go elsewhere, so that Crier does not know the window.
    Send,
}
