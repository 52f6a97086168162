//! The report: the operator's files back, each row with what became of it, and a summary; also a campaign's counters anew.
//! Both read the ledger to its end, page by page, so memory does not grow with it.
//!
//! | the process dies … | what is there | repaired by |
//! |---|---|---|
//! | while it writes | nothing new: a file shows once it is whole | the order, which comes again |
//! | between two files | some files of the new report, others of the one before | the same |
//! | while it counts | the counters as they were | the same |
//!
//! - `rows`: the ledger beside the file, in the file's order
//! - `lines`: lines of a report
//! - `recount`: the counters

mod lines;
mod recount;
mod rows;

use std::time::{Duration, Instant};

use aws_lambda_events::sqs::SqsEvent;
use campaign::import::row::RowVerdict;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use campaign::lifecycle::summary::{RecipientStatus, Summary};
use cloud::campaigns::Campaigns;
use cloud::counters::CounterTable;
use cloud::files::{Files, Upload, input_key, report_key, summary_key};
use cloud::imports::Imports;
use cloud::jobs::{Job, JobProgress, JobRequest, JobStage, Jobs};
use cloud::ledger::Ledger;
use cloud::metrics::Metrics;
use cloud::multipart::MultipartWriter;
use lambda_runtime::{Error, tracing};
use recipients::ReadError;

use crate::lines::{LineWriter, RowOutcome};
use crate::rows::LedgerReader;

/// How often a job shows how far it is.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);

/// Records between two looks at the clock.
const RECORDS_PER_CLOCK_CHECK: u64 = 1024;

/// What a report needs, made once per process.
#[derive(Debug)]
pub struct Reporter {
    /// The campaigns table.
    pub campaigns: Campaigns,
    /// Who was kept back.
    pub imports: Imports,
    /// Rows.
    pub ledger: Ledger,
    /// Counters.
    pub counters: CounterTable,
    /// The bucket.
    pub files: Files,
    /// How far jobs are.
    pub jobs: Jobs,
    /// How long nothing must move before counters are put right: longer than the ledger's stream lags.
    pub settle_time: Duration,
}

