//! What happened over time: attempts, deliveries and reads, in at most 60 buckets, however long a campaign takes. The buckets
//! are a minute wide at first. Where 60 do not suffice, two become one, so that the whole is never longer than a screen is wide.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// The narrowest bucket.
const MINUTE_MS: Millis = 60_000;

/// The most buckets.
const MAX_BUCKETS: usize = 60;

/// The buckets of one shard, or of a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeline {
    /// Minutes of a bucket: a power of two.
    minutes: u64,
    /// The number of the bucket since the Unix epoch, attempts, deliveries, reads; empty ones are left out.
    buckets: Vec<(u64, i64, i64, i64)>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            minutes: 1,
            buckets: Vec::new(),
        }
    }
}

/// What happened within one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimelinePoint {
    /// Its beginning.
    pub at: Millis,
    /// Attempts begun.
    pub attempts: i64,
    /// Messages delivered.
    pub delivered: i64,
    /// Messages read.
    pub read: i64,
}

impl Timeline {
    /// Adds what happened at `point.at`.
    pub fn add(&mut self, point: TimelinePoint) {
        let number = point.at / (self.minutes * MINUTE_MS);
        self.add_to_bucket((number, point.attempts, point.delivered, point.read));
        while self.buckets.len() > MAX_BUCKETS {
            self.coarsen();
        }
    }

    /// The sum of two shards.
    pub fn merge(mut self, mut other: Timeline) -> Timeline {
        while self.minutes < other.minutes {
            self.coarsen();
        }
        while other.minutes < self.minutes {
            other.coarsen();
        }
        for bucket in other.buckets {
            self.add_to_bucket(bucket);
        }
        while self.buckets.len() > MAX_BUCKETS {
            self.coarsen();
        }
        self
    }

    /// The width of a bucket.
    pub fn bucket_ms(&self) -> Millis {
        self.minutes * MINUTE_MS
    }

    /// The buckets in which something happened, oldest first.
    pub fn points(&self) -> impl Iterator<Item = TimelinePoint> {
        self.buckets
            .iter()
            .map(|&(number, attempts, delivered, read)| TimelinePoint {
                at: number * self.bucket_ms(),
                attempts,
                delivered,
                read,
            })
    }

    fn add_to_bucket(&mut self, (number, attempts, delivered, read): (u64, i64, i64, i64)) {
        match self
            .buckets
            .binary_search_by_key(&number, |&(known, ..)| known)
        {
            Ok(index) => {
                let (_, known_attempts, known_delivered, known_read) = &mut self.buckets[index];
                *known_attempts += attempts;
                *known_delivered += delivered;
                *known_read += read;
            }
            Err(index) => self
                .buckets
                .insert(index, (number, attempts, delivered, read)),
        }
    }

    /// Makes one bucket of two.
    fn coarsen(&mut self) {
        self.minutes *= 2;
        for (number, attempts, delivered, read) in std::mem::take(&mut self.buckets) {
            self.add_to_bucket((number / 2, attempts, delivered, read));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points() -> impl Strategy<Value = Vec<TimelinePoint>> {
        let point = (0u64..1_000_000_000, 0i64..5, 0i64..5, 0i64..5);
        let point = point.prop_map(|(at, attempts, delivered, read)| TimelinePoint {
            at,
            attempts,
            delivered,
            read,
        });
        prop::collection::vec(point, 0..200)
    }

    fn timeline(points: &[TimelinePoint]) -> Timeline {
        let mut timeline = Timeline::default();
        points.iter().for_each(|point| timeline.add(*point));
        timeline
    }

    fn totals(points: impl Iterator<Item = TimelinePoint>) -> (i64, i64, i64) {
        points.fold((0, 0, 0), |(attempts, delivered, read), point| {
            (
                attempts + point.attempts,
                delivered + point.delivered,
                read + point.read,
            )
        })
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_buckets_are_few(one in points(), other in points()) {
            let merged = timeline(&one).merge(timeline(&other));
            let all = one.iter().chain(&other).copied();
            prop_assert_eq!(totals(merged.points()), totals(all));
            prop_assert!(merged.buckets.len() <= MAX_BUCKETS);
            let times: Vec<Millis> = merged.points().map(|point| point.at).collect();
            prop_assert!(times.is_sorted());
        }
    }

    #[test]
    fn an_hour_has_minutes_and_two_hours_have_double_ones() {
        let point = |minute: u64| TimelinePoint {
            at: minute * MINUTE_MS + 1,
            attempts: 1,
            ..TimelinePoint::default()
        };
        let hour = timeline(&(0..60).map(point).collect::<Vec<_>>());
        assert_eq!((hour.bucket_ms(), hour.points().count()), (MINUTE_MS, 60));
        let two = timeline(&(0..120).map(point).collect::<Vec<_>>());
        assert_eq!((two.bucket_ms(), two.points().count()), (2 * MINUTE_MS, 60));
        assert!(two.points().all(|point| point.attempts == 2));
    }
}
