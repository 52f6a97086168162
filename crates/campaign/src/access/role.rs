//! The roles of tokens and sessions.

use serde::{Deserialize, Serialize};

/// What the owner of a token may do. Each role may do what the ones before it may, and more.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Sees everything, phone numbers masked.
    Viewer,
    /// Creates drafts, uploads files, sends tests to saved numbers.
    Author,
    /// Starts, pauses, cancels and approves campaigns, replies to recipients, suppresses them.
    Sender,
    /// Changes settings and tokens, erases recipients.
    Admin,
}

impl Role {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether this role may do what `least` may.
    pub fn includes(self, least: Role) -> bool {
        self >= least
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn each_role_includes_the_ones_before_it_and_no_later_one() {
        for (rank, role) in Role::VARIANTS.iter().enumerate() {
            let included = Role::VARIANTS.iter().filter(|least| role.includes(**least));
            assert_eq!(included.count(), rank + 1, "{role:?}");
            assert_eq!(serde_json::to_value(role).expect("text"), role.name());
        }
        assert!(!Role::Author.includes(Role::Sender));
    }
}
