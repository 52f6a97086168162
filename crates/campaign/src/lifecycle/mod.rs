//! Lifecycle: a campaign from its creation to its results.
//!
//! - [`campaign`]: the campaign itself, its files, states and schedule
//! - [`control`]: pause, resume, cancel, continue, and when each one is allowed
//! - [`counters`]: the numbers of a campaign, from changes of the ledger
//! - [`progress`]: what an operator sees of these numbers
//! - [`repair`]: what the reconciler does about a campaign
//! - [`summary`]: the results, when all is over

pub mod campaign;
pub mod control;
pub mod counters;
pub mod progress;
pub mod repair;
pub mod summary;
