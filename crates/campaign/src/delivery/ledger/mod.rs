//! The ledger: what is known of each row, and how it may change. `cloud::ledger` stores it.
//!
//! - [`state`]: the states of a row
//! - [`transition`]: what may happen to a row, and the rule of each transition as data
//! - [`rule`]: what such a rule says
//! - [`mod@apply`]: what a transition makes of a row
//! - [`claim`]: what a sender that wants to send a row learns from it
//! - [`repair`]: what becomes of rows in which nothing happens any more
//! - [`row`]: a row with everything that is known of it

pub mod apply;
pub mod claim;
pub mod repair;
pub mod row;
pub mod rule;
pub mod state;
#[cfg(test)]
pub(crate) mod tests;
pub mod transition;

pub use apply::{apply, next_attempt};
pub use claim::{Claim, OtherClaim};
pub use repair::{
    CLAIM_LEASE_MS, RESEND_ATTEMPT_LIMIT, SENDER_DIED, lease_expired, may_resend, repair_transition,
};
pub use row::{LedgerRow, PastAttempt};
pub use state::{RowStatus, State};
pub use transition::Transition;
