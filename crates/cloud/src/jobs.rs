//! Jobs that take longer than an API request: the request is in a queue, the progress beside its campaign in
//! the campaigns table (`part` = `job#{kind}`).

use aws_sdk_dynamodb::types::AttributeValue;
use campaign::id::CampaignId;
use campaign::lifecycle::retry::RetrySelection;
use campaign::time::Millis;
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, IntoStaticStr};

use crate::dynamodb::{from_attribute, get_item, number, text, to_attribute};
use crate::{Error, sqs, ttl};

/// A job without a heartbeat for this time has died; SQS delivers its request again.
const HEARTBEAT_TIMEOUT_MS: Millis = 20 * 60_000;

/// Asks for a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRequest {
    /// The campaign.
    pub campaign: CampaignId,
    /// The job.
    pub job: Job,
    /// When it was requested: a job that was requested again meanwhile takes its place.
    #[serde(default)]
    pub requested_at: Millis,
    /// How many messages led to this one, one after the other ([`campaign::delivery::batch::Batch::hops`]).
    #[serde(default)]
    pub hops: u32,
}

/// A kind of job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, EnumDiscriminants)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[strum_discriminants(
    name(JobKind),
    derive(IntoStaticStr),
    strum(serialize_all = "snake_case"),
    doc = "A kind of job, whatever it was requested with: a campaign has one of each at a time."
)]
pub enum Job {
    /// Writes the operator's files with the outcome of each row.
    Report {
        /// Whether the files begin with a byte order mark, by which Excel recognises UTF-8.
        bom: bool,
    },
    /// Counts the campaign's rows again, from the ledger.
    Recount,
    /// Puts the recipients of some of its rows on the suppression list.
    Suppress {
        /// The rows, chosen as a retry chooses them.
        selection: RetrySelection,
        /// Why, for those who read a contact's history later.
        reason: String,
    },
}

impl Job {
    /// Its kind.
    pub fn kind(&self) -> JobKind {
        self.into()
    }
}

impl JobKind {
    /// Its name, in logs and in the table.
    pub fn name(self) -> &'static str {
        self.into()
    }

    fn part(self) -> AttributeValue {
        text(&format!("job#{}", self.name()))
    }
}

/// The progress of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProgress {
    /// Its stage.
    pub stage: JobStage,
    /// When it was requested.
    pub requested_at: Millis,
    /// When it last reported progress.
    pub heartbeat_at: Millis,
    /// Rows processed so far.
    pub rows: u64,
    /// What the job has changed so far, such as recipients that it suppressed.
    #[serde(default)]
    pub affected: u64,
    /// The result, or why there is none; a sentence for the operator.
    #[serde(default)]
    pub outcome: Option<String>,
}

/// The stage of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum JobStage {
    /// In the queue.
    Requested,
    /// Under way.
    Running,
    /// Finished.
    Done,
    /// Failed for good; the outcome says why.
    Failed,
}

impl JobStage {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl JobProgress {
    /// The progress of a job that was requested just now.
    pub fn requested(now: Millis) -> Self {
        Self {
            stage: JobStage::Requested,
            requested_at: now,
            heartbeat_at: now,
            rows: 0,
            affected: 0,
            outcome: None,
        }
    }

    /// Whether the job is running, or waits in the queue.
    pub fn is_in_progress(&self, now: Millis) -> bool {
        match self.stage {
            JobStage::Requested | JobStage::Running => {
                now < self.heartbeat_at + HEARTBEAT_TIMEOUT_MS
            }
            JobStage::Done | JobStage::Failed => false,
        }
    }
}

/// Jobs: their progress in the campaigns table, their requests in a queue.
#[derive(Clone, Debug)]
pub struct Jobs {
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
    retention_days: u32,
    sqs: aws_sdk_sqs::Client,
    queue_url: String,
}

impl Jobs {
    /// In this table and this queue; progress expires after `retention_days`.
    pub fn new(
        dynamodb: aws_sdk_dynamodb::Client,
        table: String,
        retention_days: u32,
        sqs: aws_sdk_sqs::Client,
        queue_url: String,
    ) -> Self {
        Self {
            dynamodb,
            table,
            retention_days,
            sqs,
            queue_url,
        }
    }

    /// Enqueues a job.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, job = job.kind().name()))]
    pub async fn enqueue(
        &self,
        campaign: &CampaignId,
        job: Job,
        now: Millis,
    ) -> Result<JobProgress, Error> {
        let mut progress = JobProgress::requested(now);
        self.write_progress(campaign, job.kind(), &progress).await?;
        let request = JobRequest {
            campaign: campaign.clone(),
            job,
            requested_at: now,
            hops: 0,
        };
        let action = "enqueue a job";
        let sent = sqs::send_json(&self.sqs, &self.queue_url, action, &request).await;
        if let Err(error) = sent {
            // Else it would count as in progress, and could not be requested again.
            progress.stage = JobStage::Failed;
            progress.outcome = Some("The job could not be enqueued. Request it again.".into());
            self.write_progress(campaign, request.job.kind(), &progress)
                .await?;
            return Err(error);
        }
        Ok(progress)
    }

    /// Stores the progress of a job.
    pub async fn write_progress(
        &self,
        campaign: &CampaignId,
        job: JobKind,
        progress: &JobProgress,
    ) -> Result<(), Error> {
        let action = "store the progress of a job";
        let expires_at = ttl(progress.requested_at, self.retention_days);
        let put = self
            .dynamodb
            .put_item()
            .table_name(&self.table)
            .item("id", text(campaign.as_str()))
            .item("part", job.part())
            .item("progress", to_attribute(action, progress)?)
            .item("expires_at", number(expires_at));
        put.send().await.map(drop).map_err(Error::from_sdk(action))
    }

    /// The progress of a job; `None` if it was never requested.
    pub async fn get_progress(
        &self,
        campaign: &CampaignId,
        job: JobKind,
    ) -> Result<Option<JobProgress>, Error> {
        let action = "read the progress of a job";
        let get = self
            .dynamodb
            .get_item()
            .table_name(&self.table)
            .key("id", text(campaign.as_str()))
            .key("part", job.part());
        let item = get_item(action, get).await?;
        item.and_then(|mut item| item.remove("progress"))
            .map(|progress| from_attribute(action, progress))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_their_json() {
        let report = Job::Report { bom: true };
        let json = serde_json::to_value(&report).expect("JSON");
        let names = [report.kind().name(), Job::Recount.kind().name()];
        assert_eq!(names, ["report", "recount"]);
        assert_eq!(json["kind"], report.kind().name());
        for stage in [
            JobStage::Requested,
            JobStage::Running,
            JobStage::Done,
            JobStage::Failed,
        ] {
            assert_eq!(serde_json::to_value(stage).expect("JSON"), stage.name());
        }
    }

    #[test]
    fn job_without_a_heartbeat_is_not_in_progress() {
        let progress = JobProgress::requested(1000);
        assert!(progress.is_in_progress(999 + HEARTBEAT_TIMEOUT_MS));
        assert!(!progress.is_in_progress(1000 + HEARTBEAT_TIMEOUT_MS));
    }
}
