//! A row of the ledger, with everything that is known of it.

use serde::{Deserialize, Serialize};

use super::state::{RowStatus, State};
use crate::delivery::outcome::ErrorInfo;
use crate::delivery::skip_reason::SkipReason;
use crate::id::{CampaignId, NumberId, RowNumber};
use crate::lifecycle::counters::{FailureCause, RowFacts};
use crate::time::Millis;

/// A row as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The campaign and the number of the partition.
    pub partition_key: String,
    /// The zero-padded row number.
    pub row: String,
    /// The row's state.
    pub state: State,
    /// The latest attempt, from 1; 0 if there was none.
    pub attempt: u32,
    /// Who claimed the row last: an invocation's request id and the number of its claim, `{id}/{number}`.
    pub owner: String,
    /// The time of that claim.
    pub claimed_at: Millis,
    /// Our number from which it was sent, or would have been.
    #[serde(default)]
    pub number: Option<NumberId>,
    /// The earliest time of the next attempt, in state `retry`.
    pub not_before: Option<Millis>,
    /// The message's id.
    pub wamid: Option<String>,
    /// The recipient's id in WhatsApp.
    pub wa_id: Option<String>,
    /// The `message_status` of the API's response.
    pub message_status: Option<String>,
    /// Why the row is in this state, if an error is the reason.
    pub error_info: Option<ErrorInfo>,
    /// When the message was sent, as a callback reports.
    pub sent_at: Option<Millis>,
    /// When it was delivered; Meta may leave this out for a message that was read.
    pub delivered_at: Option<Millis>,
    /// When it was read.
    pub read_at: Option<Millis>,
    /// When it failed after acceptance.
    pub failed_at: Option<Millis>,
    /// Why it failed after acceptance.
    pub failure: Option<ErrorInfo>,
    /// Meta's price category, such as `marketing`.
    #[serde(default)]
    pub category: Option<String>,
    /// Whether some attempt may have been sent, and no later one was accepted.
    #[serde(default)]
    pub was_unconfirmed: bool,
    /// Whether the row is unconfirmed for good.
    #[serde(default)]
    pub abandoned: bool,
    /// Earlier attempts.
    #[serde(default)]
    pub history: Vec<PastAttempt>,
}

/// An earlier attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Its number.
    pub attempt: u32,
    /// The state in which it ended.
    pub state: State,
    /// When it was claimed.
    pub claimed_at: Millis,
    /// Its message's id, if it had one.
    pub wamid: Option<String>,
    /// Why it ended in this state.
    pub error_info: Option<ErrorInfo>,
}

impl PastAttempt {
    /// The latest attempt at a row, which is about to become the one before.
    pub fn of(row: &LedgerRow) -> Self {
        Self {
            attempt: row.attempt,
            state: row.state,
            claimed_at: row.claimed_at,
            wamid: row.wamid.clone(),
            error_info: row.error_info.clone(),
        }
    }
}

impl LedgerRow {
    /// What the counters count.
    pub fn row_facts(&self) -> RowFacts {
        RowFacts {
            state: self.state,
            attempt: self.attempt,
            claimed_at: self.claimed_at,
            sent: self.sent_at.is_some(),
            delivered: self.delivered_at.is_some(),
            read: self.read_at.is_some(),
            failed: self.failed_at.is_some(),
            abandoned: self.abandoned,
            cause: self.cause(),
            delivered_at: self.delivered_at,
            read_at: self.read_at,
        }
    }

    /// What went wrong with the row, if anything did.
    fn cause(&self) -> Option<FailureCause> {
        let error = match self.state {
            State::Accepted => self.failure.as_ref()?,
            State::Skipped => {
                let reason = SkipReason::from_text(&self.error_info.as_ref()?.title)?;
                return Some(FailureCause::Skipped(reason));
            }
            _ => self.error_info.as_ref()?,
        };
        Some(error.code.map_or(FailureCause::Other, FailureCause::Code))
    }

    /// What the rules of transitions depend on.
    pub fn status(&self) -> RowStatus {
        RowStatus {
            state: self.state,
            attempt: self.attempt,
            was_unconfirmed: self.was_unconfirmed,
            failed: self.failed_at.is_some(),
            abandoned: self.abandoned,
        }
    }

    /// The campaign's id.
    pub fn campaign_id(&self) -> Option<CampaignId> {
        self.partition_key.split('#').next()?.parse().ok()
    }

    /// The row number.
    pub fn row_number(&self) -> Option<RowNumber> {
        self.row.parse().ok()
    }
}
