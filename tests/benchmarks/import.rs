//! Imports: from an object in S3 to the last batch in SQS, in one run, and by processes that are killed.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use campaign::delivery::batch::MAX_BATCH_ROWS;
use campaign::delivery::outcome::Acceptance;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{CampaignState, FileStage};
use cloud::files::{Upload, input_key};
use cloud::import_queue::{ImportJob, Position};
use serde_json::json;
use splitter::Splitter;
use tokio::process::Command;

use crate::harness::json::sample_event;
use crate::harness::{TestEnv, lambda_context};
use crate::peak_memory_mb;

/// Imports `rows` rows in one invocation; with `memory`, shows how much memory the process used.
pub(crate) async fn measure(rows: u32, memory: bool) {
    let env = TestEnv::new().await;
    let (_, time) = import_rows(&env, rows).await;
    let seconds = time.as_secs_f64();
    println!(
        "splitting: {rows} rows from S3 to SQS in {seconds:.2} s, {:.0} rows/s",
        f64::from(rows) / seconds
    );
    if memory {
        let peak = peak_memory_mb();
        println!("memory: {peak} MB at the peak for {rows} distinct numbers");
    }
}

/// Uploads a file of so many rows and imports it in one invocation. Returns how long that took.
pub(crate) async fn import_rows(env: &TestEnv, rows: u32) -> (CampaignId, Duration) {
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    upload_rows(env, &id, rows).await;
    let splitter = env.splitter(40);
    let event = upload_event(&id);
    let began = Instant::now();
    splitter.handle(event, lambda_context(900)).await.unwrap();
    let time = began.elapsed();
    assert_all_enqueued(env, &id, rows).await;
    (id, time)
}

/// A million rows that were in the queue are put into it again, as after a pause. The first thousand were sent.
pub(crate) async fn measure_requeue() {
    const SENT: u32 = 1_000;
    let env = TestEnv::new().await;
    let (id, _) = import_rows(&env, ROWS).await;
    let queued = env.visible_messages(&env.queue_urls.sends).await;
    for row in 1..=SENT {
        env.claim_row(&id, row).await;
        record_acceptance(&env, &id, row).await;
    }
    let ledger = env.ledger_items(&id).await;
    let counter = env.counter();
    let counted = counter.handle(TestEnv::stream_event(1, &ledger));
    counted.await.unwrap();
    let job = ImportJob::requeue(id.clone(), Position::default());
    let body = cloud::message_body::encode(&job).unwrap();
    let message =
        json!({"eventSource": "aws:sqs", "messageId": "1", "body": body, "attributes": {}});
    let event = serde_json::from_value(json!({"Records": [message]})).unwrap();
    let splitter = env.splitter(40);
    let began = Instant::now();
    splitter.handle(event, lambda_context(900)).await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(
        env.visible_messages(&env.queue_urls.sends).await,
        2 * queued - SENT / MAX_BATCH_ROWS as u32
    );
    println!(
        "requeue: {ROWS} rows, of which {SENT} were sent, into the queue again in {seconds:.1} s"
    );
}

async fn record_acceptance(env: &TestEnv, id: &CampaignId, row: u32) {
    let acceptance = Acceptance {
        wamid: format!("wamid.{row}"),
        wa_id: None,
        user_id: None,
        message_status: None,
    };
    let recorded = env.ledger.record_acceptance(id, row, 1, &acceptance);
    assert!(recorded.await.unwrap());
}

async fn assert_all_enqueued(env: &TestEnv, id: &CampaignId, rows: u32) {
    let counts = env.load_campaign(id).await.import_counts();
    let expected = (u64::from(rows), u64::from(rows));
    assert_eq!((counts.rows, counts.enqueued), expected);
}

const ROWS: u32 = 1_000_000;
const KILLS: u32 = 20;

/// A million rows in one run, and once more by processes that are killed at twenty random points: the same batches.
pub(crate) async fn measure_continuation() {
    let env = TestEnv::new().await;
    let whole = import_with_kills(&env, 0).await;
    let killed = import_with_kills(&env, KILLS).await;
    assert_eq!(whole.batches.len(), killed.batches.len());
    assert!(
        whole.batches == killed.batches,
        "the batches are not the same"
    );
    println!(
        "continuation: {ROWS} rows, killed {} times, {} of them in the second pass: {} batches, the same as without; {} of them enqueued twice",
        killed.kills,
        killed.kills_in_second_pass,
        killed.batches.len(),
        killed.enqueued - killed.batches.len(),
    );
}

