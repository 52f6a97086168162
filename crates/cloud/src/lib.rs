//! Crier's use of AWS: one file per resource, with our own verbs. Clients are concrete. There are no rules
//! here: those are in `campaign`.
//!
//! | part | modules |
//! |---|---|
//! | the process | [`env`](mod@env): environment variables · [`aws`]: the SDK's clients · [`metrics`] for `CloudWatch` · [`sometimes!`]: marks for the simulation |
//! | the campaigns table | [`campaigns`], [`campaign_cache`], [`counters`], [`imports`], [`sent_files`], [`jobs`], [`waiting_jobs`], [`dead_letters`], [`settings`], [`account_events`], [`number_records`] with [`rates`] · access: [`tokens`], [`sessions`], [`audit`] |
//! | other tables | [`ledger`], [`callbacks`], [`contacts`], [`inbox`] |
//! | the bucket | [`files`], [`multipart`], [`part_uploads`] |
//! | queues | [`batch_queue`], [`numbers`], [`number_registry`]: the queues of each phone number, [`import_queue`], [`erasure_queue`], [`outbound`]: callbacks for other systems · [`message_body`]: the format of all of their messages |
//! | others | [`schedules`]: campaigns that start at a given time · [`secrets`]: the one secret |
//!
//! Every call returns [`Error`], which keeps the class of the SDK's error ([`ErrorKind`]).

pub mod account_events;
pub mod audit;
pub mod aws;
pub mod batch_queue;
mod batch_write;
mod cached;
pub mod callbacks;
pub mod campaign_cache;
pub mod campaigns;
mod clock;
pub mod contacts;
pub mod counters;
pub mod dead_letters;
mod dynamodb;
pub mod env;
pub mod erasure_queue;
mod error;
pub mod files;
mod hash;
pub mod import_queue;
pub mod imports;
pub mod inbox;
pub mod jobs;
pub mod ledger;
pub mod message_body;
pub mod metrics;
pub mod multipart;
pub mod number_records;
pub mod number_registry;
pub mod numbers;
pub mod outbound;
pub mod part_uploads;
pub mod rates;
mod scan;
pub mod schedules;
pub mod secrets;
mod sender_number;
pub mod sent_files;
pub mod sessions;
pub mod settings;
#[doc(hidden)]
pub mod sometimes;
mod sqs;
pub mod tokens;
pub mod waiting_jobs;

pub use clock::now;
pub use error::{Error, ErrorKind};

use clock::{part_ttl, ttl};
