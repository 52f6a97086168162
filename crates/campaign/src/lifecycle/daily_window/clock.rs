//! When the clock of a zone shows a time.

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};

use super::TimeOfDay;
use crate::time::Millis;

/// When the clock in a zone shows a time, day by day, from the day before `around` on for more than two weeks. Where the clock is
/// set forward over that time, the moment of the change; where it is set back, it shows the time twice.
pub(super) fn times_of_day(
    zone: &TimeZone,
    around: Millis,
    time: TimeOfDay,
) -> impl Iterator<Item = Millis> + '_ {
    let today = zone.to_datetime(timestamp(around)).date();
    (-1..=16).flat_map(move |offset| {
        let found = today
            .checked_add(Span::new().days(offset))
            .map(|day| time_on_day(zone, day, time));
        found.unwrap_or_default()
    })
}

fn time_on_day(zone: &TimeZone, day: Date, time: TimeOfDay) -> Vec<Millis> {
    let minutes = i64::from(time.minutes());
    let Ok(local) = day.at(0, 0, 0, 0).checked_add(Span::new().minutes(minutes)) else {
        return Vec::new();
    };
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let found = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => vec![ambiguous.compatible()],
        AmbiguousOffset::Fold { .. } => vec![ambiguous.earlier(), ambiguous.later()],
        AmbiguousOffset::Gap { .. } => {
            let change = ambiguous.later().ok().and_then(|later| {
                // The change itself is what `later` is, for the first time that the clock leaves out.
                let behind = later.checked_add(Span::new().nanoseconds(1)).ok()?;
                let mut changes = zone.preceding(behind);
                changes.next().map(|change| change.timestamp())
            });
            change.map(Ok).into_iter().collect()
        }
    };
    let found = found.into_iter().flatten();
    found
        .filter_map(|at| Millis::try_from(at.as_millisecond()).ok())
        .collect()
}

pub(super) fn timestamp(at: Millis) -> Timestamp {
    let at = i64::try_from(at).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX)
}
