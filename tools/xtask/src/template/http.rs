//! The HTTP API's stage.

use serde_json::json;

use super::model::{Checked, Findings};

/// AWS, "Throttle requests to your HTTP APIs": without limits of its own, a stage may use up what all APIs of the account
/// and region share.
pub(super) fn stage_is_throttled_by_the_budget(checked: &Checked) -> Findings {
    let settings = &checked.template.properties("HttpStage")["DefaultRouteSettings"];
    let mut findings = Vec::new();
    if settings["ThrottlingRateLimit"] != json!({"Fn::Sub": "${TpsBudget}0"}) {
        findings.push("HttpStage: ThrottlingRateLimit is not ten times the budget".into());
    }
    // AWS, "Quotas for HTTP APIs": the smallest burst of an account is 1,250, in some regions.
    let burst = settings["ThrottlingBurstLimit"]
        .as_u64()
        .unwrap_or_default();
    if !(1..=1_250).contains(&burst) {
        findings.push("HttpStage: ThrottlingBurstLimit must be 1 to 1,250".into());
    }
    findings
}

/// Variables that tell who called, or what is in the path: a phone number (AWS, "Customize HTTP API access logs").
const PERSONAL: [&str; 6] = [
    "$context.identity",
    "$context.path",
    "$context.authorizer",
    "$context.domain",
    "userAgent",
    "sourceIp",
];

/// AWS, "Configure logging for HTTP APIs". AWS, "Enable logging from AWS services": the prefix `/aws/vendedlogs/` keeps the
/// account's resource policy for log deliveries below its limit.
pub(super) fn access_is_logged_without_personal_data(checked: &Checked) -> Findings {
    let template = &checked.template;
    let settings = &template.properties("HttpStage")["AccessLogSettings"];
    let mut findings = Vec::new();
    let destination = settings["DestinationArn"]["Fn::Sub"].as_str();
    if !destination.is_some_and(|arn| arn.ends_with(":log-group:${AccessLogs}")) {
        findings.push("HttpStage: writes no access log to the log group AccessLogs".into());
    }
    let group = &template.properties("AccessLogs")["LogGroupName"]["Fn::Sub"];
    if !group
        .as_str()
        .is_some_and(|name| name.starts_with("/aws/vendedlogs/"))
    {
        findings.push("AccessLogs: the name must begin with /aws/vendedlogs/".into());
    }
    let format = settings["Format"].as_str().unwrap_or_default();
    if serde_json::from_str::<serde_json::Value>(format).is_err() || format.contains('\n') {
        findings.push("HttpStage: the format of the access log is not one line of JSON".into());
    }
    let personal = PERSONAL
        .iter()
        .filter(|variable| format.contains(**variable));
    findings.extend(personal.map(|name| format!("HttpStage: the access log has {name}")));
    findings
}
