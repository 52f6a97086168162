//! WhatsApp's Cloud API as Crier uses it.
//!
//! To send:
//! - [`message`]: what can be sent, and the request for one row
//! - [`limits`]: how long each string of a message may be
//! - [`template`]: the account's templates
//! - [`template_preview`]: what a template looks like
//! - [`template_match`]: whether a message fits one of them
//! - [`client`]: sends one message
//! - [`connection_pool`]: connections that are open before a send needs them
//! - [`transport`]: what a connection is; [`connection`]: the network; [`departure`]: when a request leaves
//! - [`response`]: what the response means
//! - [`error_code`]: every error code and the decision on it
//! - [`retry_advice`]: whether sending again makes sense
//! - [`account`]: queries about the account
//!
//! To receive:
//! - [`signature`]: whether a callback comes from Meta
//! - [`callback`]: splits a callback into updates
//! - [`status`]: statuses of sent messages
//! - [`inbound`]: messages and preferences from recipients
//! - [`account_notification`]: events of templates, the phone number and the account
//! - [`contact`]: how Meta identifies a recipient

pub mod account;
pub mod account_notification;
pub mod callback;
pub mod client;
pub mod connection;
pub mod connection_pool;
pub mod contact;
pub mod departure;
pub mod error_code;
pub mod inbound;
mod json;
pub mod limits;
pub mod message;
pub mod response;
pub mod retry_advice;
pub mod signature;
pub mod status;
pub mod template;
pub mod template_match;
pub mod template_preview;
pub mod transport;
