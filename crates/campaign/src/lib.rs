//! Crier's policy: what is decided, never how it is stored or sent.
//!
//! Everything here is a function on values. Time is passed in, as milliseconds since the Unix epoch or as a
//! [`std::time::Duration`] on a monotonic clock, and so is randomness, as a number. Nothing reads a clock, a
//! file or the network, so every rule is tested within milliseconds.
//!
//! In the order in which a campaign uses them:
//!
//! - [`time`]: the unit of times
//! - [`id`]: identifies campaigns, rows, and the send that a callback belongs to
//! - [`message`]: the message, with `{{column}}` placeholders
//! - [`import`]: from the records of a file to rows that can be sent
//! - [`delivery`]: from rows to batches, sends, retries and the state of each row
//! - [`lifecycle`]: the campaign itself: its states, its counters, what operators may do, and repair
//! - [`contacts`]: what is known of recipients beyond any campaign: consent, replies, settings
//! - [`access`]: who may use the API, and for what
//!
//! The crates `cloud` and `whatsapp` store and send what this crate decides. A file there has the name of the
//! file here whose rule it applies: `delivery/ledger` has the rules of the ledger, `cloud/src/ledger.rs`
//! stores it.

pub mod access;
pub mod contacts;
pub mod delivery;
pub mod id;
pub mod import;
pub mod lifecycle;
pub mod message;
pub mod time;
