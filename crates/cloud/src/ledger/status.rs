//! What callbacks report about an attempt.

use aws_sdk_dynamodb::types::AttributeValue;
use campaign::delivery::ledger::Transition;
use campaign::delivery::outcome::ErrorInfo;
use campaign::id::{CampaignId, RowNumber};
use campaign::time::Millis;

use super::Ledger;
use crate::Error;
use crate::dynamodb::{number, text, to_attribute};

/// What the callbacks for one attempt at one row say together. The ledger keeps the first value of each
/// field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatusUpdate {
    /// The message's id.
    pub wamid: String,
    /// When the message was sent.
    pub sent_at: Option<Millis>,
    /// When it was delivered; Meta may leave this out for a message that was read.
    pub delivered_at: Option<Millis>,
    /// When it was read.
    pub read_at: Option<Millis>,
    /// When and why it failed after acceptance.
    pub failed: Option<(Millis, ErrorInfo)>,
    /// Meta's price category.
    pub category: Option<String>,
}

impl StatusUpdate {
    /// What is left without the delivery; `None` if nothing is.
    pub fn without_delivery(self) -> Option<Self> {
        let update = Self {
            delivered_at: None,
            read_at: None,
            ..self
        };
        (update.sent_at.is_some() || update.failed.is_some()).then_some(update)
    }
}

impl Ledger {
    /// Applies callbacks for an attempt. They prove that the API accepted it. Their order does not matter,
    /// and repeats change nothing.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, row, attempt))]
    pub async fn apply_status(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
        status: &StatusUpdate,
    ) -> Result<bool, Error> {
        let action = "apply a status callback";
        let transition = match status.failed {
            Some(_) => Transition::ApplyFailure,
            None => Transition::ApplyStatus,
        };
        let mut write = self.transition(campaign, row, transition, attempt);
        for (name, value) in status_attributes(action, status)? {
            write = write.set_first(name, value);
        }
        write.send_if(action).await
    }
}

fn status_attributes(
    action: &'static str,
    status: &StatusUpdate,
) -> Result<Vec<(&'static str, AttributeValue)>, Error> {
    let mut attributes = vec![("wamid", text(&status.wamid))];
    let times = [
        ("sent_at", status.sent_at),
        ("delivered_at", status.delivered_at),
        ("read_at", status.read_at),
    ];
    attributes.extend(
        times
            .into_iter()
            .filter_map(|(name, at)| Some((name, number(at?)))),
    );
    if let Some(category) = &status.category {
        attributes.push(("category", text(category)));
    }
    if let Some((at, error)) = &status.failed {
        attributes.push(("failed_at", number(*at)));
        attributes.push(("failure", to_attribute(action, error)?));
    }
    Ok(attributes)
}
