//! What can be changed of a campaign before its start.

use super::{Campaign, Canary, OutsideServiceWindow, Policy, Schedule, TemplateFacts};
use crate::delivery::number_choice::CampaignNumber;
use crate::message::Message;

/// All that can be changed before the start.
#[derive(Clone, Debug, PartialEq)]
pub struct CampaignEdit {
    /// The name.
    pub name: String,
    /// The message.
    pub message: Message,
    /// The message for recipients outside their service window.
    pub fallback: Option<Message>,
    /// What happens to them without one.
    pub outside_service_window: OutsideServiceWindow,
    /// Facts about the account's template.
    pub template: Option<TemplateFacts>,
    /// When it is sent.
    pub schedule: Schedule,
    /// What happens to failures.
    pub policy: Policy,
    /// The rows that are sent first.
    pub canary: Option<Canary>,
    /// The numbers from which it is sent.
    pub numbers: Vec<CampaignNumber>,
    /// Whether it may repeat what another campaign sent.
    pub allow_repeat: bool,
}

impl CampaignEdit {
    /// The campaign as it is.
    pub fn of(campaign: &Campaign) -> Self {
        Self {
            name: campaign.name.clone(),
            message: campaign.message.clone(),
            fallback: campaign.fallback.clone(),
            outside_service_window: campaign.outside_service_window,
            template: campaign.template.clone(),
            schedule: campaign.schedule.clone(),
            policy: campaign.policy,
            canary: campaign.canary,
            numbers: campaign.numbers.clone(),
            allow_repeat: campaign.allow_repeat,
        }
    }
}
