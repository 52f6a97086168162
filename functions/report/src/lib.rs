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
use campaign::import::Verdict;
use campaign::record::{Campaign, FileStage};
use campaign::summary::{Status, Summary};
use cloud::campaigns::Campaigns;
use cloud::counters::CounterTable;
use cloud::files::{Files, Upload, input_key, report_key, summary_key};
use cloud::imports::Imports;
use cloud::jobs::{Job, JobOrder, Jobs, Progress, Stage};
use cloud::ledger::Ledger;
use cloud::metrics::Metrics;
use cloud::output::Output;
use lambda_runtime::{Error, tracing};
use people::ReadError;

use crate::lines::{Ending, Lines};
use crate::rows::Rows;

/// How often a job shows how far it is.
const BEAT: Duration = Duration::from_secs(2);

/// Records between two looks at the clock.
const RECORDS: u64 = 1024;

/// What a report needs, made once per process.
#[derive(Debug)]
pub struct Report {
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
    pub settle: Duration,
}

impl Report {
    /// Reads the environment; fails where anything is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::config().await;
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
            settle: Duration::from_secs(15),
        })
    }

    /// Does the jobs of an event; an error makes them come again.
    pub async fn handle(&self, event: SqsEvent) -> Result<(), Error> {
        for message in event.records {
            let order = serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
            self.run(&order).await?;
        }
        Ok(())
    }

    /// Does a job.
    pub async fn run(&self, order: &JobOrder) -> Result<(), Error> {
        let id = &order.campaign;
        let Some(campaign) = self.campaigns.get(id).await? else {
            return Ok(());
        };
        let now = cloud::now();
        let noted = self.jobs.progress(id, order.job).await?;
        let mut work = Work {
            report: self,
            order,
            progress: noted.unwrap_or_else(|| Progress::requested(now)),
            beat: Instant::now(),
            records: 0,
        };
        work.enter(Stage::Running, None).await?;
        let ended = match order.job {
            Job::Report { bom } => self.report(&campaign, bom, &mut work).await,
            Job::Recount => self.recount(&campaign, &mut work).await,
        };
        Metrics::of("report")
            .count("Jobs", 1)
            .count("Rows", work.progress.rows as usize)
            .millis("Duration", cloud::now().saturating_sub(now))
            .write();
        match ended {
            Ok(outcome) => work.enter(Stage::Done, Some(outcome)).await?,
            Err(JobError::Impossible(why)) => {
                tracing::warn!(campaign.id = %id, "a job ended: {why}");
                work.enter(Stage::Failed, Some(why)).await?;
            }
            Err(JobError::Way(error)) => return Err(error),
        }
        Ok(())
    }

    async fn report(
        &self,
        campaign: &Campaign,
        bom: bool,
        work: &mut Work<'_>,
    ) -> Result<String, JobError> {
        let mut summary = Summary::default();
        let mut written = 0;
        for (index, file) in campaign.files.iter().enumerate() {
            if matches!(file.stage, FileStage::Examined | FileStage::Split) {
                self.file(campaign, index, bom, &mut summary, work).await?;
                written += 1;
            }
        }
        if written == 0 {
            let why = "No file of this campaign was read yet.";
            return Err(JobError::Impossible(why.into()));
        }
        let mut output = Output::new(&self.files, summary_key(&campaign.id));
        output.write(&serde_json::to_vec(&summary)?).await?;
        output.finish().await?;
        let rows = summary.rows;
        tracing::info!(campaign.id = %campaign.id, files = written, rows, "report written");
        Ok(format!("{rows} rows in {written} file(s)."))
    }

    async fn file(
        &self,
        campaign: &Campaign,
        index: usize,
        bom: bool,
        summary: &mut Summary,
        work: &mut Work<'_>,
    ) -> Result<(), JobError> {
        let key = input_key(&campaign.id, Upload::File(index));
        if self.files.version(&key).await?.is_none() {
            let why = "An uploaded file is gone: it is kept for as long as the parameter FileRetentionDays says.";
            return Err(JobError::Impossible(why.into()));
        }
        let between = async || work.beat().await;
        let opened = people::files::open(&self.files, campaign, index, between).await?;
        let mut people = opened.people;
        let kept_back = self.imports.kept_back(&campaign.id, index).await?;
        let mut rows = Rows::new(&self.ledger, campaign, index);
        let lines = Lines::new(&people);
        let mut output = Output::new(&self.files, report_key(&campaign.id, index));
        output.write(lines.header(&people, bom).as_slice()).await?;
        let mut number = u32::try_from(campaign.rows_before(index)).unwrap_or(u32::MAX);
        while let Some(verdict) = people.next().await? {
            number += 1;
            let result = match verdict {
                Verdict::Rejected(reject) => {
                    Ending::left_out(Status::RejectedAtImport, reject.reason.to_string())
                }
                Verdict::Duplicate => {
                    Ending::left_out(Status::Duplicate, "the number came before in the file")
                }
                Verdict::Suppressed => {
                    Ending::left_out(Status::Suppressed, "on the campaign's exclude list")
                }
                Verdict::Usable(row) if kept_back.contains(&row.row) => Ending::left_out(
                    Status::Suppressed,
                    "on the standing list of people who are not messaged",
                ),
                Verdict::Usable(row) => {
                    let entry = rows.get(row.row).await?;
                    let fate = entry.as_ref().map(lines::fate);
                    summary.add(row.to, fate.as_ref());
                    Ending::of(entry, fate)
                }
            };
            if result.left_out {
                summary.left_out(result.status);
            }
            output.write(&lines.line(&people, number, &result)).await?;
            work.record().await?;
        }
        Ok(output.finish().await?)
    }
}

/// A job under way.
pub(crate) struct Work<'a> {
    report: &'a Report,
    order: &'a JobOrder,
    progress: Progress,
    beat: Instant,
    records: u64,
}

impl Work<'_> {
    /// One more record is done.
    async fn record(&mut self) -> Result<(), JobError> {
        self.progress.rows += 1;
        self.beat().await
    }

    /// Shows how far it is, now and then.
    pub(crate) async fn beat(&mut self) -> Result<(), JobError> {
        self.records += 1;
        if !self.records.is_multiple_of(RECORDS) || self.beat.elapsed() < BEAT {
            return Ok(());
        }
        self.beat = Instant::now();
        Ok(self.enter(Stage::Running, None).await?)
    }

    pub(crate) async fn enter(
        &mut self,
        stage: Stage,
        outcome: Option<String>,
    ) -> Result<(), cloud::Error> {
        self.progress.stage = stage;
        self.progress.beat_at = cloud::now();
        self.progress.outcome = outcome;
        let (id, job) = (&self.order.campaign, self.order.job);
        self.report.jobs.note(id, job, &self.progress).await
    }
}

/// Why a job ended early.
pub(crate) enum JobError {
    /// It cannot be done; a sentence for people.
    Impossible(String),
    /// The way to something failed: the order comes again.
    Way(Error),
}

impl From<ReadError> for JobError {
    fn from(error: ReadError) -> Self {
        if error.is_on_the_way() {
            JobError::Way(error.into())
        } else {
            JobError::Impossible(format!("The file cannot be read again: {error}."))
        }
    }
}

impl From<cloud::Error> for JobError {
    fn from(error: cloud::Error) -> Self {
        JobError::Way(error.into())
    }
}

impl From<serde_json::Error> for JobError {
    fn from(error: serde_json::Error) -> Self {
        JobError::Way(error.into())
    }
}
