//! Functions whose output invokes them again.

use std::collections::BTreeSet;

use serde_json::json;

use super::model::{Checked, Findings, Template};

/// AWS, "Use Lambda recursive loop detection to prevent infinite loops": Lambda drops an event after about 16 rounds
/// between a function and SQS, S3 or SNS, unless the function says that it is meant.
pub(super) fn loops_are_declared(checked: &Checked) -> Findings {
    let template = &checked.template;
    let mut findings = Vec::new();
    for (id, properties) in template.functions() {
        let is_declared = properties["RecursiveLoop"] == "Allow";
        match (invokes_itself(template, id), is_declared) {
            (true, false) => findings.push(format!(
                "{id}: may send to a queue that invokes it again; after 16 rounds Lambda drops the message unless \
                 RecursiveLoop is Allow"
            )),
            (false, true) => findings.push(format!(
                "{id}: nothing that it sends invokes it again; without RecursiveLoop, Lambda ends an endless loop"
            )),
            _ => {}
        }
    }
    findings
}

/// Whether a message that the function sends may reach the function again, through whatever others.
fn invokes_itself(template: &Template, function: &str) -> bool {
    let mut reached = BTreeSet::new();
    let mut next = vec![function];
    while let Some(sender) = next.pop() {
        for source in template.event_sources() {
            let queue = json!({"Fn::GetAtt": [source.source, "Arn"]});
            let sends = template.may(sender, "sqs:SendMessage", &queue);
            if sends && reached.insert(source.function) {
                next.push(source.function);
            }
        }
    }
    reached.contains(function)
}
