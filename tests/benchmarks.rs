//! Figures that need services: `cargo xtask bench` starts them and runs this in release, once for each figure:
//! `callbacks`, `splitting`, `memory`, `continuation`, `report`. Each prints one line.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that fails here fails where it should"
)]

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use campaign::id::CampaignId;
use campaign::import::row::ImportCounts;
use campaign::lifecycle::campaign::{CampaignState, FileStage};
use cloud::callbacks::Callbacks;
use cloud::files::Upload;
use cloud::jobs::{Job, JobRequest};
use cloud::ledger::Ledger;
use lambda_http::Body;
use lambda_http::http::{Method, Request};
use secrecy::SecretString;
use serde_json::{Value, json};
use splitter::Splitter;
use whatsapp::signature;

use crate::harness::{TestEnv, lambda_context};

mod fake_dynamodb;
#[expect(dead_code, reason = "the tests use all of it")]
mod harness;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let figure = std::env::args().nth(1).unwrap_or_default();
    match figure.as_str() {
        "callbacks" => bench_callbacks().await,
        "enqueuing" => bench_splitting(50_000, false).await,
        "memory" => bench_splitting(5_000_000, true).await,
        "continuation" => bench_continuation().await,
        "report" => bench_report().await,
        "splitter" => run_splitter().await,
        "reporter" => run_report().await,
        other => {
            println!(
                "`{other}` is none of callbacks, splitting, memory, continuation, report: use cargo xtask bench"
            )
        }
    }
}

/// The webhook's own time for POSTs of one status, warm, against real tables; then beside tables in memory, which leaves
/// what is ours; then a POST of a thousand statuses against real tables.
async fn bench_callbacks() {
    const WARM_UP: u32 = 50;
    const POSTS: u32 = 1000;
    let world = TestEnv::new().await;
    let campaign = world.create_campaign(CampaignState::Sending).await.id;
    let claim = async |row| {
        world
            .ledger
            .claim(&campaign, row, "bench", cloud::now())
            .await
            .unwrap()
    };
    let mut times = Vec::new();
    let webhook = world.webhook();
    for row in 1..=WARM_UP + POSTS {
        claim(row).await;
        times.push(post_statuses(&world, &webhook, &campaign, row..row + 1).await);
    }
    let mut warm = times.split_off(WARM_UP as usize);
    warm.sort_by(f64::total_cmp);
    let at = |share: f64| warm[(warm.len() as f64 * share) as usize];
    println!(
        "callbacks: {POSTS} POSTs of one status, median {:.1} ms, p99 {:.1} ms",
        at(0.5),
        at(0.99)
    );
    let dynamodb = fake_dynamodb::connect(&fake_dynamodb::start_server().await).await;
    let quick = webhook::Webhook {
        callbacks: Callbacks::new(dynamodb.clone(), "callbacks".into(), 7),
        ledger: Ledger::new(dynamodb, "messages".into(), 7),
        ..world.webhook()
    };
    for row in 1..=WARM_UP {
        post_statuses(&world, &quick, &campaign, row..row + 1).await;
    }
    let mut milliseconds = 0.0;
    for row in 1..=POSTS {
        milliseconds += post_statuses(&world, &quick, &campaign, row..row + 1).await;
    }
    println!(
        "callbacks: {:.0} POSTs of one status a second, one after the other, beside tables in memory",
        f64::from(POSTS) * 1000.0 / milliseconds
    );
    const UPDATES: u32 = 1000;
    let many = 10_000..10_000 + UPDATES;
    for row in many.clone() {
        claim(row).await;
    }
    let milliseconds = post_statuses(&world, &webhook, &campaign, many).await;
    println!(
        "callbacks: one POST of {UPDATES} statuses in {:.2} s",
        milliseconds / 1000.0
    );
}

/// Posts a delivery of each of these rows together; gives how long the answer took, in milliseconds.
async fn post_statuses(
    world: &TestEnv,
    webhook: &webhook::Webhook,
    campaign: &CampaignId,
    rows: std::ops::Range<u32>,
) -> f64 {
    let status = |row| {
        json!({"id": format!("wamid.{row}"), "status": "delivered", "timestamp": "1790000000",
            "biz_opaque_callback_data": format!("{campaign}:{row}:1")})
    };
    let statuses: Vec<Value> = rows.map(status).collect();
    let body = json!({"entry": [{"id": "1", "changes": [{"field": "messages", "value": {"statuses": statuses}}]}]}).to_string();
    let secret = SecretString::from(world.simulator.state.settings().app_secret);
    let signature = signature::sign(body.as_bytes(), &secret);
    let request = Request::builder()
        .method(Method::POST)
        .uri("/webhook")
        .header("x-hub-signature-256", signature);
    let request = request.body(Body::from(body)).unwrap();
    let began = Instant::now();
    let answer = webhook.handle(request).await.unwrap();
    assert!(answer.status().is_success());
    began.elapsed().as_secs_f64() * 1000.0
}

