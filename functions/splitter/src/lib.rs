//! The splitter: reads an uploaded file to its end, then enqueues its rows in batches.
//!
//! Two passes over the same bytes, because what is wrong with a file must show before anything of it is sent, and because
//! an operator may want to look in between. The second pass of a million rows costs a second.
//!
//! | the process dies … | the file is | repaired by |
//! |---|---|---|
//! | in the first pass | `announced`, nothing sent | the event comes again: read from the start |
//! | in the second | `examined`; the checkpoint tells which batches may be in the queue | the event, or a split order, comes again: read from the start, enqueued from the checkpoint on |
//! | while rows are offered again | as before | the split order, which says where to begin; offering twice harms nobody |
//! | after a hand-over | as in the second pass | the split order |
//!
//! One invocation at a time reads a campaign's files: it takes them, gives signs of life, and gives them back. An event
//! that finds them taken becomes a split order for later. A batch that is enqueued twice harms nobody: a row that was
//! claimed is not claimed twice.
//!
//! - `work`: what is to be done about a campaign's files
//! - `examine`, `enqueue`: the two passes; `offer`: rows that were in the queue before, after a stop or a loss
//! - `rejects`: lines of the rejects file

mod enqueue;
mod import;
mod rejects;
mod requeue;
mod validate;

use std::time::{Duration, Instant};

use aws_lambda_events::s3::S3EventRecord;
use aws_lambda_events::sqs::SqsMessage;
use campaign::delivery::outcome::Millis;
use campaign::delivery::pacing::Rate;
use campaign::import::header::FileProblem;
use campaign::lifecycle::campaign::{Campaign, IMPORT_LEASE_MS};
use cloud::batch_queue::BatchQueue;
use cloud::campaigns::{Campaigns, Lease};
use cloud::contacts::Contacts;
use cloud::files::{Files, parse_upload_key};
use cloud::import_queue::{ImportJob, ImportQueue};
use cloud::imports::Imports;
use cloud::ledger::Ledger;
use lambda_runtime::{Context, Error, tracing};
use percent_encoding::percent_decode_str;
use recipients::ReadError;
use serde::Deserialize;

use crate::import::Remaining;

/// How often an invocation shows that it is alive.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// When files are busy, somebody looks again after this time.
const LEASE_RETRY_DELAY: Duration = Duration::from_secs(10);

/// What an invocation needs to hand over.
const SHUTDOWN_RESERVE_MS: Millis = 30_000;

/// Records between two looks at the clock.
const RECORDS_PER_CLOCK_CHECK: u32 = 512;

/// What a splitter needs, made once per process.
#[derive(Debug)]
pub struct Splitter {
    campaigns: Campaigns,
    imports: Imports,
    contacts: Contacts,
    ledger: Ledger,
    files: Files,
    queue: BatchQueue,
    import_queue: ImportQueue,
    rate: Rate,
}

/// What wakes the splitter: an upload, or an order.
#[derive(Debug, Deserialize)]
pub struct Event {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "eventSource")]
enum Record {
    #[serde(rename = "aws:s3")]
    Upload(S3EventRecord),
    #[serde(rename = "aws:sqs")]
    Job(SqsMessage),
}

/// An invocation at work on one campaign.
pub(crate) struct ImportRun<'a> {
    owner: &'a str,
    deadline: Millis,
    /// When reading must be done: half the time is the second pass's, which begins by reading as much again.
    read_deadline: Millis,
    records_since_check: u32,
    last_heartbeat: Instant,
}

impl<'a> ImportRun<'a> {
    fn new(owner: &'a str, deadline: Millis) -> Self {
        Self {
            owner,
            deadline,
            read_deadline: deadline,
            records_since_check: 0,
            last_heartbeat: Instant::now(),
        }
    }

    /// Whether it is time to hand over.
    pub(crate) fn is_out_of_time(&self) -> bool {
        cloud::now() + SHUTDOWN_RESERVE_MS > self.deadline
    }
}

