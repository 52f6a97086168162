//! What the tests share: an environment of one test's own, and the verbs that act on it.
//!
//! - [`env`]: the environment: buckets, queues, tables, a secret and a simulated Meta
//! - [`aws`]: its resources, made as the template has them
//! - [`functions`]: each Lambda function on this environment
//! - [`campaigns`]: create a campaign, upload its file, import it, look at it and its rows
//! - [`contacts`]: contacts and downloads
//! - [`queues`]: hand queue messages to functions, as Lambda does
//! - [`simulated`]: the simulator: settings, calls, waiting for calls
//! - [`stream`]: the ledger's stream, made of what the table holds
//! - [`throttled`]: tables that take no writes for a while
//! - [`dump`]: everything that is stored, as text
//! - [`process`]: functions in processes of their own, which can be killed
//! - [`api_client`]: requests to the API
//! - [`meta`]: callbacks as Meta posts them
//! - [`json`]: assertions on parts of JSON, sample events

pub(crate) mod api_client;
mod aws;
mod campaigns;
mod contacts;
mod dump;
mod env;
mod functions;
pub(crate) mod json;
pub(crate) mod meta;
pub(crate) mod process;
mod queues;
mod simulated;
mod stream;
mod throttled;

use std::time::Duration;

pub(crate) use campaigns::{phone, recipients_csv, set_state};
pub(crate) use env::TestEnv;
pub(crate) use functions::lambda_context;
pub(crate) use queues::{QueuedBatch, batch_row, invoke_sender, row_numbers};

/// How long a test waits for anything that must happen.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// A token of the API.
pub(crate) const API_TOKEN: &str = "local-operator";

/// The token that Meta's handshake must show.
pub(crate) const VERIFY_TOKEN: &str = "local-verify";

/// The secret that forwarded callbacks are signed with.
pub(crate) const FORWARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
