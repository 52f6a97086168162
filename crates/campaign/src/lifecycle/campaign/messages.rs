//! What a campaign sends to each recipient: its message, the fallback or nothing.

use serde_json::Value;

use super::{Campaign, OutsideServiceWindow};
use crate::message::Message;

/// What a recipient is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageChoice {
    /// The message.
    Message,
    /// Its fallback.
    Fallback,
    /// Nothing.
    Nothing,
}

impl Campaign {
    /// The message and its fallback with the same columns, so that the values of a row fit both.
    pub fn messages(&self) -> (Message, Option<Message>) {
        let fallback = self.fallback.as_ref();
        let fallback = fallback.map(|fallback| self.with_every_column(fallback));
        (self.with_every_column(&self.message), fallback)
    }

    fn with_every_column(&self, message: &Message) -> Message {
        message.clone().with_columns(self.columns())
    }

    /// The columns that its messages use, in the order of the values of a row.
    pub fn columns(&self) -> Vec<String> {
        if !self.stored_columns.is_empty() {
            return self.stored_columns.clone();
        }
        let message = self.message.clone();
        let merged = match &self.fallback {
            Some(fallback) => message.merge_columns(fallback),
            None => message,
        };
        merged.columns().to_vec()
    }

    /// The message of this choice, as the operator wrote it.
    pub fn chosen_message(&self, choice: MessageChoice) -> &Message {
        match (choice, &self.fallback) {
            (MessageChoice::Fallback, Some(fallback)) => fallback,
            (MessageChoice::Fallback, None)
            | (MessageChoice::Message | MessageChoice::Nothing, _) => &self.message,
        }
    }

    /// The message of this choice for one row. `values` are in the order of [`Campaign::columns`].
    pub fn fill_message(&self, choice: MessageChoice, values: &[String]) -> Value {
        self.with_every_column(self.chosen_message(choice))
            .fill(values)
    }

    /// What a recipient inside or outside the service window is sent.
    pub fn message_choice(&self, in_service_window: bool) -> MessageChoice {
        if in_service_window || self.message.is_template() {
            return MessageChoice::Message;
        }
        match (&self.fallback, self.outside_service_window) {
            (Some(_), _) => MessageChoice::Fallback,
            (None, OutsideServiceWindow::Send) => MessageChoice::Message,
            (None, OutsideServiceWindow::Skip) => MessageChoice::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::CampaignState;
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn values_of_a_row_keep_the_order_of_the_columns_that_were_stored_with_them() {
        let mut campaign = sample(CampaignState::Ready);
        let body = json!({"text": {"body": "{{Name}}, {{amount}}"}});
        campaign.message = Message::new(body).expect("message");
        campaign.fallback = Some(Message::new(json!({"name": "{{zone}}"})).expect("message"));
        assert_eq!(campaign.columns(), ["amount", "Name", "zone"]);
        // As another version of the code may have sorted them.
        campaign.stored_columns = ["Name", "zone", "amount"].map(str::to_owned).to_vec();
        let values = ["Ana", "North", "3"].map(str::to_owned);
        let fill = |choice| campaign.fill_message(choice, &values);
        assert_eq!(fill(MessageChoice::Message)["text"]["body"], "Ana, 3");
        assert_eq!(fill(MessageChoice::Fallback)["name"], "North");
    }
}
