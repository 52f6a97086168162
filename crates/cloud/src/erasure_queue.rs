//! The queue of erasures.

use campaign::id::CampaignId;
use campaign::import::phone::Phone;
use serde::{Deserialize, Serialize};

use crate::{Error, sqs};

/// Asks for the erasure of a recipient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErasureJob {
    /// The recipient's number.
    pub phone: Phone,
    /// The campaign that must end first; everything else is erased already.
    #[serde(default)]
    pub waits_for: Option<CampaignId>,
    /// How many messages led to this one, one after the other ([`campaign::delivery::batch::Batch::hops`]).
    #[serde(default)]
    pub hops: u32,
}

/// The queue of erasures.
#[derive(Clone, Debug)]
pub struct ErasureQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl ErasureQueue {
    /// The queue of that URL.
    pub fn new(client: aws_sdk_sqs::Client, url: String) -> Self {
        Self { client, url }
    }

    /// Enqueues a job.
    #[tracing::instrument(skip_all)]
    pub async fn enqueue(&self, job: &ErasureJob) -> Result<(), Error> {
        sqs::send_json(&self.client, &self.url, "enqueue an erasure", job).await
    }
}
