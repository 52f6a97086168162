//! The report of a million rows, in a process of its own: a ledger in memory, a real bucket.

use std::time::Instant;

use campaign::id::CampaignId;
use cloud::jobs::{Job, JobRequest};
use cloud::ledger::Ledger;
use report::Reporter;
use tokio::process::Command;

use crate::harness::TestEnv;
use crate::import::import_rows;
use crate::{fake_dynamodb, peak_memory_mb};

const ROWS: u32 = 1_000_000;

pub(crate) async fn measure() {
    let env = TestEnv::new().await;
    let (id, _) = import_rows(&env, ROWS).await;
    let mut process = reporter_command(&env, &id).await;
    assert!(process.status().await.unwrap().success());
    let key = cloud::files::report_key(&id, 0);
    let file = env.files.read_object(&key).await.unwrap().unwrap();
    let lines = file.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(lines, ROWS as usize + 1);
    println!("report: the file has {} MB", file.len() / 1_000_000);
}

/// This program as a reporter.
async fn reporter_command(env: &TestEnv, campaign: &CampaignId) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("reporter").envs([
        ("CRIER_CAMPAIGN", campaign.to_string()),
        ("CRIER_LEDGER", fake_dynamodb::start_server().await),
        ("CAMPAIGNS_TABLE", env.table("CampaignsTable")),
        ("MESSAGES_TABLE", "messages".into()),
        ("CONTACTS_TABLE", env.table("ContactsTable")),
        ("UPLOADS_BUCKET", env.name.clone()),
        ("JOBS_QUEUE_URL", "none".into()),
        ("RETENTION_DAYS", "7".into()),
    ]);
    command
}

/// One report, as Lambda runs it.
pub(crate) async fn run_reporter() {
    let campaign: CampaignId = std::env::var("CRIER_CAMPAIGN").unwrap().parse().unwrap();
    let dynamodb = fake_dynamodb::connect(&std::env::var("CRIER_LEDGER").unwrap()).await;
    let reporter = Reporter {
        ledger: Ledger::new(dynamodb, "messages".into(), 7),
        ..Reporter::from_env().await.unwrap()
    };
    let job = Job::Report { bom: true };
    let began = Instant::now();
    let hops = 0;
    let request = JobRequest {
        campaign,
        job,
        requested_at: 0,
        hops,
    };
    reporter.run_job(&request).await.unwrap();
    println!(
        "report: {ROWS} rows in {:.1} s, {} MB at the peak",
        began.elapsed().as_secs_f64(),
        peak_memory_mb()
    );
}
