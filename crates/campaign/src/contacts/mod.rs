//! Recipients beyond any one campaign: whether they may be messaged, and what happens when they write.
//!
//! - [`contact`]: one recipient's consent, 24-hour service window and last message
//! - [`consent`]: recognizes opt-outs and opt-ins in messages, by keywords of many languages
//! - [`settings`]: what operators set for the whole deployment: those keywords, automatic replies, attribution

pub mod consent;
pub mod contact;
pub mod settings;
