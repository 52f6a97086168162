//! A phone number of the installation.

use std::time::Duration;

use aws_sdk_sqs::Client;
use campaign::delivery::batch::Batch;
use campaign::delivery::number_choice::CampaignNumber;
use campaign::delivery::pacing::Rate;
use campaign::id::NumberId;

use crate::batch_queue::BatchQueue;
use crate::{Error, env};

/// A phone number of the installation, with the queues of its sender.
#[derive(Clone, Debug)]
pub struct SenderNumber {
    /// Its id.
    pub id: NumberId,
    /// Its budget, as sends of its sender's slots.
    pub rate: Rate,
    /// The queue of its campaigns' rows.
    pub bulk: BatchQueue,
    /// The queue of what recipients wait for.
    pub urgent: BatchQueue,
}

impl SenderNumber {
    /// The number of this process's environment.
    pub fn from_env(sqs: &Client) -> Result<Self, env::InvalidVariable> {
        let queue = |variable| Ok(BatchQueue::new(sqs.clone(), env::required(variable)?));
        Ok(Self {
            id: env::parsed("PHONE_NUMBER_ID")?,
            rate: env::send_rate()?,
            bulk: queue("SENDS_QUEUE_URL")?,
            urgent: queue("URGENT_QUEUE_URL")?,
        })
    }

    /// The same as a campaign names it.
    pub fn to_campaign_number(&self) -> CampaignNumber {
        CampaignNumber {
            id: self.id.clone(),
            budget: self.rate.budget(),
        }
    }

    /// Enqueues a batch before those of campaigns.
    pub async fn enqueue_urgent(&self, batch: Batch, delay: Duration) -> Result<(), Error> {
        self.urgent.enqueue_urgent(batch, delay, &self.bulk).await
    }
}