impl Splitter {
    /// Reads the environment; fails where anything is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let rate = env::send_rate()?;
        let config = aws::load_config().await;
        let dynamodb = aws::dynamodb(&config);
        let (table, retention) = (
            env::required("CAMPAIGNS_TABLE")?,
            env::parsed("RETENTION_DAYS")?,
        );
        Ok(Self {
            campaigns: Campaigns::new(dynamodb.clone(), table.clone(), retention),
            imports: Imports::new(dynamodb.clone(), table, retention),
            contacts: Contacts::new(
                dynamodb.clone(),
                env::required("CONTACTS_TABLE")?,
                retention,
            ),
            ledger: Ledger::new(dynamodb, env::required("MESSAGES_TABLE")?, retention),
            files: Files::new(aws::s3(&config), env::required("UPLOADS_BUCKET")?),
            queue: BatchQueue::new(aws::sqs(&config), env::required("SENDS_QUEUE_URL")?),
            import_queue: ImportQueue::new(aws::sqs(&config), env::required("IMPORT_QUEUE_URL")?),
            rate,
        })
    }

    /// A splitter of these parts.
    #[expect(
        clippy::too_many_arguments,
        reason = "each part is a resource of its own, and they are put together here only"
    )]
    pub fn new(
        campaigns: Campaigns,
        imports: Imports,
        contacts: Contacts,
        ledger: Ledger,
        files: Files,
        queue: BatchQueue,
        import_queue: ImportQueue,
        rate: Rate,
    ) -> Self {
        Self {
            campaigns,
            imports,
            contacts,
            ledger,
            files,
            queue,
            import_queue,
            rate,
        }
    }

    /// Does what an event asks for; S3 sends one upload at a time, SQS one order.
    pub async fn handle(&self, event: Event, context: Context) -> Result<(), Error> {
        for record in event.records {
            match record {
                Record::Upload(record) => self.handle_upload(&record, &context).await?,
                Record::Job(message) => {
                    let order = serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
                    if !self.run_job(&order, &context).await? {
                        tracing::warn!(campaign.id = %order.campaign, "a split order for a campaign that is not there");
                    }
                }
            }
        }
        Ok(())
    }

    async fn handle_upload(&self, record: &S3EventRecord, context: &Context) -> Result<(), Error> {
        let key = decode_key(record.s3.object.key.as_deref().unwrap_or_default());
        let Some((campaign, _)) = parse_upload_key(&key) else {
            tracing::warn!("an upload outside a campaign's folder is left alone");
            return Ok(());
        };
        let order = ImportJob::resume(campaign);
        if !self.run_job(&order, context).await? {
            tracing::warn!(campaign.id = %order.campaign, "an upload without a campaign is refused");
            let why = "No campaign has this id. Create one with POST /v1/campaigns and upload to the URL it returns.\n";
            self.files.write_refusal(&key, why).await?;
        }
        Ok(())
    }

    /// Goes on with a campaign's files; `false` where there is no such campaign.
    async fn run_job(&self, order: &ImportJob, context: &Context) -> Result<bool, Error> {
        let (id, owner, now) = (&order.campaign, context.request_id.as_str(), cloud::now());
        let campaign = match self
            .campaigns
            .acquire_lease(id, owner, now, now.saturating_sub(IMPORT_LEASE_MS))
            .await?
        {
            Lease::Acquired(campaign) => campaign,
            Lease::HeldByOther => {
                tracing::info!(campaign.id = %id, "the campaign's files are being read; looking again later");
                self.import_queue.enqueue(order, LEASE_RETRY_DELAY).await?;
                return Ok(true);
            }
            Lease::UnknownCampaign => return Ok(false),
        };
        let mut turn = ImportRun::new(owner, context.deadline);
        let worked = self.import(*campaign, order, &mut turn).await;
        self.campaigns.release_lease(id, owner).await?;
        let next = match worked? {
            Remaining::Nothing => return Ok(true),
            Remaining::Import => ImportJob::resume(id.clone()),
            Remaining::Requeue(position) => ImportJob::requeue(id.clone(), position),
        };
        tracing::info!(campaign.id = %id, "time runs out: handed over");
        self.import_queue.enqueue(&next, Duration::ZERO).await?;
        Ok(true)
    }

    /// Between records: shows life, and stops where another has taken over or time is over.
    pub(crate) async fn heartbeat(
        &self,
        campaign: &Campaign,
        turn: &mut ImportRun<'_>,
    ) -> Result<(), ImportError> {
        turn.records_since_check += 1;
        if turn.records_since_check < RECORDS_PER_CLOCK_CHECK {
            return Ok(());
        }
        turn.records_since_check = 0;
        if cloud::now() > turn.read_deadline {
            return Err(FileProblem::ReadTimeExceeded.into());
        }
        if turn.last_heartbeat.elapsed() < HEARTBEAT_INTERVAL {
            return Ok(());
        }
        turn.last_heartbeat = Instant::now();
        match self
            .campaigns
            .renew_lease(&campaign.id, turn.owner, cloud::now())
            .await?
        {
            true => Ok(()),
            false => Err(ImportError::Io("another invocation has taken over".into())),
        }
    }
}

/// Why a pass ended early.
pub(crate) enum ImportError {
    /// The file is at fault: a sentence for people.
    File(String),
    /// The way to it is.
    Io(Error),
}

impl From<ReadError> for ImportError {
    fn from(error: ReadError) -> Self {
        if error.is_retryable() {
            ImportError::Io(error.into())
        } else {
            ImportError::File(error.to_string())
        }
    }
}

impl From<FileProblem> for ImportError {
    fn from(problem: FileProblem) -> Self {
        ImportError::File(problem.to_string())
    }
}

impl From<Error> for ImportError {
    fn from(error: Error) -> Self {
        ImportError::Io(error)
    }
}

impl From<cloud::Error> for ImportError {
    fn from(error: cloud::Error) -> Self {
        ImportError::Io(error.into())
    }
}

/// S3 encodes keys in events as a query string does: `+` for a space, then percent.
fn decode_key(key: &str) -> String {
    percent_decode_str(&key.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_once_plus_first() {
        assert_eq!(
            decode_key("uploads/a+b%2Bc/input.csv"),
            "uploads/a b+c/input.csv"
        );
        assert_eq!(
            decode_key("uploads/%2541/input.csv"),
            "uploads/%41/input.csv"
        );
    }
}
