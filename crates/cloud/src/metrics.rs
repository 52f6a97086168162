//! Figures for `CloudWatch`: one line on standard output in its embedded metric format, which the log service takes apart
//! (AWS, "Embedded metric format specification"). A line of its own: the log's JSON would hide it.
//!
//! One dimension, the function: every further value of a dimension is a metric that costs.

use campaign::delivery::outcome::Millis;
use serde_json::{Map, Value, json};

const NAMESPACE: &str = "Crier";

/// What is known of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Count,
    Milliseconds,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::Count => "Count",
            Unit::Milliseconds => "Milliseconds",
        }
    }
}

/// Figures of one function, on their way out.
#[derive(Clone, Debug)]
pub struct Metrics {
    function: &'static str,
    values: Vec<(&'static str, f64, Unit)>,
}

impl Metrics {
    /// Of this function.
    pub fn for_function(function: &'static str) -> Self {
        Self {
            function,
            values: Vec::new(),
        }
    }

    /// A number of things.
    pub fn add_count(mut self, name: &'static str, count: usize) -> Self {
        self.values.push((name, count as f64, Unit::Count));
        self
    }

    /// A time.
    pub fn add_millis(mut self, name: &'static str, millis: Millis) -> Self {
        self.values.push((name, millis as f64, Unit::Milliseconds));
        self
    }

    /// Writes them, unless nothing happened.
    pub fn emit(self) {
        if self.values.iter().any(|(_, value, _)| *value != 0.0) {
            let line = self.line(crate::now());
            #[expect(clippy::print_stdout, reason = "this is how metrics leave a Lambda")]
            {
                println!("{line}");
            }
        }
    }

    fn line(&self, now: Millis) -> Value {
        let metric =
            |(name, _, unit): &(&str, f64, Unit)| json!({"Name": name, "Unit": unit.name()});
        let metrics: Vec<Value> = self.values.iter().map(metric).collect();
        let values = self
            .values
            .iter()
            .map(|(name, value, _)| ((*name).to_owned(), json!(value)));
        let mut line: Map<String, Value> = values.collect();
        line.insert("function".into(), self.function.into());
        line.insert(
            "_aws".into(),
            json!({"Timestamp": now, "CloudWatchMetrics":
                [{"Namespace": NAMESPACE, "Dimensions": [["function"]], "Metrics": metrics}]}),
        );
        Value::Object(line)
    }
}

/// A campaign was stopped by itself: an alarm tells somebody.
pub(crate) fn count_pause() {
    Metrics::for_function("circuit_breaker")
        .add_count("Pauses", 1)
        .emit();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_follows_embedded_metric_format() {
        let line = Metrics::for_function("sender")
            .add_count("Attempts", 40)
            .add_millis("Lag", 12)
            .line(7);
        assert_eq!(
            (&line["Attempts"], &line["Lag"], &line["function"]),
            (&json!(40.0), &json!(12.0), &json!("sender"))
        );
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Crier");
        assert_eq!(directive["Dimensions"], json!([["function"]]));
        assert_eq!(
            directive["Metrics"][1],
            json!({"Name": "Lag", "Unit": "Milliseconds"})
        );
        assert_eq!(line["_aws"]["Timestamp"], 7);
    }
}
