//! What the rule of a transition says. It is data: [`super::apply()`] interprets it, and `cloud::ledger` renders it into the
//! one conditional write that does the same in the table.

use super::state::{RowStatus, State};

/// When a transition may happen, and what it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The state afterwards.
    pub to: State,
    /// The attempt number given to a row that is not in the ledger yet; `None` if the row must be there.
    pub first_attempt: Option<u32>,
    /// Of a row in the ledger, one of these must hold.
    pub from: &'static [Precondition],
    /// Which attempt it is about.
    pub attempt: AttemptRule,
    /// What becomes of [`RowStatus::was_unconfirmed`].
    pub was_unconfirmed: FlagChange,
    /// What becomes of [`RowStatus::failed`].
    pub failed: FlagChange,
    /// What becomes of [`RowStatus::abandoned`].
    pub abandoned: FlagChange,
}

/// What must hold of a row before a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precondition {
    /// Its state is one of these.
    pub states: &'static [State],
    /// [`RowStatus::was_unconfirmed`] is this, unless it does not matter.
    pub was_unconfirmed: Option<bool>,
    /// [`RowStatus::failed`] is this, unless it does not matter.
    pub failed: Option<bool>,
}

impl Precondition {
    /// A row in one of these states.
    pub(super) const fn states(states: &'static [State]) -> Self {
        Self {
            states,
            was_unconfirmed: None,
            failed: None,
        }
    }

    /// Whether it holds of this row.
    pub(super) fn holds(&self, row: RowStatus) -> bool {
        self.states.contains(&row.state)
            && self
                .was_unconfirmed
                .is_none_or(|flag| flag == row.was_unconfirmed)
            && self.failed.is_none_or(|flag| flag == row.failed)
    }
}

/// Which attempt a transition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptRule {
    /// The latest one; about another one it is refused.
    Latest,
    /// The next one, which it begins.
    Next,
    /// None: it happens whatever the latest attempt is.
    Any,
}

/// What becomes of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagChange {
    /// It stays as it is.
    Keep,
    /// It is set.
    Set,
    /// It is removed.
    Clear,
}

impl FlagChange {
    /// The flag afterwards.
    pub(super) fn change(self, flag: bool) -> bool {
        match self {
            FlagChange::Keep => flag,
            FlagChange::Set => true,
            FlagChange::Clear => false,
        }
    }
}

impl Rule {
    /// Whether a row that is not in the ledger yet may be put there, for this attempt.
    pub fn may_be_first(&self, attempt: u32) -> bool {
        self.first_attempt
            .is_some_and(|first| self.attempt == AttemptRule::Any || first == attempt)
    }

    /// Whether the same transition may happen again right after it: then its repetition changes nothing.
    pub fn may_be_repeated(&self) -> bool {
        let is_from_there = |from: &Precondition| from.states.contains(&self.to);
        self.attempt == AttemptRule::Latest && self.from.iter().any(is_from_there)
    }
}
