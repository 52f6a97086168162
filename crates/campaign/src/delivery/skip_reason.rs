//! Why a row is not sent.

/// Why a row is not sent.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum SkipReason {
    /// The recipient is on the suppression list.
    Suppressed,
    /// The message is free-form, and the recipient has neither written nor called within 24 hours.
    OutsideServiceWindow,
    /// The campaign was cancelled.
    Cancelled,
    /// The campaign's schedule has ended.
    Expired,
    /// The hours of the day in which the campaign sends never come for the recipient.
    WindowNeverOpens,
}

impl SkipReason {
    /// Its name: with it, the text begins.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        use strum::VariantArray;
        let mut reasons = Self::VARIANTS.iter().copied();
        reasons.find(|reason| reason.name() == name)
    }

    /// The reason that a row was skipped with, by its text.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::from_name(text.split(':').next()?)
    }

    /// The reason as the ledger and the report show it.
    pub fn text(self) -> &'static str {
        match self {
            SkipReason::Suppressed => "suppressed: on the suppression list",
            SkipReason::OutsideServiceWindow => {
                "outside_service_window: the recipient has neither written nor called within the last 24 hours, and the message is not a template"
            }
            SkipReason::Cancelled => "cancelled: the operator cancelled the campaign",
            SkipReason::WindowNeverOpens => {
                "window_never_opens: the number may be in time zones in which the campaign's window is not open at the same time, or in none that is known"
            }
            SkipReason::Expired => {
                "expired: the campaign's schedule (not_after), or the time for which campaigns are kept, has ended"
            }
        }
    }
}
