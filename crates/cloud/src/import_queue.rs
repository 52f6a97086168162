//! The splits queue: asks the splitter to go on with a campaign's files.

use std::time::Duration;

use aws_sdk_sqs::Client;
use campaign::id::{CampaignId, RowNumber};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Go on with a campaign's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportJob {
    /// Whose.
    pub campaign: CampaignId,
    /// Whether the last file is to be read to its end once more, for a new preview.
    #[serde(default)]
    pub validate: bool,
    /// Where to begin offering rows again that were in the queue before; `None` where only new ones are to follow.
    #[serde(default)]
    pub requeue: Option<Position>,
}

impl ImportJob {
    /// Go on where the files are.
    pub fn resume(campaign: CampaignId) -> Self {
        Self {
            campaign,
            validate: false,
            requeue: None,
        }
    }

    /// Read the last file to its end once more.
    pub fn validate(campaign: CampaignId) -> Self {
        Self {
            validate: true,
            ..Self::resume(campaign)
        }
    }

    /// Offer every row again, from the position on.
    pub fn requeue(campaign: CampaignId, from: Position) -> Self {
        Self {
            requeue: Some(from),
            ..Self::resume(campaign)
        }
    }
}

/// A place in a campaign's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The file's index.
    pub file: usize,
    /// The row up to which all is done.
    pub after: RowNumber,
}

/// The splits queue.
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

    /// Asks the splitter to go on, `delay` from now.
    pub async fn enqueue(&self, order: &ImportJob, delay: Duration) -> Result<(), Error> {
        let action = "ask the splitter to go on";
        let body = serde_json::to_string(order).map_err(|error| Error::new(action, error))?;
        let send = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body);
        send.delay_seconds(delay.as_secs() as i32)
            .send()
            .await
            .map(drop)
            .map_err(Error::from_sdk(action))
    }
}
