//! Stop and go: pause, resume, cancel, the breaker, canary rows, a campaign's time.

use std::time::Duration;

use axum::Router;
use campaign::ledger::State;
use campaign::record::{AfterCanary, Campaign, CampaignState, Canary};
use cloud::ledger::LedgerRow;
use serde_json::{Value, json};

use crate::operating::{api, call, get};
use crate::world::{TOKEN, World, people};

/// Posts an order; gives the status and the body.
async fn post(api: &Router, campaign: &Campaign, order: &str) -> (u16, Value) {
    let path = format!("/campaigns/{}/{order}", campaign.id);
    let (status, _, body) = call(api, "POST", &path, Some(TOKEN), Vec::new()).await;
    (status, body)
}

async fn states(world: &World, campaign: &Campaign) -> Vec<(State, usize)> {
    let rows = world.ledger_of(&campaign.id).await;
    let count = |state| rows.iter().filter(|row| row.state == state).count();
    let counts = State::ALL.map(|state| (state, count(state)));
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_pause_is_a_stop_and_a_resume_offers_what_is_open_and_no_more() {
    let world = World::new().await;
    let api = api(&world);
    let campaign = world.uploaded(300, |_| {}).await;
    assert_eq!(campaign.state, CampaignState::Sending);
    let batches = world.drain().await.into_iter();
    let mut batches: Vec<_> = batches.map(|(batch, _)| batch).collect();
    // The queue keeps no order.
    batches.sort_by_key(|batch| batch.rows[0].row);
    world
        .queue
        .send(&batches[..2], Duration::ZERO)
        .await
        .unwrap();
    world.send_all().await;
    let called = world.simulator.state.figures().calls;
    assert!((20..200).contains(&called), "{called}");
    world
        .queue
        .send(&batches[2..], Duration::ZERO)
        .await
        .unwrap();

    assert_eq!(post(&api, &campaign, "pause").await.0, 200);
    let (status, again) = post(&api, &campaign, "pause").await;
    assert_eq!(
        (status, &again["state"]),
        (200, &json!("paused")),
        "twice is once"
    );
    world.send_all().await;
    assert_eq!(
        world.simulator.state.figures().calls,
        called,
        "nobody called"
    );
    let (_, seen) = get(&api, &format!("/campaigns/{}", campaign.id)).await;
    assert!(
        seen["reason"].as_str().unwrap().contains("resume"),
        "{seen}"
    );

    let (status, resumed) = post(&api, &campaign, "resume").await;
    assert_eq!((status, &resumed["state"]), (200, &json!("splitting")));
    world.follow().await;
    assert_eq!(world.now(&campaign.id).await.state, CampaignState::Sending);
    let batches = world.drain().await;
    let offered: usize = batches.iter().map(|(batch, _)| batch.rows.len()).sum();
    assert_eq!(offered, 300 - called, "settled rows cost no message");
    let batches: Vec<_> = batches.into_iter().map(|(batch, _)| batch).collect();
    world.queue.send(&batches, Duration::ZERO).await.unwrap();
    world.send_all().await;
    let books = world.simulator.state.figures();
    assert_eq!((books.accepted, books.repeats), (300, 0));
    world.count(&campaign.id).await;
    for order in ["pause", "resume", "cancel"] {
        let (status, problem) = post(&api, &campaign, order).await;
        assert_eq!(status, 409, "{order}");
        assert!(problem["detail"].as_str().unwrap().contains("finished"));
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn no_call_starts_two_seconds_after_the_answer_to_a_pause() {
    let world = World::new().await;
    let api = api(&world);
    let campaign = world.uploaded(2000, |_| {}).await;
    let senders = [world.sender(), world.sender(), world.sender()];
    let sending = futures::future::join_all(
        senders
            .iter()
            .map(async |sender| while world.pump(sender, Duration::ZERO).await.is_some() {}),
    );
    let pausing = async {
        while world.simulator.state.figures().calls < 60 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(post(&api, &campaign, "pause").await.0, 200);
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
    assert_eq!(post(&api, &campaign, "resume").await.0, 200);
    world.follow().await;
    world.send_all().await;
    let books = world.simulator.state.figures();
    assert_eq!((books.accepted, books.repeats), (2000, 0));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_cancelled_campaign_settles_every_row_it_has_not_sent() {
    let world = World::new().await;
    let api = api(&world);
    let campaign = world.uploaded(200, |_| {}).await;
    world.drain().await;
    // One row of each kind that a cancel may meet.
    let (id, now) = (&campaign.id, cloud::now());
    let fault = campaign::outcome::Fault::on_the_way("a test");
    use campaign::ledger::Move;
    for (row, step) in [
        (1, Move::Hold),
        (2, Move::Doubt),
        (3, Move::Reject),
        (4, Move::Doubt),
    ] {
        world.ledger.claim(id, row, "test", now).await.unwrap();
        assert!(world.ledger.settle(id, row, 1, step, &fault).await.unwrap());
    }
    assert!(world.ledger.resend(id, 4, 1).await.unwrap());
    assert_eq!(post(&api, &campaign, "cancel").await.0, 200);
    world.follow().await;
    let expected = [
        (State::Rejected, 1),
        (State::Unconfirmed, 2),
        (State::Skipped, 197),
    ];
    assert_eq!(
        states(&world, &campaign).await,
        expected,
        "who may have been messaged stays in doubt"
    );
    assert_eq!(
        post(&api, &campaign, "cancel").await.0,
        200,
        "twice is once"
    );
    assert_eq!(post(&api, &campaign, "resume").await.0, 409);
    world.count(id).await;
    let (_, seen) = get(&api, &format!("/campaigns/{id}")).await;
    assert_eq!(
        (&seen["state"], &seen["rows"]["conserved"]),
        (&json!("cancelled"), &json!(true))
    );
    assert_eq!(
        (&seen["rows"]["waiting"], &seen["rows"]["skipped"]),
        (&json!(0), &json!(197))
    );
    // Every doubt is listed, page after page.
    let (_, doubts) = get(
        &api,
        &format!("/campaigns/{id}/rows?state=unconfirmed&limit=1"),
    )
    .await;
    assert_eq!(
        (&doubts["rows"][0]["row"], &doubts["next"]),
        (&json!(2), &json!(2))
    );
    let (_, doubts) = get(
        &api,
        &format!("/campaigns/{id}/rows?state=unconfirmed&after=2"),
    )
    .await;
    assert_eq!(
        (&doubts["rows"][0]["row"], &doubts["next"]),
        (&json!(4), &Value::Null)
    );
    assert_eq!(
        get(&api, &format!("/campaigns/{id}/rows?state=lost"))
            .await
            .0,
        422
    );
    assert_eq!(world.simulator.state.figures().calls, 0);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_campaign_may_be_stopped_before_its_file_is_uploaded_and_while_it_is_read() {
    let world = World::new().await;
    let api = api(&world);
    let early = world.campaign_with(|_| {}).await;
    assert_eq!(post(&api, &early, "pause").await.0, 409);
    assert_eq!(post(&api, &early, "cancel").await.0, 200);
    let event = world.upload(&early.id, people(5).as_bytes()).await;
    world.split(event).await;
    assert_eq!(world.now(&early.id).await.state, CampaignState::Cancelled);
    let read = world
        .campaign_with(|campaign| campaign.state = CampaignState::Examining)
        .await;
    let event = world.upload(&read.id, people(5).as_bytes()).await;
    assert_eq!(post(&api, &read, "pause").await.0, 200);
    world.split(event).await;
    assert_eq!(world.now(&read.id).await.state, CampaignState::Paused);
    assert!(world.drain().await.is_empty());
    assert_eq!(post(&api, &read, "resume").await.0, 200);
    world.follow().await;
    assert_eq!(world.now(&read.id).await.state, CampaignState::Sending);
    assert_eq!(world.drain().await.len(), 3, "all five rows, for two slots");
}

/// Every code that no row would escape, of a campaign and of the account.
const STOPS: [i64; 32] = [
    132001, 132007, 132015, 132016, 132068, 131051, 131055, 131063, 134100, 135000, 190, 0, 104, 3,
    10, 200, 299, 33, 368, 131005, 131031, 131037, 131042, 131045, 131048, 131064, 133005, 133006,
    133010, 133015, 133016, 134011,
];

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn the_breaker_stops_after_one_call_a_slot_holds_every_row_and_lets_them_go_on() {
    // Side by side, since each waits most of its time.
    futures::future::join_all(STOPS.chunks(8).map(breaker)).await;
}

async fn breaker(codes: &[i64]) {
    const SLOTS: usize = 4;
    const ROWS: u32 = 32;
    let world = World::new().await;
    let api = api(&world);
    for code in codes {
        world.simulator.state.forget();
        world.simulator.state.set(&json!({"refuse": code})).unwrap();
        let campaign = world
            .uploaded(ROWS, |campaign| campaign.proven = true)
            .await;
        let senders: Vec<_> = (0..SLOTS).map(|_| world.slow_sender()).collect();
        let send = async |sender| while world.pump(sender, Duration::ZERO).await.is_some() {};
        futures::future::join_all(senders.iter().map(send)).await;
        let calls = world.simulator.state.calls();
        let first = calls.iter().map(|call| call.answered_us).min().unwrap();
        let after = calls.iter().filter(|call| call.at_us > first).count();
        assert!(
            after <= SLOTS,
            "{code}: {after} calls after the first answer"
        );
        let stopped = world.now(&campaign.id).await;
        assert_eq!(stopped.state, CampaignState::Paused, "{code}");
        assert!(
            stopped.reason.unwrap().contains(&code.to_string()),
            "{code}"
        );
        let rows: Vec<LedgerRow> = world.ledger_of(&campaign.id).await;
        assert!(
            rows.iter().all(|row| row.state == State::Held),
            "{code} {rows:?}"
        );
        assert!(rows.len() >= calls.len());

        world.simulator.state.set(&json!({"refuse": null})).unwrap();
        assert_eq!(post(&api, &campaign, "resume").await.0, 200);
        world.follow().await;
        world.send_all().await;
        assert_eq!(
            states(&world, &campaign).await,
            [(State::Accepted, ROWS as usize)],
            "{code}"
        );
        assert_eq!(world.simulator.state.figures().repeats, 0);
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_fault_of_the_account_stops_its_other_campaigns_too() {
    let world = World::new().await;
    let (other, met) = (
        world.uploaded(3, |_| {}).await,
        world.uploaded(3, |campaign| campaign.proven = true).await,
    );
    world.drain().await;
    world
        .simulator
        .state
        .set(&json!({"refuse": 131031}))
        .unwrap();
    let row = campaign::batch::Row {
        row: 1,
        to: campaign::phone::read("+34610000001", None).unwrap(),
        values: vec!["Ana".into()],
    };
    let batch = campaign::batch::Batch {
        campaign: met.id.clone(),
        rows: vec![row],
    };
    world.queue.send(&[batch], Duration::ZERO).await.unwrap();
    world.send_all().await;
    for campaign in [&met, &other] {
        let stopped = world.now(&campaign.id).await;
        assert_eq!(stopped.state, CampaignState::Paused);
        assert!(stopped.reason.unwrap().contains("131031"));
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_limit_of_the_account_lets_the_campaign_rest_and_loses_nobody() {
    let world = World::new().await;
    let api = api(&world);
    world
        .simulator
        .state
        .set(&json!({"refuse": 80007}))
        .unwrap();
    let campaign = world.uploaded(150, |_| {}).await;
    world.send_all().await;
    let calls = world.simulator.state.figures().calls;
    assert!(
        calls <= 4,
        "{calls} calls into a limit that the first one met"
    );
    let resting = world.now(&campaign.id).await;
    assert_eq!(resting.state, CampaignState::Sending);
    let (_, seen) = get(&api, &format!("/campaigns/{}", campaign.id)).await;
    assert!(
        seen["rest"]["reason"].as_str().unwrap().contains("80007"),
        "{seen}"
    );
    assert!(
        !world.queue.is_empty().await.unwrap(),
        "rows wait in the queue, delayed"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn canary_rows_go_first_and_the_rest_waits_to_be_continued() {
    let world = World::new().await;
    let api = api(&world);
    let canary = Canary {
        rows: 20,
        then: AfterCanary::Wait,
        released: false,
        enqueued: 0,
    };
    let campaign = world
        .uploaded(200, |campaign| campaign.canary = Some(canary))
        .await;
    assert_eq!(campaign.state, CampaignState::Canary);
    assert_eq!(campaign.canary.unwrap().enqueued, 20);
    world.send_all().await;
    let first: Vec<u32> = world
        .ledger_of(&campaign.id)
        .await
        .iter()
        .map(|row| row.number().unwrap())
        .collect();
    assert_eq!(
        first,
        (1..=20).map(|index| index * 10).collect::<Vec<_>>(),
        "evenly over the file"
    );
    world.follow().await;
    assert!(world.drain().await.is_empty());
    // A stop in between changes nothing about who waits.
    assert_eq!(post(&api, &campaign, "pause").await.0, 200);
    assert_eq!(post(&api, &campaign, "continue").await.0, 409);
    assert_eq!(post(&api, &campaign, "resume").await.0, 200);
    world.follow().await;
    assert_eq!(world.now(&campaign.id).await.state, CampaignState::Canary);
    assert_eq!(post(&api, &campaign, "continue").await.0, 200);
    world.follow().await;
    assert_eq!(world.now(&campaign.id).await.state, CampaignState::Sending);
    world.send_all().await;
    let books = world.simulator.state.figures();
    assert_eq!((books.accepted, books.calls), (200, 200));
    assert_eq!(states(&world, &campaign).await, [(State::Accepted, 200)]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_campaign_is_sent_within_its_time_and_what_is_left_is_skipped() {
    let world = World::new().await;
    let hour = 3_600_000;
    let early = world
        .uploaded(5, |campaign| {
            campaign.window.not_before = Some(cloud::now() + hour)
        })
        .await;
    assert_eq!(early.state, CampaignState::Scheduled);
    world
        .splits()
        .order(
            &cloud::splits::SplitOrder::go_on(early.id.clone()),
            Duration::ZERO,
        )
        .await
        .unwrap();
    world.follow().await;
    assert_eq!(
        world.now(&early.id).await.state,
        CampaignState::Scheduled,
        "not yet"
    );
    let api = api(&world);
    for (order, state) in [("pause", "paused"), ("resume", "scheduled")] {
        let (status, body) = post(&api, &early, order).await;
        assert_eq!((status, &body["state"]), (200, &json!(state)));
        world.follow().await;
    }
    assert!(world.drain().await.is_empty(), "a resume is no start");
    // Its time has come.
    let due = world
        .uploaded(5, |campaign| {
            campaign.window.not_before = Some(cloud::now() + 2500)
        })
        .await;
    assert_eq!(due.state, CampaignState::Scheduled);
    while !due.window.is_open(cloud::now()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world
        .splits()
        .order(
            &cloud::splits::SplitOrder::go_on(due.id.clone()),
            Duration::ZERO,
        )
        .await
        .unwrap();
    world.follow().await;
    assert_eq!(world.now(&due.id).await.state, CampaignState::Sending);
    world.send_all().await;
    assert_eq!(states(&world, &due).await, [(State::Accepted, 5)]);
    // It is over: nobody is called, everybody is settled.
    let late = world
        .uploaded(5, |campaign| {
            campaign.window.not_after = Some(cloud::now() + 2500)
        })
        .await;
    while !late.window.is_over(cloud::now()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.send_all().await;
    assert_eq!(states(&world, &late).await, [(State::Skipped, 5)]);
    let row = &world.ledger_of(&late.id).await[0];
    assert!(row.fault.as_ref().unwrap().title.starts_with("expired"));
    assert_eq!(world.simulator.state.figures().calls, 5);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn who_was_kept_back_from_the_queue_is_not_offered_after_a_stop() {
    let world = World::new().await;
    let api = api(&world);
    let kept = campaign::phone::read("+34610000007", None).unwrap();
    world.suppress(kept, true).await;
    let campaign = world.uploaded(20, |_| {}).await;
    assert_eq!(campaign.counts().suppressed, 1);
    world.drain().await;
    world.suppress(kept, false).await;
    assert_eq!(post(&api, &campaign, "pause").await.0, 200);
    assert_eq!(post(&api, &campaign, "resume").await.0, 200);
    world.follow().await;
    world.send_all().await;
    assert_eq!(states(&world, &campaign).await, [(State::Accepted, 19)]);
    world.count(&campaign.id).await;
    let (_, seen) = get(&api, &format!("/campaigns/{}", campaign.id)).await;
    assert_eq!(
        (&seen["state"], &seen["rows"]["conserved"]),
        (&json!("finished"), &json!(true))
    );
}
