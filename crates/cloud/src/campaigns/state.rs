//! Changes of a campaign's state, its cooldown and its canary.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{CampaignState, Canary, Cooldown};
use campaign::time::Millis;

use super::{Campaigns, state_value};
use crate::Error;
use crate::dynamodb::{Update, in_list, number, optional_text, send_if, to_attribute, update_if};
use crate::metrics::count_pause;

impl Campaigns {
    /// Moves the campaign to `to` if it is in one of the states `from`; returns whether it was. Whatever the operator then
    /// wants of it, the other campaigns are not paused because of it any more.
    #[tracing::instrument(skip_all, fields(campaign.id = %id, to = to.name()))]
    pub async fn transition(
        &self,
        id: &CampaignId,
        to: CampaignState,
        from: &[CampaignState],
        reason: Option<&str>,
    ) -> Result<bool, Error> {
        let update = self.transition_update(id, to, from, reason);
        let update =
            update.update_expression("SET #state = :to, reason = :reason REMOVE is_pausing_others");
        send_if("change the campaign's state", update).await
    }

    /// Pauses a campaign that cannot succeed until the operator has done what `reason` says. Returns whether
    /// this call paused it; if so, it is logged and counted, and the alarm on the metric notifies the
    /// operator.
    pub async fn pause(&self, id: &CampaignId, reason: &str) -> Result<bool, Error> {
        let from = CampaignState::all_that_may_send();
        let paused = self
            .transition(id, CampaignState::Paused, &from, Some(reason))
            .await?;
        if paused {
            report_pause(id, reason);
        }
        Ok(paused)
    }

    /// Pauses a campaign, and notes in the same write that all others must be paused, too: see
    /// [`Campaigns::pause_others`]. If the process dies between the two, the reconciler goes on. Returns whether the others
    /// are to be paused.
    pub async fn pause_for_account(&self, id: &CampaignId, reason: &str) -> Result<bool, Error> {
        let from = CampaignState::all_that_may_send();
        let update = self.transition_update(id, CampaignState::Paused, &from, Some(reason));
        let update = update
            .update_expression("SET #state = :to, reason = :reason, is_pausing_others = :yes")
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let is_paused = match update_if("pause a campaign", update).await? {
            Update::Written(_) => true,
            // This call's own success whose response was lost, or that of a process that is at it or has died.
            Update::ConditionFailed(item) => item.is_some_and(|item| {
                item.get("is_pausing_others") == Some(&AttributeValue::Bool(true))
            }),
        };
        if is_paused {
            report_pause(id, reason);
        }
        Ok(is_paused)
    }

    /// Pauses every other campaign that sends, because of what paused `first`. It may be repeated.
    pub async fn pause_others(&self, first: &CampaignId, reason: &str) -> Result<(), Error> {
        let open = self.list_open_ids().await?;
        for id in open.iter().filter(|&id| id != first) {
            self.pause(id, reason).await?;
        }
        let update = self
            .update(first)
            .update_expression("REMOVE is_pausing_others")
            .condition_expression("attribute_exists(id)");
        send_if("store that all campaigns are paused", update)
            .await
            .map(drop)
    }

    fn transition_update(
        &self,
        id: &CampaignId,
        to: CampaignState,
        from: &[CampaignState],
        reason: Option<&str>,
    ) -> UpdateItemFluentBuilder {
        let update = self
            .update(id)
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":to", state_value(to))
            .expression_attribute_values(":reason", optional_text(reason));
        let (update, states) = in_list(update, from.iter().map(|state| state.name()));
        update.condition_expression(format!("#state IN ({states})"))
    }

    /// Starts a cooldown that the API asked for. A shorter one does not end a longer one early.
    pub async fn set_cooldown(&self, id: &CampaignId, cooldown: &Cooldown) -> Result<(), Error> {
        let action = "start a cooldown";
        let update = self
            .update(id)
            .update_expression("SET cooldown = :cooldown")
            .condition_expression(
                "attribute_exists(id) AND (attribute_not_exists(cooldown.#until) OR cooldown.#until < :until)",
            )
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":until", number(cooldown.until))
            .expression_attribute_values(":cooldown", to_attribute(action, cooldown)?);
        send_if(action, update).await.map(drop)
    }

    /// Stores the canary with the number of its rows that are in the queue.
    pub async fn set_canary(&self, id: &CampaignId, canary: Canary) -> Result<(), Error> {
        let action = "store the state of the canary";
        let update = self
            .update(id)
            .update_expression("SET canary = :canary")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":canary", to_attribute(action, canary)?);
        send_if(action, update).await.map(drop)
    }

    /// Lets the remainder of the file follow its canary rows; returns whether the campaign was waiting for
    /// that.
    pub async fn release_remainder(&self, id: &CampaignId) -> Result<bool, Error> {
        let update = self
            .update(id)
            .update_expression("SET canary.released = :yes, #state = :to REMOVE reason")
            .condition_expression("#state = :from")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":to", state_value(CampaignState::Enqueuing))
            .expression_attribute_values(":from", state_value(CampaignState::Canary));
        send_if("release the rows behind the canary", update).await
    }

    /// Stores that a row was accepted, which proves that the message itself is valid.
    pub async fn mark_accepted(&self, id: &CampaignId) -> Result<(), Error> {
        let update = self
            .update(id)
            .update_expression("SET has_acceptance = :yes")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":yes", AttributeValue::Bool(true));
        let response = update.send().await;
        response
            .map(drop)
            .map_err(Error::from_sdk("store the first acceptance"))
    }

    /// Stores that all rows that are due were put into the queue at `now`.
    pub async fn mark_enqueued(&self, id: &CampaignId, now: Millis) -> Result<(), Error> {
        self.set_time(id, "enqueued_at", now).await
    }

    /// Stores that the reconciler read the whole ledger of the campaign at `now`.
    pub async fn mark_reconciled(&self, id: &CampaignId, now: Millis) -> Result<(), Error> {
        self.set_time(id, "reconciled_at", now).await
    }

    async fn set_time(
        &self,
        id: &CampaignId,
        attribute: &'static str,
        now: Millis,
    ) -> Result<(), Error> {
        let update = self
            .update(id)
            .update_expression(format!("SET {attribute} = :now"))
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":now", number(now));
        send_if("store a time", update).await.map(drop)
    }
}

fn report_pause(id: &CampaignId, reason: &str) {
    tracing::error!(campaign.id = %id, "campaign paused: {reason}");
    count_pause();
}