impl Reporter {
    /// Reads the environment; fails where anything is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::load_config().await;
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
            jobs: Jobs::new(dynamodb, table, retention, sqs, queue),
            settle_time: Duration::from_secs(15),
        })
    }

    /// Does the jobs of an event; an error makes them come again.
    pub async fn handle(&self, event: SqsEvent) -> Result<(), Error> {
        for message in event.records {
            let order = serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
            self.run_job(&order).await?;
        }
        Ok(())
    }

    /// Does a job.
    pub async fn run_job(&self, order: &JobRequest) -> Result<(), Error> {
        let id = &order.campaign;
        let Some(campaign) = self.campaigns.get(id).await? else {
            return Ok(());
        };
        let now = cloud::now();
        let noted = self.jobs.get_progress(id, order.job).await?;
        let mut work = JobRun {
            reporter: self,
            order,
            progress: noted.unwrap_or_else(|| JobProgress::requested(now)),
            last_heartbeat: Instant::now(),
            records: 0,
        };
        work.set_stage(JobStage::Running, None).await?;
        let ended = match order.job {
            Job::Report { bom } => self.write_report(&campaign, bom, &mut work).await,
            Job::Recount => self.recount(&campaign, &mut work).await,
        };
        Metrics::for_function("report")
            .add_count("Jobs", 1)
            .add_count("Rows", work.progress.rows as usize)
            .add_millis("Duration", cloud::now().saturating_sub(now))
            .emit();
        match ended {
            Ok(outcome) => work.set_stage(JobStage::Done, Some(outcome)).await?,
            Err(JobError::Permanent(why)) => {
                tracing::warn!(campaign.id = %id, "a job ended: {why}");
                work.set_stage(JobStage::Failed, Some(why)).await?;
            }
            Err(JobError::Io(error)) => return Err(error),
        }
        Ok(())
    }

    async fn write_report(
        &self,
        campaign: &Campaign,
        bom: bool,
        work: &mut JobRun<'_>,
    ) -> Result<String, JobError> {
        let mut summary = Summary::default();
        let mut written = 0;
        for (index, file) in campaign.files.iter().enumerate() {
            if matches!(file.stage, FileStage::Validated | FileStage::Enqueued) {
                self.write_file_report(campaign, index, bom, &mut summary, work)
                    .await?;
                written += 1;
            }
        }
        if written == 0 {
            let why = "No file of this campaign was read yet.";
            return Err(JobError::Permanent(why.into()));
        }
        let mut output = MultipartWriter::new(&self.files, summary_key(&campaign.id));
        output.write(&serde_json::to_vec(&summary)?).await?;
        output.finish().await?;
        let rows = summary.rows;
        tracing::info!(campaign.id = %campaign.id, files = written, rows, "report written");
        Ok(format!("{rows} rows in {written} file(s)."))
    }

    async fn write_file_report(
        &self,
        campaign: &Campaign,
        index: usize,
        bom: bool,
        summary: &mut Summary,
        work: &mut JobRun<'_>,
    ) -> Result<(), JobError> {
        let key = input_key(&campaign.id, Upload::File(index));
        if self.files.latest_version(&key).await?.is_none() {
            let why = "An uploaded file is gone: it is kept for as long as the parameter FileRetentionDays says.";
            return Err(JobError::Permanent(why.into()));
        }
        let between = async || work.heartbeat().await;
        let opened = recipients::files::open_file(&self.files, campaign, index, between).await?;
        let mut people = opened.recipients;
        let kept_back = self
            .imports
            .get_suppressed_rows(&campaign.id, index)
            .await?;
        let mut rows = LedgerReader::new(&self.ledger, campaign, index);
        let lines = LineWriter::new(&people);
        let mut output = MultipartWriter::new(&self.files, report_key(&campaign.id, index));
        output
            .write(lines.header_line(&people, bom).as_slice())
            .await?;
        let mut number = u32::try_from(campaign.rows_before(index)).unwrap_or(u32::MAX);
        while let Some(verdict) = people.next_verdict().await? {
            number += 1;
            let result = match verdict {
                RowVerdict::Rejected(reject) => RowOutcome::dropped_at_import(
                    RecipientStatus::RejectedAtImport,
                    reject.reason.to_string(),
                ),
                RowVerdict::Duplicate => RowOutcome::dropped_at_import(
                    RecipientStatus::Duplicate,
                    "the number came before in the file",
                ),
                RowVerdict::Suppressed => RowOutcome::dropped_at_import(
                    RecipientStatus::Suppressed,
                    "on the campaign's exclude list",
                ),
                RowVerdict::Usable(row) if kept_back.contains(&row.row) => {
                    RowOutcome::dropped_at_import(
                        RecipientStatus::Suppressed,
                        "on the standing list of people who are not messaged",
                    )
                }
                RowVerdict::Usable(row) => {
                    let entry = rows.take_row(row.row).await?;
                    let fate = entry.as_ref().map(lines::delivery_record);
                    summary.add_recipient(row.to, fate.as_ref());
                    RowOutcome::from_ledger(entry, fate)
                }
            };
            if result.is_dropped_at_import {
                summary.add_not_enqueued(result.status);
            }
            output
                .write(&lines.row_line(&people, number, &result))
                .await?;
            work.count_record().await?;
        }
        Ok(output.finish().await?)
    }
}

/// A job under way.
pub(crate) struct JobRun<'a> {
    reporter: &'a Reporter,
    order: &'a JobRequest,
    progress: JobProgress,
    last_heartbeat: Instant,
    records: u64,
}

impl JobRun<'_> {
    /// One more record is done.
    async fn count_record(&mut self) -> Result<(), JobError> {
        self.progress.rows += 1;
        self.heartbeat().await
    }

    /// Shows how far it is, now and then.
    pub(crate) async fn heartbeat(&mut self) -> Result<(), JobError> {
        self.records += 1;
        if !self.records.is_multiple_of(RECORDS_PER_CLOCK_CHECK)
            || self.last_heartbeat.elapsed() < HEARTBEAT_INTERVAL
        {
            return Ok(());
        }
        self.last_heartbeat = Instant::now();
        Ok(self.set_stage(JobStage::Running, None).await?)
    }

    pub(crate) async fn set_stage(
        &mut self,
        stage: JobStage,
        outcome: Option<String>,
    ) -> Result<(), cloud::Error> {
        self.progress.stage = stage;
        self.progress.heartbeat_at = cloud::now();
        self.progress.outcome = outcome;
        let (id, job) = (&self.order.campaign, self.order.job);
        self.reporter
            .jobs
            .write_progress(id, job, &self.progress)
            .await
    }
}

/// Why a job ended early.
pub(crate) enum JobError {
    /// It cannot be done; a sentence for people.
    Permanent(String),
    /// The way to something failed: the order comes again.
    Io(Error),
}

impl From<ReadError> for JobError {
    fn from(error: ReadError) -> Self {
        if error.is_retryable() {
            JobError::Io(error.into())
        } else {
            JobError::Permanent(format!("The file cannot be read again: {error}."))
        }
    }
}

impl From<cloud::Error> for JobError {
    fn from(error: cloud::Error) -> Self {
        JobError::Io(error.into())
    }
}

impl From<serde_json::Error> for JobError {
    fn from(error: serde_json::Error) -> Self {
        JobError::Io(error.into())
    }
}
