//! From the records of a file to rows that can be sent.
//!
//! A record passes through these steps:
//!
//! - [`column_choice`] chooses the phone column by what is in it, and by its name (`column_names`), once for each file; `country_counts` counts numbers by country
//! - [`header`] finds the columns that the message and the options name
//! - [`phone`] reads the number
//! - [`value`] cleans the values, or rejects what WhatsApp would refuse
//! - [`row`] combines them into a verdict: usable, duplicate, suppressed or rejected
//! - [`preview`] summarizes all verdicts before anything is sent
//!
//! The verdicts are stored. Once a file's rows are enqueued, nothing reads the file again.

pub mod column_choice;
mod column_names;
mod country_counts;
pub mod header;
pub mod phone;
pub mod preview;
pub mod row;
pub mod value;
