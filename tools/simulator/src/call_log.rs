//! The books: every call with its arrival time, and what was accepted. Nothing of Crier's goes into them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// A call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Arrival, in microseconds since the simulator's start.
    pub at_us: u64,
    /// When it was answered, likewise.
    pub answered_us: u64,
    /// Recipient, as asked for.
    pub to: String,
    /// The campaign's row, `campaign:row`, from the callback data.
    pub row: String,
    /// Whether it was accepted.
    pub accepted: bool,
    /// The error code answered, where there was one.
    pub code: Option<i64>,
    /// The request's body; for tests in the same process.
    #[serde(skip)]
    pub body: Value,
}

/// Every call, in the order of arrival.
#[derive(Debug, Default)]
pub struct CallLog {
    calls: Vec<Call>,
}

/// The books in figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Calls.
    pub calls: usize,
    /// Calls accepted.
    pub accepted: usize,
    /// Calls refused, by code.
    pub refused: BTreeMap<i64, usize>,
    /// Rows with any call.
    pub rows: usize,
    /// Calls for a row after one that was accepted, or of which the caller was told nothing certain.
    pub repeats: usize,
    /// Calls for a row after one that was certainly refused.
    pub retries: usize,
    /// Rows accepted more than once.
    pub rows_accepted_twice: usize,
    /// People with more than one accepted message.
    pub recipients_accepted_twice: usize,
    /// Most calls in any half-open second.
    pub busiest_second: usize,
    /// From the first call to the last, in seconds.
    pub seconds: f64,
    /// Arrival of the first call, in milliseconds since the Unix epoch.
    pub first_call_at: Option<u64>,
    /// Arrival of the last call, in milliseconds since the Unix epoch.
    pub last_call_at: Option<u64>,
}

impl CallLog {
    /// Enters a call.
    pub fn record(&mut self, call: Call) {
        self.calls.push(call);
    }

    /// Calls so far to one row.
    pub fn calls_for_row(&self, row: &str) -> usize {
        self.calls.iter().filter(|call| call.row == row).count()
    }

    /// Every call.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Adds up; `started_at` is the simulator's start in milliseconds since the Unix epoch.
    pub fn stats(&self, started_at: u64) -> Stats {
        let mut by_row: BTreeMap<&str, RowCalls> = BTreeMap::new();
        let mut by_person: BTreeMap<&str, usize> = BTreeMap::new();
        let mut refused: BTreeMap<i64, usize> = BTreeMap::new();
        for call in &self.calls {
            let row = by_row.entry(&call.row).or_default();
            row.repeats += usize::from(row.maybe_sent);
            row.retries += usize::from(row.called && !row.maybe_sent);
            row.called = true;
            row.maybe_sent |= call.accepted || call.code.is_none();
            row.accepted += usize::from(call.accepted);
            *by_person.entry(&call.to).or_default() += usize::from(call.accepted);
            if let Some(code) = call.code {
                *refused.entry(code).or_default() += 1;
            }
        }
        let mut times: Vec<u64> = self.calls.iter().map(|call| call.at_us).collect();
        times.sort_unstable();
        let epoch = |at_us: &u64| started_at + at_us / 1000;
        let span = times
            .last()
            .zip(times.first())
            .map_or(0, |(last, first)| last - first);
        Stats {
            calls: self.calls.len(),
            accepted: self.calls.iter().filter(|call| call.accepted).count(),
            refused,
            rows: by_row.len(),
            repeats: by_row.values().map(|row| row.repeats).sum(),
            retries: by_row.values().map(|row| row.retries).sum(),
            rows_accepted_twice: by_row.values().filter(|row| row.accepted > 1).count(),
            recipients_accepted_twice: by_person.values().filter(|accepted| **accepted > 1).count(),
            busiest_second: max_in_any_second(&times),
            seconds: Duration::from_micros(span).as_secs_f64(),
            first_call_at: times.first().map(epoch),
            last_call_at: times.last().map(epoch),
        }
    }
}

/// What calls for one row came to.
#[derive(Default)]
struct RowCalls {
    called: bool,
    maybe_sent: bool,
    accepted: usize,
    repeats: usize,
    retries: usize,
}

/// The most of `times` (sorted, microseconds) in any half-open second.
fn max_in_any_second(times: &[u64]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, time) in times.iter().enumerate() {
        while times[first] + 1_000_000 <= *time {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_open_second_excludes_its_end() {
        assert_eq!(max_in_any_second(&[]), 0);
        assert_eq!(max_in_any_second(&[0, 1_000_000, 2_000_000]), 1);
        assert_eq!(max_in_any_second(&[0, 999_999, 1_000_000]), 2);
        assert_eq!(
            max_in_any_second(&[0, 400_000, 800_000, 1_100_000, 1_300_000]),
            4
        );
    }

    #[test]
    fn rows_and_people_are_counted_apart_and_a_retry_is_no_repeat() {
        let call = |row: &str, to: &str, accepted, code| Call {
            at_us: 5,
            answered_us: 6,
            to: to.into(),
            row: row.into(),
            accepted,
            code,
            body: Value::Null,
        };
        let mut books = CallLog::default();
        for (row, to, accepted, code) in [
            ("c:1", "+1", false, Some(130429)),
            ("c:1", "+1", true, None),
            ("c:1", "+1", false, None),
            ("c:2", "+1", true, None),
            ("c:3", "+2", true, None),
            ("c:4", "+3", false, None),
            ("c:4", "+3", true, None),
        ] {
            books.record(call(row, to, accepted, code));
        }
        let figures = books.stats(1000);
        assert_eq!((figures.calls, figures.accepted, figures.rows), (7, 4, 4));
        assert_eq!((figures.repeats, figures.retries), (2, 1));
        assert_eq!(
            (
                figures.rows_accepted_twice,
                figures.recipients_accepted_twice
            ),
            (0, 1)
        );
        assert_eq!(figures.first_call_at, Some(1000));
    }
}
