//! Logs and metrics of the functions.

use serde_json::{Value, json};

use super::model::{Checked, Findings, items, referred};

/// AWS, "Log-level filtering": with JSON logs, a line without a level counts as INFO, and a higher level drops it. Lines of
/// metrics have none.
pub(super) fn no_level_drops_metrics(checked: &Checked) -> Findings {
    let functions = checked.template.functions();
    functions
        .filter(|(_, properties)| {
            let logging = &properties["LoggingConfig"];
            let level = logging["ApplicationLogLevel"].as_str();
            let keeps = level.is_some_and(|level| ["TRACE", "DEBUG", "INFO"].contains(&level));
            logging["LogFormat"] != "JSON" || !keeps
        })
        .map(|(id, _)| {
            format!("{id}: logs must be JSON, of level INFO or lower: above it metrics are lost")
        })
        .collect()
}

/// AWS, "Configuring `CloudWatch` log groups": the role needs `CreateLogStream` and `PutLogEvents` on the group. A group that
/// Lambda makes itself keeps logs for ever.
pub(super) fn each_function_writes_to_its_log_group(checked: &Checked) -> Findings {
    let template = &checked.template;
    let mut findings = Vec::new();
    for (id, properties) in template.functions() {
        let group = referred(&properties["LoggingConfig"]["LogGroup"]).unwrap_or_default();
        if template.kind(group) != "AWS::Logs::LogGroup" || group != format!("{id}Logs") {
            findings.push(format!("{id}: its log group is not {id}Logs"));
        }
        let arn = json!({"Fn::GetAtt": [group, "Arn"]});
        for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
            if !template.may(id, action, &arn) {
                findings.push(format!("{id}: may not {action} in {group}"));
            }
        }
    }
    for (id, properties) in template.of_type("AWS::Logs::LogGroup") {
        if properties["RetentionInDays"].is_null() {
            findings.push(format!("{id}: keeps logs for ever"));
        }
    }
    findings
}

/// AWS, "Viewing available metrics": a metric is its name and all of its dimensions; without the stack's, two stacks of an
/// account share it.
pub(super) fn metrics_are_of_one_stack(checked: &Checked) -> Findings {
    let template = &checked.template;
    let functions = template.functions();
    let stack = json!({"Ref": "AWS::StackName"});
    let mut findings: Findings = functions
        .filter(|(_, properties)| properties["Environment"]["Variables"]["STACK_NAME"] != stack)
        .map(|(id, _)| format!("{id}: STACK_NAME is not the stack's name"))
        .collect();
    for (id, properties) in template.of_type("AWS::CloudWatch::Alarm") {
        for metric in alarm_metrics(properties) {
            let of_stack = json!({"Name": "stack", "Value": stack});
            let dimensions = items(&metric["Dimensions"]);
            if metric["Namespace"] == "Crier" && !dimensions.contains(&&of_stack) {
                findings.push(format!("{id}: {} of every stack", metric["MetricName"]));
            }
        }
    }
    for (name, dimensions) in dashboard_metrics(checked) {
        if dimensions.first().map(String::as_str) != Some("stack") {
            findings.push(format!("Dashboard: {name} of every stack"));
        }
    }
    findings
}

/// A metric that nothing emits never raises an alarm.
pub(super) fn metrics_exist(checked: &Checked) -> Findings {
    let mut used: Vec<(&str, String)> = Vec::new();
    for (id, properties) in checked.template.of_type("AWS::CloudWatch::Alarm") {
        let metrics = alarm_metrics(properties).into_iter();
        let metrics = metrics.filter(|metric| metric["Namespace"] == "Crier");
        used.extend(metrics.map(|metric| {
            (
                id,
                metric["MetricName"].as_str().unwrap_or_default().to_owned(),
            )
        }));
    }
    let of_dashboard = dashboard_metrics(checked).into_iter();
    used.extend(of_dashboard.map(|(name, _)| ("Dashboard", name)));
    used.into_iter()
        .filter(|(_, name)| !checked.metric_names.contains(name))
        .map(|(id, name)| format!("{id}: no function emits {name}"))
        .collect()
}

/// The metrics of an alarm, each with `Namespace`, `MetricName` and `Dimensions`.
pub(super) fn alarm_metrics(alarm: &Value) -> Vec<&Value> {
    if alarm["Metrics"].is_null() {
        return vec![alarm];
    }
    let metrics = alarm["Metrics"].as_array().into_iter().flatten();
    metrics
        .map(|metric| &metric["MetricStat"]["Metric"])
        .filter(|metric| !metric.is_null())
        .collect()
}

/// The names of Crier's metrics on the dashboard, with what follows each: the dimensions.
fn dashboard_metrics(checked: &Checked) -> Vec<(String, Vec<String>)> {
    let body = &checked.template.properties("Dashboard")["DashboardBody"]["Fn::Sub"];
    let body: Value = serde_json::from_str(body.as_str().unwrap_or_default()).unwrap_or_default();
    let widgets = body["widgets"].as_array().cloned().unwrap_or_default();
    let metrics = widgets
        .iter()
        .flat_map(|widget| items(&widget["properties"]["metrics"]));
    metrics
        .filter(|metric| metric[0] == "Crier")
        .map(|metric| {
            let texts = items(metric).into_iter().filter_map(Value::as_str);
            let mut texts = texts.skip(1).map(str::to_owned);
            (texts.next().unwrap_or_default(), texts.collect())
        })
        .collect()
}
