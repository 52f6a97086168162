//! Imports that are interrupted: leases, the end of an invocation's time, and death at any point.

use std::collections::BTreeSet;
use std::time::Duration;

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{CampaignState, IMPORT_LEASE_MS};
use campaign::time::Millis;
use cloud::campaigns::Lease;
use cloud::import_queue::ImportJob;
use lambda_runtime::Context;
use serde_json::Value;
use splitter::Splitter;

use crate::harness::{QueuedBatch, TestEnv, lambda_context, recipients_csv, row_numbers};

async fn handle_upload(splitter: &Splitter, event: &Value, context: Context) {
    let event = serde_json::from_value(event.clone()).unwrap();
    splitter.handle(event, context).await.unwrap();
}

/// A campaign whose lease another invocation holds: two uploads' events came since, and their jobs wait.
async fn jobs_waiting_for_another(env: &TestEnv) -> CampaignId {
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    let event = env.upload_file(&id, recipients_csv(2).as_bytes()).await;
    let lease = env.campaigns.acquire_lease(&id, "another", cloud::now(), 0);
    lease.await.unwrap();
    let splitter = env.splitter(2);
    for _ in 0..2 {
        handle_upload(&splitter, &event, lambda_context(900)).await;
    }
    assert_eq!(env.campaign_state(&id).await, CampaignState::AwaitingUpload);
    assert!(env.drain_import_jobs().await.is_empty(), "a job circles");
    assert_eq!(waiting_count(env, &id).await, 2);
    id
}

async fn waiting_count(env: &TestEnv, id: &CampaignId) -> usize {
    env.waiting_jobs().list(id).await.unwrap().len()
}

