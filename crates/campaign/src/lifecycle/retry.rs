//! Retries that the operator asks for: chosen rows of a finished or cancelled campaign become a campaign of their own.

use serde::{Deserialize, Serialize};

use crate::id::CampaignId;
use crate::lifecycle::summary::{DeliveryRecord, RecipientStatus};

/// The phone column of a retry's file. No message has a column of this name by chance.
pub const RETRY_PHONE_COLUMN: &str = "crier_recipient";

/// Which rows of a campaign are sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetrySelection {
    /// Rows in one of these states.
    pub states: Vec<RetryState>,
    /// Of these, the rows with one of these error codes of WhatsApp; none for whatever code.
    #[serde(default)]
    pub codes: Vec<i64>,
}

/// The states, as in the report, of rows that can be sent again. The campaign itself does nothing more about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryState {
    /// WhatsApp refused the message.
    Rejected,
    /// WhatsApp accepted the message, then did not deliver it.
    Undelivered,
    /// It may have been sent.
    Unconfirmed,
    /// It was not sent: the recipient opted out after the import, was outside the service window or never is in the hours of
    /// the campaign, or the campaign was cancelled or expired. Rows that were suppressed at import are not included.
    Skipped,
    /// WhatsApp accepted the message and has reported nothing since.
    Accepted,
    /// WhatsApp sent the message to the recipient.
    Sent,
    /// The message is on the recipient's device.
    Delivered,
    /// The recipient has read it.
    Read,
}

impl RetryState {
    /// Whether no callback changes it any more.
    fn is_final(self) -> bool {
        matches!(self, RetryState::Rejected | RetryState::Skipped)
    }

    fn status(self) -> RecipientStatus {
        match self {
            RetryState::Rejected => RecipientStatus::Rejected,
            RetryState::Undelivered => RecipientStatus::Undelivered,
            RetryState::Unconfirmed => RecipientStatus::Unconfirmed,
            RetryState::Skipped => RecipientStatus::Skipped,
            RetryState::Accepted => RecipientStatus::Accepted,
            RetryState::Sent => RecipientStatus::Sent,
            RetryState::Delivered => RecipientStatus::Delivered,
            RetryState::Read => RecipientStatus::Read,
        }
    }
}

/// One end of the link between a campaign and its retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryLink {
    /// The campaign at the other end of the link.
    pub campaign: CampaignId,
    /// The rows that are sent again.
    pub selection: RetrySelection,
}

impl RetrySelection {
    /// What is chosen if the operator names no state: rows whose message failed.
    pub const DEFAULT: [RetryState; 2] = [RetryState::Rejected, RetryState::Undelivered];

    /// Whether a row is sent again. A row without a record had no attempt.
    pub fn includes(&self, record: Option<&DeliveryRecord>) -> bool {
        let Some(record) = record else { return false };
        let code = record.error_info().and_then(|error| error.code);
        let has_code = || code.is_some_and(|code| self.codes.contains(&code));
        let is_chosen = self
            .states
            .iter()
            .any(|state| state.status() == record.status());
        is_chosen && (self.codes.is_empty() || has_code())
    }

    /// The same selection in the one form that it is stored in.
    pub fn normalized(mut self) -> Self {
        self.states.sort();
        self.states.dedup();
        self.codes.sort_unstable();
        self.codes.dedup();
        self
    }

    /// Whether some row may be in both, now or because a callback that comes late changes its state.
    pub fn overlaps(&self, other: &Self) -> bool {
        let shares_code = self.codes.is_empty()
            || other.codes.is_empty()
            || self.codes.iter().any(|code| other.codes.contains(code));
        let shares_final = self
            .states
            .iter()
            .any(|state| state.is_final() && other.states.contains(state));
        let changes = |selection: &Self| selection.states.iter().any(|state| !state.is_final());
        shares_final && shares_code || changes(self) && changes(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::ledger::State;
    use crate::delivery::outcome::ErrorInfo;

    fn record(state: State, code: i64) -> DeliveryRecord {
        DeliveryRecord {
            state,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            failed: None,
            error: Some(ErrorInfo {
                code: Some(code),
                ..ErrorInfo::default()
            }),
            category: None,
        }
    }

    fn selection(states: &[RetryState], codes: &[i64]) -> RetrySelection {
        RetrySelection {
            states: states.to_vec(),
            codes: codes.to_vec(),
        }
    }

    #[test]
    fn only_rows_that_were_chosen_are_included() {
        let failed = selection(&RetrySelection::DEFAULT, &[]);
        let accepted = DeliveryRecord {
            failed: Some((1, ErrorInfo::default())),
            ..record(State::Accepted, 0)
        };
        assert!(failed.includes(Some(&record(State::Rejected, 131_026))));
        assert!(failed.includes(Some(&accepted)), "it was not delivered");
        for other in [
            State::Accepted,
            State::Unconfirmed,
            State::Skipped,
            State::Retry,
        ] {
            assert!(!failed.includes(Some(&record(other, 131_026))), "{other:?}");
        }
        assert!(!failed.includes(None));
        let by_code = selection(&[RetryState::Rejected], &[131_026]);
        assert!(by_code.includes(Some(&record(State::Rejected, 131_026))));
        assert!(!by_code.includes(Some(&record(State::Rejected, 131_047))));
    }

    #[test]
    fn selections_overlap_where_a_row_may_be_in_both() {
        use RetryState::{Rejected, Unconfirmed};
        let all = selection(&[Rejected], &[]);
        let one = selection(&[Rejected, Unconfirmed], &[1]);
        let other = selection(&[Rejected], &[2]);
        assert!(all.overlaps(&one) && one.overlaps(&all) && all.overlaps(&other));
        assert!(!one.overlaps(&other));
        assert!(!all.overlaps(&selection(&[Unconfirmed], &[])));
        // A callback that comes late makes the one of the other.
        let undelivered = selection(&[RetryState::Undelivered], &[1]);
        assert!(undelivered.overlaps(&selection(&[Unconfirmed], &[2])));
        assert!(undelivered.overlaps(&selection(&[RetryState::Accepted], &[])));
    }
}
