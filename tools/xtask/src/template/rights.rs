//! What the functions may do: what they need and nothing else.

use serde_json::json;

use super::model::{Checked, Findings, items, referred, statements};

/// Actions without resources that could be named (AWS, "Service Authorization Reference").
const UNNAMED: [&str; 4] = [
    "dynamodb:ListStreams",
    "sqs:ListQueues",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
];

/// Actions with a wildcard: AWS has one action for single messages and batches, the emulator has two.
const WILDCARDS: [&str; 2] = ["sqs:SendMessage*", "sqs:DeleteMessage*"];

/// What Lambda does with a queue, and with a stream, in the name of the function.
const QUEUE_ACTIONS: &[&str] = &[
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
];
const STREAM_ACTIONS: &[&str] = &[
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:DescribeStream",
    "dynamodb:ListStreams",
];

/// AWS SAM, "`AWS::Serverless::Function`": without `Role` SAM makes one, with AWS's managed policies for queues, streams
/// and logs of the whole account.
pub(super) fn each_function_has_a_role_of_its_own(checked: &Checked) -> Findings {
    let template = &checked.template;
    let functions = template.functions();
    let mut findings: Findings = functions
        .filter(|(id, properties)| referred(&properties["Role"]) != Some(&format!("{id}Role")))
        .map(|(id, _)| format!("{id}: its role is not {id}Role"))
        .collect();
    for (id, properties) in template.of_type("AWS::IAM::Role") {
        if properties["ManagedPolicyArns"].is_array() {
            findings.push(format!(
                "{id}: has managed policies; write the rights it needs"
            ));
        }
    }
    findings
}

/// AWS, "Apply least-privilege permissions".
pub(super) fn rights_name_actions_and_resources(checked: &Checked) -> Findings {
    let mut findings = Vec::new();
    let roles = checked.template.of_type("AWS::IAM::Role");
    let policies = checked.template.of_type("AWS::IAM::Policy");
    for (id, properties) in roles.chain(policies) {
        for statement in statements(properties) {
            let is_unnamed = statement.resources.iter().any(|resource| *resource == "*");
            for action in statement.actions {
                if is_unnamed && !UNNAMED.contains(&action) {
                    findings.push(format!("{id}: {action} on every resource"));
                }
                if action.contains('*') && !WILDCARDS.contains(&action) {
                    findings.push(format!("{id}: {action} is more than one action"));
                }
            }
        }
    }
    findings
}

/// AWS, "Creating and configuring an Amazon SQS event source mapping" and "Process DynamoDB records with Lambda": Lambda
/// reads an event source with the function's role, and refuses a mapping whose role may not.
pub(super) fn roles_may_read_event_sources(checked: &Checked) -> Findings {
    let template = &checked.template;
    let mut findings = Vec::new();
    for source in template.event_sources() {
        let is_queue = template.kind(source.source) == "AWS::SQS::Queue";
        // Every stream of the table: one that is restored has a new stream.
        let streams = json!({"Fn::Sub": format!("${{{}.Arn}}/stream/*", source.source)});
        let (actions, arn) = if is_queue {
            (QUEUE_ACTIONS, &source.properties["EventSourceArn"])
        } else {
            (STREAM_ACTIONS, &streams)
        };
        for action in actions {
            if !template.may(source.function, action, arn) {
                let (function, id) = (source.function, source.id);
                findings.push(format!("{function}: may not {action}, which {id} needs"));
            }
        }
    }
    findings
}

/// AWS, "Capturing records of Lambda asynchronous invocations" and "Discarded batches of streams": the role sends to the
/// destination.
pub(super) fn roles_may_send_what_failed(checked: &Checked) -> Findings {
    let template = &checked.template;
    let mappings = template.of_type("AWS::Lambda::EventSourceMapping");
    let mut findings = Vec::new();
    for (id, properties) in mappings.chain(template.of_type("AWS::Lambda::EventInvokeConfig")) {
        let destination = &properties["DestinationConfig"]["OnFailure"]["Destination"];
        let function = referred(&properties["FunctionName"]).unwrap_or_default();
        if !destination.is_null() && !template.may(function, "sqs:SendMessage", destination) {
            findings.push(format!(
                "{function}: may not send to the failure destination of {id}"
            ));
        }
    }
    findings
}

/// AWS, "Visualize Lambda function invocations using AWS X-Ray": the role sends the traces.
pub(super) fn roles_may_send_traces(checked: &Checked) -> Findings {
    let policy = checked.template.properties("TracingPolicy");
    let roles: Vec<_> = items(&policy["Roles"])
        .into_iter()
        .filter_map(referred)
        .collect();
    let functions = checked.template.functions();
    functions
        .filter(|(_, properties)| {
            !referred(&properties["Role"]).is_some_and(|role| roles.contains(&role))
        })
        .map(|(id, _)| format!("{id}: TracingPolicy lacks its role"))
        .collect()
}
