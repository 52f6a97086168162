//! The sample events of `events/` are what each function reads.

use serde::de::DeserializeOwned;

use crate::harness::json::{sample_event, text};

/// The body of a sample's first queue message, as its function reads it.
fn parse_body<T: DeserializeOwned>(name: &str) -> T {
    let event = sample_event(name);
    cloud::message_body::decode(text(&event["Records"][0]["body"])).unwrap()
}

fn parse_event<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_value(sample_event(name)).unwrap()
}

#[test]
fn splitter_reads_its_samples() {
    let put = sample_event("splitter.s3-put.json");
    let key = text(&put["Records"][0]["s3"]["object"]["key"]);
    assert!(cloud::files::parse_upload_key(key).is_some());
    parse_body::<cloud::import_queue::ImportJob>("splitter.import-job.json");
    for name in ["splitter.s3-put.json", "splitter.import-job.json"] {
        parse_event::<splitter::Event>(name);
    }
}

#[test]
fn sender_reads_its_sample() {
    parse_event::<aws_lambda_events::sqs::SqsEvent>("sender.batch.json");
    let batch: campaign::delivery::batch::Batch = parse_body("sender.batch.json");
    assert_eq!(batch.rows.len(), 2);
}

#[test]
fn counter_and_reconciler_read_their_samples() {
    let stream: counter::StreamEvent = parse_event("counter.stream.json");
    assert!(stream.shard.is_some() && stream.records.len() == 3);
    assert_eq!(
        sample_event("reconciler.schedule.json")["source"],
        "aws.events"
    );
}

#[test]
fn report_erase_and_forward_read_their_samples() {
    for name in ["report.job.json", "report.suppression-job.json"] {
        parse_body::<cloud::jobs::JobRequest>(name);
    }
    parse_body::<cloud::erasure_queue::ErasureJob>("erase.job.json");
    parse_body::<cloud::outbound::WebhookDelivery>("forward.webhook-delivery.json");
    for name in ["forward.webhook-delivery.json", "forward.stream.json"] {
        parse_event::<forward::Event>(name);
    }
}

#[test]
fn webhook_api_and_console_read_their_samples() {
    for name in [
        "webhook.status-delivered.json",
        "webhook.handshake.json",
        "api.create-campaign.json",
        "console.page.json",
    ] {
        lambda_http::request::from_str(&sample_event(name).to_string()).unwrap();
    }
}
