//! The hours of the day in which a campaign may send.
//!
//! A window is open while the clock on the wall shows a time in it, in the zone that it names or where the recipient is. A
//! change of the clock needs no rule of its own then. Where a number may be in several zones, the window is open while it is
//! open in all of them.
//!
//! - this file: when it opens and closes
//! - `parts`: times of day, zones, days, and how they are written
//! - `clock`: when the clock of a zone shows a time

mod clock;
mod parts;

use std::collections::HashMap;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use self::clock::{times_of_day, timestamp};
use self::parts::DAY_MINUTES;
pub use self::parts::{Day, TimeOfDay, WindowProblem, WindowZone};
use crate::import::phone::{Phone, TimeZones};
use crate::time::Millis;

/// A window that does not open for so long counts as one that never opens: two weeks have all of its days twice. Clocks that
/// are changed months later may give zones hours in common; nobody waits for that.
const NEVER_MS: Millis = 15 * 24 * 3_600_000;

/// The shortest window: the reconciler looks every five minutes for what waits.
const MIN_MINUTES: u16 = 15;

/// When a campaign may send, day by day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DailyWindow {
    /// It opens at this time.
    pub from: TimeOfDay,
    /// It closes at this time: on the next day, where that is earlier than `from`.
    pub to: TimeOfDay,
    /// Whose clock counts.
    pub zone: WindowZone,
    /// The days on which it opens.
    pub days: Vec<Day>,
}

/// Whether a window is open for a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It is open.
    Open,
    /// It opens at this time.
    At(Millis),
    /// Never: the number may be in zones in which it is not open at the same time, or in none that is known.
    Never,
}

impl DailyWindow {
    /// A window, if it opens and closes.
    pub fn new(
        from: TimeOfDay,
        to: TimeOfDay,
        zone: WindowZone,
        mut days: Vec<Day>,
    ) -> Result<Self, WindowProblem> {
        if from.is_end_of_day() {
            return Err(WindowProblem::StartsAtEndOfDay);
        }
        let minutes = (to.minutes() + DAY_MINUTES - from.minutes()) % DAY_MINUTES;
        if minutes < MIN_MINUTES && !(from.minutes() == 0 && to.is_end_of_day()) {
            return Err(WindowProblem::TooShort);
        }
        if days.is_empty() {
            return Err(WindowProblem::NoDay);
        }
        days.sort_unstable();
        days.dedup();
        Ok(Self {
            from,
            to,
            zone,
            days,
        })
    }

    /// Whether it is open for this recipient.
    pub fn is_open(&self, to: Phone, now: Millis) -> bool {
        self.is_open_in_all(&self.zones(to), now)
    }

    /// Whether it names a zone, and is closed there.
    pub fn is_closed_for_all(&self, now: Millis) -> bool {
        let zone = self.named_zone();
        zone.is_some_and(|zone| !self.is_open_in(&zone, now))
    }

    /// When it has been open for so many milliseconds from `now` on; `None` where each recipient has its own hours, or it takes
    /// more windows than are looked at.
    pub fn end_of_open_time(&self, now: Millis, mut open_ms: Millis) -> Option<Millis> {
        const MAX_WINDOWS: usize = 366;
        let zone = self.named_zone()?;
        let mut at = now;
        for _ in 0..MAX_WINDOWS {
            if !self.is_open_in(&zone, at) {
                at = self.next_start_in(&zone, at)?;
            }
            let Some(end) = self.next_end_in(&zone, at) else {
                return Some(at + open_ms);
            };
            if at + open_ms <= end {
                return Some(at + open_ms);
            }
            open_ms -= end - at;
            at = end;
        }
        None
    }

    fn named_zone(&self) -> Option<TimeZone> {
        match &self.zone {
            WindowZone::Named(name) => TimeZone::get(name).ok(),
            WindowZone::Recipient => None,
        }
    }

