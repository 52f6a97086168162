//! Import.

pub mod header;
pub mod phone;
pub mod preview;
pub mod row;
pub mod value;