/// The report of a million rows, in a process of its own: a recorded ledger, a real bucket.
async fn bench_report() {
    const ROWS: u32 = 1_000_000;
    let world = TestEnv::new().await;
    let counts = ImportCounts {
        rows: ROWS.into(),
        enqueued: ROWS.into(),
        ..ImportCounts::default()
    };
    let campaign = world
        .create_campaign_with(|campaign| {
            campaign.state = CampaignState::Sending;
            campaign.files[0].stage = FileStage::Enqueued;
            campaign.files[0].counts = counts;
        })
        .await;
    upload_rows(&world, &campaign.id, ROWS).await;
    let mut process = tokio::process::Command::new(std::env::current_exe().unwrap());
    process.arg("reporter").envs([
        ("CRIER_CAMPAIGN", campaign.id.as_str()),
        ("CRIER_LEDGER", &fake_dynamodb::start_server().await),
        (
            "CAMPAIGNS_TABLE",
            &format!("{}-CampaignsTable", world.bucket),
        ),
        ("MESSAGES_TABLE", "messages"),
        ("UPLOADS_BUCKET", &world.bucket),
        ("JOBS_QUEUE_URL", "none"),
        ("RETENTION_DAYS", "7"),
    ]);
    assert!(process.status().await.unwrap().success());
    let key = cloud::files::report_key(&campaign.id, 0);
    let file = world.files.read_object(&key).await.unwrap().unwrap();
    let lines = file.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(lines, ROWS as usize + 1);
    println!("report: the file has {} MB", file.len() / 1_000_000);
}

/// One report, as Lambda would run it.
async fn run_report() {
    let campaign: CampaignId = std::env::var("CRIER_CAMPAIGN").unwrap().parse().unwrap();
    let dynamodb = fake_dynamodb::connect(&std::env::var("CRIER_LEDGER").unwrap()).await;
    let report = report::Reporter {
        ledger: Ledger::new(dynamodb, "messages".into(), 7),
        ..report::Reporter::from_env().await.unwrap()
    };
    let job = Job::Report { bom: true };
    let began = Instant::now();
    report.run_job(&JobRequest { campaign, job }).await.unwrap();
    println!(
        "report: 1,000,000 rows in {:.1} s, {} MB at the peak",
        began.elapsed().as_secs_f64(),
        peak_memory_kb() / 1024
    );
}

/// From an object in S3 to the last batch in SQS; with `memory`, how much the process grew to.
async fn bench_splitting(rows: u32, memory: bool) {
    let world = TestEnv::new().await;
    let campaign = world
        .create_campaign(CampaignState::AwaitingUpload)
        .await
        .id;
    upload_rows(&world, &campaign, rows).await;
    let event = upload_event(&cloud::files::input_key(&campaign, Upload::File(0)));
    let splitter = world.splitter(40);
    let began = Instant::now();
    splitter.handle(event, lambda_context(900)).await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let counts = world.load_campaign(&campaign).await.import_counts();
    assert_eq!(
        (counts.rows, counts.enqueued),
        (u64::from(rows), u64::from(rows))
    );
    println!(
        "splitting: {rows} rows from S3 to SQS in {seconds:.2} s, {:.0} rows/s",
        f64::from(rows) / seconds
    );
    if memory {
        println!(
            "memory: {} MB at the peak for {rows} distinct numbers",
            peak_memory_kb() / 1024
        );
    }
}

