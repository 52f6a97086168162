//! Judges a world from outside: from the messages that reached Meta, the operators' own notes and the final tables. It
//! shares no rule with the product.
//!
//! - [`calls`]: what was sent, to whom, and when
//! - [`outcome`]: whether everything ended, and whether what is shown is what happened

pub mod calls;
mod evidence;
pub mod outcome;

pub use self::evidence::Evidence;
use crate::violation::Violation;

/// Judges.
pub fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = calls::check(evidence);
    violations.extend(outcome::check(evidence));
    violations.extend(evidence.notes.violations.iter().cloned());
    violations
}
