//! Metrics for `CloudWatch`: one line on standard output in the embedded metric format, which `CloudWatch`
//! Logs extracts (AWS, "Embedded metric format specification"). It is a line of its own, because the log's
//! JSON would nest it. Written by hand: these lines are shorter than the use of a crate.
//!
//! The stack and the function are the only dimensions: each of their values is a metric that costs. The lines have no log
//! level, so Lambda takes them for INFO (AWS, "Log-level filtering"), and a log level above INFO would lose them.

use std::sync::LazyLock;

use campaign::time::Millis;
use serde_json::{Map, Value, json};
use strum::IntoStaticStr;

const NAMESPACE: &str = "Crier";

/// The stack of this process, so that the alarms of one stack ignore the others of the account. Only in tests it is not
/// set.
static STACK: LazyLock<String> =
    LazyLock::new(|| crate::env::optional("STACK_NAME").unwrap_or_else(|| "none".into()));

/// A unit of `CloudWatch`, by the name it has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
enum Unit {
    Count,
    Milliseconds,
}

/// Metrics of one function, to be emitted together.
#[derive(Clone, Debug)]
pub struct Metrics {
    function: &'static str,
    values: Vec<(&'static str, f64, Unit)>,
}

impl Metrics {
    /// Without a value yet.
    pub fn for_function(function: &'static str) -> Self {
        Self {
            function,
            values: Vec::new(),
        }
    }

    /// Adds a count.
    pub fn add_count(mut self, name: &'static str, count: usize) -> Self {
        self.values.push((name, count as f64, Unit::Count));
        self
    }

    /// Adds a time in milliseconds.
    pub fn add_millis(mut self, name: &'static str, millis: Millis) -> Self {
        self.values.push((name, millis as f64, Unit::Milliseconds));
        self
    }

    /// Writes the line, unless all values are zero.
    pub fn emit(self) {
        if self.values.iter().any(|(_, value, _)| *value != 0.0) {
            let line = self.line(&STACK, crate::now());
            #[expect(clippy::print_stdout, reason = "this is how metrics leave a Lambda")]
            {
                println!("{line}");
            }
        }
    }

    fn line(&self, stack: &str, now: Millis) -> Value {
        let metric = |(name, _, unit): &(&str, f64, Unit)| {
            let unit: &str = unit.into();
            json!({"Name": name, "Unit": unit})
        };
        let metrics: Vec<Value> = self.values.iter().map(metric).collect();
        let values = self
            .values
            .iter()
            .map(|(name, value, _)| ((*name).to_owned(), json!(value)));
        let mut line: Map<String, Value> = values.collect();
        line.insert("stack".into(), stack.into());
        line.insert("function".into(), self.function.into());
        line.insert(
            "_aws".into(),
            json!({"Timestamp": now, "CloudWatchMetrics":
                [{"Namespace": NAMESPACE, "Dimensions": [["stack", "function"]], "Metrics": metrics}]}),
        );
        Value::Object(line)
    }
}

/// Counts a campaign or a number that Crier paused by itself; an alarm on the metric notifies the operator.
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
            .line("crier", 7);
        assert_eq!(
            (&line["Attempts"], &line["Lag"]),
            (&json!(40.0), &json!(12.0))
        );
        assert_eq!(
            (&line["stack"], &line["function"]),
            (&json!("crier"), &json!("sender"))
        );
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Crier");
        assert_eq!(directive["Dimensions"], json!([["stack", "function"]]));
        assert_eq!(
            directive["Metrics"][1],
            json!({"Name": "Lag", "Unit": "Milliseconds"})
        );
        assert_eq!(line["_aws"]["Timestamp"], 7);
    }
}
