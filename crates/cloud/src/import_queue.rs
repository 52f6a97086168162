//! The queue of imports: asks the splitter to continue with a campaign's files.

use aws_sdk_sqs::Client;
use campaign::id::{CampaignId, RowNumber};
use campaign::time::Millis;
use serde::{Deserialize, Serialize};

use crate::{Error, sqs};

/// Asks the splitter to continue with a campaign's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportJob {
    /// The campaign.
    pub campaign: CampaignId,
    /// From where to requeue rows that were in the queue before; `None` to enqueue only new ones.
    #[serde(default)]
    pub requeue: Option<Position>,
    /// When the window opened for the rows that are requeued. Those for which it was open before are in the queue; `None` to
    /// requeue them, too.
    #[serde(default)]
    pub window_opened_at: Option<Millis>,
    /// How many messages led to this one, one after the other ([`campaign::delivery::batch::Batch::hops`]).
    #[serde(default)]
    pub hops: u32,
}

impl ImportJob {
    /// Continues where the import stands.
    pub fn resume(campaign: CampaignId) -> Self {
        Self {
            campaign,
            requeue: None,
            window_opened_at: None,
            hops: 0,
        }
    }

    /// Requeues all rows behind a position.
    pub fn requeue(campaign: CampaignId, from: Position) -> Self {
        Self {
            requeue: Some(from),
            ..Self::resume(campaign)
        }
    }
}

/// A position in a campaign's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The file's index, from 0.
    pub file: usize,
    /// The last row that needs no more work.
    pub after: RowNumber,
}

/// The queue of imports.
#[derive(Clone, Debug)]
pub struct ImportQueue {
    client: Client,
    url: String,
}

impl ImportQueue {
    /// The queue of that URL.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Enqueues a job.
    #[tracing::instrument(skip_all, fields(campaign.id = %job.campaign))]
    pub async fn enqueue(&self, job: &ImportJob) -> Result<(), Error> {
        sqs::send_json(&self.client, &self.url, "enqueue an import", job).await
    }
}
