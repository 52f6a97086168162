//! WhatsApp's Cloud API as Crier uses it.
//!
//! - [`message`]: what may be sent, and the request for one row
//! - [`limits`]: how much fits into it
//! - [`template`]: the account's templates, and whether a message fits one
//! - [`client`]: the call itself
//! - [`account`]: questions about the account
//! - [`response`]: what an answer means
//! - [`error_code`]: every error code and the decision on it
//! - [`callback`]: what Meta reports back: [`status`] of messages, [`inbound`] from people, [`account_notification`] about the account
//! - [`signature`]: that it was Meta who reported

pub mod account;
pub mod account_notification;
pub mod callback;
pub mod client;
pub mod error_code;
pub mod inbound;
pub mod limits;
pub mod message;
pub mod response;
pub mod signature;
pub mod status;
pub mod template;
