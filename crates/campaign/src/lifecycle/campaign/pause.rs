//! A pause: who or what wanted it, and why.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// No send starts until the operator resumes the campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Why, as a sentence with what to do.
    pub reason: String,
    /// Who or what caused it.
    pub by: PausedBy,
    /// Since when.
    pub at: Millis,
    /// An error of the account is the cause, and the other campaigns are being paused. It stays if the process that does
    /// that dies, and the reconciler goes on.
    #[serde(default)]
    pub is_pausing_others: bool,
}

/// Who or what paused a campaign or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PausedBy {
    /// The operator.
    Operator,
    /// Crier: too many failures, an error of the campaign or the number, or an event of the account.
    Crier,
    /// Crier, because of an error of the account that concerns every campaign.
    AccountError,
}
