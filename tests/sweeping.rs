//! The sweep: whatever died, was lost or ran out of time is repaired, and doing so twice changes nothing.

use std::time::Duration;

use campaign::batch::{Batch, Row};
use campaign::ledger::{Move, State};
use campaign::outcome::{Fault, Millis};
use campaign::phone;
use campaign::record::{AfterCanary, Campaign, CampaignState, Canary, FileStage, OnDoubt};
use sweep::Swept;

use crate::world::World;

const MINUTE: Millis = 60_000;

/// A campaign of `rows` people whose batches were lost, changed as wished.
async fn lost(world: &World, rows: u32, change: impl FnOnce(&mut Campaign)) -> Campaign {
    let campaign = world.uploaded(rows, change).await;
    world.drain().await;
    campaign
}

/// A sweep as it would be `later` from now.
async fn sweep(world: &World, later: Millis) -> Swept {
    let now = cloud::now() + later;
    world.sweep().run(now, now + 10 * MINUTE).await.unwrap()
}

async fn claim(world: &World, campaign: &Campaign, row: u32, ago: Millis) {
    let at = cloud::now() - ago;
    world
        .ledger
        .claim(&campaign.id, row, "the dead", at)
        .await
        .unwrap();
}

async fn state(world: &World, campaign: &Campaign, row: u32) -> State {
    world
        .ledger
        .row(&campaign.id, row)
        .await
        .unwrap()
        .unwrap()
        .state
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn lost_batches_are_offered_again_and_a_finished_campaign_is_closed() {
    let world = World::new().await;
    let campaign = lost(&world, 30, |_| {}).await;
    assert_eq!(
        sweep(&world, MINUTE).await.offered,
        0,
        "it may still be on its way"
    );
    let swept = sweep(&world, 5 * MINUTE).await;
    assert_eq!((swept.campaigns, swept.offered), (1, 1));
    assert_eq!(sweep(&world, 6 * MINUTE).await.offered, 0, "once");
    world.follow().await;
    world.send_all().await;
    assert_eq!(world.simulator.state.figures().accepted, 30);
    world.count(&campaign.id).await;
    assert_eq!(sweep(&world, 5 * MINUTE).await.closed, 1);
    assert_eq!(sweep(&world, 5 * MINUTE).await, Swept::default(), "closed");
    // A row that comes back opens it again, and it stays open until the counters show the row.
    world
        .campaigns
        .reopen(&campaign.id, cloud::now())
        .await
        .unwrap();
    assert_eq!(
        sweep(&world, MINUTE).await,
        Swept {
            campaigns: 1,
            ..Swept::default()
        }
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn claims_of_the_dead_become_doubts_which_stay_or_are_sent_again_as_the_operator_chose() {
    let world = World::new().await;
    for choice in [OnDoubt::Leave, OnDoubt::Resend] {
        let campaign = lost(&world, 4, |campaign| campaign.policy.on_doubt = choice).await;
        claim(&world, &campaign, 1, 3 * MINUTE).await;
        claim(&world, &campaign, 2, 3 * MINUTE).await;
        let now_claimed = 3;
        world
            .ledger
            .claim(
                &campaign.id,
                now_claimed,
                "alive",
                cloud::now() + 4 * MINUTE,
            )
            .await
            .unwrap();
        world.count(&campaign.id).await;
        // As old as the sweep thinks it is: the last call was seven minutes from now.
        let swept = sweep(&world, 6 * MINUTE + 100).await;
        assert_eq!((swept.doubts, swept.resent), (2, 0));
        assert_eq!(state(&world, &campaign, now_claimed).await, State::Claimed);
        world.count(&campaign.id).await;
        let swept = sweep(&world, 30 * MINUTE).await;
        let resends = choice == OnDoubt::Resend;
        assert_eq!(swept.resent, if resends { 2 } else { 0 }, "{choice:?}");
        world.follow().await;
        world.send_all().await;
        let expected = if resends {
            State::Accepted
        } else {
            State::Unconfirmed
        };
        assert_eq!(state(&world, &campaign, 1).await, expected);
        assert_eq!(state(&world, &campaign, 4).await, State::Accepted);
        world.drain().await;
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_doubt_that_is_about_to_be_sent_again_is_settled_by_a_late_callback() {
    let world = World::new().await;
    let campaign = lost(&world, 1, |campaign| {
        campaign.policy.on_doubt = OnDoubt::Resend
    })
    .await;
    claim(&world, &campaign, 1, 30 * MINUTE).await;
    let fault = Fault::on_the_way("a test");
    assert!(
        world
            .ledger
            .settle(&campaign.id, 1, 1, Move::Doubt, &fault)
            .await
            .unwrap()
    );
    assert!(world.ledger.resend(&campaign.id, 1, 1).await.unwrap());
    let reports = cloud::ledger::Reports {
        wamid: "wamid.1".into(),
        sent_at: Some(1),
        ..Default::default()
    };
    assert!(
        world
            .ledger
            .reported(&campaign.id, 1, 1, &reports)
            .await
            .unwrap()
    );
    let row = world.ledger.row(&campaign.id, 1).await.unwrap().unwrap();
    assert_eq!((row.state, row.doubted), (State::Accepted, false));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_long_retry_waits_in_the_ledger_and_is_brought_back() {
    let world = World::new().await;
    let campaign = lost(&world, 2, |_| {}).await;
    let (id, fault) = (&campaign.id, Fault::on_the_way("a test"));
    claim(&world, &campaign, 1, 0).await;
    claim(&world, &campaign, 2, 0).await;
    let tomorrow = cloud::now() + 24 * 60 * MINUTE;
    assert!(
        world
            .ledger
            .retry(id, 1, 1, tomorrow, &fault)
            .await
            .unwrap()
    );
    assert!(
        world
            .ledger
            .retry(id, 2, 1, cloud::now() - 1, &fault)
            .await
            .unwrap()
    );
    world.count(id).await;
    assert_eq!(
        sweep(&world, 5 * MINUTE).await.offered,
        1,
        "the one that is due"
    );
    world.follow().await;
    world.send_all().await;
    assert_eq!(state(&world, &campaign, 1).await, State::Retry);
    assert_eq!(state(&world, &campaign, 2).await, State::Accepted);
    world.count(id).await;
    assert_eq!(sweep(&world, 60 * MINUTE).await.offered, 0);
    let swept = sweep(&world, 25 * 60 * MINUTE).await;
    assert_eq!((swept.offered, swept.closed), (1, 0));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_campaign_whose_time_is_over_is_settled_though_it_is_paused() {
    let world = World::new().await;
    let later = cloud::now() + 3000;
    let campaign = lost(&world, 10, |campaign| {
        campaign.window.not_after = Some(later)
    })
    .await;
    assert!(world.campaigns.pause(&campaign.id, "a test").await.unwrap());
    claim(&world, &campaign, 1, 30 * MINUTE).await;
    assert!(
        world
            .ledger
            .settle(&campaign.id, 1, 1, Move::Hold, &Fault::on_the_way("a test"))
            .await
            .unwrap()
    );
    while !campaign.window.is_over(cloud::now()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(sweep(&world, 0).await.offered, 1);
    world.follow().await;
    let rows = world.ledger_of(&campaign.id).await;
    assert!(
        rows.len() == 10 && rows.iter().all(|row| row.state == State::Skipped),
        "{rows:?}"
    );
    world.count(&campaign.id).await;
    assert_eq!(sweep(&world, 5 * MINUTE).await.closed, 1);
    assert_eq!(world.simulator.state.figures().calls, 0);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_schedule_that_did_not_fire_and_a_splitter_that_died_are_repaired() {
    let world = World::new().await;
    let soon = cloud::now() + 2500;
    let scheduled = lost(&world, 3, |campaign| {
        campaign.window.not_before = Some(soon)
    })
    .await;
    assert_eq!(scheduled.state, CampaignState::Scheduled);
    assert_eq!(sweep(&world, 0).await.continued, 0);
    while !scheduled.window.is_open(cloud::now()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(sweep(&world, 0).await.continued, 1);
    world.follow().await;
    assert_eq!(world.now(&scheduled.id).await.state, CampaignState::Sending);
    // Another's splitter died between the passes.
    let died = lost(&world, 3, |campaign| campaign.hold = true).await;
    assert_eq!(died.files[0].stage, FileStage::Examined);
    let ready = [CampaignState::Ready];
    assert!(
        world
            .campaigns
            .enter(&died.id, CampaignState::Splitting, &ready, None)
            .await
            .unwrap()
    );
    assert_eq!(sweep(&world, 5 * MINUTE).await.continued, 1);
    world.follow().await;
    assert_eq!(world.now(&died.id).await.state, CampaignState::Sending);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn dead_letters_are_noted_and_come_back_and_what_dies_again_and_again_stops_its_campaign() {
    let world = World::new().await;
    let campaign = world.campaign(CampaignState::Sending).await;
    let to = phone::read("+34610000001", None).unwrap();
    let row = Row {
        row: 7,
        to,
        values: vec!["Ana".into()],
    };
    let batch = Batch {
        campaign: campaign.id.clone(),
        rows: vec![row],
    };
    for time in 1..=3 {
        world
            .dead
            .send(std::slice::from_ref(&batch), Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(sweep(&world, 0).await.dead_letters, 1);
        let expected = if time < 3 { 1 } else { 0 };
        assert_eq!(world.drain().await.len(), expected, "time {time}");
        assert!(world.dead.is_empty().await.unwrap());
    }
    let stopped = world.now(&campaign.id).await;
    assert_eq!(stopped.state, CampaignState::Paused);
    assert!(stopped.reason.unwrap().contains("failed 3"));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_clean_canary_is_followed_by_the_rest_and_another_stops() {
    let world = World::new().await;
    let canary = Canary {
        rows: 5,
        then: AfterCanary::ContinueIfClean,
        released: false,
        enqueued: 0,
    };
    for clean in [true, false] {
        let campaign = lost(&world, 50, |campaign| campaign.canary = Some(canary)).await;
        for index in 1..=5 {
            claim(&world, &campaign, index * 10, 0).await;
            let step = if clean || index > 2 {
                Move::Accept
            } else {
                Move::Reject
            };
            let fault = Fault::on_the_way("a test");
            assert!(
                world
                    .ledger
                    .settle(&campaign.id, index * 10, 1, step, &fault)
                    .await
                    .unwrap()
            );
        }
        world.count(&campaign.id).await;
        assert_eq!(
            sweep(&world, MINUTE).await.continued,
            0,
            "callbacks may come"
        );
        let swept = sweep(&world, 5 * MINUTE).await;
        assert_eq!(swept.continued, usize::from(clean));
        world.follow().await;
        let state = world.now(&campaign.id).await.state;
        let rows: usize = world
            .drain()
            .await
            .iter()
            .filter(|(batch, _)| batch.campaign == campaign.id)
            .map(|(batch, _)| batch.rows.len())
            .sum();
        let expected = if clean {
            (CampaignState::Sending, 45)
        } else {
            (CampaignState::Paused, 0)
        };
        assert_eq!((state, rows), expected);
    }
}
