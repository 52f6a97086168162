//! Answers that send themselves: a campaign of one row through the urgent lane, so that the rate, the ledger and the doubts
//! are those of every other send. Its name follows from the message it answers: repeated, it is the same answer.

use std::time::Duration;

use campaign::delivery::batch::{Batch, Row};
use campaign::delivery::outcome::Millis;
use campaign::id::CampaignId;
use campaign::import::phone::Phone;
use campaign::lifecycle::campaign::Campaign;
use campaign::message::Message;
use sha2::{Digest, Sha256};

use crate::Webhook;

impl Webhook {
    /// Answers the message `wamid`, once.
    pub(crate) async fn send_reply(
        &self,
        wamid: &str,
        to: Phone,
        message: Message,
        now: Millis,
    ) -> Result<(), cloud::Error> {
        let id =
            reply_campaign_id(wamid).map_err(|error| cloud::Error::new("name an answer", error))?;
        let campaign = Campaign::single_row(id.clone(), "Answer".into(), message, now);
        self.campaign_cache
            .campaigns()
            .create_reply(&campaign)
            .await?;
        let row = Row {
            row: 1,
            to,
            values: Vec::new(),
        };
        let batch = Batch {
            campaign: id,
            rows: vec![row],
        };
        self.urgent_queue
            .enqueue_urgent(batch, Duration::ZERO, &self.sends_queue)
            .await
    }
}

fn reply_campaign_id(wamid: &str) -> Result<CampaignId, campaign::id::InvalidCampaignId> {
    let hash = Sha256::digest(wamid.as_bytes());
    let hex: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("reply-{hex}").parse()
}
