//! Which role each operation needs at least, and which operations the audit log has: one table for all of them. A test holds
//! it against the description of the API, so that no route is without a role.

use campaign::access::role::Role;
use campaign::access::role::Role::{Admin, Author, Sender, Viewer};

use Effect::{Reads, Writes};

/// Whether an operation changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does not.
    Reads,
    /// It does: the audit log has it.
    Writes,
}

/// An operation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its id in the API's description.
    pub id: &'static str,
    /// The least role that may use it.
    pub role: Role,
    /// Whether it changes anything.
    pub effect: Effect,
}

const fn operation(id: &'static str, role: Role, effect: Effect) -> Operation {
    Operation { id, role, effect }
}

/// Every operation.
pub const OPERATIONS: &[Operation] = &[
    operation("signIn", Viewer, Writes),
    operation("signInWithOidc", Viewer, Writes),
    operation("getSession", Viewer, Reads),
    operation("signOut", Viewer, Writes),
    operation("listTokens", Admin, Reads),
    operation("createToken", Admin, Writes),
    operation("revokeToken", Admin, Writes),
    operation("listAudit", Sender, Reads),
    operation("exportAudit", Sender, Reads),
    operation("listCampaigns", Viewer, Reads),
    operation("createCampaign", Author, Writes),
    operation("getCampaign", Viewer, Reads),
    operation("updateCampaign", Author, Writes),
    operation("getTimeline", Viewer, Reads),
    operation("getFailures", Viewer, Reads),
    operation("requestApproval", Author, Writes),
    operation("giveApproval", Sender, Writes),
    operation("withdrawApproval", Author, Writes),
    operation("addFile", Author, Writes),
    operation("startUpload", Author, Writes),
    operation("getUpload", Author, Reads),
    operation("signParts", Author, Writes),
    operation("completeUpload", Author, Writes),
    operation("abortUpload", Author, Writes),
    // With options it changes the campaign: then the handler asks for more.
    operation("previewCampaign", Viewer, Reads),
    operation("sendTest", Author, Writes),
    operation("startCampaign", Sender, Writes),
    operation("pauseCampaign", Sender, Writes),
    operation("resumeCampaign", Sender, Writes),
    operation("cancelCampaign", Sender, Writes),
    operation("continueCampaign", Sender, Writes),
    operation("createRetry", Sender, Writes),
    operation("getRejects", Author, Reads),
    operation("listRows", Viewer, Reads),
    operation("requestReport", Author, Writes),
    operation("getReport", Viewer, Reads),
    operation("requestRecount", Author, Writes),
    operation("getRecount", Viewer, Reads),
    operation("requestSuppression", Sender, Writes),
    operation("getSuppression", Viewer, Reads),
    operation("listTemplates", Viewer, Reads),
    operation("listInbox", Viewer, Reads),
    operation("getRow", Viewer, Reads),
    operation("getRecipient", Viewer, Reads),
    operation("listConversations", Viewer, Reads),
    operation("listMessages", Viewer, Reads),
    operation("sendReply", Sender, Writes),
    operation("sendMessage", Sender, Writes),
    operation("getMessage", Viewer, Reads),
    operation("importOptOuts", Sender, Writes),
    operation("exportOptOuts", Sender, Reads),
    operation("exportContact", Sender, Reads),
    operation("getContact", Viewer, Reads),
    operation("updateContact", Sender, Writes),
    operation("eraseContact", Admin, Writes),
    operation("getSettings", Viewer, Reads),
    operation("updateSettings", Admin, Writes),
    operation("getAccount", Viewer, Reads),
    operation("listNumbers", Viewer, Reads),
    operation("pauseNumber", Sender, Writes),
    operation("resumeNumber", Sender, Writes),
    operation("getMetrics", Viewer, Reads),
];

/// The operation of that id.
pub fn find(id: &str) -> Option<Operation> {
    OPERATIONS
        .iter()
        .copied()
        .find(|operation| operation.id == id)
}

/// The ids of the operations that a role may use.
pub fn allowed(role: Role) -> Vec<&'static str> {
    OPERATIONS
        .iter()
        .filter(|operation| role.includes(operation.role))
        .map(|operation| operation.id)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_is_in_the_table_once() {
        for operation in OPERATIONS {
            let same = OPERATIONS.iter().filter(|other| other.id == operation.id);
            assert_eq!(same.count(), 1, "{}", operation.id);
        }
    }

    #[test]
    fn viewer_changes_nothing_but_the_own_session() {
        let writes = OPERATIONS
            .iter()
            .filter(|operation| operation.role == Viewer && operation.effect == Writes)
            .map(|operation| operation.id);
        assert_eq!(
            writes.collect::<Vec<_>>(),
            ["signIn", "signInWithOidc", "signOut"]
        );
        assert!(!allowed(Author).contains(&"startCampaign"));
        assert!(allowed(Sender).contains(&"startCampaign"));
        assert_eq!(allowed(Admin).len(), OPERATIONS.len());
    }
}
