//! Who may depend on whom, and that the sample events are what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};
use serde_json::Value;

/// A sample of `events/`.
pub(crate) fn sample_event(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../events")
        .join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn dependencies_point_inwards() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let ours: BTreeSet<String> = metadata
        .packages
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    let used: BTreeMap<String, BTreeSet<String>> = metadata
        .packages
        .iter()
        .map(|package| {
            let normal = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind == DependencyKind::Normal);
            (
                package.name.to_string(),
                normal.map(|dependency| dependency.name.clone()).collect(),
            )
        })
        .collect();
    let our_own = |package: &str| -> BTreeSet<&str> {
        used[package]
            .intersection(&ours)
            .map(String::as_str)
            .collect()
    };
    assert_eq!(our_own("campaign"), BTreeSet::new());
    assert_eq!(our_own("whatsapp"), ["campaign"].into());
    assert_eq!(our_own("cloud"), ["campaign"].into());
    assert_eq!(our_own("tabular"), BTreeSet::new());
    assert_eq!(
        our_own("recipients"),
        ["campaign", "cloud", "tabular", "whatsapp"].into()
    );
    assert_eq!(our_own("simulator"), ["whatsapp"].into());
    assert_eq!(our_own("xtask"), BTreeSet::new());
    for function in [
        "api",
        "splitter",
        "sender",
        "webhook",
        "counter",
        "reconciler",
        "report",
        "forward",
        "erase",
    ] {
        assert!(
            our_own(function)
                .is_subset(&["campaign", "whatsapp", "cloud", "tabular", "recipients"].into()),
            "{function}"
        );
    }
    // The policy does no I/O, and cannot.
    let pure: BTreeSet<&str> = used["campaign"].iter().map(String::as_str).collect();
    assert_eq!(
        pure,
        ["rlibphonenumber", "serde", "serde_json", "thiserror"].into()
    );
}

#[test]
fn sample_events_deserialize() {
    let put = sample_event("splitter.s3-put.json");
    let key = put["Records"][0]["s3"]["object"]["key"].as_str().unwrap();
    assert!(cloud::files::parse_upload_key(key).is_some());
    let _: splitter::Event = serde_json::from_value(put).unwrap();
    let order = sample_event("splitter.import-job.json");
    let _: cloud::import_queue::ImportJob =
        serde_json::from_str(order["Records"][0]["body"].as_str().unwrap()).unwrap();
    let _: splitter::Event = serde_json::from_value(order).unwrap();
    let sqs: aws_lambda_events::sqs::SqsEvent =
        serde_json::from_value(sample_event("sender.batch.json")).unwrap();
    let batch: campaign::delivery::batch::Batch =
        serde_json::from_str(sqs.records[0].body.as_deref().unwrap()).unwrap();
    assert_eq!(batch.rows.len(), 2);
    let stream: counter::StreamEvent =
        serde_json::from_value(sample_event("counter.stream.json")).unwrap();
    assert!(stream.shard.is_some() && stream.records.len() == 3);
    assert_eq!(
        sample_event("reconciler.schedule.json")["source"],
        "aws.events"
    );
    let body = |name: &str| {
        let event = sample_event(name);
        event["Records"][0]["body"].as_str().unwrap().to_owned()
    };
    let _: cloud::jobs::JobRequest = serde_json::from_str(&body("report.job.json")).unwrap();
    let _: cloud::erasure_queue::ErasureJob =
        serde_json::from_str(&body("erase.job.json")).unwrap();
    let _: cloud::outbound::WebhookDelivery =
        serde_json::from_str(&body("forward.webhook-delivery.json")).unwrap();
    for name in ["forward.webhook-delivery.json", "forward.stream.json"] {
        let _: forward::Event = serde_json::from_value(sample_event(name)).unwrap();
    }
    for name in [
        "webhook.status-delivered.json",
        "webhook.handshake.json",
        "api.create-campaign.json",
    ] {
        lambda_http::request::from_str(&sample_event(name).to_string()).unwrap();
    }
}
