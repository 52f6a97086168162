//! A campaign's states.

use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// The state of a campaign. `finished` is not stored: it follows from the counters ([`crate::lifecycle::progress`]).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CampaignState {
    /// Created; the file is not uploaded yet.
    AwaitingUpload,
    /// The file is being read to its end; nothing is sent.
    Validating,
    /// The file is validated; it is sent when the operator starts it.
    Ready,
    /// The file is validated; it is sent when its schedule begins.
    Scheduled,
    /// The file's rows are being put into the queue; the first ones may already be sent.
    Enqueuing,
    /// The canary rows are in the queue; the others wait.
    Canary,
    /// All rows are in the queue.
    Sending,
    /// No new send starts until the operator resumes it.
    Paused,
    /// Cancelled by the operator, for good.
    Cancelled,
    /// The file cannot be used.
    Failed,
}

impl CampaignState {
    /// The name in the campaigns table and the API.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The states in which sends may start.
    pub fn all_that_may_send() -> Vec<Self> {
        let states = Self::VARIANTS.iter().copied();
        states.filter(|state| state.may_send()).collect()
    }

    /// Whether sends may start.
    pub fn may_send(self) -> bool {
        match self {
            CampaignState::Enqueuing | CampaignState::Canary | CampaignState::Sending => true,
            CampaignState::AwaitingUpload
            | CampaignState::Validating
            | CampaignState::Ready
            | CampaignState::Scheduled
            | CampaignState::Paused
            | CampaignState::Cancelled
            | CampaignState::Failed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_json() {
        for &state in CampaignState::VARIANTS {
            assert_eq!(serde_json::to_value(state).expect("text"), state.name());
        }
    }
}
