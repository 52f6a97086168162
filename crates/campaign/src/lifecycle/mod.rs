//! Lifecycle.

pub mod campaign;
pub mod control;
pub mod counters;
pub mod progress;
pub mod repair;
pub mod summary;
