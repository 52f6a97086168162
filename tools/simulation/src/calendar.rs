//! When lives are, and what clocks show then: tables of its own, not the product's database of time zones.

/// The earliest time of a life: 1 December 2026.
pub const BASE_MS: u64 = 1_796_083_200_000;

/// A clock: minutes from UTC, and the times in which it is an hour ahead of that.
#[derive(Debug)]
pub struct Clock {
    offset: i64,
    summers: &'static [Summer],
}

/// A time in which the clock is an hour ahead, from and until a moment in milliseconds since the Unix epoch.
type Summer = (u64, u64);

pub(crate) const HOUR_MS: u64 = 3_600_000;

/// The last Sunday of March 2027, and that of October, at 01:00 UTC (EU directive 2000/84); the same a year later.
pub(crate) const EUROPE: [Summer; 2] = [
    (1_806_195_600_000, 1_824_944_400_000),
    (1_837_645_200_000, 1_856_394_000_000),
];

/// From the second Sunday of March to the first of November at 02:00 local time (US Energy Policy Act of 2005): 07:00 and
/// 06:00 UTC.
const NEW_YORK: [Summer; 2] = [
    (1_805_007_600_000, 1_825_567_200_000),
    (1_836_457_200_000, 1_857_016_800_000),
];

/// From the first Sunday of October to the first of April at 02:00 standard time (New South Wales, Standard Time Act 1987):
/// 16:00 UTC of the day before.
const SYDNEY: [Summer; 3] = [
    (1_791_043_200_000, 1_806_768_000_000),
    (1_822_492_800_000, 1_838_217_600_000),
    (1_853_942_400_000, 1_869_667_200_000),
];

/// Zones that an operator names.
pub(crate) const ZONES: [(&str, Clock); 5] = [
    ("UTC", clock(0, &[])),
    ("Europe/Madrid", MADRID),
    ("America/New_York", WASHINGTON),
    ("America/Sao_Paulo", clock(-180, &[])),
    ("Australia/Sydney", clock(600, &SYDNEY)),
];

pub(crate) const MADRID: Clock = clock(60, &EUROPE);
pub(crate) const CANARY_ISLANDS: Clock = clock(0, &EUROPE);
pub(crate) const WASHINGTON: Clock = clock(-300, &NEW_YORK);

const fn clock(offset: i64, summers: &'static [Summer]) -> Clock {
    Clock { offset, summers }
}

impl Clock {
    /// What it shows, in minutes since the Unix epoch.
    pub(crate) fn local(&self, at_ms: u64) -> i64 {
        let is_summer = |(from, until): &Summer| (*from..*until).contains(&at_ms);
        let summer = if self.summers.iter().any(is_summer) {
            60
        } else {
            0
        };
        (at_ms / 60_000) as i64 + self.offset + summer
    }
}

/// The moments at which some clock is changed, from [`BASE_MS`] on, for a year.
fn clock_changes() -> Vec<u64> {
    let all = [&EUROPE[..], &NEW_YORK, &SYDNEY].concat();
    let moments = all.into_iter().flat_map(|(from, until)| [from, until]);
    let year = BASE_MS..BASE_MS + 366 * 24 * HOUR_MS;
    moments.filter(|at| year.contains(at)).collect()
}

/// When the life of a seed begins: at any hour of the year, and in one life of four shortly before a clock is changed.
pub(crate) fn begins_ms(seed: u64) -> u64 {
    let changes = clock_changes();
    let (quarter, seed) = (seed % 4, seed / 4);
    let index = (seed % changes.len() as u64) as usize;
    match quarter {
        0 => changes[index] - (1 + seed / changes.len() as u64 % 5) * HOUR_MS,
        _ => BASE_MS + seed * 7_919 % (365 * 24) * HOUR_MS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_begin_within_a_year_and_many_shortly_before_a_change_of_a_clock() {
        let changes = clock_changes();
        assert_eq!(changes.len(), 6);
        let begins: Vec<u64> = (0..4_000).map(begins_ms).collect();
        let year = BASE_MS..BASE_MS + 366 * 24 * HOUR_MS;
        assert!(begins.iter().all(|at| year.contains(at)));
        for change in changes {
            let before = change - 5 * HOUR_MS..change;
            let near = begins.iter().filter(|at| before.contains(at)).count();
            assert!(near > 150, "{change}: {near}");
        }
    }
}