/// An import by processes that were killed.
struct KilledImport {
    kills: u32,
    kills_in_second_pass: u32,
    /// The rows of every batch.
    batches: BTreeSet<String>,
    /// How many batches were on the queue, repeated ones too.
    enqueued: usize,
}

async fn import_with_kills(env: &TestEnv, kills: u32) -> KilledImport {
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    upload_rows(env, &id, ROWS).await;
    let (mut killed, mut in_second_pass) = (0, 0);
    loop {
        let mut process = splitter_command(env, &id).spawn().unwrap();
        // The first pass takes some seconds, the second longer: either may be hit.
        let until_killed = 100 + rand::random_range(0..4000);
        let time_ms = if killed < kills {
            until_killed
        } else {
            600_000
        };
        let time = Duration::from_millis(time_ms);
        if let Ok(ended) = tokio::time::timeout(time, process.wait()).await {
            assert!(ended.unwrap().success());
            break;
        }
        process.kill().await.unwrap();
        killed += 1;
        let stage = env.load_campaign(&id).await.files[0].stage;
        in_second_pass += u32::from(stage == FileStage::Validated);
    }
    assert_eq!(env.campaign_state(&id).await, CampaignState::Sending);
    assert_all_enqueued(env, &id, ROWS).await;
    let queued = env.drain_batches().await;
    let rows = queued.iter().map(|queued| &queued.batch.rows);
    KilledImport {
        kills: killed,
        kills_in_second_pass: in_second_pass,
        batches: rows
            .map(|rows| serde_json::to_string(rows).unwrap())
            .collect(),
        enqueued: queued.len(),
    }
}

/// This program as a splitter.
fn splitter_command(env: &TestEnv, campaign: &CampaignId) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("splitter").envs([
        ("CRIER_CAMPAIGN", campaign.to_string()),
        ("CAMPAIGNS_TABLE", env.table("CampaignsTable")),
        ("CONTACTS_TABLE", env.table("ContactsTable")),
        ("MESSAGES_TABLE", env.table("MessagesTable")),
        ("UPLOADS_BUCKET", env.name.clone()),
        ("SENDS_QUEUE_URL", env.queue_urls.sends.clone()),
        ("URGENT_QUEUE_URL", env.queue_urls.urgent.clone()),
        ("PHONE_NUMBER_ID", "1".into()),
        ("IMPORT_QUEUE_URL", env.queue_urls.imports.clone()),
        ("RETENTION_DAYS", "7".into()),
        ("TPS_BUDGET", "40".into()),
        ("SLOTS", "0".into()),
    ]);
    command
}

/// One splitter, as Lambda runs it: with the same request id each time.
pub(crate) async fn run_splitter() {
    let campaign: CampaignId = std::env::var("CRIER_CAMPAIGN").unwrap().parse().unwrap();
    let mut context = lambda_context(900);
    context.request_id = format!("owner-of-{campaign}");
    let splitter = Splitter::from_env().await.unwrap();
    splitter
        .handle(upload_event(&campaign), context)
        .await
        .unwrap();
}

/// The sample event for another upload.
fn upload_event(campaign: &CampaignId) -> splitter::Event {
    let mut event = sample_event("splitter.s3-put.json");
    let key = input_key(campaign, Upload::File(0));
    event["Records"][0]["s3"]["object"] = json!({"key": key});
    serde_json::from_value(event).unwrap()
}

/// Uploads by way of a file, so that the rows are not in this process's memory.
async fn upload_rows(env: &TestEnv, campaign: &CampaignId, rows: u32) {
    let path = std::env::temp_dir().join(format!("crier-{campaign}.csv"));
    let mut file = BufWriter::new(std::fs::File::create(&path).unwrap());
    file.write_all(b"phone,name\n").unwrap();
    for row in 0..rows {
        writeln!(file, "+55119{:08},Ana Souza {row}", 60_000_000 + row).unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
    let body = ByteStream::from_path(&path).await.unwrap();
    let put = env.aws.s3.put_object().bucket(&env.name).body(body);
    let put = put.key(input_key(campaign, Upload::File(0)));
    put.send().await.unwrap();
    std::fs::remove_file(path).unwrap();
}
