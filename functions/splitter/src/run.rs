//! An invocation that imports: its time limits, its heartbeats, and the errors that end it early.

use std::time::{Duration, Instant};

use campaign::import::header::FileProblem;
use campaign::lifecycle::campaign::Campaign;
use campaign::time::Millis;
use cloud::import_queue::{ImportJob, Position};
use lambda_runtime::Error;
use recipients::ReadError;

use crate::Splitter;

/// How often an invocation renews its lease.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// Time that an invocation needs to hand over.
const SHUTDOWN_RESERVE_MS: Millis = 30_000;

/// Time that an invocation needs to store what it has read.
const FINISH_RESERVE_MS: Millis = 10_000;

/// Records between two looks at the clock.
const RECORDS_PER_CLOCK_CHECK: u32 = 512;

/// What is left to do when an invocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remaining {
    /// Nothing.
    Nothing,
    /// Files are still to be validated or enqueued.
    Import,
    /// Rows are still to be requeued, from this position on.
    Requeue(Position),
}

/// An invocation that imports one campaign.
pub(crate) struct ImportRun<'a> {
    owner: &'a str,
    deadline: Millis,
    records_since_check: u32,
    last_heartbeat: Instant,
    job_hops: u32,
    window_opened_at: Option<Millis>,
}

impl<'a> ImportRun<'a> {
    /// A run of the lease's owner until `deadline`.
    pub(crate) fn new(owner: &'a str, deadline: Millis, job: &ImportJob) -> Self {
        Self {
            owner,
            deadline,
            records_since_check: 0,
            last_heartbeat: Instant::now(),
            job_hops: job.hops,
            window_opened_at: job.window_opened_at,
        }
    }

    /// When the window opened for the rows that are requeued, if only those are.
    pub(crate) fn window_opened_at(&self) -> Option<Millis> {
        self.window_opened_at
    }

    /// The hops of the messages that it sends.
    pub(crate) fn message_hops(&self) -> u32 {
        self.job_hops + 1
    }

    /// Whether a file that has to be read in one go takes too long.
    fn is_read_time_over(&self) -> bool {
        cloud::now() + FINISH_RESERVE_MS > self.deadline
    }

    /// Whether it is time to hand over.
    pub(crate) fn is_out_of_time(&self) -> bool {
        cloud::now() + SHUTDOWN_RESERVE_MS > self.deadline
    }
}

impl Splitter {
    /// Call this for each record of a file that has to be read in one go. Fails if another invocation holds the lease, or if
    /// reading takes too long.
    pub(crate) async fn read_heartbeat(
        &self,
        campaign: &Campaign,
        run: &mut ImportRun<'_>,
    ) -> Result<(), ImportError> {
        let is_checked = self.heartbeat(campaign, run).await?;
        match is_checked && run.is_read_time_over() {
            true => Err(FileProblem::ReadTimeExceeded.into()),
            false => Ok(()),
        }
    }

    /// Call this for each row. Now and then it looks at the clock, renews the lease if that is due, and returns `true`. Fails
    /// if another invocation holds the lease.
    pub(crate) async fn heartbeat(
        &self,
        campaign: &Campaign,
        run: &mut ImportRun<'_>,
    ) -> Result<bool, ImportError> {
        run.records_since_check += 1;
        if run.records_since_check < RECORDS_PER_CLOCK_CHECK {
            return Ok(false);
        }
        run.records_since_check = 0;
        if run.last_heartbeat.elapsed() < HEARTBEAT_INTERVAL {
            return Ok(true);
        }
        run.last_heartbeat = Instant::now();
        // Boxed: the request would make the future large, and it is made for each row.
        let renew = self
            .campaigns
            .renew_lease(&campaign.id, run.owner, cloud::now());
        if !Box::pin(renew).await? {
            return Err(ImportError::Io("another invocation took the lease".into()));
        }
        Ok(true)
    }
}

/// Why a pass ended early.
pub(crate) enum ImportError {
    /// The file is unusable, for this reason.
    File(String),
    /// Reading the file, or a request to AWS, failed. Trying again may help.
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
