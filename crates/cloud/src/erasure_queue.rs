//! Erasures: the orders in a queue.

use std::time::Duration;

use campaign::id::CampaignId;
use campaign::import::phone::Phone;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Forget somebody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErasureJob {
    /// Whom.
    pub phone: Phone,
    /// The campaign that must be over first; everything else is erased already.
    #[serde(default)]
    pub waits_for: Option<CampaignId>,
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

    /// Asks for one, `delay` from now.
    pub async fn enqueue(&self, order: &ErasureJob, delay: Duration) -> Result<(), Error> {
        let action = "ask for an erasure";
        let body = serde_json::to_string(order).map_err(|error| Error::new(action, error))?;
        let send = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .delay_seconds(delay.as_secs() as i32);
        send.send().await.map(drop).map_err(Error::from_sdk(action))
    }
}
