//! The clock, read at the edges of the system; everything below takes the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use campaign::time::Millis;

/// The current time in milliseconds since the Unix epoch.
pub fn now() -> Millis {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since_epoch.as_millis() as Millis
}

/// `days` after `now` in seconds since the Unix epoch, the unit of DynamoDB's time to live.
pub(crate) fn ttl(now: Millis, days: u32) -> u64 {
    now / 1000 + u64::from(days) * 86_400
}

/// What belongs to a campaign outlives it by this time, so that no row is forgotten while it may still be sent.
const DAYS_BEYOND_CAMPAIGN: u32 = 37;

/// When something expires that belongs to a campaign and is written at `now`; campaigns are kept for `days`.
pub(crate) fn part_ttl(now: Millis, days: u32) -> u64 {
    ttl(now, days + DAYS_BEYOND_CAMPAIGN)
}
