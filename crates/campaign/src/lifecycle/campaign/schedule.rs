//! When a campaign may send.

use serde::{Deserialize, Serialize};

use crate::import::phone::Phone;
use crate::lifecycle::daily_window::{DailyWindow, WindowZone};
use crate::time::Millis;

/// When the operator wants a campaign to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// No send starts before this time.
    #[serde(default)]
    pub not_before: Option<Millis>,
    /// No send starts from this time on; the rows that are left are skipped as expired.
    #[serde(default)]
    pub not_after: Option<Millis>,
    /// The hours of the day in which it sends; at all hours without one.
    #[serde(default)]
    pub window: Option<DailyWindow>,
}

impl Schedule {
    /// Whether it has begun.
    pub fn has_begun(&self, now: Millis) -> bool {
        self.not_before.is_none_or(|not_before| not_before <= now)
    }

    /// Whether it has ended.
    pub fn has_ended(&self, now: Millis) -> bool {
        self.not_after.is_some_and(|not_after| not_after <= now)
    }

    /// Whether each recipient has hours of its own.
    pub fn has_own_hours(&self) -> bool {
        let mut window = self.window.iter();
        window.any(|window| window.zone == WindowZone::Recipient)
    }

    /// Whether its window names a zone, and is closed there.
    pub fn is_closed_for_all(&self, now: Millis) -> bool {
        let mut window = self.window.iter();
        window.any(|window| window.is_closed_for_all(now))
    }

    /// Whether its hours let this recipient be messaged.
    pub fn is_open(&self, to: Phone, now: Millis) -> bool {
        let mut window = self.window.iter();
        window.all(|window| window.is_open(to, now))
    }
}

/// For how many milliseconds after its creation a campaign may send, if campaigns and files are kept for so many days: until
/// a day before the first of them expires (below four days: a quarter of the time before), so that its last rows can be
/// settled.
pub fn sendable_for(campaign_days: u32, file_days: u32) -> Millis {
    const DAY_MS: Millis = 24 * 3_600_000;
    let kept_for = Millis::from(campaign_days.min(file_days)) * DAY_MS;
    kept_for - DAY_MS.min(kept_for / 4)
}

/// A pause in sending that the API asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    /// When it ends.
    pub until: Millis,
    /// Why, as a sentence.
    pub reason: String,
}

/// Whether sends of a campaign may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sendability {
    /// They may start now.
    Now,
    /// Not before this time: the API asked for a cooldown, or the schedule has not begun.
    NotBefore(Millis),
    /// The schedule has ended: rows without an attempt are skipped.
    Expired,
    /// The campaign is paused or over, or has not started.
    Stopped,
}
