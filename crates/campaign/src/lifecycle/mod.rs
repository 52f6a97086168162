//! Lifecycle: a campaign from its creation to its results.
//!
//! - [`campaign`]: the campaign itself, its files, states and schedule
//! - [`apply()`]: the only way to change a campaign: what each event does to it
//! - [`event`]: the events, what follows from them, and why one may have no effect
//! - [`actions`]: what an operator can do now, in words
//! - [`edit`]: changes before the start
//! - [`approval`]: approval by a second person, and what it is for
//! - `control`: commands of the operator, and when each one is allowed
//! - `import_progress`: what imports report about a file
//! - [`counters`]: the numbers of a campaign, from changes of the ledger
//! - [`daily_window`]: the hours of the day in which a campaign may send
//! - [`progress`]: what an operator sees of these numbers
//! - [`repair`]: what the reconciler does about a campaign
//! - [`retry`]: campaigns that send chosen rows of another one again
//! - [`summary`]: the results, when all is over

pub mod actions;
mod apply;
pub mod approval;
pub mod campaign;
mod control;
pub mod counters;
pub mod daily_window;
pub mod edit;
pub mod event;
mod import_progress;
pub mod progress;
pub mod repair;
pub mod retry;
pub mod summary;

pub use self::apply::apply;
