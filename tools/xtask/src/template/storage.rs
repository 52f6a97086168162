//! What is stored: kept on purpose, under names that are valid in every stack, in queues that Lambda accepts.

use serde_json::{Value, json};

use super::model::{Checked, Findings, referred};

/// Types that hold data.
const STORES: [&str; 2] = ["AWS::DynamoDB::Table", "AWS::S3::Bucket"];

/// AWS, "`DeletionPolicy` attribute": what `Retain` keeps stays when the creation of a stack fails, and is in the way of
/// the next attempt; `RetainExceptOnCreate` deletes it then. AWS, "`UpdateReplacePolicy` attribute": knows no
/// `RetainExceptOnCreate`.
pub(super) fn data_is_kept_or_deleted_on_purpose(checked: &Checked) -> Findings {
    let mut findings = Vec::new();
    for (id, resource) in checked.template.resources() {
        let policy = |name: &str| resource[name].as_str().unwrap_or("nothing");
        let policies = (policy("DeletionPolicy"), policy("UpdateReplacePolicy"));
        let is_store = STORES.iter().any(|kind| resource["Type"] == *kind);
        let is_valid = match policies {
            ("RetainExceptOnCreate", "Retain") | ("Delete", "Delete") => true,
            ("nothing", "nothing") => !is_store,
            _ => false,
        };
        if !is_valid {
            let (deletion, replacement) = policies;
            findings.push(format!(
                "{id}: DeletionPolicy is {deletion} and UpdateReplacePolicy is {replacement}; allowed are \
                 RetainExceptOnCreate with Retain, and Delete with Delete"
            ));
        }
    }
    findings
}

/// Properties that would give a resource a fixed name.
const NAMES: [(&str, &str); 9] = [
    ("AWS::DynamoDB::Table", "TableName"),
    ("AWS::SQS::Queue", "QueueName"),
    ("AWS::SNS::Topic", "TopicName"),
    ("AWS::Lambda::Function", "FunctionName"),
    ("AWS::IAM::Role", "RoleName"),
    ("AWS::CloudWatch::Alarm", "AlarmName"),
    ("AWS::Scheduler::ScheduleGroup", "Name"),
    ("AWS::Events::Rule", "Name"),
    ("AWS::SecretsManager::Secret", "Name"),
];

/// AWS, "Name type": a resource with a custom name cannot be replaced, and two stacks may want the same name; the names
/// that CloudFormation generates are unique and fit. AWS, "Acknowledging IAM resources": a named role would need
/// `CAPABILITY_NAMED_IAM`.
pub(super) fn names_are_generated(checked: &Checked) -> Findings {
    let named = NAMES.iter().flat_map(|&(kind, property)| {
        let resources = checked.template.of_type(kind);
        resources
            .filter(move |(_, properties)| !properties[property].is_null())
            .map(move |(id, _)| {
                format!("{id}: has the name {property}; let CloudFormation make one")
            })
    });
    named.collect()
}

/// AWS, "General purpose bucket naming rules": 3 to 63 characters, lower case. AWS, "`CreateStack`": a stack's name has up to
/// 128 characters and may have capitals, so it must not be part of a bucket's name; the stack's id ends in a UUID.
pub(super) fn bucket_is_named_after_the_stack_id(checked: &Checked) -> Findings {
    let template = &checked.template;
    let mut findings = Vec::new();
    let id = json!({"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]});
    let name = &template.properties("UploadsBucket")["BucketName"];
    let pattern = name["Fn::Sub"][0].as_str().unwrap_or_default();
    let prefix = pattern.strip_suffix("${Id}").unwrap_or_default();
    let is_lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_valid = !prefix.is_empty() && prefix.len() + 36 <= 63 && prefix.chars().all(is_lower);
    if !is_valid || name["Fn::Sub"][1]["Id"] != id {
        findings.push(format!(
            "UploadsBucket: the name {name} is not a prefix and the UUID of the stack's id"
        ));
    }
    for (function, properties) in template.functions() {
        let used = &properties["Environment"]["Variables"]["UPLOADS_BUCKET"];
        if !used.is_null() && used != name && referred(used) != Some("UploadsBucket") {
            findings.push(format!(
                "{function}: UPLOADS_BUCKET is not the bucket's name"
            ));
        }
    }
    let mut texts = Vec::new();
    substitutions(&template.0, &mut texts);
    for (text, values) in texts {
        if text.contains(":s3:::") && !(text.contains(pattern) && values["Id"] == id) {
            findings.push(format!("`{text}` is not the ARN of the bucket"));
        }
    }
    findings
}

/// Collects the arguments of every `Sub`, and `Null` where it has only a text.
fn substitutions<'t>(value: &'t Value, found: &mut Vec<(&'t str, &'t Value)>) {
    match value {
        Value::Object(fields) => {
            if let Some(arguments) = fields.get("Fn::Sub") {
                let text = arguments.as_str().or_else(|| arguments[0].as_str());
                found.push((text.unwrap_or_default(), &arguments[1]));
            }
            fields
                .values()
                .for_each(|field| substitutions(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| substitutions(item, found)),
        _ => {}
    }
}

/// AWS, "Creating and configuring an Amazon SQS event source mapping": the visibility timeout must not be shorter than the
/// function's, or the mapping is refused.
pub(super) fn queue_hides_messages_while_its_function_runs(checked: &Checked) -> Findings {
    let mut findings = Vec::new();
    for source in checked.template.event_sources() {
        if checked.template.kind(source.source) != "AWS::SQS::Queue" {
            continue;
        }
        let visibility = &checked.template.properties(source.source)["VisibilityTimeout"];
        let timeout = &checked.template.properties(source.function)["Timeout"];
        if visibility.as_u64() < timeout.as_u64() {
            findings.push(format!(
                "{}: messages are visible again after {visibility} s, but {} may run for {timeout} s",
                source.source, source.function
            ));
        }
    }
    findings
}

/// AWS, "Using dead-letter queues in Amazon SQS": a message expires by the time at which it was sent first, so that a
/// dead-letter queue must keep messages at least as long. AWS, "`SetQueueAttributes`": 60 to 1,209,600 s.
pub(super) fn dead_letters_outlive_their_queue(checked: &Checked) -> Findings {
    let template = &checked.template;
    let retention = |id: &str| {
        let seconds = template.properties(id)["MessageRetentionPeriod"].as_u64();
        seconds.unwrap_or_default()
    };
    let mut findings = Vec::new();
    for (id, properties) in template.of_type("AWS::SQS::Queue") {
        if !(60..=1_209_600).contains(&retention(id)) {
            findings.push(format!(
                "{id}: MessageRetentionPeriod must be 60 to 1,209,600 s"
            ));
        }
        let dead_letters = referred(&properties["RedrivePolicy"]["deadLetterTargetArn"]);
        if let Some(dead_letters) = dead_letters
            && retention(dead_letters) < retention(id)
        {
            findings.push(format!(
                "{dead_letters}: keeps messages for less time than {id}"
            ));
        }
    }
    findings
}
