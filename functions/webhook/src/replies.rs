//! Automatic replies. A reply is a campaign of one row through the urgent queue, so the rate, the ledger and the handling of
//! unconfirmed sends are those of every other send. Its id follows from the message it replies to, so a repeated callback
//! results in the same reply.

use campaign::delivery::batch::Row;
use campaign::id::{CampaignId, InvalidCampaignId, REPLY_PREFIX};
use campaign::import::phone::Phone;
use campaign::lifecycle::campaign::Campaign;
use campaign::message::Message;
use campaign::time::Millis;
use cloud::Error;
use cloud::numbers::SenderNumber;
use sha2::{Digest, Sha256};
use tracing::instrument;

use crate::Webhook;

impl Webhook {
    /// Replies to the message `wamid`, once, from the number that it came to.
    pub(crate) async fn send_reply(
        &self,
        wamid: &str,
        from: &SenderNumber,
        to: Phone,
        message: Message,
        now: Millis,
    ) -> Result<(), Error> {
        let id = reply_campaign_id(wamid).map_err(|error| Error::new("name a reply", error))?;
        let row = Row {
            row: 1,
            to,
            values: Vec::new(),
        };
        let mut campaign = Campaign::single_row(id, "Reply".into(), message, row, now);
        campaign.numbers = vec![from.to_campaign_number()];
        self.enqueue_reply(campaign).await
    }

    #[instrument(skip_all, fields(campaign.id = %campaign.id, row = 1))]
    async fn enqueue_reply(&self, campaign: Campaign) -> Result<(), Error> {
        self.campaign_cache
            .campaigns()
            .create_single(&campaign)
            .await?;
        let senders = self.numbers.of_campaign(&campaign).await?;
        senders.enqueue_single_row(&campaign, true).await
    }
}

fn reply_campaign_id(wamid: &str) -> Result<CampaignId, InvalidCampaignId> {
    let hash = Sha256::digest(wamid.as_bytes());
    let hex = hex::encode(&hash[..16]);
    format!("{REPLY_PREFIX}{hex}").parse()
}
