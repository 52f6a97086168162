//! Crier's policy: what is decided, never how it is stored or sent.
//!
//! Everything here is a function on values. Time comes in as milliseconds since the Unix epoch or as a
//! [`std::time::Duration`] on a monotonic clock, randomness as a number; so each rule is tested in milliseconds.
//!
//! - [`id`]: campaigns, rows and the tracker that ties a callback to its row
//! - [`message`]: the message with `{{column}}` places to fill in
//! - [`header`], [`phone`], [`value`], [`import`]: from a file's records to recipients
//! - [`preview`]: what a file would do, before anything is sent
//! - [`contact`], [`consent`], [`settings`]: people, the words by which they stop and start, what is answered by itself
//! - [`batch`]: how rows are cut into queue messages
//! - [`pacing`]: when a slot may call
//! - [`outcome`]: what to do after a call
//! - [`ledger`]: a row's states and who may move it
//! - [`record`]: the campaign itself
//! - [`steer`]: pause, resume, cancel, continue, and when they make sense
//! - [`offer`]: which rows belong into the queue (again)
//! - [`sweep`]: what is to be done about what stands still
//! - [`tally`], [`progress`], [`summary`]: counters, what an operator sees of them, and how everybody ended

pub mod contacts;
pub mod delivery;
pub mod id;
pub mod import;
pub mod lifecycle;
pub mod message;
