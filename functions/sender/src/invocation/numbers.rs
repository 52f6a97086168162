//! Whose row it is: this sender's, or that of another number.

use campaign::delivery::batch::Row;
use campaign::delivery::number_choice::{CampaignNumber, NumberChoice};
use campaign::delivery::requeue::SkipReason;
use campaign::id::{CampaignId, NumberId};
use campaign::lifecycle::campaign::{Campaign, MessageChoice};
use campaign::time::Millis;
use cloud::Error;

use super::{BatchRef, Invocation};
use crate::send_backend::{Recipient, SendBackend};

/// After this time a row reaches the queue of another number. If two numbers disagreed, it would circle no faster.
const PASS_ON_DELAY_MS: Millis = 1_000;

/// Who sends a row.
pub(super) enum Sender {
    /// This sender.
    Own {
        /// Whether the recipient hears from this number from now on, although they know another.
        takes_over: bool,
    },
    /// That of another number.
    Other(NumberId),
    /// Nobody.
    Nobody(SkipReason),
}

/// The number from which the recipient hears, if it is another one of the campaign's.
pub(super) fn known_number(campaign: &Campaign, recipient: &Recipient) -> Option<NumberId> {
    let known = recipient.other_number.as_ref()?;
    let is_of_campaign = campaign.numbers.iter().any(|number| number.id == *known);
    is_of_campaign.then(|| known.clone())
}

impl<B: SendBackend> Invocation<'_, B> {
    /// Finds out who sends a row, before it is claimed. Free-form campaigns may skip most rows: those should not count as
    /// attempts, nor cost a claim.
    pub(super) async fn find_sender(
        &self,
        campaign: &Campaign,
        row: &Row,
    ) -> Result<Sender, Error> {
        if let Some(other) = self.number_of_another(campaign, row) {
            cloud::sometimes!("a row is in the queue of a number that its campaign does not name");
            return Ok(Sender::Other(other));
        }
        let requires_service_window = campaign.message_choice(false) == MessageChoice::Nothing;
        let has_several_numbers = campaign.numbers.len() > 1;
        if !requires_service_window && !has_several_numbers {
            return Ok(Sender::Own { takes_over: false });
        }
        let recipient = self.backend.look_up_recipient(row).await?;
        if let Some(other) = known_number(campaign, &recipient) {
            cloud::sometimes!("a row goes on to the number that its recipient knows");
            return Ok(Sender::Other(other));
        }
        if requires_service_window && !recipient.in_service_window {
            return Ok(Sender::Nobody(SkipReason::OutsideServiceWindow));
        }
        // The number that they know is none of the campaign's.
        let takes_over = has_several_numbers && recipient.other_number.is_some();
        Ok(Sender::Own { takes_over })
    }

    /// The campaign's number for the recipient, if the campaign is not sent from this sender's: the number of a queue is not
    /// meant to change, but a stack may be deployed with another one.
    fn number_of_another(&self, campaign: &Campaign, row: &Row) -> Option<NumberId> {
        let numbers = &campaign.numbers;
        let is_own = |number: &CampaignNumber| number.id == *self.backend.own_number();
        if numbers.is_empty() || numbers.iter().any(is_own) {
            return None;
        }
        let index = NumberChoice::new(numbers).index(row.to.canonical());
        numbers.get(index).map(|number| number.id.clone())
    }

    /// Has a row go on to the queue of another number.
    pub(super) fn pass_on(
        &mut self,
        other: NumberId,
        batch: BatchRef,
        campaign: &CampaignId,
        row: Row,
    ) {
        let due = self.backend.now() + PASS_ON_DELAY_MS;
        self.requeue(Some(other), batch, campaign, due, row);
    }
}
