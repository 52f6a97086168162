//! What takes longer than a request: the order in a queue, and how far it is beside its campaign (`part` = `job#{kind}`).

use aws_sdk_dynamodb::types::AttributeValue;
use campaign::delivery::outcome::Millis;
use campaign::id::CampaignId;
use serde::{Deserialize, Serialize};

use crate::campaigns::{number, text, to_attribute};
use crate::{Error, ttl};

/// A job that showed no life for this long has died; SQS brings its order again.
const HEARTBEAT_TIMEOUT_MS: Millis = 20 * 60_000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRequest {
    /// For which campaign.
    pub campaign: CampaignId,
    /// What.
    pub job: Job,
}

/// A kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Job {
    /// The operator's files back, with what became of each row.
    Report {
        /// Whether the files begin with the mark by which Excel knows UTF-8.
        bom: bool,
    },
    /// The counters anew, from the ledger.
    Recount,
}

impl Job {
    fn kind(self) -> &'static str {
        match self {
            Job::Report { .. } => "report",
            Job::Recount => "recount",
        }
    }
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProgress {
    /// Where it stands.
    pub stage: JobStage,
    /// When it was asked for.
    pub requested_at: Millis,
    /// The last sign of life.
    pub heartbeat_at: Millis,
    /// Rows done so far.
    pub rows: u64,
    /// What came of it, or why nothing did; for people.
    #[serde(default)]
    pub outcome: Option<String>,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStage {
    /// In the queue.
    Requested,
    /// Under way.
    Running,
    /// Done.
    Done,
    /// Impossible; the outcome says why.
    Failed,
}

impl JobStage {
    /// As the API shows it.
    pub fn name(self) -> &'static str {
        match self {
            JobStage::Requested => "requested",
            JobStage::Running => "running",
            JobStage::Done => "done",
            JobStage::Failed => "failed",
        }
    }
}

impl JobProgress {
    /// One that was asked for just now.
    pub fn requested(now: Millis) -> Self {
        Self {
            stage: JobStage::Requested,
            requested_at: now,
            heartbeat_at: now,
            rows: 0,
            outcome: None,
        }
    }

    /// Whether somebody is at it, or will be soon.
    pub fn is_in_progress(&self, now: Millis) -> bool {
        let open = matches!(self.stage, JobStage::Requested | JobStage::Running);
        open && now < self.heartbeat_at + HEARTBEAT_TIMEOUT_MS
    }
}

/// Jobs: the notes in the campaigns table, the orders in a queue.
#[derive(Clone, Debug)]
pub struct Jobs {
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
    retention_days: u32,
    sqs: aws_sdk_sqs::Client,
    queue: String,
}

impl Jobs {
    /// In these two; notes expire after `retention_days`.
    pub fn new(
        dynamodb: aws_sdk_dynamodb::Client,
        table: String,
        retention_days: u32,
        sqs: aws_sdk_sqs::Client,
        queue: String,
    ) -> Self {
        Self {
            dynamodb,
            table,
            retention_days,
            sqs,
            queue,
        }
    }

    /// Asks for a job.
    pub async fn enqueue(&self, order: &JobRequest, now: Millis) -> Result<JobProgress, Error> {
        let action = "ask for a job";
        let progress = JobProgress::requested(now);
        self.write_progress(&order.campaign, order.job, &progress)
            .await?;
        let body = serde_json::to_string(order).map_err(|error| Error::new(action, error))?;
        let send = self.sqs.send_message().queue_url(&self.queue);
        send.message_body(body)
            .send()
            .await
            .map_err(Error::from_sdk(action))?;
        Ok(progress)
    }

    /// Notes how far one is.
    pub async fn write_progress(
        &self,
        campaign: &CampaignId,
        job: Job,
        progress: &JobProgress,
    ) -> Result<(), Error> {
        let action = "note how far a job is";
        let expiry = ttl(progress.requested_at, self.retention_days);
        let put = self
            .dynamodb
            .put_item()
            .table_name(&self.table)
            .item("id", text(campaign.as_str()))
            .item("part", text(&format!("job#{}", job.kind())))
            .item("progress", to_attribute(action, progress)?)
            .item("expires_at", number(expiry));
        put.send().await.map(drop).map_err(Error::from_sdk(action))
    }

    /// How far one is; `None` where nobody asked for it.
    pub async fn get_progress(
        &self,
        campaign: &CampaignId,
        job: Job,
    ) -> Result<Option<JobProgress>, Error> {
        let action = "read how far a job is";
        let get = self
            .dynamodb
            .get_item()
            .table_name(&self.table)
            .key("id", text(campaign.as_str()))
            .key("part", text(&format!("job#{}", job.kind())))
            .consistent_read(true);
        let item = get.send().await.map_err(Error::from_sdk(action))?.item;
        let progress: Option<AttributeValue> = item.and_then(|mut item| item.remove("progress"));
        progress
            .map(|progress| {
                serde_dynamo::from_attribute_value(progress)
                    .map_err(|error| Error::new(action, error))
            })
            .transpose()
    }
}
