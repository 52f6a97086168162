//! Contacts.

pub mod consent;
pub mod contact;
pub mod settings;