    /// The zones whose clocks count for this recipient.
    fn zones(&self, to: Phone) -> Vec<TimeZone> {
        match &self.zone {
            WindowZone::Named(_) => self.named_zone().into_iter().collect(),
            WindowZone::Recipient => TimeZones::of(to)
                .into_iter()
                .flat_map(TimeZones::names)
                .filter_map(|name| TimeZone::get(name).ok())
                .collect(),
        }
    }

    /// Whether it is open in each of the zones, of which there is one at least.
    fn is_open_in_all(&self, zones: &[TimeZone], now: Millis) -> bool {
        !zones.is_empty() && zones.iter().all(|zone| self.is_open_in(zone, now))
    }

    fn is_open_in(&self, zone: &TimeZone, now: Millis) -> bool {
        let local = zone.to_datetime(timestamp(now));
        let time = local.time();
        let minute = time.hour() as u16 * 60 + time.minute() as u16;
        let (from, to) = (self.from.minutes(), self.to.minutes());
        let today = self.opens_on(local.weekday());
        if from < to {
            return today && (from..to).contains(&minute);
        }
        today && minute >= from || minute < to && self.opens_on(local.weekday().previous())
    }

    fn opens_on(&self, day: Weekday) -> bool {
        self.days.iter().any(|&open| Weekday::from(open) == day)
    }

    /// The first time after `after` at which it opens in all of the zones.
    fn next_start(&self, zones: &[TimeZone], after: Millis) -> Option<Millis> {
        let mut at = after;
        loop {
            let starts = zones.iter().filter_map(|zone| self.next_start_in(zone, at));
            at = starts.min()?;
            if at > after + NEVER_MS {
                return None;
            }
            if self.is_open_in_all(zones, at) {
                return Some(at);
            }
        }
    }

    /// The first time after `after` at which it opens in the zone.
    fn next_start_in(&self, zone: &TimeZone, after: Millis) -> Option<Millis> {
        let mut starts = times_of_day(zone, after, self.from);
        // One that is open until midnight and from then on does not open then.
        let opens = |at: Millis| self.is_open_in(zone, at) && !self.is_open_in(zone, at - 1);
        starts.find(|&at| at > after && opens(at))
    }

    /// The first time after `after` at which it closes in the zone.
    fn next_end_in(&self, zone: &TimeZone, after: Millis) -> Option<Millis> {
        let mut ends = times_of_day(zone, after, self.to);
        ends.find(|&at| at > after && !self.is_open_in(zone, at))
    }
}

/// Says for which recipients a window is open at one time. Recipients in the same zones share what was computed.
#[derive(Debug)]
pub struct WindowCheck<'a> {
    window: &'a DailyWindow,
    now: Millis,
    known: HashMap<Option<TimeZones>, Opening>,
    next_opening: Option<Millis>,
}

impl<'a> WindowCheck<'a> {
    /// For sends at `now`.
    pub fn new(window: &'a DailyWindow, now: Millis) -> Self {
        Self {
            window,
            now,
            known: HashMap::new(),
            next_opening: None,
        }
    }

    /// Whether it is open for this recipient.
    pub fn opening(&mut self, to: Phone) -> Opening {
        let zones = match self.window.zone {
            WindowZone::Recipient => TimeZones::of(to),
            WindowZone::Named(_) => None,
        };
        if let Some(&known) = self.known.get(&zones) {
            return known;
        }
        let clocks = self.window.zones(to);
        let start = self.window.next_start(&clocks, self.now);
        let earliest = self.next_opening.into_iter().chain(start).min();
        self.next_opening = earliest;
        let opening = match (self.window.is_open_in_all(&clocks, self.now), start) {
            (true, _) => Opening::Open,
            (false, Some(at)) => Opening::At(at),
            (false, None) => Opening::Never,
        };
        self.known.insert(zones, opening);
        opening
    }

    /// Whether it was open for this recipient before it last opened at `opened_at`: whether others have opened then.
    pub fn was_open_before(&self, to: Phone, opened_at: Millis) -> bool {
        self.window.is_open(to, opened_at.saturating_sub(1))
    }

