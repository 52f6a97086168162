//! The sweep: whatever died, was lost or ran out of time is repaired, and doing so twice changes nothing.

use std::time::Duration;

use campaign::delivery::batch::{Batch, Row};
use campaign::delivery::ledger::{State, Transition};
use campaign::delivery::outcome::{ErrorInfo, Millis};
use campaign::import::phone;
use campaign::lifecycle::campaign::{
    AfterCanary, Campaign, CampaignState, Canary, FileStage, OnUnconfirmed,
};
use reconciler::ReconcileStats;

use crate::harness::TestEnv;

const MINUTE_MS: Millis = 60_000;

/// A campaign of `rows` people whose batches were lost, changed as wished.
async fn import_and_lose_batches(
    world: &TestEnv,
    rows: u32,
    change: impl FnOnce(&mut Campaign),
) -> Campaign {
    let campaign = world.import_campaign(rows, change).await;
    world.drain_batches().await;
    campaign
}

/// A sweep as it would be `later` from now.
async fn reconcile(world: &TestEnv, later: Millis) -> ReconcileStats {
    let now = cloud::now() + later;
    world
        .reconciler()
        .run(now, now + 10 * MINUTE_MS)
        .await
        .unwrap()
}

async fn claim_row(world: &TestEnv, campaign: &Campaign, row: u32, ago: Millis) {
    let at = cloud::now() - ago;
    world
        .ledger
        .claim(&campaign.id, row, "the dead", at)
        .await
        .unwrap();
}

