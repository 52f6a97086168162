//! Delivery: from a row in the queue to a final state in the ledger.
//!
//! - [`batch`]: how rows are cut into queue messages
//! - [`number_choice`]: from which of a campaign's numbers a recipient hears
//! - [`number_suspension`]: when a number may not send, whatever its campaigns want
//! - [`pacing`]: when a slot may send
//! - [`rate_change`]: what senders do when the budget changes
//! - [`outcome`]: what the sender knows after a send, and what it does next
//! - [`backoff`]: how delays grow from failure to failure
//! - [`recording`]: when a sender tries again to record it
//! - [`ledger`]: the states of a row, and which transitions are allowed
//! - [`requeue`]: which rows go into the queue again
//! - [`skip_reason`]: why a row is not sent

pub mod backoff;
pub mod batch;
pub mod ledger;
pub mod number_choice;
pub mod number_suspension;
pub mod outcome;
pub mod pacing;
pub mod rate_change;
pub mod recording;
pub mod requeue;
pub mod skip_reason;
