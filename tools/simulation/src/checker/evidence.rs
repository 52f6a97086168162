//! Everything that is judged.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::call::Call;
use crate::operator::reading::Shown;
use crate::record::Notes;

/// What was sent, and what is known of those who sent it and of those who asked for it.
pub struct Sends<'a> {
    /// The messages that left, in order.
    pub calls: Vec<Call>,
    /// What the operators did and were told.
    pub notes: &'a Notes,
    /// How many may leave in a second.
    pub budgets: Budgets,
    /// The most that two clocks differed by, in milliseconds.
    pub skew_ms: u64,
    /// The invocations that died, took too long or stood still.
    pub lost: BTreeSet<String>,
    /// When senders changed a campaign, and which processes they were.
    pub changes: Vec<(u64, String)>,
}

/// How many messages may leave in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// At any time.
    pub largest: usize,
    /// From this time on, in milliseconds since the Unix epoch, if another budget was deployed and became known.
    pub next: Option<(u64, usize)>,
}

impl Budgets {
    /// A budget that does not change.
    pub fn fixed(budget: u32) -> Self {
        Self {
            largest: budget as usize,
            next: None,
        }
    }
}

/// Everything that is judged.
pub struct Evidence<'a> {
    /// What was sent.
    pub sends: Sends<'a>,
    /// The items of the ledger.
    pub ledger: &'a [Value],
    /// The items of the contacts' table.
    pub contacts: &'a [Value],
    /// The items of the campaigns' table.
    pub campaign_items: &'a [Value],
    /// The items of the callbacks' table.
    pub callbacks: &'a [Value],
    /// Each campaign as the API shows it at the end, by id.
    pub campaigns: &'a [Value],
    /// What operators read at the end, and what was stored then.
    pub shown: &'a Shown,
    /// Whether retention has passed, so that rows are deleted.
    pub has_expired: bool,
    /// Whether nothing happened that could make a message late.
    pub is_calm: bool,
    /// Whether a service was not available for so long that outcomes could not be recorded.
    pub had_outage: bool,
    /// When everything went well again.
    pub calm_ms: u64,
}

impl Evidence<'_> {
    /// Whether somebody was erased, or may have been.
    pub fn may_be_erased(&self, phone: &str) -> bool {
        self.sends.notes.may_be_forgotten(phone)
    }
}