async fn row_state(world: &TestEnv, campaign: &Campaign, row: u32) -> State {
    world
        .ledger
        .get_row(&campaign.id, row)
        .await
        .unwrap()
        .unwrap()
        .state
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn lost_batches_are_requeued_and_a_finished_campaign_is_closed() {
    let world = TestEnv::new().await;
    let campaign = import_and_lose_batches(&world, 30, |_| {}).await;
    assert_eq!(
        reconcile(&world, MINUTE_MS).await.requeued,
        0,
        "it may still be on its way"
    );
    let swept = reconcile(&world, 5 * MINUTE_MS).await;
    assert_eq!((swept.campaigns, swept.requeued), (1, 1));
    assert_eq!(reconcile(&world, 6 * MINUTE_MS).await.requeued, 0, "once");
    world.run_queued_imports().await;
    world.send_all().await;
    assert_eq!(world.simulator.state.stats().accepted, 30);
    world.recount_ledger(&campaign.id).await;
    assert_eq!(reconcile(&world, 5 * MINUTE_MS).await.closed, 1);
    assert_eq!(
        reconcile(&world, 5 * MINUTE_MS).await,
        ReconcileStats::default(),
        "closed"
    );
    // A row that comes back opens it again, and it stays open until the counters show the row.
    world
        .campaigns
        .reopen(&campaign.id, cloud::now())
        .await
        .unwrap();
    assert_eq!(
        reconcile(&world, MINUTE_MS).await,
        ReconcileStats {
            campaigns: 1,
            ..ReconcileStats::default()
        }
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn expired_claims_become_unconfirmed_and_are_resent_only_if_the_policy_says_so() {
    let world = TestEnv::new().await;
    for choice in [OnUnconfirmed::Leave, OnUnconfirmed::Resend] {
        let campaign = import_and_lose_batches(&world, 4, |campaign| {
            campaign.policy.on_unconfirmed = choice
        })
        .await;
        claim_row(&world, &campaign, 1, 3 * MINUTE_MS).await;
        claim_row(&world, &campaign, 2, 3 * MINUTE_MS).await;
        let now_claimed = 3;
        world
            .ledger
            .claim(
                &campaign.id,
                now_claimed,
                "alive",
                cloud::now() + 4 * MINUTE_MS,
            )
            .await
            .unwrap();
        world.recount_ledger(&campaign.id).await;
        // As old as the sweep thinks it is: the last call was seven minutes from now.
        let swept = reconcile(&world, 6 * MINUTE_MS + 100).await;
        assert_eq!((swept.unconfirmed, swept.resent), (2, 0));
        assert_eq!(
            row_state(&world, &campaign, now_claimed).await,
            State::Claimed
        );
        world.recount_ledger(&campaign.id).await;
        let swept = reconcile(&world, 30 * MINUTE_MS).await;
        let resends = choice == OnUnconfirmed::Resend;
        assert_eq!(swept.resent, if resends { 2 } else { 0 }, "{choice:?}");
        world.run_queued_imports().await;
        world.send_all().await;
        let expected = if resends {
            State::Accepted
        } else {
            State::Unconfirmed
        };
        assert_eq!(row_state(&world, &campaign, 1).await, expected);
        assert_eq!(row_state(&world, &campaign, 4).await, State::Accepted);
        world.drain_batches().await;
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn late_callback_settles_an_unconfirmed_row_before_its_resend() {
    let world = TestEnv::new().await;
    let campaign = import_and_lose_batches(&world, 1, |campaign| {
        campaign.policy.on_unconfirmed = OnUnconfirmed::Resend
    })
    .await;
    claim_row(&world, &campaign, 1, 30 * MINUTE_MS).await;
    let fault = ErrorInfo::transport("a test");
    assert!(
        world
            .ledger
            .record_outcome(&campaign.id, 1, 1, Transition::MarkUnconfirmed, &fault)
            .await
            .unwrap()
    );
    assert!(
        world
            .ledger
            .schedule_resend(&campaign.id, 1, 1)
            .await
            .unwrap()
    );
    let reports = cloud::ledger::StatusUpdate {
        wamid: "wamid.1".into(),
        sent_at: Some(1),
        ..Default::default()
    };
    assert!(
        world
            .ledger
            .apply_status(&campaign.id, 1, 1, &reports)
            .await
            .unwrap()
    );
    let row = world
        .ledger
        .get_row(&campaign.id, 1)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((row.state, row.has_unconfirmed), (State::Accepted, false));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn long_retry_waits_in_the_ledger_and_is_requeued_when_due() {
    let world = TestEnv::new().await;
    let campaign = import_and_lose_batches(&world, 2, |_| {}).await;
    let (id, fault) = (&campaign.id, ErrorInfo::transport("a test"));
    claim_row(&world, &campaign, 1, 0).await;
    claim_row(&world, &campaign, 2, 0).await;
    let tomorrow = cloud::now() + 24 * 60 * MINUTE_MS;
    assert!(
        world
            .ledger
            .schedule_retry(id, 1, 1, tomorrow, &fault)
            .await
            .unwrap()
    );
    assert!(
        world
            .ledger
            .schedule_retry(id, 2, 1, cloud::now() - 1, &fault)
            .await
            .unwrap()
    );
    world.recount_ledger(id).await;
    assert_eq!(
        reconcile(&world, 5 * MINUTE_MS).await.requeued,
        1,
        "the one that is due"
    );
    world.run_queued_imports().await;
    world.send_all().await;
    assert_eq!(row_state(&world, &campaign, 1).await, State::Retry);
    assert_eq!(row_state(&world, &campaign, 2).await, State::Accepted);
    world.recount_ledger(id).await;
    assert_eq!(reconcile(&world, 60 * MINUTE_MS).await.requeued, 0);
    let swept = reconcile(&world, 25 * 60 * MINUTE_MS).await;
    assert_eq!((swept.requeued, swept.closed), (1, 0));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn expired_campaign_is_settled_even_while_paused() {
    let world = TestEnv::new().await;
    let later = cloud::now() + 3000;
    let campaign = import_and_lose_batches(&world, 10, |campaign| {
        campaign.schedule.not_after = Some(later)
    })
    .await;
    assert!(world.campaigns.pause(&campaign.id, "a test").await.unwrap());
    claim_row(&world, &campaign, 1, 30 * MINUTE_MS).await;
    assert!(
        world
            .ledger
            .record_outcome(
                &campaign.id,
                1,
                1,
                Transition::Hold,
                &ErrorInfo::transport("a test")
            )
            .await
            .unwrap()
    );
    while !campaign.schedule.has_ended(cloud::now()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(reconcile(&world, 0).await.requeued, 1);
    world.run_queued_imports().await;
    let rows = world.ledger_rows(&campaign.id).await;
    assert!(
        rows.len() == 10 && rows.iter().all(|row| row.state == State::Skipped),
        "{rows:?}"
    );
    world.recount_ledger(&campaign.id).await;
    assert_eq!(reconcile(&world, 5 * MINUTE_MS).await.closed, 1);
    assert_eq!(world.simulator.state.stats().calls, 0);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn missed_schedule_and_dead_splitter_are_repaired() {
    let world = TestEnv::new().await;
    let soon = cloud::now() + 2500;
    let scheduled = import_and_lose_batches(&world, 3, |campaign| {
        campaign.schedule.not_before = Some(soon)
    })
    .await;
    assert_eq!(scheduled.state, CampaignState::Scheduled);
    assert_eq!(reconcile(&world, 0).await.imports_resumed, 0);
    while !scheduled.schedule.has_begun(cloud::now()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(reconcile(&world, 0).await.imports_resumed, 1);
    world.run_queued_imports().await;
    assert_eq!(
        world.load_campaign(&scheduled.id).await.state,
        CampaignState::Sending
    );
    // Another's splitter died between the passes.
    let died = import_and_lose_batches(&world, 3, |campaign| campaign.manual_start = true).await;
    assert_eq!(died.files[0].stage, FileStage::Validated);
    let ready = [CampaignState::Ready];
    assert!(
        world
            .campaigns
            .transition(&died.id, CampaignState::Enqueuing, &ready, None)
            .await
            .unwrap()
    );
    assert_eq!(reconcile(&world, 5 * MINUTE_MS).await.imports_resumed, 1);
    world.run_queued_imports().await;
    assert_eq!(
        world.load_campaign(&died.id).await.state,
        CampaignState::Sending
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn dead_letters_are_requeued_and_repeated_ones_pause_their_campaign() {
    let world = TestEnv::new().await;
    let campaign = world.create_campaign(CampaignState::Sending).await;
    let to = phone::parse("+34610000001", None).unwrap();
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
            .dead_letter_queue
            .enqueue(std::slice::from_ref(&batch), Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(reconcile(&world, 0).await.dead_letters, 1);
        let expected = if time < 3 { 1 } else { 0 };
        assert_eq!(world.drain_batches().await.len(), expected, "time {time}");
        assert!(world.dead_letter_queue.is_empty().await.unwrap());
    }
    let stopped = world.load_campaign(&campaign.id).await;
    assert_eq!(stopped.state, CampaignState::Paused);
    assert!(stopped.reason.unwrap().contains("failed 3"));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn clean_canary_continues_and_a_failed_one_pauses() {
    let world = TestEnv::new().await;
    let canary = Canary {
        rows: 5,
        after: AfterCanary::ContinueIfClean,
        released: false,
        enqueued: 0,
    };
    for clean in [true, false] {
        let campaign =
            import_and_lose_batches(&world, 50, |campaign| campaign.canary = Some(canary)).await;
        for index in 1..=5 {
            claim_row(&world, &campaign, index * 10, 0).await;
            let step = if clean || index > 2 {
                Transition::Accept
            } else {
                Transition::Reject
            };
            let fault = ErrorInfo::transport("a test");
            assert!(
                world
                    .ledger
                    .record_outcome(&campaign.id, index * 10, 1, step, &fault)
                    .await
                    .unwrap()
            );
        }
        world.recount_ledger(&campaign.id).await;
        assert_eq!(
            reconcile(&world, MINUTE_MS).await.imports_resumed,
            0,
            "callbacks may come"
        );
        let swept = reconcile(&world, 5 * MINUTE_MS).await;
        assert_eq!(swept.imports_resumed, usize::from(clean));
        world.run_queued_imports().await;
        let state = world.load_campaign(&campaign.id).await.state;
        let rows: usize = world
            .drain_batches()
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
