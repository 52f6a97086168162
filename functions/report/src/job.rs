//! A job that runs: its stored progress, and the errors that end it early.

use std::time::{Duration, Instant};

use campaign::id::RowNumber;
use campaign::time::Millis;
use cloud::jobs::{JobProgress, JobRequest, JobStage};
use lambda_runtime::Error;
use recipients::ReadError;

use crate::Reporter;

/// How often a job stores its progress.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);

/// Records between two looks at the clock.
const RECORDS_PER_CLOCK_CHECK: u64 = 1024;

/// A job that runs.
pub(crate) struct JobRun<'a> {
    reporter: &'a Reporter,
    request: &'a JobRequest,
    progress: JobProgress,
    last_heartbeat: Instant,
    records: u64,
}

impl<'a> JobRun<'a> {
    pub(crate) fn new(
        reporter: &'a Reporter,
        request: &'a JobRequest,
        progress: JobProgress,
    ) -> Self {
        Self {
            reporter,
            request,
            progress,
            last_heartbeat: Instant::now(),
            records: 0,
        }
    }

    /// When the job was requested.
    pub(crate) fn requested_at(&self) -> Millis {
        self.progress.requested_at
    }

    /// What the job has changed so far, in an earlier run of it, too.
    pub(crate) fn affected(&self) -> u64 {
        self.progress.affected
    }

    /// Stores that every row up to this one is done, and how many things were changed for that.
    pub(crate) async fn finish_rows(
        &mut self,
        up_to: RowNumber,
        affected: u64,
    ) -> Result<(), cloud::Error> {
        self.progress.rows = u64::from(up_to);
        self.progress.affected += affected;
        self.set_stage(JobStage::Running, None).await
    }

    /// Rows processed so far.
    pub(crate) fn rows(&self) -> u64 {
        self.progress.rows
    }

    /// Counts the rows from 0 again.
    pub(crate) fn reset_rows(&mut self) {
        self.progress.rows = 0;
    }

    /// Counts one more row.
    pub(crate) async fn count_row(&mut self) -> Result<(), JobError> {
        self.progress.rows += 1;
        self.heartbeat().await
    }

    /// Call this for each record. Now and then it stores the progress.
    pub(crate) async fn heartbeat(&mut self) -> Result<(), JobError> {
        self.records += 1;
        if !self.records.is_multiple_of(RECORDS_PER_CLOCK_CHECK)
            || self.last_heartbeat.elapsed() < HEARTBEAT_INTERVAL
        {
            return Ok(());
        }
        self.last_heartbeat = Instant::now();
        // Boxed: the request would make the future large, and it is made for each record.
        Ok(Box::pin(self.set_stage(JobStage::Running, None)).await?)
    }

    /// Stores the progress with this stage and outcome.
    pub(crate) async fn set_stage(
        &mut self,
        stage: JobStage,
        outcome: Option<String>,
    ) -> Result<(), cloud::Error> {
        self.progress.stage = stage;
        self.progress.heartbeat_at = cloud::now();
        self.progress.outcome = outcome;
        let (id, job) = (&self.request.campaign, self.request.job.kind());
        self.reporter
            .jobs
            .write_progress(id, job, &self.progress)
            .await
    }
}

/// Why a job ended early.
pub(crate) enum JobError {
    /// The job can never succeed; a sentence for the operator.
    Permanent(String),
    /// Something failed that may succeed when the job's message comes again.
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
