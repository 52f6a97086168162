//! What the counters need to know of a row.

use crate::delivery::ledger::State;
use crate::time::Millis;

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
        }
    }

    pub(crate) fn any_facts() -> impl Strategy<Value = RowFacts> {
        let state = prop::sample::select(State::ALL);
        let callbacks = any::<(bool, bool, bool, bool)>();
        (state, 1u32..4, 0u64..100_000, callbacks).prop_map(
            |(state, attempt, claimed_at, (sent, delivered, read, failed))| RowFacts {
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
