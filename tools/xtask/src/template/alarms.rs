//! Alarms: for what, where they go, and what the operator reads about them.

use std::collections::BTreeSet;

use serde_json::json;

use super::logs::alarm_metrics;
use super::model::{Checked, Findings, Template};

/// AWS, "Types of metrics for Lambda functions".
pub(super) fn each_function_has_its_alarms(checked: &Checked) -> Findings {
    let template = &checked.template;
    let mut findings = Vec::new();
    for (id, _) in template.functions() {
        let mut needed = vec!["Errors", "Throttles", "RecursiveInvocationsDropped"];
        let sources = template.event_sources();
        let reads_stream = sources.iter().any(|source| {
            source.function == id && template.kind(source.source) == "AWS::DynamoDB::Table"
        });
        if reads_stream {
            needed.push("IteratorAge");
        }
        let missing = needed
            .iter()
            .filter(|metric| !has_alarm(template, id, metric));
        findings.extend(missing.map(|metric| format!("{id}: no alarm on {metric}")));
    }
    findings
}

fn has_alarm(template: &Template, function: &str, metric: &str) -> bool {
    let dimensions = json!([{"Name": "FunctionName", "Value": {"Ref": function}}]);
    let mut alarms = template.of_type("AWS::CloudWatch::Alarm");
    alarms.any(|(_, alarm)| {
        let mut metrics = alarm_metrics(alarm).into_iter();
        metrics.any(|found| {
            found["Namespace"] == "AWS/Lambda"
                && found["MetricName"] == metric
                && found["Dimensions"] == dimensions
        })
    })
}

/// Meta, "Webhooks": nobody tells that a callback URL is no longer subscribed.
pub(super) fn silent_callbacks_raise_an_alarm(checked: &Checked) -> Findings {
    let alarm = checked.template.properties("SilentCallbacksAlarm");
    let metrics = alarm_metrics(alarm).into_iter();
    let names: BTreeSet<_> = metrics
        .filter_map(|metric| metric["MetricName"].as_str())
        .collect();
    if names == BTreeSet::from(["Accepted", "Callbacks"]) {
        return Vec::new();
    }
    vec!["SilentCallbacksAlarm: does not compare Accepted with Callbacks".into()]
}

/// AWS, "Configuring how `CloudWatch` alarms treat missing data": functions send most metrics only when there is something to
/// count, and an alarm without data does not end.
pub(super) fn alarms_reach_the_operator_and_end(checked: &Checked) -> Findings {
    let mut findings = Vec::new();
    for (id, alarm) in checked.template.of_type("AWS::CloudWatch::Alarm") {
        if alarm["AlarmActions"] != json!([{"Ref": "Alarms"}]) {
            findings.push(format!("{id}: does not go to the topic Alarms"));
        }
        if alarm["TreatMissingData"] != "notBreaching" {
            findings.push(format!("{id}: does not end where there is no data"));
        }
        let condition = &checked.template.0["Resources"][id]["Condition"];
        if !condition.is_null() && condition != "IsAws" {
            findings.push(format!("{id}: is not in every stack on AWS"));
        }
        if alarm["AlarmDescription"].as_str().is_none_or(str::is_empty) {
            findings.push(format!("{id}: does not say what to do"));
        }
    }
    findings
}

/// The table in docs/operations.md has the template's alarms, each once.
pub(super) fn every_alarm_is_in_the_docs(checked: &Checked) -> Findings {
    let alarms = checked.template.of_type("AWS::CloudWatch::Alarm");
    let alarms: BTreeSet<&str> = alarms.map(|(id, _)| id).collect();
    let rows = checked
        .operations
        .lines()
        .filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let documented: Vec<&str> = names.filter(|name| name.ends_with("Alarm")).collect();
    let unique: BTreeSet<&str> = documented.iter().copied().collect();
    let mut findings: Findings = alarms
        .difference(&unique)
        .map(|id| format!("docs/operations.md: the table of alarms lacks {id}"))
        .collect();
    let unknown = unique.difference(&alarms);
    findings.extend(unknown.map(|id| format!("docs/operations.md: the template has no {id}")));
    if unique.len() != documented.len() {
        findings.push("docs/operations.md: an alarm is in the table twice".into());
    }
    findings
}
