//! The states of a row.

use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// The state of a row. A row that is not in the ledger yet is waiting.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// A sender is about to send it, or was when it died.
    Claimed,
    /// Certainly not sent; another attempt is due.
    Retry,
    /// Certainly not sent; waits until the campaign is resumed.
    Held,
    /// The API accepted it.
    Accepted,
    /// The API refused it for good.
    Rejected,
    /// It may have been sent.
    Unconfirmed,
    /// It is not going to be sent.
    Skipped,
}

impl State {
    /// Every state.
    pub const ALL: &[State] = State::VARIANTS;

    /// The name in the ledger and the API.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<State> {
        name.parse().ok()
    }
}

/// What the rules need to know of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowStatus {
    /// Its state.
    pub state: State,
    /// Its latest attempt, from 1; 0 where it was skipped without one.
    pub attempt: u32,
    /// Some attempt may have been sent, and no later one was accepted.
    pub was_unconfirmed: bool,
    /// The latest attempt was accepted, then reported as failed.
    pub failed: bool,
    /// It stays unconfirmed: no further attempt is made, whatever the operator chose.
    pub abandoned: bool,
}

impl RowStatus {
    /// Whether a further attempt is to be made.
    pub fn is_unsettled(self) -> bool {
        matches!(self.state, State::Retry | State::Held)
    }
}
