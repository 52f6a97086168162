//! What holds a number back, whatever its campaigns want: a pause, or a cooldown that the API asked for. All senders of the
//! number read it with the number's rate, so one write is in force everywhere, for campaigns that are created later, too.
//!
//! | what may fail | what follows |
//! |---|---|
//! | the pause is not written | the next send is refused for the same reason, and writes it |
//! | a sender knows the record of a moment ago | it sends for 1.8 s at most; the API refuses that, and the rows are held |
//! | the number is resumed, and its rows are not requeued | the reconciler sees that it was resumed after they were enqueued |

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

/// What holds a number back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NumberHold {
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

impl NumberHold {
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

/// What holds the numbers of one campaign back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CampaignHold {
    /// Whether one of them is paused.
    pub is_any_paused: bool,
    /// Whether all of them are.
    pub are_all_paused: bool,
    /// When one of them was last resumed.
    pub resumed_at: Option<Millis>,
}

impl CampaignHold {
    /// Of a campaign whose numbers are held back in these ways.
    pub fn of<'a>(holds: impl IntoIterator<Item = &'a NumberHold>) -> Self {
        let mut sum = Self {
            are_all_paused: true,
            ..Self::default()
        };
        let mut has_numbers = false;
        for hold in holds {
            has_numbers = true;
            sum.is_any_paused |= hold.paused.is_some();
            sum.are_all_paused &= hold.paused.is_some();
            sum.resumed_at = sum.resumed_at.max(hold.resumed_at);
        }
        sum.are_all_paused &= has_numbers;
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paused() -> NumberHold {
        NumberHold {
            paused: Some(NumberPause {
                reason: "why".into(),
                by: PausedBy::Crier,
                at: 5,
            }),
            ..NumberHold::default()
        }
    }

    fn cooling_down(until: Millis) -> NumberHold {
        NumberHold {
            cooldown: Some(Cooldown {
                until,
                reason: "why".into(),
            }),
            ..NumberHold::default()
        }
    }

    #[test]
    fn pause_counts_more_than_a_cooldown_and_a_cooldown_ends() {
        let both = NumberHold {
            cooldown: cooling_down(9).cooldown,
            ..paused()
        };
        assert_eq!(both.gate(0), NumberGate::Paused);
        assert_eq!(cooling_down(9).gate(8), NumberGate::CoolingDown(9));
        assert_eq!(cooling_down(9).gate(9), NumberGate::Open);
        assert_eq!(NumberHold::default().gate(0), NumberGate::Open);
    }

    #[test]
    fn campaign_is_held_by_any_of_its_numbers_and_stands_still_without_all() {
        let resumed = NumberHold {
            resumed_at: Some(7),
            ..NumberHold::default()
        };
        let one = CampaignHold::of([&paused(), &resumed, &NumberHold::default()]);
        let expected = CampaignHold {
            is_any_paused: true,
            are_all_paused: false,
            resumed_at: Some(7),
        };
        assert_eq!(one, expected);
        assert!(CampaignHold::of([&paused(), &paused()]).are_all_paused);
        assert_eq!(CampaignHold::of([]), CampaignHold::default());
    }
}
