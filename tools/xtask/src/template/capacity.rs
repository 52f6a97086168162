//! Concurrency: what the rate rests on, what is reserved, and who may take how much.

use serde_json::{Value, json};

use super::model::{Checked, Findings, condition};

/// Whole numbers that an event source's `MaximumConcurrency` may be. CloudFormation takes 40.5 for a `Number`.
const BUDGET: &str = "^([2-9]|[1-9][0-9]{1,2}|1000)$";

/// The same, or 0 for as many slots as the budget.
const SLOTS: &str = "^(0|[2-9]|[1-9][0-9]{1,2}|1000)$";

/// AWS, "Configuring scaling behavior for SQS event source mappings": the maximum concurrency is 2 to 1,000.
pub(super) fn parameters_refuse_what_aws_refuses(checked: &Checked) -> Findings {
    let parameters = &checked.template.0["Parameters"];
    let mut findings = Vec::new();
    for (name, pattern) in [("TpsBudget", BUDGET), ("Slots", SLOTS)] {
        let parameter = &parameters[name];
        if parameter["Type"] != "String" || parameter["AllowedPattern"] != pattern {
            findings.push(format!(
                "{name}: must be a String with the pattern {pattern}"
            ));
        }
    }
    for source in checked.template.event_sources() {
        let most = &source.properties["ScalingConfig"]["MaximumConcurrency"];
        if most
            .as_u64()
            .is_some_and(|most| !(2..=1000).contains(&most))
        {
            findings.push(format!(
                "{}: MaximumConcurrency must be 2 to 1000",
                source.id
            ));
        }
    }
    findings
}

/// AWS, "Rules": an assertion that fails ends the deployment before it begins. What an emulator lacks must not be missing
/// on AWS.
pub(super) fn emulator_is_never_meta(checked: &Checked) -> Findings {
    let parameters = &checked.template.0["Parameters"];
    let is_emulator = json!({"Fn::Equals": [{"Ref": "Emulator"}, "true"]});
    let meta = &parameters["GraphApiUrl"]["Default"];
    let is_not_meta = json!({"Fn::Not": [{"Fn::Equals": [{"Ref": "GraphApiUrl"}, meta]}]});
    let rule = &checked.template.0["Rules"]["EmulatorIsNotMeta"];
    let is_forbidden =
        rule["RuleCondition"] == is_emulator && rule["Assertions"][0]["Assert"] == is_not_meta;
    if parameters["Emulator"]["Default"] == "false" && is_forbidden {
        return Vec::new();
    }
    vec!["Emulator: must be false by default, and a rule must forbid it with Meta's URL".into()]
}

/// AWS, "Configuring scaling behavior for SQS event source mappings": with less reserved concurrency than maximum
/// concurrency, batches are throttled. More of it would let the sender run more slots than the budget has.
pub(super) fn sender_runs_as_many_slots_as_the_budget(checked: &Checked) -> Findings {
    let template = &checked.template;
    let slots = json!({"Fn::If": ["SlotsGiven", {"Ref": "Slots"}, {"Ref": "TpsBudget"}]});
    let mut findings = Vec::new();
    let sources = template.event_sources();
    let sources: Vec<_> = sources
        .iter()
        .filter(|source| source.function == "Sender")
        .collect();
    if sources.len() != 1 {
        findings.push(format!(
            "Sender: {} event sources; each has slots of its own",
            sources.len()
        ));
    }
    for source in sources {
        if source.properties["ScalingConfig"]["MaximumConcurrency"] != slots {
            findings.push(format!(
                "{}: MaximumConcurrency is not the number of slots",
                source.id
            ));
        }
    }
    let reserved = &template.properties("Sender")["ReservedConcurrentExecutions"];
    if !is_reserved(reserved, "ReservesSender", |number| *number == slots) {
        findings.push("Sender: its reserved concurrency is not the number of slots".into());
    }
    findings
}

/// The last seconds of an invocation, in which the sender claims no row: `SHUTDOWN_RESERVE_MS` in
/// `functions/sender/src/invocation/mod.rs`.
const SHUTDOWN_RESERVE: u64 = 160;

/// An invocation that may run no longer than its reserve puts every row back into the queue and sends nothing. AWS,
/// "Configure Lambda function timeout": the maximum is 900 s.
pub(super) fn sender_has_time_to_send(checked: &Checked) -> Findings {
    let timeout = &checked.template.properties("Sender")["Timeout"];
    let has_time = timeout
        .as_u64()
        .is_some_and(|seconds| seconds > SHUTDOWN_RESERVE && seconds <= 900);
    if has_time {
        return Vec::new();
    }
    vec![format!(
        "Sender: may run for {timeout} s, but claims no row in its last {SHUTDOWN_RESERVE} s; the maximum is 900 s"
    )]
}

/// Functions that others must not starve.
const RESERVED: [&str; 3] = ["Api", "Webhook", "Counter"];

/// What Lambda leaves to functions without a reservation.
const UNRESERVED: u64 = 100;

/// AWS, "Configuring reserved concurrency": what is reserved is taken from all other functions, and 100 must stay
/// unreserved, so that accounts with a low limit need a way without.
pub(super) fn reservations_can_be_turned_off(checked: &Checked) -> Findings {
    let mut findings = Vec::new();
    let mut needed = UNRESERVED;
    for (id, properties) in checked.template.functions() {
        let reserved = &properties["ReservedConcurrentExecutions"];
        let is_valid = match id {
            "Sender" => true,
            id if RESERVED.contains(&id) => is_reserved(reserved, "ReservesAll", |_| true),
            _ => reserved.is_null(),
        };
        if !is_valid {
            findings.push(format!(
                "{id}: ReservedConcurrentExecutions is {reserved}; it belongs to {RESERVED:?} alone, under the condition \
                 ReservesAll"
            ));
        }
        let number = condition(reserved).and_then(|(_, number, _)| number.as_u64());
        needed += number.unwrap_or_default();
    }
    // The slots and the webhook's reservation are parameters.
    let documented = format!("slots + `TpsBudget` + {needed}");
    if !checked.operations.contains(&documented) {
        findings.push(format!(
            "docs/operations.md: the account needs {documented}"
        ));
    }
    findings
}

/// Whether a number is reserved under a condition, and nothing otherwise.
fn is_reserved(reserved: &Value, only_if: &str, number: impl Fn(&Value) -> bool) -> bool {
    let nothing = json!({"Ref": "AWS::NoValue"});
    condition(reserved)
        .is_some_and(|(name, yes, no)| name == only_if && number(yes) && *no == nothing)
}
