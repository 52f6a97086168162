//! Stop and go: pause, resume, cancel, the breaker, canary rows, a campaign's time.

use std::time::Duration;

use axum::Router;
use campaign::delivery::ledger::State;
use campaign::lifecycle::campaign::{AfterCanary, Campaign, CampaignState, Canary};
use cloud::ledger::LedgerRow;
use serde_json::{Value, json};

use crate::harness::{API_TOKEN, TestEnv, recipients_csv};
use crate::http_api::{call_api, get_json, new_api};

/// Posts an order; gives the status and the body.
async fn post_command(api: &Router, campaign: &Campaign, order: &str) -> (u16, Value) {
    let path = format!("/v1/campaigns/{}/{order}", campaign.id);
    let (status, _, body) = call_api(api, "POST", &path, Some(API_TOKEN), Vec::new()).await;
    (status, body)
}

async fn row_states(world: &TestEnv, campaign: &Campaign) -> Vec<(State, usize)> {
    let rows = world.ledger_rows(&campaign.id).await;
    let count = |state| rows.iter().filter(|row| row.state == state).count();
    let counts = State::ALL.map(|state| (state, count(state)));
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn pause_stops_sending_and_resume_requeues_only_open_rows() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let campaign = world.import_campaign(300, |_| {}).await;
    assert_eq!(campaign.state, CampaignState::Sending);
    let batches = world.drain_batches().await.into_iter();
    let mut batches: Vec<_> = batches.map(|(batch, _)| batch).collect();
    // The queue keeps no order.
    batches.sort_by_key(|batch| batch.rows[0].row);
    world
        .queue
        .enqueue(&batches[..2], Duration::ZERO)
        .await
        .unwrap();
    world.send_all().await;
    let called = world.simulator.state.stats().calls;
    assert!((20..200).contains(&called), "{called}");
    world
        .queue
        .enqueue(&batches[2..], Duration::ZERO)
        .await
        .unwrap();

    assert_eq!(post_command(&api, &campaign, "pause").await.0, 200);
    let (status, again) = post_command(&api, &campaign, "pause").await;
    assert_eq!(
        (status, &again["state"]),
        (200, &json!("paused")),
        "twice is once"
    );
    world.send_all().await;
    assert_eq!(world.simulator.state.stats().calls, called, "nobody called");
    let (_, seen) = get_json(&api, &format!("/v1/campaigns/{}", campaign.id)).await;
    assert!(
        seen["reason"].as_str().unwrap().contains("resume"),
        "{seen}"
    );

    let (status, resumed) = post_command(&api, &campaign, "resume").await;
    assert_eq!((status, &resumed["state"]), (200, &json!("enqueuing")));
    world.run_queued_imports().await;
    assert_eq!(
        world.load_campaign(&campaign.id).await.state,
        CampaignState::Sending
    );
    let batches = world.drain_batches().await;
    let offered: usize = batches.iter().map(|(batch, _)| batch.rows.len()).sum();
    assert_eq!(offered, 300 - called, "settled rows cost no message");
    let batches: Vec<_> = batches.into_iter().map(|(batch, _)| batch).collect();
    world.queue.enqueue(&batches, Duration::ZERO).await.unwrap();
    world.send_all().await;
    let books = world.simulator.state.stats();
    assert_eq!((books.accepted, books.repeats), (300, 0));
    world.recount_ledger(&campaign.id).await;
    for order in ["pause", "resume", "cancel"] {
        let (status, problem) = post_command(&api, &campaign, order).await;
        assert_eq!(status, 409, "{order}");
        assert!(problem["detail"].as_str().unwrap().contains("finished"));
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn no_send_starts_two_seconds_after_a_pause() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let campaign = world.import_campaign(2000, |_| {}).await;
    let senders = [world.sender(), world.sender(), world.sender()];
    let sending = futures::future::join_all(senders.iter().map(async |sender| {
        while world.deliver_next(sender, Duration::ZERO).await.is_some() {}
    }));
    let pausing = async {
        while world.simulator.state.stats().calls < 60 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(post_command(&api, &campaign, "pause").await.0, 200);
        world.simulator.state.elapsed()
    };
    let (answered, _) = tokio::join!(pausing, sending);
    let calls = world.simulator.state.calls();
    let last = calls.iter().map(|call| call.at_us).max().unwrap();
    assert!(calls.len() < 2000, "it was stopped in the middle");
    assert!(
        Duration::from_micros(last) <= answered + Duration::from_secs(2),
        "a call started {} ms after the answer",
        Duration::from_micros(last)
            .saturating_sub(answered)
            .as_millis()
    );
    assert_eq!(post_command(&api, &campaign, "resume").await.0, 200);
    world.run_queued_imports().await;
    world.send_all().await;
    let books = world.simulator.state.stats();
    assert_eq!((books.accepted, books.repeats), (2000, 0));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn cancel_settles_every_unsent_row() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let campaign = world.import_campaign(200, |_| {}).await;
    world.drain_batches().await;
    // One row of each kind that a cancel may meet.
    let (id, now) = (&campaign.id, cloud::now());
    let fault = campaign::delivery::outcome::ErrorInfo::transport("a test");
    use campaign::delivery::ledger::Transition;
    for (row, step) in [
        (1, Transition::Hold),
        (2, Transition::MarkUnconfirmed),
        (3, Transition::Reject),
        (4, Transition::MarkUnconfirmed),
    ] {
        world.ledger.claim(id, row, "test", now).await.unwrap();
        assert!(
            world
                .ledger
                .record_outcome(id, row, 1, step, &fault)
                .await
                .unwrap()
        );
    }
    assert!(world.ledger.schedule_resend(id, 4, 1).await.unwrap());
    assert_eq!(post_command(&api, &campaign, "cancel").await.0, 200);
    world.run_queued_imports().await;
    let expected = [
        (State::Rejected, 1),
        (State::Unconfirmed, 2),
        (State::Skipped, 197),
    ];
    assert_eq!(
        row_states(&world, &campaign).await,
        expected,
        "who may have been messaged stays in doubt"
    );
    assert_eq!(
        post_command(&api, &campaign, "cancel").await.0,
        200,
        "twice is once"
    );
    assert_eq!(post_command(&api, &campaign, "resume").await.0, 409);
    world.recount_ledger(id).await;
    let (_, seen) = get_json(&api, &format!("/v1/campaigns/{id}")).await;
    assert_eq!(
        (&seen["state"], &seen["rows"]["balanced"]),
        (&json!("cancelled"), &json!(true))
    );
    assert_eq!(
        (&seen["rows"]["waiting"], &seen["rows"]["skipped"]),
        (&json!(0), &json!(197))
    );
    // Every doubt is listed, page after page.
    let (_, doubts) = get_json(
        &api,
        &format!("/v1/campaigns/{id}/rows?state=unconfirmed&limit=1"),
    )
    .await;
    assert_eq!(
        (&doubts["rows"][0]["row"], &doubts["next"]),
        (&json!(2), &json!(2))
    );
    let (_, doubts) = get_json(
        &api,
        &format!("/v1/campaigns/{id}/rows?state=unconfirmed&after=2"),
    )
    .await;
    assert_eq!(
        (&doubts["rows"][0]["row"], &doubts["next"]),
        (&json!(4), &Value::Null)
    );
    assert_eq!(
        get_json(&api, &format!("/v1/campaigns/{id}/rows?state=lost"))
            .await
            .0,
        422
    );
    assert_eq!(world.simulator.state.stats().calls, 0);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn campaign_can_be_stopped_before_and_during_the_import() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let early = world.create_campaign_with(|_| {}).await;
    assert_eq!(post_command(&api, &early, "pause").await.0, 409);
    assert_eq!(post_command(&api, &early, "cancel").await.0, 200);
    let event = world
        .upload_file(&early.id, recipients_csv(5).as_bytes())
        .await;
    world.run_import(event).await;
    assert_eq!(
        world.load_campaign(&early.id).await.state,
        CampaignState::Cancelled
    );
    let read = world
        .create_campaign_with(|campaign| campaign.state = CampaignState::Validating)
        .await;
    let event = world
        .upload_file(&read.id, recipients_csv(5).as_bytes())
        .await;
    assert_eq!(post_command(&api, &read, "pause").await.0, 200);
    world.run_import(event).await;
    assert_eq!(
        world.load_campaign(&read.id).await.state,
        CampaignState::Paused
    );
    assert!(world.drain_batches().await.is_empty());
    assert_eq!(post_command(&api, &read, "resume").await.0, 200);
    world.run_queued_imports().await;
    assert_eq!(
        world.load_campaign(&read.id).await.state,
        CampaignState::Sending
    );
    assert_eq!(
        world.drain_batches().await.len(),
        3,
        "all five rows, for two slots"
    );
}

/// Every code that no row would escape, of a campaign and of the account.
const PAUSING_CODES: [i64; 32] = [
    132001, 132007, 132015, 132016, 132068, 131051, 131055, 131063, 134100, 135000, 190, 0, 104, 3,
    10, 200, 299, 33, 368, 131005, 131031, 131037, 131042, 131045, 131048, 131064, 133005, 133006,
    133010, 133015, 133016, 134011,
];

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn every_pausing_code_holds_all_rows_until_resumed() {
    // Side by side, since each waits most of its time.
    futures::future::join_all(PAUSING_CODES.chunks(8).map(check_pausing_codes)).await;
}

async fn check_pausing_codes(codes: &[i64]) {
    const SLOTS: usize = 4;
    const ROWS: u32 = 32;
    let world = TestEnv::new().await;
    let api = new_api(&world);
    for code in codes {
        world.simulator.state.clear_call_log();
        world
            .simulator
            .state
            .update_settings(&json!({"refuse": code}))
            .unwrap();
        let campaign = world
            .import_campaign(ROWS, |campaign| campaign.has_acceptance = true)
            .await;
        let senders: Vec<_> = (0..SLOTS).map(|_| world.slow_sender()).collect();
        let send =
            async |sender| while world.deliver_next(sender, Duration::ZERO).await.is_some() {};
        futures::future::join_all(senders.iter().map(send)).await;
        let calls = world.simulator.state.calls();
        let first = calls.iter().map(|call| call.answered_us).min().unwrap();
        let after = calls.iter().filter(|call| call.at_us > first).count();
        assert!(
            after <= SLOTS,
            "{code}: {after} calls after the first answer"
        );
        let stopped = world.load_campaign(&campaign.id).await;
        assert_eq!(stopped.state, CampaignState::Paused, "{code}");
        assert!(
            stopped.reason.unwrap().contains(&code.to_string()),
            "{code}"
        );
        let rows: Vec<LedgerRow> = world.ledger_rows(&campaign.id).await;
        assert!(
            rows.iter().all(|row| row.state == State::Held),
            "{code} {rows:?}"
        );
        assert!(rows.len() >= calls.len());

        world
            .simulator
            .state
            .update_settings(&json!({"refuse": null}))
            .unwrap();
        assert_eq!(post_command(&api, &campaign, "resume").await.0, 200);
        world.run_queued_imports().await;
        world.send_all().await;
        assert_eq!(
            row_states(&world, &campaign).await,
            [(State::Accepted, ROWS as usize)],
            "{code}"
        );
        assert_eq!(world.simulator.state.stats().repeats, 0);
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn account_error_pauses_every_campaign() {
    let world = TestEnv::new().await;
    let (other, met) = (
        world.import_campaign(3, |_| {}).await,
        world
            .import_campaign(3, |campaign| campaign.has_acceptance = true)
            .await,
    );
    world.drain_batches().await;
    world
        .simulator
        .state
        .update_settings(&json!({"refuse": 131031}))
        .unwrap();
    let row = campaign::delivery::batch::Row {
        row: 1,
        to: campaign::import::phone::parse("+34610000001", None).unwrap(),
        values: vec!["Ana".into()],
    };
    let batch = campaign::delivery::batch::Batch {
        campaign: met.id.clone(),
        rows: vec![row],
    };
    world.queue.enqueue(&[batch], Duration::ZERO).await.unwrap();
    world.send_all().await;
    for campaign in [&met, &other] {
        let stopped = world.load_campaign(&campaign.id).await;
        assert_eq!(stopped.state, CampaignState::Paused);
        assert!(stopped.reason.unwrap().contains("131031"));
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn account_limit_starts_a_cooldown_and_loses_no_row() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    world
        .simulator
        .state
        .update_settings(&json!({"refuse": 80007}))
        .unwrap();
    let campaign = world.import_campaign(150, |_| {}).await;
    world.send_all().await;
    let calls = world.simulator.state.stats().calls;
    assert!(
        calls <= 4,
        "{calls} calls into a limit that the first one met"
    );
    let resting = world.load_campaign(&campaign.id).await;
    assert_eq!(resting.state, CampaignState::Sending);
    let (_, seen) = get_json(&api, &format!("/v1/campaigns/{}", campaign.id)).await;
    assert!(
        seen["cooldown"]["reason"]
            .as_str()
            .unwrap()
            .contains("80007"),
        "{seen}"
    );
    assert!(
        !world.queue.is_empty().await.unwrap(),
        "rows wait in the queue, delayed"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn canary_rows_are_sent_first_and_the_remainder_waits_for_continue() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let canary = Canary {
        rows: 20,
        after: AfterCanary::Wait,
        released: false,
        enqueued: 0,
    };
    let campaign = world
        .import_campaign(200, |campaign| campaign.canary = Some(canary))
        .await;
    assert_eq!(campaign.state, CampaignState::Canary);
    assert_eq!(campaign.canary.unwrap().enqueued, 20);
    world.send_all().await;
    let first: Vec<u32> = world
        .ledger_rows(&campaign.id)
        .await
        .iter()
        .map(|row| row.row_number().unwrap())
        .collect();
    assert_eq!(
        first,
        (1..=20).map(|index| index * 10).collect::<Vec<_>>(),
        "evenly over the file"
    );
    world.run_queued_imports().await;
    assert!(world.drain_batches().await.is_empty());
    // A stop in between changes nothing about who waits.
    assert_eq!(post_command(&api, &campaign, "pause").await.0, 200);
    assert_eq!(post_command(&api, &campaign, "continue").await.0, 409);
    assert_eq!(post_command(&api, &campaign, "resume").await.0, 200);
    world.run_queued_imports().await;
    assert_eq!(
        world.load_campaign(&campaign.id).await.state,
        CampaignState::Canary
    );
    assert_eq!(post_command(&api, &campaign, "continue").await.0, 200);
    world.run_queued_imports().await;
    assert_eq!(
        world.load_campaign(&campaign.id).await.state,
        CampaignState::Sending
    );
    world.send_all().await;
    let books = world.simulator.state.stats();
    assert_eq!((books.accepted, books.calls), (200, 200));
    assert_eq!(
        row_states(&world, &campaign).await,
        [(State::Accepted, 200)]
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn campaign_sends_only_within_its_schedule_and_skips_the_remainder() {
    let world = TestEnv::new().await;
    let hour = 3_600_000;
    let early = world
        .import_campaign(5, |campaign| {
            campaign.schedule.not_before = Some(cloud::now() + hour)
        })
        .await;
    assert_eq!(early.state, CampaignState::Scheduled);
    world
        .import_queue()
        .enqueue(
            &cloud::import_queue::ImportJob::resume(early.id.clone()),
            Duration::ZERO,
        )
        .await
        .unwrap();
    world.run_queued_imports().await;
    assert_eq!(
        world.load_campaign(&early.id).await.state,
        CampaignState::Scheduled,
        "not yet"
    );
    let api = new_api(&world);
    for (order, state) in [("pause", "paused"), ("resume", "scheduled")] {
        let (status, body) = post_command(&api, &early, order).await;
        assert_eq!((status, &body["state"]), (200, &json!(state)));
        world.run_queued_imports().await;
    }
    assert!(
        world.drain_batches().await.is_empty(),
        "a resume is no start"
    );
    // Its time has come.
    let due = world
        .import_campaign(5, |campaign| {
            campaign.schedule.not_before = Some(cloud::now() + 2500)
        })
        .await;
    assert_eq!(due.state, CampaignState::Scheduled);
    while !due.schedule.has_begun(cloud::now()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world
        .import_queue()
        .enqueue(
            &cloud::import_queue::ImportJob::resume(due.id.clone()),
            Duration::ZERO,
        )
        .await
        .unwrap();
    world.run_queued_imports().await;
    assert_eq!(
        world.load_campaign(&due.id).await.state,
        CampaignState::Sending
    );
    world.send_all().await;
    assert_eq!(row_states(&world, &due).await, [(State::Accepted, 5)]);
    // It is over: nobody is called, everybody is settled.
    let late = world
        .import_campaign(5, |campaign| {
            campaign.schedule.not_after = Some(cloud::now() + 2500)
        })
        .await;
    while !late.schedule.has_ended(cloud::now()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.send_all().await;
    assert_eq!(row_states(&world, &late).await, [(State::Skipped, 5)]);
    let row = &world.ledger_rows(&late.id).await[0];
    assert!(
        row.error_info
            .as_ref()
            .unwrap()
            .title
            .starts_with("expired")
    );
    assert_eq!(world.simulator.state.stats().calls, 5);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn suppressed_row_is_not_requeued_after_a_resume() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let kept = campaign::import::phone::parse("+34610000007", None).unwrap();
    world.set_suppressed(kept, true).await;
    let campaign = world.import_campaign(20, |_| {}).await;
    assert_eq!(campaign.import_counts().suppressed, 1);
    world.drain_batches().await;
    world.set_suppressed(kept, false).await;
    assert_eq!(post_command(&api, &campaign, "pause").await.0, 200);
    assert_eq!(post_command(&api, &campaign, "resume").await.0, 200);
    world.run_queued_imports().await;
    world.send_all().await;
    assert_eq!(row_states(&world, &campaign).await, [(State::Accepted, 19)]);
    world.recount_ledger(&campaign.id).await;
    let (_, seen) = get_json(&api, &format!("/v1/campaigns/{}", campaign.id)).await;
    assert_eq!(
        (&seen["state"], &seen["rows"]["balanced"]),
        (&json!("finished"), &json!(true))
    );
}