/// How many jobs a run of the reconciler, `later` from now, puts back into their queue.
async fn wake_jobs(env: &TestEnv, later: Millis) -> usize {
    let now = cloud::now() + later;
    let stats = env.reconciler().run(now, now + 900_000).await;
    stats.unwrap().jobs_woken
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn waiting_imports_are_woken_one_after_the_other() {
    let env = TestEnv::new().await;
    let id = jobs_waiting_for_another(&env).await;
    // The invocation that holds the lease ends: it wakes one job, and that one the next.
    let mut context = lambda_context(900);
    context.request_id = "another".into();
    let mut job = ImportJob::resume(id.clone());
    for (hops, waiting) in [(0, 1), (1, 0)] {
        assert_eq!(job.hops, hops);
        env.import_queue().enqueue(&job).await.unwrap();
        let splitter = env.splitter(2);
        assert!(env.run_next_import_job(&splitter, context.clone()).await);
        let mut woken = env.drain_import_jobs().await;
        assert_eq!((woken.len(), waiting_count(&env, &id).await), (1, waiting));
        job = woken.remove(0);
    }
    env.import_queue().enqueue(&job).await.unwrap();
    env.run_queued_imports().await;
    assert!(env.drain_import_jobs().await.is_empty());
    assert_is_imported(&env, &id, 2).await;
    assert_eq!(row_numbers(&env.drain_batches().await), [1, 2]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn waiting_imports_are_woken_by_the_reconciler_if_the_holder_of_the_lease_died() {
    let env = TestEnv::new().await;
    let id = jobs_waiting_for_another(&env).await;
    assert_eq!(wake_jobs(&env, 0).await, 0, "the lease is alive");
    assert_eq!(wake_jobs(&env, IMPORT_LEASE_MS).await, 1);
    env.drain_import_jobs().await;
    // It also may have died after it released the lease.
    env.campaigns.release_lease(&id, "another").await.unwrap();
    assert_eq!(wake_jobs(&env, 0).await, 1);
    assert_eq!(wake_jobs(&env, 0).await, 0, "none waits any more");
    env.run_queued_imports().await;
    assert_is_imported(&env, &id, 2).await;
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn concurrent_imports_lose_no_job() {
    let env = TestEnv::new().await;
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    let event = env.upload_file(&id, recipients_csv(500).as_bytes()).await;
    let splitters: Vec<Splitter> = (0..6).map(|_| env.splitter(2)).collect();
    let imports = splitters
        .iter()
        .map(|splitter| handle_upload(splitter, &event, lambda_context(900)));
    futures::future::join_all(imports).await;
    // Whoever came second waits and is woken by whoever came first. No reconciler runs.
    env.run_queued_imports().await;
    assert_eq!(waiting_count(&env, &id).await, 0);
    assert_is_imported(&env, &id, 500).await;
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn stale_lease_is_taken_over_and_a_fresh_one_is_not() {
    let env = TestEnv::new().await;
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    let acquire = async |owner: &str, now, stale_before| {
        let lease = env.campaigns.acquire_lease(&id, owner, now, stale_before);
        lease.await.unwrap()
    };
    assert!(matches!(acquire("one", 1000, 0).await, Lease::Acquired(_)));
    // Lambda repeats an event with its own request id.
    assert!(matches!(acquire("one", 1500, 0).await, Lease::Acquired(_)));
    assert_eq!(acquire("two", 2000, 1500).await, Lease::HeldByOther);
    assert!(matches!(
        acquire("two", 2000, 1501).await,
        Lease::Acquired(_)
    ));
    // The first owner learns that it was replaced, and cannot release the second one's lease.
    assert!(!env.campaigns.renew_lease(&id, "one", 2100).await.unwrap());
    env.campaigns.release_lease(&id, "one").await.unwrap();
    assert_eq!(acquire("three", 2200, 1000).await, Lease::HeldByOther);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn import_out_of_time_continues_in_the_next_invocation() {
    const ROWS: u32 = 13_000;
    let env = TestEnv::new().await;
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    let event = env.upload_file(&id, recipients_csv(ROWS).as_bytes()).await;
    let splitter = env.splitter(2);
    // Each invocation has time for one flush of 80 batches.
    handle_upload(&splitter, &event, lambda_context(29)).await;
    let mut invocations = 1;
    while env.run_next_import_job(&splitter, lambda_context(29)).await {
        invocations += 1;
    }
    assert!(invocations >= 4, "{invocations} invocations");
    assert_is_imported(&env, &id, ROWS).await;
    let rows = row_numbers(&env.drain_batches().await);
    assert_eq!(rows, (1..=ROWS).collect::<Vec<_>>());
}

async fn assert_is_imported(env: &TestEnv, id: &CampaignId, rows: u32) {
    let campaign = env.load_campaign(id).await;
    let enqueued = campaign.import_counts().enqueued;
    let expected = (CampaignState::Sending, u64::from(rows));
    assert_eq!((campaign.state(cloud::now()), enqueued), expected);
}

/// The set of batches, whatever their order and repeats.
fn batch_set(batches: &[QueuedBatch]) -> BTreeSet<String> {
    let rows = batches.iter().map(|queued| &queued.batch.rows);
    rows.map(|rows| serde_json::to_string(rows).unwrap())
        .collect()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn interrupted_import_ends_with_the_same_batches() {
    const ROWS: u32 = 20_000;
    let env = TestEnv::new().await;
    let splitter = env.splitter(3);
    let whole = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    let event = env
        .upload_file(&whole, recipients_csv(ROWS).as_bytes())
        .await;
    handle_upload(&splitter, &event, lambda_context(900)).await;
    let expected = batch_set(&env.drain_batches().await);

    let interrupted = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    let event = env
        .upload_file(&interrupted, recipients_csv(ROWS).as_bytes())
        .await;
    let deaths = import_with_deaths(&splitter, &event).await;
    assert!(deaths >= 5, "it died {deaths} times");
    assert_is_imported(&env, &interrupted, ROWS).await;
    assert_eq!(batch_set(&env.drain_batches().await), expected);
}

/// Runs an invocation again and again and drops it later each time, until it ends by itself. Gives how often it was
/// dropped.
async fn import_with_deaths(splitter: &Splitter, event: &Value) -> u64 {
    // Lambda repeats an event with the same request id.
    let context = lambda_context(900);
    let (mut deaths, mut time_ms) = (0, 40);
    loop {
        let run = handle_upload(splitter, event, context.clone());
        if tokio::time::timeout(Duration::from_millis(time_ms), run)
            .await
            .is_ok()
        {
            return deaths;
        }
        deaths += 1;
        time_ms += 40 + deaths * 7 % 13;
    }
}
