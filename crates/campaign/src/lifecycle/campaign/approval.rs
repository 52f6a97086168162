//! The approval of a campaign: who asked for it, and who gave it for what.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// The approval of a campaign, and whether it needs one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Approval {
    /// Whether the campaign starts only after a second person approved it.
    pub is_required: bool,
    /// Who asked for it.
    pub request: Option<ApprovalRequest>,
    /// Who gave it.
    pub given: Option<GivenApproval>,
}

/// A request to approve a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// Who asked.
    pub by: String,
    /// When.
    pub at: Millis,
    /// What they want the other person to know.
    #[serde(default)]
    pub note: Option<String>,
}

/// An approval that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenApproval {
    /// Who gave it.
    pub by: String,
    /// When.
    pub at: Millis,
    /// For what: the hash of all that would be sent.
    pub hash: String,
}