    /// The first time after `now` at which it opens for one of the recipients that were asked for: whether it is closed for
    /// them now, or will close and open again.
    pub fn next_opening(&self) -> Option<Millis> {
        self.next_opening
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use strum::VariantArray;

    use super::*;

    const MINUTE: Millis = 60_000;
    const HOUR: Millis = 60 * MINUTE;

    fn window(from: &str, to: &str, zone: &str, days: &[Day]) -> DailyWindow {
        let [from, to] = [from, to].map(|time| time.parse().expect("a time of day"));
        let zone = zone.parse().expect("a zone");
        DailyWindow::new(from, to, zone, days.to_vec()).expect("a window")
    }

    fn at(time: &str) -> Millis {
        let time: Timestamp = time.parse().expect("a time");
        Millis::try_from(time.as_millisecond()).expect("after 1970")
    }

    fn phone(text: &str) -> Phone {
        Phone::try_from(text.to_owned()).expect("a number")
    }

    /// When it opens after `after` for this recipient.
    fn opens(window: &DailyWindow, to: &str, after: &str) -> Option<String> {
        let start = window.next_start(&window.zones(phone(to)), at(after))?;
        let start = Timestamp::from_millisecond(start.try_into().ok()?).ok()?;
        Some(start.to_string())
    }

    const BERLIN: &str = "+4915112345678";

    #[test]
    fn clock_that_is_set_forward_or_back_moves_no_opening() {
        let day = window("09:00", "20:00", "Europe/Berlin", Day::VARIANTS);
        for (after, opening) in [
            ("2026-03-28T12:00:00Z", "2026-03-29T07:00:00Z"),
            ("2026-03-27T12:00:00Z", "2026-03-28T08:00:00Z"),
            ("2026-10-24T12:00:00Z", "2026-10-25T08:00:00Z"),
        ] {
            assert_eq!(opens(&day, BERLIN, after).as_deref(), Some(opening));
        }
        // 02:30 does not exist on that day: the window opens when the clock jumps over it.
        let night = window("02:30", "05:00", "Europe/Berlin", Day::VARIANTS);
        let opening = opens(&night, BERLIN, "2026-03-28T23:00:00Z");
        assert_eq!(opening.as_deref(), Some("2026-03-29T01:00:00Z"));
        // Neither does the first minute of a gap, which is the change itself: here the only one in a week.
        let friday = window("00:00", "24:00", "Africa/Cairo", &[Day::Friday]);
        let opening = opens(&friday, BERLIN, "2026-04-21T12:00:00Z");
        assert_eq!(opening.as_deref(), Some("2026-04-23T22:00:00Z"));
        let sunday = window("02:00", "03:00", "America/New_York", &[Day::Sunday]);
        let opening = opens(&sunday, BERLIN, "2026-03-02T12:00:00Z");
        assert_eq!(opening.as_deref(), Some("2026-03-15T06:00:00Z"));
        // 02:30 comes twice: it is open from the first one on, closed while the clock shows 02:00 again, and open again.
        for (time, is_open) in [
            ("2026-10-25T00:29:59Z", false),
            ("2026-10-25T00:30:00Z", true),
            ("2026-10-25T01:00:00Z", false),
            ("2026-10-25T01:30:00Z", true),
            ("2026-10-25T04:00:00Z", false),
        ] {
            assert_eq!(night.is_open(phone(BERLIN), at(time)), is_open, "{time}");
        }
    }

    #[test]
    fn window_over_midnight_belongs_to_the_day_on_which_it_opens() {
        let night = window("18:00", "02:00", "Asia/Kolkata", &[Day::Saturday]);
        let recipient = phone("+917012345678");
        for (time, is_open) in [
            // Saturday, 18:00, and Sunday, 01:59 and 02:00, then 18:00, in India.
            ("2026-11-28T12:29:59Z", false),
            ("2026-11-28T12:30:00Z", true),
            ("2026-11-28T20:29:59Z", true),
            ("2026-11-28T20:30:00Z", false),
            ("2026-11-29T12:30:00Z", false),
        ] {
            assert_eq!(night.is_open(recipient, at(time)), is_open, "{time}");
        }
    }

    #[test]
    fn recipient_in_several_zones_is_messaged_while_all_are_awake() {
        let day = window("09:00", "20:00", "recipient", Day::VARIANTS);
        let weekdays = window("09:00", "20:00", "recipient", &Day::VARIANTS[..5]);
        // A mobile number of Australia: from Perth (UTC+8) and Christmas Island (+7) and Cocos (+6:30) to Lord Howe (+11).
        let opening = opens(&day, "+61412345678", "2026-11-28T12:00:00Z");
        assert_eq!(opening.as_deref(), Some("2026-11-29T02:30:00Z"));
        let opening = opens(&weekdays, "+61412345678", "2026-11-28T12:00:00Z");
        assert_eq!(opening.as_deref(), Some("2026-11-30T02:30:00Z"));
        // Russia's zones have only one of these hours in common, and none of shorter days.
        let opening = opens(&day, "+79161234567", "2026-11-28T12:00:00Z");
        assert_eq!(opening.as_deref(), Some("2026-11-29T07:00:00Z"));
        let office = window("09:00", "17:00", "recipient", Day::VARIANTS);
        assert_eq!(opens(&office, "+79161234567", "2026-11-28T12:00:00Z"), None);
        let mut check = WindowCheck::new(&office, at("2026-11-28T12:00:00Z"));
        assert_eq!(check.opening(phone("+79161234567")), Opening::Never);
        assert_eq!(check.opening(phone("+88161234567")), Opening::Never);
        assert_eq!(check.next_opening(), None);
        let brazil = check.opening(phone("+5511987654321"));
        assert_eq!(brazil, Opening::Open);
        assert_eq!(check.next_opening(), Some(at("2026-11-29T12:00:00Z")));
        // At 09:00 in Brasília.
        let opened_at = at("2026-11-28T12:00:00Z");
        assert!(!check.was_open_before(phone("+5511987654321"), opened_at));
        assert!(check.was_open_before(phone("+5511987654321"), opened_at + 1));
    }

    #[test]
    fn end_is_estimated_over_the_hours_that_are_open() {
        let day = window("09:00", "11:00", "UTC", &[Day::Monday, Day::Tuesday]);
        for (now, hours, end) in [
            ("2026-11-30T10:00:00Z", 1, "2026-11-30T11:00:00Z"),
            ("2026-11-30T10:00:00Z", 2, "2026-12-01T10:00:00Z"),
            ("2026-12-01T12:00:00Z", 4, "2026-12-08T11:00:00Z"),
        ] {
            let estimate = day.end_of_open_time(at(now), hours * HOUR);
            assert_eq!(estimate, Some(at(end)), "{now} {hours}");
        }
        let always = window("00:00", "24:00", "UTC", Day::VARIANTS);
        assert_eq!(always.next_start(&[TimeZone::UTC], 7), None);
        assert_eq!(always.end_of_open_time(7, HOUR), Some(7 + HOUR));
        let own = window("09:00", "11:00", "recipient", Day::VARIANTS);
        assert_eq!(own.end_of_open_time(7, HOUR), None);
    }

    /// Zones with the times in 2026 at which their clocks change, and the minutes from UTC to them before, between and
    /// after, as their governments have published them.
    const ZONES: [(&str, [&str; 2], [i64; 3]); 5] = [
        (
            "America/Sao_Paulo",
            [NEW_YEAR, NEW_YEAR],
            [-180, -180, -180],
        ),
        (
            "America/New_York",
            ["2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"],
            [-300, -240, -300],
        ),
        (
            "Europe/London",
            ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"],
            [0, 60, 0],
        ),
        // By half an hour.
        (
            "Australia/Lord_Howe",
            ["2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"],
            [660, 630, 660],
        ),
        // At midnight.
        (
            "Africa/Cairo",
            ["2026-04-23T22:00:00Z", "2026-10-29T21:00:00Z"],
            [120, 180, 120],
        ),
    ];

    const NEW_YEAR: &str = "2026-01-01T00:00:00Z";

    /// Minutes since Monday, 00:00, on the clock in a zone: by the table, without the database of zones.
    fn shown_minute(zone: usize, time: Millis) -> u64 {
        let (_, changes, offsets) = ZONES[zone];
        let changed = changes.iter().filter(|change| at(change) <= time).count();
        // 2026 begins on a Thursday.
        const THURSDAY: i64 = 3 * 24 * 60;
        let minutes = (time as i64 - at(NEW_YEAR) as i64) / MINUTE as i64;
        (THURSDAY + minutes + offsets[changed]).rem_euclid(7 * 24 * 60) as u64
    }

    fn is_open_by_table(window: &DailyWindow, zone: usize, time: Millis) -> bool {
        let shown = shown_minute(zone, time);
        let (day, minute) = ((shown / 1440) as usize, (shown % 1440) as u16);
        let opens_on = |day: usize| window.days.contains(&Day::VARIANTS[day % 7]);
        let (from, to) = (window.from.minutes(), window.to.minutes());
        match from < to {
            true => opens_on(day) && from <= minute && minute < to,
            false => minute >= from && opens_on(day) || minute < to && opens_on(day + 6),
        }
    }

    /// Every quarter of an hour of a year, in five zones whose clocks change: open at the right times, and each opening is
    /// announced to the minute.
    #[test]
    fn year_in_five_zones() {
        for (zone, (name, ..)) in ZONES.iter().enumerate() {
            for window in [
                window("00:00", "24:00", name, &Day::VARIANTS[..5]),
                window("09:00", "20:00", name, Day::VARIANTS),
                window("22:15", "06:45", name, &Day::VARIANTS[4..6]),
            ] {
                let time_zone = window.named_zone().expect("a zone");
                let mut announced = None;
                for quarter in 1..365 * 96 {
                    let time = at(NEW_YEAR) + quarter * 15 * MINUTE;
                    let is_open = is_open_by_table(&window, zone, time);
                    assert_eq!(
                        window.is_open_in(&time_zone, time),
                        is_open,
                        "{name} {time}"
                    );
                    let was_open = is_open_by_table(&window, zone, time - 15 * MINUTE);
                    if is_open && !was_open {
                        assert!(
                            announced.is_none_or(|at| at == time),
                            "{name} {time} {announced:?}"
                        );
                    }
                    if !is_open {
                        announced = window.next_start_in(&time_zone, time);
                        assert!(announced.is_some_and(|at| at > time));
                    }
                }
            }
        }
    }

    proptest! {
        /// Minute by minute from any time of the year on: before the next opening that is announced, there is none.
        #[test]
        fn announced_opening_is_the_next(
            zone in 0..ZONES.len(),
            (from, to) in (0u16..1440, 0u16..=1440).prop_filter("it is long enough", |(from, to)| (to + 1440 - from) % 1440 >= MIN_MINUTES),
            days in prop::sample::subsequence(Day::VARIANTS.to_vec(), 1..=7),
            minute in 0u64..360 * 1440,
        ) {
            let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
            let window = window(&time(from), &time(to), ZONES[zone].0, &days);
            let time_zone = window.named_zone().expect("a zone");
            let after = at(NEW_YEAR) + minute * MINUTE;
            let start = window.next_start_in(&time_zone, after).expect("it opens every week");
            prop_assert!(is_open_by_table(&window, zone, start));
            let mut time = after;
            while time + MINUTE < start {
                let was_open = is_open_by_table(&window, zone, time);
                time += MINUTE;
                // A clock that is set back into the window opens it again for a while: no opening that is announced.
                let is_set_back = shown_minute(zone, time) < shown_minute(zone, time - MINUTE);
                let opens = !was_open && is_open_by_table(&window, zone, time);
                prop_assert!(!opens || is_set_back, "it opens at {time}, before {start}");
            }
        }
    }
}
