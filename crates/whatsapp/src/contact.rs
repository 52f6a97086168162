//! How Meta identifies a recipient.

/// The ids of a recipient. Since 2026 the phone number may be absent from any callback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactIds {
    /// The phone number, digits only.
    pub phone: Option<String>,
    /// The business-scoped user id.
    pub user_id: Option<String>,
}
