//! The sender against real queues and tables and the simulator.

use std::time::Duration;

use campaign::batch::{Batch, Row};
use campaign::id::CampaignId;
use campaign::ledger::State;
use campaign::phone;
use campaign::record::{Campaign, CampaignState};
use cloud::ledger::{Claim, LedgerRow};
use serde_json::json;

use crate::world::{PATIENCE, World, deliver};

fn row(number: u32, to: &str) -> Row {
    Row {
        row: number,
        to: phone::read(to, None).unwrap(),
        values: vec!["Ana".into()],
    }
}

async fn enqueue(world: &World, campaign: &CampaignId, rows: Vec<Row>) {
    let batch = Batch {
        campaign: campaign.clone(),
        rows,
    };
    world.queue.send(&[batch], Duration::ZERO).await.unwrap();
}

async fn stored(world: &World, campaign: &CampaignId, row: u32) -> LedgerRow {
    world
        .ledger
        .row(campaign, row)
        .await
        .unwrap()
        .expect("a row in the ledger")
}

/// A campaign with one row to `+1 202 555 01{ending}`, sent once.
async fn met(world: &World, ending: u32, proven: bool) -> (Campaign, LedgerRow) {
    let campaign = world.campaign(CampaignState::Sending).await;
    if proven {
        world.campaigns.prove(&campaign.id).await.unwrap();
    }
    enqueue(
        world,
        &campaign.id,
        vec![row(1, &format!("+120255501{ending:02}"))],
    )
    .await;
    world
        .pump(&world.sender(), PATIENCE)
        .await
        .expect("a batch");
    let stored = stored(world, &campaign.id, 1).await;
    (world.now(&campaign.id).await, stored)
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_row_is_called_once_however_often_its_batch_comes() {
    let world = World::new().await;
    let campaign = world.campaign(CampaignState::Sending).await;
    let rows: Vec<Row> = (1..=5)
        .map(|n| row(n, &format!("+551198765432{n}")))
        .collect();
    // Answers are slow, so that the batch comes again while they are awaited.
    let slow = json!({"median_ms": 1500.0, "p99_ms": 1600.0});
    world.simulator.state.set(&slow).unwrap();
    let (one, two) = (world.sender(), world.sender());
    // Three times, to two senders and to the same one again, then once more.
    for _ in 0..3 {
        enqueue(&world, &campaign.id, rows.clone()).await;
    }
    tokio::join!(world.pump(&one, PATIENCE), world.pump(&two, Duration::ZERO));
    enqueue(&world, &campaign.id, rows).await;
    world.pump(&one, PATIENCE).await.expect("a batch");
    let books = world.simulator.state.figures();
    assert_eq!(
        (books.calls, books.accepted, books.rows, books.repeats),
        (5, 5, 5, 0)
    );
    for number in 1..=5 {
        let row = stored(&world, &campaign.id, number).await;
        assert_eq!((row.state, row.attempt), (State::Accepted, 1));
        assert!(row.wamid.is_some() && row.message_status.as_deref() == Some("accepted"));
    }
    assert!(world.now(&campaign.id).await.proven);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn refusals_that_are_final_for_one_leave_the_campaign_alone() {
    let world = World::new().await;
    for ending in [20, 21, 22, 23, 24, 25, 26, 27] {
        let (campaign, row) = met(&world, ending, false).await;
        assert_eq!(
            (campaign.state, row.state),
            (CampaignState::Sending, State::Rejected),
            "{ending}"
        );
        assert!(row.fault.unwrap().code.is_some());
    }
    for ending in [30, 31, 32] {
        let (campaign, row) = met(&world, ending, true).await;
        assert_eq!(
            (campaign.state, row.state),
            (CampaignState::Sending, State::Rejected),
            "{ending}, proven"
        );
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn refusals_that_would_meet_every_row_stop_the_campaign_and_hold_the_row() {
    let world = World::new().await;
    let of_campaign = [40, 41, 42, 43, 44, 45, 46, 47];
    let of_account = [50, 51, 52, 53, 54, 55, 56, 57, 58, 59];
    for ending in of_campaign.into_iter().chain(of_account) {
        let (campaign, row) = met(&world, ending, true).await;
        assert_eq!(
            (campaign.state, row.state),
            (CampaignState::Paused, State::Held),
            "{ending}"
        );
        let code = row.fault.unwrap().code.unwrap();
        assert!(
            campaign.reason.unwrap().contains(&code.to_string()),
            "{ending}"
        );
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn refusals_for_now_are_tried_again_later() {
    let world = World::new().await;
    for ending in [10, 11, 13, 14, 15, 16, 17, 18, 19, 30] {
        let (campaign, row) = met(&world, ending, false).await;
        assert_eq!(
            (campaign.state, row.state),
            (CampaignState::Sending, State::Retry),
            "{ending}"
        );
        assert!(row.not_before.unwrap() > cloud::now() - 60_000, "{ending}");
    }
    world.drain().await;
    // 130429 twice, then accepted: one row, three attempts, through the queue.
    let (campaign, _) = met(&world, 12, false).await;
    let sender = world.sender();
    while stored(&world, &campaign.id, 1).await.state != State::Accepted {
        world
            .pump(&sender, PATIENCE)
            .await
            .expect("the row comes back");
    }
    let row = stored(&world, &campaign.id, 1).await;
    assert_eq!((row.attempt, row.history.len()), (3, 2));
    assert!(
        row.history
            .iter()
            .all(|past| past.fault.as_ref().unwrap().code == Some(130_429))
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn what_may_have_been_sent_is_in_doubt_and_never_sent_again() {
    let world = World::new().await;
    for ending in [1, 2, 3, 4] {
        let (campaign, row) = met(&world, ending, false).await;
        assert_eq!(
            (campaign.state, row.state),
            (CampaignState::Sending, State::Unconfirmed),
            "{ending}"
        );
        enqueue(
            &world,
            &campaign.id,
            vec![self::row(1, &format!("+120255501{ending:02}"))],
        )
        .await;
        world
            .pump(&world.sender(), PATIENCE)
            .await
            .expect("a batch");
    }
    assert_eq!(world.simulator.state.figures().repeats, 0);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_refused_connection_is_certainly_not_sent() {
    let world = World::new().await;
    let campaign = world.campaign(CampaignState::Sending).await;
    enqueue(&world, &campaign.id, vec![row(1, "+5511987654321")]).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    world
        .pump(&world.sender_at(&format!("http://{closed}")), PATIENCE)
        .await
        .expect("a batch");
    assert_eq!(stored(&world, &campaign.id, 1).await.state, State::Retry);
    world
        .pump(&world.sender(), PATIENCE)
        .await
        .expect("the row comes back");
    assert_eq!(stored(&world, &campaign.id, 1).await.state, State::Accepted);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_campaign_that_does_not_send_is_not_called_for() {
    let world = World::new().await;
    for state in [
        CampaignState::Paused,
        CampaignState::Cancelled,
        CampaignState::Failed,
    ] {
        let campaign = world.campaign(state).await;
        enqueue(&world, &campaign.id, vec![row(1, "+5511987654321")]).await;
        world
            .pump(&world.sender(), PATIENCE)
            .await
            .expect("a batch");
        assert_eq!(
            world.ledger.row(&campaign.id, 1).await.unwrap(),
            None,
            "{state:?}"
        );
    }
    assert_eq!(world.simulator.state.figures().calls, 0);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_dead_senders_claim_becomes_a_visible_doubt() {
    let world = World::new().await;
    let campaign = world.campaign(CampaignState::Sending).await;
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
        vec![row(1, "+5511987654321"), row(2, "+5511987654322")],
    )
    .await;
    world
        .pump(&world.sender(), PATIENCE)
        .await
        .expect("a batch");
    assert_eq!(
        stored(&world, &campaign.id, 1).await.state,
        State::Unconfirmed
    );
    assert_eq!(
        stored(&world, &campaign.id, 2).await.state,
        State::Claimed,
        "may still be at work"
    );
    assert_eq!(world.simulator.state.figures().calls, 0);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_rotated_token_is_read_anew_without_stopping() {
    let world = World::new().await;
    let campaign = world.campaign(CampaignState::Sending).await;
    let sender = world.sender();
    enqueue(&world, &campaign.id, vec![row(1, "+5511987654321")]).await;
    world.pump(&sender, PATIENCE).await.expect("a batch");
    world
        .simulator
        .state
        .set(&json!({"access_token": "the next one"}))
        .unwrap();
    world.rotate("the next one").await;
    enqueue(&world, &campaign.id, vec![row(2, "+5511987654322")]).await;
    while world
        .ledger
        .row(&campaign.id, 2)
        .await
        .unwrap()
        .is_none_or(|row| row.state != State::Accepted)
    {
        world
            .pump(&sender, PATIENCE)
            .await
            .expect("the row comes back");
    }
    assert_eq!(world.now(&campaign.id).await.state, CampaignState::Sending);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_message_that_is_no_batch_goes_the_way_of_the_dead_letters() {
    let world = World::new().await;
    assert!(!deliver(&world.sender(), "{\"campaign\": 7}", None).await);
}
