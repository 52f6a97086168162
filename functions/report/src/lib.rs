//! The report function runs three kinds of jobs. A report returns the operator's files with the outcome of each row, and a
//! summary. A recount computes a campaign's counters again. A suppression puts the recipients of some rows on the suppression
//! list. Each reads the whole ledger of the campaign, a thousand rows at a time, so memory does not grow with it.
//!
//! | the invocation dies … | what is stored | repaired by |
//! |---|---|---|
//! | while it writes a file | nothing new: an object becomes visible when its upload is complete | the job's message, which is delivered again |
//! | between two files | some files of the new report, others of the one before | the same |
//! | while it recounts | the counters as they were | the same |
//! | while it suppresses | some recipients are on the list | the same: whoever is on it stays as they are |
//!
//! - `job`: the progress of a job, and the errors that end it
//! - `write`: the report, with the ledger in the file's order ([`recipients::ledger_reader`]); `lines`: lines of a report
//! - `recount`: the counters
//! - `suppress`: the recipients of some rows

mod job;
mod lines;
mod recount;
mod suppress;
mod write;

use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use campaign::lifecycle::campaign::Campaign;
use cloud::campaigns::Campaigns;
use cloud::contacts::Contacts;
use cloud::counters::CounterTable;
use cloud::files::Files;
use cloud::imports::Imports;
use cloud::jobs::{Job, JobProgress, JobRequest, JobStage, Jobs};
use cloud::ledger::Ledger;
use cloud::metrics::Metrics;
use lambda_runtime::Error;

use crate::job::{JobError, JobRun};

/// What the report function needs, created once per process.
#[derive(Debug)]
pub struct Reporter {
    /// Campaigns.
    pub campaigns: Campaigns,
    /// Rows that were suppressed when the file was enqueued.
    pub imports: Imports,
    /// Rows.
    pub ledger: Ledger,
    /// Counters.
    pub counters: CounterTable,
    /// The suppression list.
    pub contacts: Contacts,
    /// The bucket.
    pub files: Files,
    /// The progress of jobs.
    pub jobs: Jobs,
    /// How often a recount asks whether the counters include what is in the ledger.
    pub poll_interval: Duration,
}

impl Reporter {
    /// Reads the environment. Fails if a variable is missing or invalid.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::load_config();
        let (dynamodb, sqs) = (aws::dynamodb(&config), aws::sqs(&config));
        let (table, retention) = (
            env::required("CAMPAIGNS_TABLE")?,
            env::parsed("RETENTION_DAYS")?,
        );
        let queue = env::required("JOBS_QUEUE_URL")?;
        let messages = env::required("MESSAGES_TABLE")?;
        Ok(Self {
            campaigns: Campaigns::new(dynamodb.clone(), table.clone(), retention),
            imports: Imports::new(dynamodb.clone(), table.clone(), retention),
            ledger: Ledger::new(dynamodb.clone(), messages, retention),
            counters: CounterTable::new(dynamodb.clone(), table.clone(), retention),
            files: Files::new(aws::s3(&config), env::required("UPLOADS_BUCKET")?),
            contacts: Contacts::new(
                dynamodb.clone(),
                env::required("CONTACTS_TABLE")?,
                retention,
            ),
            jobs: Jobs::new(dynamodb, table, retention, sqs, queue),
            poll_interval: Duration::from_secs(2),
        })
    }

    /// Runs the jobs of an event. An error makes their messages come again.
    pub async fn handle(&self, event: SqsEvent) -> Result<(), Error> {
        for message in event.records {
            let request = cloud::message_body::decode(message.body.as_deref().unwrap_or_default())?;
            // Boxed, because the compiler limits how deeply futures may be nested.
            Box::pin(self.run_job(&request)).await?;
        }
        Ok(())
    }

    /// Runs a job to its end and stores the outcome. A job that can never succeed is not an error.
    #[tracing::instrument(skip_all, fields(campaign.id = %request.campaign, job = request.job.kind().name()))]
    pub async fn run_job(&self, request: &JobRequest) -> Result<(), Error> {
        let id = &request.campaign;
        let Some(campaign) = self.campaigns.get(id).await? else {
            return Ok(());
        };
        let started_at = cloud::now();
        let progress = self.jobs.get_progress(id, request.job.kind()).await?;
        let progress = progress.unwrap_or_else(|| JobProgress::requested(request.requested_at));
        let is_superseded = request.requested_at != progress.requested_at;
        if is_superseded || progress.stage == JobStage::Done {
            cloud::sometimes!("a job that is done or was requested again is left out");
            return Ok(());
        }
        if progress.stage != JobStage::Requested {
            cloud::sometimes!("a job runs again");
        }
        let mut run = JobRun::new(self, request, progress);
        run.set_stage(JobStage::Running, None).await?;
        let result = self.execute(&campaign, &request.job, &mut run).await;
        Metrics::for_function("report")
            .add_count("Jobs", 1)
            .add_count("Rows", run.rows() as usize)
            .add_millis("Duration", cloud::now().saturating_sub(started_at))
            .emit();
        match result {
            Ok(outcome) => run.set_stage(JobStage::Done, Some(outcome)).await?,
            Err(JobError::Permanent(problem)) => {
                tracing::warn!(campaign.id = %id, "the job failed: {problem}");
                run.set_stage(JobStage::Failed, Some(problem)).await?;
            }
            Err(JobError::Io(error)) => return Err(error),
        }
        Ok(())
    }

    /// Returns the outcome, as a sentence for the operator.
    async fn execute(
        &self,
        campaign: &Campaign,
        job: &Job,
        run: &mut JobRun<'_>,
    ) -> Result<String, JobError> {
        match job {
            Job::Report { bom } => self.write_report(campaign, *bom, run).await,
            Job::Recount => self.recount(campaign, run).await,
            Job::Suppress { selection, reason } => {
                self.suppress(campaign, selection, reason, run).await
            }
        }
    }
}
