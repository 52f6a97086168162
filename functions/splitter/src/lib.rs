//! The splitter validates an uploaded file, then enqueues its rows in batches.
//!
//! It reads the file once. This first pass sends nothing: a problem with the file as a whole must show before the first
//! message is sent, and the operator may want to check the preview. It stores the verdict on each row in chunks
//! ([`recipients::chunks`]), which are all that the second pass, and whatever comes later, reads.
//!
//! | the invocation dies … | the file is | repaired by |
//! |---|---|---|
//! | while it validates | `reading`; nothing was sent, and its chunks belong to no file | the event or import job, which is delivered again: the file is read from the start, into other chunks |
//! | while it writes the file of a retry | `reading`; the object appears only when it is complete | the import job, which is delivered again: the file is written from the start |
//! | after it claimed the file's content, before the first batch | `validated`; the claim names this campaign | the event or import job, which is delivered again: a campaign's own claim does not refuse its file |
//! | while it enqueues | `validated`; the checkpoint says which batches may be in the queue | the event or import job, which is delivered again: the chunks are read from the checkpoint on |
//! | while it requeues | unchanged | the import job, which holds the position to start from; requeuing a row twice is harmless |
//! | after it handed over | as while it enqueues | the next import job |
//! | for good: no event is left | as above | the reconciler, which sends an import job |
//!
//! Only one invocation at a time reads the files of a campaign: it acquires a lease, renews it and releases it. A job
//! that finds the lease held waits in the campaigns table, and the invocation that releases the lease puts it back into the
//! queue. Enqueuing a batch twice is harmless, because a row can be claimed only once. What an invocation stores of a file
//! or in a checkpoint after it has lost the lease is refused; so is what it found of a file that has other options meanwhile: the
//! import then begins again.
//!
//! | a job that waits: the invocation dies … | the job is | repaired by |
//! |---|---|---|
//! | before the job is stored | in its queue message or event | SQS or Lambda, which deliver it again |
//! | after it is stored, before its message is deleted | stored, and delivered again | nothing to repair: it runs twice, which is harmless |
//! | while it has the lease and others wait | stored | the reconciler, once the lease has expired |
//! | after the lease is released, before a job is woken | stored | the reconciler |
//! | after a job is woken, before it is removed | in the queue, and stored | nothing to repair: it runs twice |
//!
//! - `job`: one event, from the lease to the hand-over
//! - `run`: the time limits and heartbeats of an invocation, and the errors that end it
//! - `import`: what to do about a campaign's files; `finish`: what is stored when an import got further
//! - `validate`, `enqueue`: the two passes
//! - `requeue`: rows that were in the queue before, after a pause or a loss; `requeuer`: a few thousand of them
//! - `rejects`: lines of the rejects file
//! - `repeat_guard`: files that were sent already
//! - `retry_file`: chosen rows of another campaign, which are sent again

mod enqueue;
mod finish;
mod import;
mod job;
mod rejects;
mod repeat_guard;
mod requeue;
mod requeuer;
mod retry_file;
mod run;
mod validate;

use aws_lambda_events::s3::S3EventRecord;
use aws_lambda_events::sqs::SqsMessage;
use cloud::campaigns::Campaigns;
use cloud::contacts::Contacts;
use cloud::counters::CounterTable;
use cloud::files::Files;
use cloud::import_queue::ImportQueue;
use cloud::imports::Imports;
use cloud::ledger::Ledger;
use cloud::numbers::Numbers;
use cloud::sent_files::SentFiles;
use cloud::waiting_jobs::WaitingJobs;
use lambda_runtime::{Context, Error};
use recipients::chunks::MAX_CHUNK_ROWS;
use serde::Deserialize;

/// What the splitter needs, created once per process.
#[derive(Debug)]
pub struct Splitter {
    campaigns: Campaigns,
    imports: Imports,
    contacts: Contacts,
    ledger: Ledger,
    counters: CounterTable,
    files: Files,
    numbers: Numbers,
    import_queue: ImportQueue,
    waiting_jobs: WaitingJobs,
    sent_files: SentFiles,
    chunk_rows: u32,
}

/// What invokes the splitter: an upload or an import job.
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

impl Splitter {
    /// Reads the environment. Fails if a variable is missing or invalid.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::load_config();
        let (dynamodb, sqs) = (aws::dynamodb(&config), aws::sqs(&config));
        let (table, retention) = (
            env::required("CAMPAIGNS_TABLE")?,
            env::parsed("RETENTION_DAYS")?,
        );
        Ok(Self {
            campaigns: Campaigns::new(dynamodb.clone(), table.clone(), retention),
            imports: Imports::new(dynamodb.clone(), table.clone(), retention),
            waiting_jobs: WaitingJobs::new(dynamodb.clone(), table.clone()),
            counters: CounterTable::new(dynamodb.clone(), table.clone(), retention),
            sent_files: SentFiles::new(dynamodb.clone(), table),
            contacts: Contacts::new(
                dynamodb.clone(),
                env::required("CONTACTS_TABLE")?,
                retention,
            ),
            ledger: Ledger::new(
                dynamodb.clone(),
                env::required("MESSAGES_TABLE")?,
                retention,
            ),
            files: Files::new(aws::s3(&config), env::required("UPLOADS_BUCKET")?),
            numbers: Numbers::from_env(&sqs, &dynamodb)?,
            import_queue: ImportQueue::new(sqs, env::required("IMPORT_QUEUE_URL")?),
            chunk_rows: MAX_CHUNK_ROWS,
        })
    }

    /// With smaller chunks, so that small files have several.
    pub fn with_chunk_rows(self, chunk_rows: u32) -> Self {
        Self { chunk_rows, ..self }
    }

    /// Creates a splitter from its parts.
    #[expect(
        clippy::too_many_arguments,
        reason = "each part is a separate resource, and this is the only place that combines them"
    )]
    pub fn new(
        campaigns: Campaigns,
        imports: Imports,
        contacts: Contacts,
        ledger: Ledger,
        counters: CounterTable,
        files: Files,
        numbers: Numbers,
        import_queue: ImportQueue,
        waiting_jobs: WaitingJobs,
        sent_files: SentFiles,
    ) -> Self {
        Self {
            campaigns,
            imports,
            contacts,
            ledger,
            counters,
            files,
            numbers,
            import_queue,
            waiting_jobs,
            sent_files,
            chunk_rows: MAX_CHUNK_ROWS,
        }
    }

    /// Handles an event. S3 sends one upload at a time, SQS one import job. An error makes the event come again.
    pub async fn handle(&self, event: Event, context: Context) -> Result<(), Error> {
        for record in event.records {
            // Boxed, because the compiler limits how deeply futures may be nested.
            match record {
                Record::Upload(record) => Box::pin(self.handle_upload(&record, &context)).await?,
                Record::Job(message) => Box::pin(self.handle_message(&message, &context)).await?,
            }
        }
        Ok(())
    }
}
