//! WhatsApp's Cloud API as Crier uses it.
//!
//! - [`message`]: what may be sent, and the request for one row
//! - [`client`]: the call itself
//! - [`answer`]: what an answer means
//! - [`code`]: every error code and the decision on it
//! - [`callback`]: what Meta reports back
//! - [`signature`]: that it was Meta who reported

pub mod answer;
pub mod callback;
pub mod client;
pub mod code;
pub mod message;
pub mod signature;
