//! Judges a world from outside: from the messages that reached Meta, the operators' own notes and the final tables. It
//! shares no rule with the product.
//!
//! - [`calls`]: what was sent, to whom, and when
//! - `commands`: since when a command holds
//! - [`account`]: an error of the account pauses all campaigns
//! - `numbers`: a campaign is sent from its numbers, each person hears from one, and a paused one sends nothing
//! - `repeats`: nobody is messaged twice, and nobody is tried without end
//! - `repeated_files`: a file that was sent already is not sent once more
//! - [`outcome`]: whether everything ended, and whether nobody was lost
//! - `rows`: what is shown about a row is what happened to it
//! - `counters`: what is counted is what the ledger holds
//! - `callbacks`: what the webhook acknowledged is kept
//! - `retries`: a retry messages whom its operator chose
//! - `single_messages`: a key is one message, which is sent or visibly not
//! - `lateness`: nobody waits longer than needed
//! - [`shown`]: whether lists of rows, reports and rejects files say what the ledger holds; `lines`: a report's lines
//! - [`erased`]: what is left of people who were erased

pub mod account;
mod callbacks;
pub mod calls;
mod commands;
mod counters;
pub mod erased;
mod evidence;
mod lateness;
mod lines;
mod numbers;
pub mod outcome;
mod repeated_files;
mod repeats;
mod retries;
mod rows;
pub mod shown;
mod single_messages;

pub use self::evidence::{Budgets, Evidence, Sends};
use crate::violation::Violation;

/// Judges.
pub fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = calls::check(&evidence.sends);
    violations.extend(outcome::check(evidence));
    violations.extend(repeated_files::check(&evidence.sends));
    violations.extend(callbacks::check(evidence));
    violations.extend(retries::check(evidence));
    violations.extend(single_messages::check(evidence));
    violations.extend(lateness::check(evidence));
    violations.extend(shown::check(evidence));
    violations.extend(erased::check(evidence));
    violations.extend(evidence.sends.notes.violations.iter().cloned());
    violations
}
