//! Everything that is judged.

use serde_json::Value;

use crate::call::Call;
use crate::record::Notes;

/// Everything that is judged.
pub struct Evidence<'a> {
    /// The messages that left, in order.
    pub calls: &'a [Call],
    /// What the operators did and were told.
    pub notes: &'a Notes,
    /// The items of the ledger.
    pub ledger: &'a [Value],
    /// The items of the contacts' table.
    pub contacts: &'a [Value],
    /// The items of the campaigns' table.
    pub campaign_items: &'a [Value],
    /// Each campaign as the API shows it at the end, by id.
    pub campaigns: &'a [Value],
    /// The larger of the budgets that were deployed.
    pub budget: usize,
    /// The most that a clock was wrong by, in milliseconds.
    pub skew_ms: u64,
    /// Whether retention has passed, so that rows are deleted.
    pub has_expired: bool,
    /// Whether any process died or stood still.
    pub had_deaths: bool,
}
