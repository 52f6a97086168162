//! The sender against real queues and tables and the simulator.

use std::time::Duration;

use campaign::delivery::batch::{Batch, Row};
use campaign::delivery::ledger::State;
use campaign::id::CampaignId;
use campaign::import::phone;
use campaign::lifecycle::campaign::{Campaign, CampaignState};
use cloud::ledger::{Claim, LedgerRow};
use serde_json::json;

use crate::harness::{TIMEOUT, TestEnv, invoke_sender};

fn batch_row(number: u32, to: &str) -> Row {
    Row {
        row: number,
        to: phone::parse(to, None).unwrap(),
        values: vec!["Ana".into()],
    }
}

async fn enqueue(world: &TestEnv, campaign: &CampaignId, rows: Vec<Row>) {
    let batch = Batch {
        campaign: campaign.clone(),
        rows,
    };
    world.queue.enqueue(&[batch], Duration::ZERO).await.unwrap();
}

async fn ledger_row(world: &TestEnv, campaign: &CampaignId, row: u32) -> LedgerRow {
    world
        .ledger
        .get_row(campaign, row)
        .await
        .unwrap()
        .expect("a row in the ledger")
}

/// A campaign with one row to `+1 202 555 01{ending}`, sent once.
async fn send_one_row(world: &TestEnv, ending: u32, proven: bool) -> (Campaign, LedgerRow) {
    let campaign = world.create_campaign(CampaignState::Sending).await;
    if proven {
        world.campaigns.mark_accepted(&campaign.id).await.unwrap();
    }
    enqueue(
        world,
        &campaign.id,
        vec![batch_row(1, &format!("+120255501{ending:02}"))],
    )
    .await;
    world
        .deliver_next(&world.sender(), TIMEOUT)
        .await
        .expect("a batch");
    let stored = ledger_row(world, &campaign.id, 1).await;
    (world.load_campaign(&campaign.id).await, stored)
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn repeated_batch_sends_each_row_once() {
    let world = TestEnv::new().await;
    let campaign = world.create_campaign(CampaignState::Sending).await;
    let rows: Vec<Row> = (1..=5)
        .map(|n| batch_row(n, &format!("+551198765432{n}")))
        .collect();
    // Answers are slow, so that the batch comes again while they are awaited.
    let slow = json!({"median_ms": 1500.0, "p99_ms": 1600.0});
    world.simulator.state.update_settings(&slow).unwrap();
    let (one, two) = (world.sender(), world.sender());
    // Three times, to two senders and to the same one again, then once more.
    for _ in 0..3 {
        enqueue(&world, &campaign.id, rows.clone()).await;
    }
    tokio::join!(
        world.deliver_next(&one, TIMEOUT),
        world.deliver_next(&two, Duration::ZERO)
    );
    enqueue(&world, &campaign.id, rows).await;
    world.deliver_next(&one, TIMEOUT).await.expect("a batch");
    let books = world.simulator.state.stats();
    assert_eq!(
        (books.calls, books.accepted, books.rows, books.repeats),
        (5, 5, 5, 0)
    );
    for number in 1..=5 {
        let row = ledger_row(&world, &campaign.id, number).await;
        assert_eq!((row.state, row.attempt), (State::Accepted, 1));
        assert!(row.wamid.is_some() && row.message_status.as_deref() == Some("accepted"));
    }
    assert!(world.load_campaign(&campaign.id).await.has_acceptance);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn permanent_recipient_errors_reject_the_row_only() {
    let world = TestEnv::new().await;
    for ending in [20, 21, 22, 23, 24, 25, 26, 27] {
        let (campaign, row) = send_one_row(&world, ending, false).await;
        assert_eq!(
            (campaign.state, row.state),
            (CampaignState::Sending, State::Rejected),
            "{ending}"
        );
        assert!(row.error_info.unwrap().code.is_some());
    }
    for ending in [30, 31, 32] {
        let (campaign, row) = send_one_row(&world, ending, true).await;
        assert_eq!(
            (campaign.state, row.state),
            (CampaignState::Sending, State::Rejected),
            "{ending}, proven"
        );
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn campaign_and_account_errors_pause_the_campaign_and_hold_the_row() {
    let world = TestEnv::new().await;
    let of_campaign = [40, 41, 42, 43, 44, 45, 46, 47];
    let of_account = [50, 51, 52, 53, 54, 55, 56, 57, 58, 59];
    for ending in of_campaign.into_iter().chain(of_account) {
        let (campaign, row) = send_one_row(&world, ending, true).await;
        assert_eq!(
            (campaign.state, row.state),
            (CampaignState::Paused, State::Held),
            "{ending}"
        );
        let code = row.error_info.unwrap().code.unwrap();
        assert!(
            campaign.reason.unwrap().contains(&code.to_string()),
            "{ending}"
        );
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn temporary_errors_are_retried() {
    let world = TestEnv::new().await;
    for ending in [10, 11, 13, 14, 15, 16, 17, 18, 19, 30] {
        let (campaign, row) = send_one_row(&world, ending, false).await;
        assert_eq!(
            (campaign.state, row.state),
            (CampaignState::Sending, State::Retry),
            "{ending}"
        );
        assert!(row.not_before.unwrap() > cloud::now() - 60_000, "{ending}");
    }
    world.drain_batches().await;
    // 130429 twice, then accepted: one row, three attempts, through the queue.
    let (campaign, _) = send_one_row(&world, 12, false).await;
    let sender = world.sender();
    while ledger_row(&world, &campaign.id, 1).await.state != State::Accepted {
        world
            .deliver_next(&sender, TIMEOUT)
            .await
            .expect("the row comes back");
    }
    let row = ledger_row(&world, &campaign.id, 1).await;
    assert_eq!((row.attempt, row.history.len()), (3, 2));
    assert!(
        row.history
            .iter()
            .all(|past| past.error_info.as_ref().unwrap().code == Some(130_429))
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn possibly_sent_row_is_unconfirmed_and_never_resent() {
    let world = TestEnv::new().await;
    for ending in [1, 2, 3, 4] {
        let (campaign, row) = send_one_row(&world, ending, false).await;
        assert_eq!(
            (campaign.state, row.state),
            (CampaignState::Sending, State::Unconfirmed),
            "{ending}"
        );
        enqueue(
            &world,
            &campaign.id,
            vec![self::batch_row(1, &format!("+120255501{ending:02}"))],
        )
        .await;
        world
            .deliver_next(&world.sender(), TIMEOUT)
            .await
            .expect("a batch");
    }
    assert_eq!(world.simulator.state.stats().repeats, 0);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn refused_connection_is_retried() {
    let world = TestEnv::new().await;
    let campaign = world.create_campaign(CampaignState::Sending).await;
    enqueue(&world, &campaign.id, vec![batch_row(1, "+5511987654321")]).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    world
        .deliver_next(&world.sender_to(&format!("http://{closed}")), TIMEOUT)
        .await
        .expect("a batch");
    assert_eq!(
        ledger_row(&world, &campaign.id, 1).await.state,
        State::Retry
    );
    world
        .deliver_next(&world.sender(), TIMEOUT)
        .await
        .expect("the row comes back");
    assert_eq!(
        ledger_row(&world, &campaign.id, 1).await.state,
        State::Accepted
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn stopped_campaign_sends_nothing() {
    let world = TestEnv::new().await;
    for state in [
        CampaignState::Paused,
        CampaignState::Cancelled,
        CampaignState::Failed,
    ] {
        let campaign = world.create_campaign(state).await;
        enqueue(&world, &campaign.id, vec![batch_row(1, "+5511987654321")]).await;
        world
            .deliver_next(&world.sender(), TIMEOUT)
            .await
            .expect("a batch");
        assert_eq!(
            world.ledger.get_row(&campaign.id, 1).await.unwrap(),
            None,
            "{state:?}"
        );
    }
    assert_eq!(world.simulator.state.stats().calls, 0);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn expired_claim_becomes_unconfirmed() {
    let world = TestEnv::new().await;
    let campaign = world.create_campaign(CampaignState::Sending).await;
    let long_ago = cloud::now() - 3_600_000;
    for (number, claimed_at) in [(1, long_ago), (2, cloud::now())] {
        let claim = world
            .ledger
            .claim(&campaign.id, number, "the dead", claimed_at)
            .await
            .unwrap();
        assert_eq!(claim, Claim::Won(1));
    }
    enqueue(
        &world,
        &campaign.id,
        vec![
            batch_row(1, "+5511987654321"),
            batch_row(2, "+5511987654322"),
        ],
    )
    .await;
    world
        .deliver_next(&world.sender(), TIMEOUT)
        .await
        .expect("a batch");
    assert_eq!(
        ledger_row(&world, &campaign.id, 1).await.state,
        State::Unconfirmed
    );
    assert_eq!(
        ledger_row(&world, &campaign.id, 2).await.state,
        State::Claimed,
        "may still be at work"
    );
    assert_eq!(world.simulator.state.stats().calls, 0);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn rotated_access_token_is_reloaded_without_a_pause() {
    let world = TestEnv::new().await;
    let campaign = world.create_campaign(CampaignState::Sending).await;
    let sender = world.sender();
    enqueue(&world, &campaign.id, vec![batch_row(1, "+5511987654321")]).await;
    world.deliver_next(&sender, TIMEOUT).await.expect("a batch");
    world
        .simulator
        .state
        .update_settings(&json!({"access_token": "the next one"}))
        .unwrap();
    world.rotate_access_token("the next one").await;
    enqueue(&world, &campaign.id, vec![batch_row(2, "+5511987654322")]).await;
    while world
        .ledger
        .get_row(&campaign.id, 2)
        .await
        .unwrap()
        .is_none_or(|row| row.state != State::Accepted)
    {
        world
            .deliver_next(&sender, TIMEOUT)
            .await
            .expect("the row comes back");
    }
    assert_eq!(
        world.load_campaign(&campaign.id).await.state,
        CampaignState::Sending
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn malformed_batch_is_reported_as_failed() {
    let world = TestEnv::new().await;
    assert!(!invoke_sender(&world.sender(), "{\"campaign\": 7}", None).await);
}
