//! Delivery.

pub mod batch;
pub mod ledger;
pub mod outcome;
pub mod pacing;
pub mod requeue;
