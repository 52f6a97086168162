//! The call log: every send request with its arrival time, and whether it was accepted. Crier has no part in it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// One request to send a message.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Arrival, in microseconds since the simulator's start.
    pub at_us: u64,
    /// When it was answered, in microseconds since the simulator's start.
    pub answered_us: u64,
    /// The phone number id that it was sent from, as in the path.
    pub number: String,
    /// Recipient, as in the request.
    pub to: String,
    /// The campaign's row, `campaign:row`, from the callback data.
    pub row: String,
    /// Whether the message was accepted.
    pub accepted: bool,
    /// The error code in the response, if there was one.
    pub code: Option<i64>,
    /// The request's body, for tests in the same process.
    #[serde(skip)]
    pub body: Value,
}

/// Every call, in the order of arrival.
#[derive(Debug, Default)]
pub struct CallLog {
    calls: Vec<Call>,
}

/// The call log in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Calls.
    pub calls: usize,
    /// Accepted calls.
    pub accepted: usize,
    /// Refused calls by error code.
    pub refused: BTreeMap<i64, usize>,
    /// Rows with at least one call.
    pub rows: usize,
    /// Calls for a row after one that was accepted, or whose caller got no certain answer.
    pub repeats: usize,
    /// Calls for a row after one that was certainly refused.
    pub retries: usize,
    /// Rows accepted more than once.
    pub rows_accepted_twice: usize,
    /// Recipients with more than one accepted message.
    pub recipients_accepted_twice: usize,
    /// Most calls in any half-open second.
    pub busiest_second: usize,
    /// The calls from each phone number id.
    pub by_number: BTreeMap<String, NumberStats>,
    /// From the first call to the last, in seconds.
    pub seconds: f64,
    /// Arrival of the first call, in milliseconds since the Unix epoch.
    pub first_call_at: Option<u64>,
    /// Arrival of the last call, in milliseconds since the Unix epoch.
    pub last_call_at: Option<u64>,
}

/// The calls from one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NumberStats {
    /// Calls.
    pub calls: usize,
    /// Most calls in any half-open second.
    pub busiest_second: usize,
}

impl CallLog {
    /// Adds a call.
    pub fn record(&mut self, call: Call) {
        self.calls.push(call);
    }

    /// How many calls were made for one row.
    pub fn calls_for_row(&self, row: &str) -> usize {
        self.calls.iter().filter(|call| call.row == row).count()
    }

    /// Every call.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Sums up. `started_at_ms` is the simulator's start in milliseconds since the Unix epoch.
    pub fn stats(&self, started_at_ms: u64) -> Stats {
        let mut by_row: BTreeMap<&str, RowCalls> = BTreeMap::new();
        let mut accepted_by_recipient: BTreeMap<&str, usize> = BTreeMap::new();
        let mut refused: BTreeMap<i64, usize> = BTreeMap::new();
        for call in &self.calls {
            by_row.entry(&call.row).or_default().add(call);
            *accepted_by_recipient.entry(&call.to).or_default() += usize::from(call.accepted);
            if let Some(code) = call.code {
                *refused.entry(code).or_default() += 1;
            }
        }
        let mut times: Vec<u64> = self.calls.iter().map(|call| call.at_us).collect();
        times.sort_unstable();
        let to_epoch_ms = |at_us: &u64| started_at_ms + at_us / 1000;
        let span_us = times
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
            recipients_accepted_twice: accepted_by_recipient
                .values()
                .filter(|accepted| **accepted > 1)
                .count(),
            busiest_second: max_in_any_second(&times),
            by_number: self.stats_by_number(),
            seconds: Duration::from_micros(span_us).as_secs_f64(),
            first_call_at: times.first().map(to_epoch_ms),
            last_call_at: times.last().map(to_epoch_ms),
        }
    }

    fn stats_by_number(&self) -> BTreeMap<String, NumberStats> {
        let mut times_by_number: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for call in &self.calls {
            let times = times_by_number.entry(&call.number).or_default();
            times.push(call.at_us);
        }
        let sum_up = |(number, mut times): (&str, Vec<u64>)| {
            times.sort_unstable();
            let stats = NumberStats {
                calls: times.len(),
                busiest_second: max_in_any_second(&times),
            };
            (number.to_owned(), stats)
        };
        times_by_number.into_iter().map(sum_up).collect()
    }
}

/// The calls for one row in numbers.
#[derive(Default)]
struct RowCalls {
    has_call: bool,
    /// Whether an earlier call was accepted, or its caller cannot know.
    may_be_sent: bool,
    accepted: usize,
    repeats: usize,
    retries: usize,
}

impl RowCalls {
    fn add(&mut self, call: &Call) {
        self.repeats += usize::from(self.may_be_sent);
        self.retries += usize::from(self.has_call && !self.may_be_sent);
        self.has_call = true;
        self.may_be_sent |= call.accepted || call.code.is_none();
        self.accepted += usize::from(call.accepted);
    }
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
    use serde_json::json;

    #[test]
    fn half_open_second_excludes_its_end() {
        assert_eq!(max_in_any_second(&[]), 0);
        assert_eq!(max_in_any_second(&[0, 1_000_000, 2_000_000]), 1);
        assert_eq!(max_in_any_second(&[0, 999_999, 1_000_000]), 2);
        let times = [0, 400_000, 800_000, 1_100_000, 1_300_000];
        assert_eq!(max_in_any_second(&times), 4);
    }

    #[test]
    fn stats_count_rows_and_recipients_apart_and_retries_apart_from_repeats() {
        let call = |row: &str, to: &str, accepted, code| Call {
            at_us: 5,
            answered_us: 6,
            number: "1".into(),
            to: to.into(),
            row: row.into(),
            accepted,
            code,
            body: Value::Null,
        };
        let mut call_log = CallLog::default();
        for (row, to, accepted, code) in [
            ("c:1", "+1", false, Some(130429)),
            ("c:1", "+1", true, None),
            ("c:1", "+1", false, None),
            ("c:2", "+1", true, None),
            ("c:3", "+2", true, None),
            ("c:4", "+3", false, None),
            ("c:4", "+3", true, None),
        ] {
            call_log.record(call(row, to, accepted, code));
        }
        let stats = call_log.stats(1000);
        assert_eq!((stats.calls, stats.accepted, stats.rows), (7, 4, 4));
        assert_eq!((stats.repeats, stats.retries), (2, 1));
        assert_eq!(
            (stats.rows_accepted_twice, stats.recipients_accepted_twice),
            (0, 1)
        );
        assert_eq!(stats.first_call_at, Some(1000));
    }

    #[test]
    fn stats_count_calls_and_busiest_second_of_each_number() {
        let mut call_log = CallLog::default();
        for (number, at_us) in [
            ("2", 1_000_000),
            ("1", 0),
            ("1", 1_000_000),
            ("2", 999_999),
            ("1", 1_900_000),
        ] {
            call_log.record(Call {
                at_us,
                answered_us: at_us,
                number: number.into(),
                to: "+1".into(),
                row: "c:1".into(),
                accepted: true,
                code: None,
                body: Value::Null,
            });
        }
        let stats = serde_json::to_value(call_log.stats(0)).expect("JSON");
        assert_eq!(stats["busiest_second"], 4);
        let expected =
            json!({"1": {"calls": 3, "busiest_second": 2}, "2": {"calls": 2, "busiest_second": 2}});
        assert_eq!(stats["by_number"], expected);
    }
}
