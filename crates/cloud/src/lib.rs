//! Crier's use of AWS: one file per resource, with verbs of ours. Concrete clients, no rules: those are in `campaign`.
//!
//! - [`env`](mod@env): what a function is told by its environment
//! - [`aws`]: the clients, made once per process
//! - [`campaigns`], [`counters`], [`ledger`], [`callbacks`]: the tables
//! - [`files`], [`rejects`]: the bucket
//! - [`queue`]: the sends queue
//! - [`secrets`]: the one secret

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use campaign::outcome::Millis;

pub mod aws;
pub mod callbacks;
pub mod campaigns;
pub mod counters;
pub mod env;
pub mod files;
pub mod ledger;
pub mod queue;
pub mod rejects;
pub mod secrets;

/// Something AWS did not do, after the SDK's own retries; the invocation fails and the event comes again.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {detail}")]
pub struct Error {
    /// What was being done.
    pub action: &'static str,
    /// What AWS says.
    pub detail: String,
}

impl Error {
    /// An error without an SDK error behind it.
    pub fn new(action: &'static str, detail: impl ToString) -> Self {
        Self { action, detail: detail.to_string() }
    }

    /// For `map_err`: keeps the whole chain of causes.
    fn aws<E, R>(action: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        move |error| Self::new(action, DisplayErrorContext(error))
    }
}

/// The time of day, read at the edges and passed on as a value.
pub fn now() -> Millis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_epoch.as_millis() as Millis
}

/// `now` plus `days`, in the seconds that DynamoDB's time to live counts in.
fn expiry(now: Millis, days: u32) -> u64 {
    now / 1000 + u64::from(days) * 86_400
}
