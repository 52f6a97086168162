//! Jobs that wait in the campaigns table until they can run, beside the campaign that they wait for (`part` =
//! `waiting_job#{key}`). Circling in a queue, they would be dropped: Lambda ends a chain of some sixteen
//! invocations (AWS, "Use Lambda recursive loop detection to prevent infinite loops").
//!
//! | job | waits for | woken by |
//! |---|---|---|
//! | import | the invocation that has the lease on the campaign's files | that invocation, after it has released the lease; else the reconciler |
//! | erasure | the end of a campaign with the recipient in its file | the reconciler |
//!
//! No job is lost: it is stored here before its message is deleted, is in the reconciler's index as long as it
//! is here, and is enqueued before it is removed. If a process dies in between, the job runs twice, which
//! changes nothing.

use aws_sdk_dynamodb::Client;
use campaign::id::CampaignId;
use serde::{Deserialize, Serialize};

use crate::campaigns::{RECONCILE_KEY, WAITING_JOB};
use crate::dynamodb::{query_values, text};
use crate::erasure_queue::ErasureJob;
use crate::import_queue::ImportJob;
use crate::{Error, message_body};

const PREFIX: &str = "waiting_job#";

/// A job that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitingJob {
    /// An import.
    Import(ImportJob),
    /// An erasure.
    Erasure(ErasureJob),
}

/// A job that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredJob {
    /// The job.
    pub job: WaitingJob,
    campaign: CampaignId,
    part: String,
}

/// Jobs that wait.
#[derive(Clone, Debug)]
pub struct WaitingJobs {
    client: Client,
    table: String,
}

#[derive(Deserialize)]
struct Item {
    part: String,
    job: String,
}

impl WaitingJobs {
    /// In the campaigns table of that name. Jobs do not expire.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Stores a job that waits for something of the campaign. The key names the message that asked for it, so
    /// that one message is stored once.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign))]
    pub async fn store(
        &self,
        campaign: &CampaignId,
        key: &str,
        job: WaitingJob,
    ) -> Result<StoredJob, Error> {
        let action = "store a job that waits";
        let json = message_body::encode(&job).map_err(|error| Error::new(action, error))?;
        let part = format!("{PREFIX}{key}");
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("id", text(campaign.as_str()))
            .item("part", text(&part))
            .item(RECONCILE_KEY, text(WAITING_JOB))
            .item("job", text(&json));
        put.send().await.map_err(Error::from_sdk(action))?;
        Ok(StoredJob {
            job,
            campaign: campaign.clone(),
            part,
        })
    }

    /// The jobs that wait for something of the campaign, as they are now.
    pub async fn list(&self, campaign: &CampaignId) -> Result<Vec<StoredJob>, Error> {
        let action = "list the jobs that wait";
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("id = :id AND begins_with(part, :prefix)")
            .expression_attribute_values(":id", text(campaign.as_str()))
            .expression_attribute_values(":prefix", text(PREFIX))
            .consistent_read(true);
        let items: Vec<Item> = query_values(action, query).await?;
        let to_stored = |Item { part, job }| {
            Ok(StoredJob {
                job: message_body::decode(&job).map_err(|error| Error::new(action, error))?,
                campaign: campaign.clone(),
                part,
            })
        };
        items.into_iter().map(to_stored).collect()
    }

    /// Removes a job that runs or is in its queue.
    pub async fn remove(&self, stored: &StoredJob) -> Result<(), Error> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("id", text(stored.campaign.as_str()))
            .key("part", text(&stored.part));
        let deleted = delete.send().await;
        deleted
            .map(drop)
            .map_err(Error::from_sdk("remove a job that waited"))
    }
}
