//! The hours in which a campaign may send, as its operator knows them: by the clocks of the calendar, not by the product's database
//! of time zones.

use serde_json::{Value, json};

use crate::calendar::{CANARY_ISLANDS, Clock, MADRID, WASHINGTON, ZONES};
use crate::random::Random;

const DAY_MINUTES: i64 = 24 * 60;

/// Each recipient's own zone.
const RECIPIENT: &str = "recipient";

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// The hours of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    zone: &'static str,
    /// Minutes of the day.
    from: i64,
    to: i64,
    /// The day of the week on which it does not open, from Monday.
    day_off: Option<usize>,
}

impl Window {
    /// A window that is closed for minutes or hours around `now_ms`.
    pub fn draw(random: &Random, now_ms: u64) -> Self {
        let near_ms = now_ms + random.range(0..180) * 60_000 - 120 * 60_000;
        let closed = random.range(10..180) as i64;
        let (zone, clock) = match random.chance(0.5) {
            true => (RECIPIENT, *random.pick(&[&CANARY_ISLANDS, &MADRID])),
            false => {
                let index = random.range(0..ZONES.len() as u64) as usize;
                (ZONES[index].0, &ZONES[index].1)
            }
        };
        let to = clock.local(near_ms).rem_euclid(DAY_MINUTES);
        Self {
            zone,
            from: (to + closed).rem_euclid(DAY_MINUTES),
            to,
            day_off: random
                .chance(0.1)
                .then(|| random.range(0..DAYS.len() as u64) as usize),
        }
    }

    /// As the API takes it.
    pub fn body(&self) -> Value {
        let time = |minutes: i64| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let mut body = json!({"from": time(self.from), "to": time(self.to), "zone": self.zone});
        if let Some(day_off) = self.day_off {
            let days = DAYS.iter().enumerate();
            let days = days.filter(|(day, _)| *day != day_off);
            body["days"] = days.map(|(_, day)| *day).collect();
        }
        body
    }

    /// Whether this recipient may be messaged.
    pub fn is_open(&self, phone: &str, at_ms: u64) -> bool {
        let clocks: &[&Clock] = match ZONES.iter().find(|(name, _)| *name == self.zone) {
            Some((_, clock)) => &[clock],
            None if phone.starts_with("+1202") => &[&WASHINGTON],
            // Spain has two.
            None => &[&CANARY_ISLANDS, &MADRID],
        };
        clocks
            .iter()
            .all(|clock| self.is_open_at(clock.local(at_ms)))
    }

    /// How many minutes of this time this recipient may be messaged, and how often the window opens in it.
    pub fn open_minutes(&self, phone: &str, from_ms: u64, to_ms: u64) -> (u64, u64) {
        let (mut open, mut openings, mut was_open) = (0, 0, true);
        for at_ms in (from_ms..to_ms).step_by(60_000) {
            let is_open = self.is_open(phone, at_ms);
            open += u64::from(is_open);
            openings += u64::from(is_open && !was_open);
            was_open = is_open;
        }
        (open, openings)
    }

    /// `local` in minutes since the Unix epoch, on the clock of a zone.
    fn is_open_at(&self, local: i64) -> bool {
        // The epoch began on a Thursday.
        let day = (local.div_euclid(DAY_MINUTES) + 3).rem_euclid(7) as usize;
        let opens_on = |day: usize| self.day_off != Some(day % DAYS.len());
        let minute = local.rem_euclid(DAY_MINUTES);
        match self.from < self.to {
            true => opens_on(day) && self.from <= minute && minute < self.to,
            false => minute >= self.from && opens_on(day) || minute < self.to && opens_on(day + 6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{BASE_MS, EUROPE, HOUR_MS};

    /// Tuesday, 1 December 2026, 00:00 UTC.
    const TUESDAY_MS: u64 = BASE_MS;

    #[test]
    fn window_moves_with_the_clock() {
        let window = Window {
            zone: "Europe/Madrid",
            from: 9 * 60,
            to: 20 * 60,
            day_off: None,
        };
        let (spring, autumn) = EUROPE[0];
        // 09:00 in Madrid is 08:00 UTC in winter, and 07:00 in summer; the changes are at 01:00.
        for (at_ms, hour) in [
            (spring - 24 * HOUR_MS, 7),
            (spring, 6),
            (autumn - 24 * HOUR_MS, 6),
            (autumn, 7),
        ] {
            let opens_ms = at_ms + hour * HOUR_MS;
            assert!(window.is_open("", opens_ms), "{at_ms}");
            assert!(!window.is_open("", opens_ms - 60_000), "{at_ms}");
        }
    }

    #[test]
    fn recipient_is_messaged_while_all_zones_of_the_number_are_awake() {
        let window = Window {
            zone: RECIPIENT,
            from: 9 * 60,
            to: 20 * 60,
            day_off: Some(2),
        };
        let open = |phone, hour: u64| window.is_open(phone, TUESDAY_MS + hour * 3_600_000);
        let spain: Vec<u64> = (0..48).filter(|hour| open("+34610000001", *hour)).collect();
        assert_eq!(spain, (9..19).collect::<Vec<_>>());
        let washington: Vec<u64> = (0..48).filter(|hour| open("+12025550101", *hour)).collect();
        // In Washington, it is still Monday at first, and on Wednesday it is closed.
        assert_eq!(washington, [vec![0], (14..25).collect()].concat());
        let from = TUESDAY_MS + 8 * 3_600_000;
        let minutes = window.open_minutes("+34610000001", from, from + 86_400_000);
        assert_eq!(minutes, (600, 1));
    }
}
