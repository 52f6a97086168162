//! What runs by the clock.

use super::model::{Checked, Findings, referred};

/// AWS, "Event retry policy and using dead-letter queues": by default `EventBridge` retries for 24 hours and 185 times. AWS,
/// "Handling errors for asynchronous invocation": by default Lambda then retries twice. A run that is repeated anyway needs
/// neither.
pub(super) fn scheduled_runs_are_not_repeated_for_long(checked: &Checked) -> Findings {
    let template = &checked.template;
    let mut findings = Vec::new();
    for (id, rule) in template.of_type("AWS::Events::Rule") {
        for target in rule["Targets"].as_array().into_iter().flatten() {
            let policy = &target["RetryPolicy"];
            let age = policy["MaximumEventAgeInSeconds"].as_u64();
            let attempts = policy["MaximumRetryAttempts"].as_u64();
            if age.is_none_or(|age| age > 300) || attempts.is_none_or(|attempts| attempts > 2) {
                findings.push(format!(
                    "{id}: retries a run for longer than until the next one"
                ));
            }
            let function = referred(&target["Arn"]).unwrap_or_default();
            let mut configurations = template.of_type("AWS::Lambda::EventInvokeConfig");
            let is_invoked_once = configurations.any(|(_, properties)| {
                referred(&properties["FunctionName"]) == Some(function)
                    && properties["MaximumRetryAttempts"] == 0
            });
            if !is_invoked_once {
                findings.push(format!("{function}: Lambda repeats a run that failed"));
            }
        }
    }
    findings
}

/// AWS, "Managing a schedule group": a group's schedules are deleted with it, so none outlives the stack. AWS, "Actions,
/// resources, and condition keys for Amazon `EventBridge` Scheduler": a schedule's ARN has its group.
pub(super) fn schedules_are_in_the_group_of_the_stack(checked: &Checked) -> Findings {
    let template = &checked.template;
    let mut findings = Vec::new();
    let group = &template.properties("Api")["Environment"]["Variables"]["SCHEDULE_GROUP"];
    if referred(group).map(|id| template.kind(id)) != Some("AWS::Scheduler::ScheduleGroup") {
        findings.push("Api: SCHEDULE_GROUP is not the schedule group of the stack".into());
    }
    for (id, _) in template.functions() {
        for statement in template.rights(id) {
            if !statement.actions.contains(&"scheduler:CreateSchedule") {
                continue;
            }
            let others = statement.resources.iter().filter(|resource| {
                let of_stack = resource["Fn::Sub"].as_str();
                let is_of_stack =
                    of_stack.is_some_and(|arn| arn.ends_with(":schedule/${ScheduleGroup}/*"));
                !is_of_stack && resource["Fn::If"][0] != "IsEmulator"
            });
            findings.extend(others.map(|other| format!("{id}: may create schedules {other}")));
        }
    }
    findings
}
