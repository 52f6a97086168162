//! WhatsApp's Cloud API as Crier uses it.
//!
//! - [`message`]: what may be sent, and the request for one row
//! - [`limits`]: how much fits into it
//! - [`template`]: the account's templates, and whether a message fits one
//! - [`client`]: the call itself
//! - [`account`]: questions about the account
//! - [`answer`]: what an answer means
//! - [`code`]: every error code and the decision on it
//! - [`callback`]: what Meta reports back: [`report`] of messages, [`inbound`] from people, [`notice`] about the account
//! - [`signature`]: that it was Meta who reported

pub mod account;
pub mod answer;
pub mod callback;
pub mod client;
pub mod code;
pub mod inbound;
pub mod limits;
pub mod message;
pub mod notice;
pub mod report;
pub mod signature;
pub mod template;
