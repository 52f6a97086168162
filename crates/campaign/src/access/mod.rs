//! Access: who may do what with the API.
//!
//! - [`role`]: the four roles
//! - [`mask`]: what a viewer sees of phone numbers
//! - [`guess_limit`]: how often an address may try a token that does not exist

pub mod guess_limit;
pub mod mask;
pub mod role;
