//! People, as far as they are known apart from any campaign.

use serde::{Deserialize, Serialize};

use crate::outcome::Millis;
use crate::phone::Phone;

/// Whether somebody may be messaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// As last written; [`Phone::key`] is the same for every spelling.
    pub phone: Phone,
    /// On the standing list of people whom no campaign messages.
    pub suppressed: bool,
    /// Why, in somebody's words.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who said so, such as `operator`.
    pub source: String,
    /// When.
    pub changed_at: Millis,
}
