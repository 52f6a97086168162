//! The hours of the day in which a campaign sends.

use aws_sdk_dynamodb::types::AttributeValue;
use campaign::delivery::ledger::State;
use campaign::delivery::requeue::SkipReason;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::CampaignState;
use campaign::lifecycle::daily_window::{DailyWindow, Day};
use campaign::time::Millis;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use reconciler::ReconcileStats;
use strum::VariantArray;

use crate::harness::TestEnv;
use crate::harness::api_client::ApiClient;

const MINUTE_MS: Millis = 60_000;

/// The time on a clock in a zone, so many minutes from now.
fn clock(zone: &str, minutes: i64) -> String {
    let zone = TimeZone::get(zone).unwrap();
    let time = Timestamp::now() + minutes.minutes();
    zone.to_datetime(time).strftime("%H:%M").to_string()
}

fn window(from: &str, to: &str, zone: &str) -> DailyWindow {
    let [from, to] = [from, to].map(|time| time.parse().unwrap());
    let days = Day::VARIANTS.to_vec();
    DailyWindow::new(from, to, zone.parse().unwrap(), days).unwrap()
}

/// A window in UTC, with its minutes counted from now.
fn window_in(from: i64, to: i64) -> DailyWindow {
    window(&clock("UTC", from), &clock("UTC", to), "UTC")
}

/// Gives a campaign other hours, as if time had passed.
async fn move_window(env: &TestEnv, id: &CampaignId, window: DailyWindow, opened: Option<Millis>) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let opens_at = opened.map_or(AttributeValue::Null(true), |at| {
        AttributeValue::N(at.to_string())
    });
    let update = env.aws.dynamodb.update_item();
    let update = update
        .table_name(env.table("CampaignsTable"))
        .key("id", text(id.as_str()))
        .key("part", text("campaign"))
        .update_expression(
            "SET #schedule.#window.#from = :from, #schedule.#window.#to = :to, window_opens_at = :opens_at",
        )
        .expression_attribute_names("#schedule", "schedule")
        .expression_attribute_names("#window", "window")
        .expression_attribute_names("#from", "from")
        .expression_attribute_names("#to", "to")
        .expression_attribute_values(":from", text(&window.from.to_string()))
        .expression_attribute_values(":to", text(&window.to.to_string()))
        .expression_attribute_values(":opens_at", opens_at);
    update.send().await.unwrap();
}

async fn reconcile(env: &TestEnv, now: Millis) -> ReconcileStats {
    let stats = env.reconciler().run(now, now + 10 * MINUTE_MS).await;
    stats.unwrap()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn rows_wait_in_their_chunks_until_the_window_opens() {
    let env = TestEnv::new().await;
    let change = |campaign: &mut campaign::lifecycle::campaign::Campaign| {
        campaign.schedule.window = Some(window_in(120, 180));
    };
    let waiting = env.import_campaign(5, change).await;
    let id = &waiting.id;
    assert_eq!(waiting.state(cloud::now()), CampaignState::Sending);
    assert!(env.drain_batches().await.is_empty());
    let opens_at = waiting.window_opens_at.unwrap();
    let two_hours = cloud::now() + 120 * MINUTE_MS;
    assert!((two_hours - 2 * MINUTE_MS..=two_hours).contains(&opens_at));
    let api = ApiClient::new(&env);
    let seen = api.get(&format!("/v1/campaigns/{id}")).await.expect(200);
    assert_eq!(seen["rows"]["waiting"], 5);
    assert!(seen["window_opens_at"].is_string() && seen["window"]["zone"] == "UTC");
    // Nobody requeues it while it is closed, however long nothing happens.
    let late = opens_at - MINUTE_MS;
    assert_eq!(reconcile(&env, late).await.requeued, 0);
    env.run_queued_imports().await;
    // It opens.
    let opened = (cloud::now() / MINUTE_MS - 1) * MINUTE_MS;
    move_window(&env, id, window_in(-1, 180), Some(opened)).await;
    assert_eq!(reconcile(&env, cloud::now()).await.requeued, 1);
    env.run_queued_imports().await;
    env.send_all().await;
    assert_eq!(env.row_states(id).await, [(State::Accepted, 5)]);
    let opens_at = env.load_campaign(id).await.window_opens_at.unwrap();
    assert!(opens_at > cloud::now() + 20 * 60 * MINUTE_MS, "tomorrow");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn rows_in_the_queue_are_not_sent_when_the_window_has_closed() {
    let env = TestEnv::new().await;
    let open = env
        .import_campaign(5, |campaign| {
            campaign.schedule.window = Some(window_in(-30, 180));
        })
        .await;
    let opens_at = open.window_opens_at.expect("tomorrow");
    move_window(&env, &open.id, window_in(-120, -30), Some(opens_at)).await;
    env.send_all().await;
    assert!(env.ledger_rows(&open.id).await.is_empty());
    assert!(env.drain_batches().await.is_empty());
    assert_eq!(env.simulator.state.stats().calls, 0);
    // Tomorrow.
    assert_eq!(reconcile(&env, opens_at).await.requeued, 1);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn each_recipient_has_the_hours_of_the_number() {
    let env = TestEnv::new().await;
    // Open in Madrid and on the Canary Islands, where it is an hour earlier; in Washington it is morning then, or night.
    let from = clock("Atlantic/Canary", -30);
    let to = clock("Europe/Madrid", 30);
    let created = env
        .create_campaign_with(|campaign| {
            campaign.schedule.window = Some(window(&from, &to, "recipient"));
        })
        .await;
    let id = &created.id;
    // No country has the satellite's numbers.
    let file = "phone,name\n+34610000001,Ana\n+12025550101,Bo\n+881612345678,Cy\n";
    env.import_file(id, file.as_bytes()).await;
    env.send_all().await;
    assert_eq!(env.row_states(id).await, [(State::Accepted, 1)]);
    assert_eq!(env.row_state(id, 1).await, State::Accepted);
    env.requeue(id).await;
    env.run_queued_imports().await;
    env.send_all().await;
    let row = env.ledger_row(id, 3).await;
    let title = row.error_info.unwrap().title;
    assert_eq!(
        SkipReason::from_text(&title),
        Some(SkipReason::WindowNeverOpens)
    );
    assert_eq!(env.ledger_rows(id).await.len(), 2, "row 2 waits");
    assert_eq!(env.simulator.state.stats().calls, 1);
}
