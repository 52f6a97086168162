//! The webhook's time for POSTs of statuses.

use std::ops::Range;
use std::time::Instant;

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::CampaignState;
use cloud::callbacks::Callbacks;
use cloud::ledger::Ledger;
use secrecy::SecretString;
use serde_json::Value;
use webhook::Webhook;
use whatsapp::signature;

use crate::fake_dynamodb;
use crate::harness::TestEnv;
use crate::harness::meta::{row_status, statuses_body, webhook_request};

const WARM_UP_POSTS: u32 = 50;
const POSTS: u32 = 1000;
const STATUSES_OF_LARGE_POST: u32 = 1000;

/// POSTs of one status against real tables; against tables in memory, which leaves the webhook's own time; then one POST of
/// a thousand statuses against real tables.
pub(crate) async fn measure() {
    let env = TestEnv::new().await;
    let campaign = env.create_campaign(CampaignState::Sending).await.id;
    measure_real_tables(&env, &campaign).await;
    measure_tables_in_memory(&env, &campaign).await;
    measure_large_post(&env, &campaign).await;
}

async fn measure_real_tables(env: &TestEnv, campaign: &CampaignId) {
    let webhook = env.webhook();
    let mut times = Vec::new();
    for row in 1..=WARM_UP_POSTS + POSTS {
        env.claim_row(campaign, row).await;
        times.push(post_statuses(env, &webhook, campaign, row..row + 1).await);
    }
    let mut warm = times.split_off(WARM_UP_POSTS as usize);
    warm.sort_by(f64::total_cmp);
    let at = |share: f64| warm[(warm.len() as f64 * share) as usize];
    let (median, p99) = (at(0.5), at(0.99));
    println!("callbacks: {POSTS} POSTs of one status, median {median:.1} ms, p99 {p99:.1} ms");
}

async fn measure_tables_in_memory(env: &TestEnv, campaign: &CampaignId) {
    let dynamodb = fake_dynamodb::connect(&fake_dynamodb::start_server().await).await;
    let webhook = Webhook {
        callbacks: Callbacks::new(dynamodb.clone(), "callbacks".into(), 7),
        ledger: Ledger::new(dynamodb, "messages".into(), 7),
        ..env.webhook()
    };
    for row in 1..=WARM_UP_POSTS {
        post_statuses(env, &webhook, campaign, row..row + 1).await;
    }
    let mut milliseconds = 0.0;
    for row in 1..=POSTS {
        milliseconds += post_statuses(env, &webhook, campaign, row..row + 1).await;
    }
    println!(
        "callbacks: {:.0} POSTs of one status a second, one after the other, beside tables in memory",
        f64::from(POSTS) * 1000.0 / milliseconds
    );
}

async fn measure_large_post(env: &TestEnv, campaign: &CampaignId) {
    let rows = 10_000..10_000 + STATUSES_OF_LARGE_POST;
    for row in rows.clone() {
        env.claim_row(campaign, row).await;
    }
    let seconds = post_statuses(env, &env.webhook(), campaign, rows).await / 1000.0;
    println!("callbacks: one POST of {STATUSES_OF_LARGE_POST} statuses in {seconds:.2} s");
}

/// Posts that each of these rows was delivered, in one POST; gives how long the response took, in milliseconds.
async fn post_statuses(
    env: &TestEnv,
    webhook: &Webhook,
    campaign: &CampaignId,
    rows: Range<u32>,
) -> f64 {
    let statuses: Vec<Value> = rows
        .map(|row| row_status(campaign, row, "delivered", 1_790_000_000))
        .collect();
    let body = statuses_body(&statuses).to_string();
    let secret = SecretString::from(env.simulator.state.settings().app_secret);
    let request = webhook_request(&body, &signature::sign(body.as_bytes(), &secret));
    let began = Instant::now();
    let response = webhook.handle(request).await.unwrap();
    let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
    assert!(response.status().is_success());
    milliseconds
}
