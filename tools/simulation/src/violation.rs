//! What must never happen, and happened.

use std::fmt;

/// Something that must never happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The promise, as the documentation names it.
    pub promise: &'static str,
    /// What happened.
    pub what: String,
}

impl Violation {
    /// The campaign that it is about: ids are 36 characters long and have dashes.
    pub fn campaign(&self) -> Option<&str> {
        let mut words = self
            .what
            .split(|other: char| !(other.is_ascii_alphanumeric() || other == '-'));
        words.find(|word| word.len() == 36 && word.matches('-').count() == 4)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.promise, self.what)
    }
}
