//! A service that is not available for a while.

use std::ops::Range;
use std::time::Duration;

use crate::aws::{Rates, SERVICES, Service};
use crate::random::Random;

/// How long a service is not available, in milliseconds.
const OUTAGE_MS: [Range<u64>; 3] = [2_000..15_000, 15_000..120_000, 120_000..900_000];

/// A service that is not available for a while.
#[derive(Clone, Debug)]
pub struct Outage {
    /// Which one.
    pub service: Service,
    /// What every request to it meets.
    pub rates: Rates,
    /// When it begins.
    pub begins: Duration,
    /// How long it lasts.
    pub lasts: Duration,
}

impl Outage {
    /// Any outage.
    pub fn draw(random: &Random) -> Self {
        let always = [
            Rates {
                refused: 1.0,
                ..Rates::default()
            },
            Rates {
                throttled: 1.0,
                ..Rates::default()
            },
            Rates {
                answer_lost: 0.7,
                ..Rates::default()
            },
        ];
        Self {
            service: *random.pick(&SERVICES),
            rates: *random.pick(&always),
            begins: random.millis(10_000..400_000),
            lasts: random.millis(random.pick(&OUTAGE_MS).clone()),
        }
    }
}
