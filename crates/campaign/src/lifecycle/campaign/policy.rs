//! What the operator chose for unconfirmed sends, for failures and outside the service window.

use serde::{Deserialize, Serialize};

use crate::id::RowNumber;

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
    /// Of one row in how many it is recorded that its message was delivered and read: 1 for each, 0 for none. The other reports
    /// are half and more of the work that callbacks cause.
    #[serde(default = "one")]
    pub delivery_reports_every: u32,
}

fn one() -> u32 {
    1
}

impl Policy {
    /// Whether it is recorded of this row that its message was delivered and read. That it was sent, or failed, always is.
    pub fn records_delivery(&self, row: RowNumber) -> bool {
        row.checked_rem(self.delivery_reports_every) == Some(0)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            on_unconfirmed: OnUnconfirmed::Leave,
            unconfirmed_timeout_seconds: 900,
            retry_undelivered: false,
            max_failure_ratio: 0.2,
            delivery_reports_every: 1,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_of_one_row_in_so_many_are_recorded() {
        let recorded = |every| {
            let policy = Policy {
                delivery_reports_every: every,
                ..Policy::default()
            };
            (1..=6)
                .filter(|&row| policy.records_delivery(row))
                .collect::<Vec<_>>()
        };
        assert_eq!(recorded(0), Vec::<u32>::new());
        assert_eq!(recorded(1), [1, 2, 3, 4, 5, 6]);
        assert_eq!(recorded(3), [3, 6]);
    }

    #[test]
    fn policy_that_was_stored_earlier_records_every_delivery() {
        let mut stored = serde_json::to_value(Policy::default()).expect("json");
        let fields = stored.as_object_mut().expect("object");
        fields.remove("delivery_reports_every");
        let policy: Policy = serde_json::from_value(stored).expect("policy");
        assert_eq!(policy, Policy::default());
    }
}
