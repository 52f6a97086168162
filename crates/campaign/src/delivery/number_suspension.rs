//! What stops a number, whatever its campaigns want: a pause, or a cooldown that the API asked for. All senders of the
//! number read it with the number's rate, so one write is in force everywhere, for campaigns that are created later, too.
//!
//! | what may fail | what follows |
//! |---|---|
//! | the pause is not written | the next send is refused for the same reason, and writes it |
//! | a sender knows the record of a moment ago | it sends for two seconds at most |
//! | the number is resumed, and its rows are not requeued | the reconciler sees that it was resumed after the latest requeue began |

use serde::{Deserialize, Serialize};

use crate::lifecycle::campaign::{Cooldown, PausedBy};
use crate::time::Millis;

/// A pause of a number: its rows wait until an operator resumes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberPause {
    /// Why, as a sentence with what to do.
    pub reason: String,
    /// Who or what caused it.
    pub by: PausedBy,
    /// Since when.
    pub at: Millis,
}

/// What stops a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NumberSuspension {
    /// The pause, if there is one.
    pub paused: Option<NumberPause>,
    /// The latest cooldown.
    pub cooldown: Option<Cooldown>,
    /// When the number was last resumed.
    pub resumed_at: Option<Millis>,
}

/// Whether a number may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberGate {
    /// It may.
    Open,
    /// Not before this time.
    CoolingDown(Millis),
    /// Not until it is resumed.
    Paused,
}

impl NumberSuspension {
    /// Whether the number may send at `now`.
    pub fn gate(&self, now: Millis) -> NumberGate {
        match (&self.paused, &self.cooldown) {
            (Some(_), _) => NumberGate::Paused,
            (None, Some(cooldown)) if cooldown.until > now => {
                NumberGate::CoolingDown(cooldown.until)
            }
            (None, _) => NumberGate::Open,
        }
    }
}

/// What stops the numbers of one campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NumberSuspensions {
    /// Whether one of them is paused.
    pub is_any_paused: bool,
    /// Whether all of them are.
    pub are_all_paused: bool,
    /// When one of them was last resumed.
    pub resumed_at: Option<Millis>,
    /// When the latest cooldown of one of them ends, or has ended.
    pub cooldown_until: Option<Millis>,
}

impl NumberSuspensions {
    /// Of a campaign whose numbers are stopped in these ways.
    pub fn of<'a>(suspensions: impl IntoIterator<Item = &'a NumberSuspension>) -> Self {
        let mut sum = Self {
            are_all_paused: true,
            ..Self::default()
        };
        let mut has_numbers = false;
        for suspension in suspensions {
            has_numbers = true;
            sum.is_any_paused |= suspension.paused.is_some();
            sum.are_all_paused &= suspension.paused.is_some();
            sum.resumed_at = sum.resumed_at.max(suspension.resumed_at);
            let cooldown = suspension.cooldown.as_ref();
            sum.cooldown_until = sum
                .cooldown_until
                .max(cooldown.map(|cooldown| cooldown.until));
        }
        sum.are_all_paused &= has_numbers;
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paused() -> NumberSuspension {
        NumberSuspension {
            paused: Some(NumberPause {
                reason: "why".into(),
                by: PausedBy::Crier,
                at: 5,
            }),
            ..NumberSuspension::default()
        }
    }

    fn cooling_down(until: Millis) -> NumberSuspension {
        NumberSuspension {
            cooldown: Some(Cooldown {
                until,
                reason: "why".into(),
            }),
            ..NumberSuspension::default()
        }
    }

    #[test]
    fn pause_counts_more_than_a_cooldown_and_a_cooldown_ends() {
        let both = NumberSuspension {
            cooldown: cooling_down(9).cooldown,
            ..paused()
        };
        assert_eq!(both.gate(0), NumberGate::Paused);
        assert_eq!(cooling_down(9).gate(8), NumberGate::CoolingDown(9));
        assert_eq!(cooling_down(9).gate(9), NumberGate::Open);
        assert_eq!(NumberSuspension::default().gate(0), NumberGate::Open);
    }

    #[test]
    fn campaign_knows_whether_any_of_its_numbers_or_all_are_paused() {
        let resumed = NumberSuspension {
            resumed_at: Some(7),
            ..NumberSuspension::default()
        };
        let one = NumberSuspensions::of([&paused(), &resumed, &cooling_down(9)]);
        let expected = NumberSuspensions {
            is_any_paused: true,
            are_all_paused: false,
            resumed_at: Some(7),
            cooldown_until: Some(9),
        };
        assert_eq!(one, expected);
        assert!(NumberSuspensions::of([&paused(), &paused()]).are_all_paused);
        assert_eq!(NumberSuspensions::of([]), NumberSuspensions::default());
    }
}
