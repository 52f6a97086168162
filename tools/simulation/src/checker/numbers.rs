//! From which number each person hears.

use std::collections::BTreeMap;

use super::evidence::Sends;
use crate::functions::RETENTION_DAYS;
use crate::violation::Violation;

/// What is known of a recipient is kept for the retention after the last message; a day less is certain.
const REMEMBERED_MS: u64 = (RETENTION_DAYS as u64 - 1) * 86_400_000;

/// A campaign is sent from the numbers that it names, and those with several give a person the number that the person knows.
pub(super) fn check(sends: &Sends<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut known: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
    for call in &sends.calls {
        let Some(notes) = sends.notes.campaigns.get(&call.campaign) else {
            continue;
        };
        let (to, number) = (call.to.as_str(), call.number.as_str());
        if !notes.numbers.is_empty() && !notes.numbers.contains(&number) {
            violations.push(Violation {
                promise: "a campaign is sent from its numbers",
                what: format!("row {} of {} from {number}", call.row, call.campaign),
            });
        }
        if notes.numbers.len() < 2 || sends.notes.may_be_forgotten(to) {
            continue;
        }
        if let Some((other, at)) = known.insert(to, (number, call.at_ms))
            && other != number
            && call.at_ms < at + REMEMBERED_MS
        {
            violations.push(Violation {
                promise: "each person hears from one number",
                what: format!(
                    "{to} from {other} at {at}, row {} of {} from {number} at {}",
                    call.row, call.campaign, call.at_ms
                ),
            });
        }
    }
    violations
}
