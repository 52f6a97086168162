//! Crier's use of AWS: one file per resource, with verbs of ours. Concrete clients, no rules: those are in `campaign`.
//!
//! - [`env`](mod@env): what a function is told by its environment
//! - [`aws`]: the clients, made once per process
//! - [`campaigns`], [`counters`], [`imports`], [`ledger`], [`callbacks`], [`contacts`], [`inbox`]: the tables
//! - [`campaign_cache`]: campaigns that were read a moment ago; [`settings`], [`account_events`]: what holds for all of them
//! - [`files`], [`multipart`]: the bucket
//! - [`batch_queue`], [`import_queue`]: the queues; [`dead_letters`]: notes on batches that failed for good
//! - [`jobs`]: reports and recounts, which take longer than a request; [`erasure_queue`]
//! - [`outbound`]: callbacks on their way to other systems
//! - [`schedules`]: campaigns that start by themselves
//! - [`secrets`]: the one secret; [`metrics`]: figures for `CloudWatch`

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use campaign::delivery::outcome::Millis;

pub mod account_events;
pub mod aws;
pub mod batch_queue;
pub mod callbacks;
pub mod campaign_cache;
pub mod campaigns;
pub mod contacts;
pub mod counters;
pub mod dead_letters;
pub mod env;
pub mod erasure_queue;
pub mod files;
pub mod import_queue;
pub mod imports;
pub mod inbox;
pub mod jobs;
pub mod ledger;
pub mod metrics;
pub mod multipart;
pub mod outbound;
mod scan;
pub mod schedules;
pub mod secrets;
pub mod settings;

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
        Self {
            action,
            detail: detail.to_string(),
        }
    }

    /// For `map_err`: what AWS says, or the chain of causes where it said nothing. Not the SDK's own debug text,
    /// which quotes requests and items.
    fn from_sdk<E, R>(action: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug + 'static,
    {
        move |error| {
            let said = error.as_service_error().map(|said| {
                format!(
                    "{}: {}",
                    said.code().unwrap_or("unknown error"),
                    said.message().unwrap_or_default()
                )
            });
            Self::new(action, said.unwrap_or_else(|| error_chain(&error)))
        }
    }
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// The time of day, read at the edges and passed on as a value.
pub fn now() -> Millis {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since_epoch.as_millis() as Millis
}

/// `now` plus `days`, in the seconds that DynamoDB's time to live counts in.
fn ttl(now: Millis, days: u32) -> u64 {
    now / 1000 + u64::from(days) * 86_400
}
