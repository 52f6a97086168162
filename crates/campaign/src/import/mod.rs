//! From the records of a file to rows that can be sent.
//!
//! A record passes through these steps:
//!
//! - [`header`] finds the phone column and the columns that the message uses, once for each file
//! - [`phone`] reads the number
//! - [`value`] cleans the values, or rejects what WhatsApp would refuse
//! - [`row`] combines them into a verdict: usable, duplicate, suppressed or rejected
//! - [`preview`] summarizes all verdicts before anything is sent
//!
//! The verdict on a record depends only on the file, the campaign and the records before it. So a file can be
//! read again after an interruption and gives the same rows.

pub mod header;
pub mod phone;
pub mod preview;
pub mod row;
pub mod value;