/// A million rows whole, and once more by processes that are killed at twenty random points: the same batches.
async fn bench_continuation() {
    const ROWS: u32 = 1_000_000;
    const KILLS: u32 = 20;
    let world = TestEnv::new().await;
    let split = async |kills: u32| {
        let id = world
            .create_campaign(CampaignState::AwaitingUpload)
            .await
            .id;
        upload_rows(&world, &id, ROWS).await;
        let (mut killed, mut in_second_pass) = (0, 0);
        loop {
            let mut process = splitter_command(&world, &id).spawn().unwrap();
            // The first pass takes some seconds, the second longer: kills hit either, wherever it is.
            let patience = Duration::from_millis(if killed < kills {
                100 + rand::random_range(0..4000)
            } else {
                600_000
            });
            match tokio::time::timeout(patience, process.wait()).await {
                Ok(ended) => {
                    assert!(ended.unwrap().success());
                    let done = world.load_campaign(&id).await.state == CampaignState::Sending;
                    assert!(done, "the split ended without its end");
                    break;
                }
                Err(_) => {
                    process.kill().await.unwrap();
                    killed += 1;
                    let stage = world.load_campaign(&id).await.files[0].stage;
                    in_second_pass += u32::from(stage == FileStage::Validated);
                }
            }
        }
        let counts = world.load_campaign(&id).await.import_counts();
        assert_eq!(
            (counts.rows, counts.enqueued),
            (u64::from(ROWS), u64::from(ROWS))
        );
        (drain_batch_set(&world).await, killed, in_second_pass)
    };
    let ((expected, _), ..) = split(0).await;
    let ((seen, taken), killed, in_second_pass) = split(KILLS).await;
    assert_eq!(expected.len(), seen.len());
    assert!(expected == seen, "the batches are not the same");
    println!(
        "continuation: {ROWS} rows, killed {killed} times, {in_second_pass} of them in the second pass: {} batches, the same as without; {} of them enqueued twice",
        seen.len(),
        taken - seen.len(),
    );
}

/// The rows of every batch on the queue, as a set, and how many batches there were.
async fn drain_batch_set(world: &TestEnv) -> (BTreeSet<String>, usize) {
    let batches = world.drain_batches().await;
    let rows = batches
        .iter()
        .map(|(batch, _)| serde_json::to_string(&batch.rows).unwrap());
    (rows.collect(), batches.len())
}

/// This program once more, as a splitter, with what that is told by its environment.
fn splitter_command(world: &TestEnv, campaign: &CampaignId) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command.arg("splitter").envs([
        ("CRIER_CAMPAIGN", campaign.as_str()),
        (
            "CAMPAIGNS_TABLE",
            &format!("{}-CampaignsTable", world.bucket),
        ),
        ("CONTACTS_TABLE", &format!("{}-ContactsTable", world.bucket)),
        ("MESSAGES_TABLE", &format!("{}-MessagesTable", world.bucket)),
        ("UPLOADS_BUCKET", &world.bucket),
        ("SENDS_QUEUE_URL", &world.sends_queue_url),
        ("IMPORT_QUEUE_URL", &world.imports_queue_url),
        ("RETENTION_DAYS", "7"),
        ("TPS_BUDGET", "40"),
        ("SLOTS", "0"),
        ("SLOT_RATE", "1"),
    ]);
    command
}

/// One splitter in a process of its own, as Lambda would run it: the same request id each time.
async fn run_splitter() {
    let campaign: CampaignId = std::env::var("CRIER_CAMPAIGN").unwrap().parse().unwrap();
    let mut context = lambda_context(900);
    context.request_id = format!("owner-of-{campaign}");
    let event = upload_event(&cloud::files::input_key(&campaign, Upload::File(0)));
    Splitter::from_env()
        .await
        .unwrap()
        .handle(event, context)
        .await
        .unwrap();
}

/// The sample event, for another key.
fn upload_event(key: &str) -> splitter::Event {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../events/splitter.s3-put.json"
    );
    let mut event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    event["Records"][0]["s3"]["object"] = json!({"key": key});
    serde_json::from_value(event).unwrap()
}

/// By way of a file: the rows must not be in this process' memory.
async fn upload_rows(world: &TestEnv, campaign: &CampaignId, rows: u32) {
    let path = std::env::temp_dir().join(format!("crier-{campaign}.csv"));
    let mut file = BufWriter::new(std::fs::File::create(&path).unwrap());
    file.write_all(b"phone,name\n").unwrap();
    for row in 0..rows {
        writeln!(file, "+55119{:08},Ana Souza {row}", 60_000_000 + row).unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
    let body = ByteStream::from_path(&path).await.unwrap();
    let put = world
        .s3
        .put_object()
        .bucket(&world.bucket)
        .key(cloud::files::input_key(campaign, Upload::File(0)))
        .body(body);
    put.send().await.unwrap();
    std::fs::remove_file(path).unwrap();
}

/// The most this process ever had resident, in kilobytes (Linux).
fn peak_memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|kb| kb.parse().ok())
        .unwrap_or_default()
}
