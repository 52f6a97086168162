//! What the counters need to know of a row.

use crate::delivery::ledger::State;
use crate::delivery::skip_reason::SkipReason;
use crate::time::Millis;

/// What went wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureCause {
    /// WhatsApp gave this error code.
    Code(i64),
    /// Crier did not send it.
    Skipped(SkipReason),
    /// There is no code: the connection failed, for example.
    Other,
}

/// What the counters need to know of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowFacts {
    /// Its state.
    pub state: State,
    /// Its latest attempt.
    pub attempt: u32,
    /// When the latest attempt was claimed.
    pub claimed_at: Millis,
    /// WhatsApp reported `sent` for the latest attempt.
    pub sent: bool,
    /// WhatsApp reported `delivered`.
    pub delivered: bool,
    /// WhatsApp reported `read`.
    pub read: bool,
    /// WhatsApp reported `failed`.
    pub failed: bool,
    /// The row is unconfirmed and is not sent again.
    pub abandoned: bool,
    /// What went wrong with the latest attempt, or why there was none.
    pub cause: Option<FailureCause>,
    /// When it was delivered, if WhatsApp says so.
    pub delivered_at: Option<Millis>,
    /// When it was read.
    pub read_at: Option<Millis>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first attempt at a row, with no callback yet.
    pub(crate) fn first_attempt(state: State) -> RowFacts {
        RowFacts {
            state,
            attempt: 1,
            claimed_at: 0,
            sent: false,
            delivered: false,
            read: false,
            failed: false,
            abandoned: false,
            cause: None,
            delivered_at: None,
            read_at: None,
        }
    }

    pub(crate) fn any_facts() -> impl Strategy<Value = RowFacts> {
        let state = prop::sample::select(State::ALL);
        let callbacks = any::<(bool, bool, bool, bool)>();
        let code = prop::option::of(131_000i64..131_004);
        (state, 1u32..4, 0u64..100_000, callbacks, code).prop_map(
            |(state, attempt, claimed_at, (sent, delivered, read, failed), code)| RowFacts {
                cause: code.map(FailureCause::Code),
                attempt,
                claimed_at,
                sent,
                delivered,
                read,
                failed,
                ..first_attempt(state)
            },
        )
    }
}
