//! The reconciler: repairs what died, was lost or ran out of time; a second run changes nothing.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use campaign::delivery::batch::Batch;
use campaign::delivery::ledger::{State, Transition};
use campaign::delivery::outcome::{Acceptance, ErrorInfo};
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{
    AfterCanary, Campaign, CampaignState, Canary, FileStage, OnUnconfirmed,
};
use campaign::lifecycle::event::Event;
use campaign::time::Millis;
use cloud::ledger::StatusUpdate;
use reconciler::ReconcileStats;

use crate::harness::{TestEnv, batch_row, row_numbers, set_state};

const MINUTE_MS: Millis = 60_000;

/// A campaign of `rows` rows whose batches were lost, changed as wished.
async fn import_and_lose_batches(
    env: &TestEnv,
    rows: u32,
    change: impl FnOnce(&mut Campaign),
) -> CampaignId {
    let campaign = env.import_campaign(rows, change).await;
    env.drain_batches().await;
    campaign.id
}

/// A run of the reconciler as it would be `later` from now.
async fn reconcile(env: &TestEnv, later: Millis) -> ReconcileStats {
    let now = cloud::now() + later;
    let stats = env.reconciler().run(now, now + 10 * MINUTE_MS).await;
    stats.unwrap()
}

/// Claims a row as a sender did that died this long ago.
async fn claim_row(env: &TestEnv, id: &CampaignId, row: u32, ago: Millis) {
    let claim = env
        .ledger
        .claim(id, row, "a dead sender", cloud::now() - ago);
    claim.await.unwrap();
}

async fn record_outcome(env: &TestEnv, id: &CampaignId, row: u32, transition: Transition) {
    let error = ErrorInfo::transport("a test");
    let recorded = env.ledger.record_outcome(id, row, 1, transition, &error);
    assert!(recorded.await.unwrap());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn lost_batches_are_requeued_once_and_a_finished_campaign_is_closed() {
    let env = TestEnv::new().await;
    let id = import_and_lose_batches(&env, 30, |_| {}).await;
    let early = reconcile(&env, MINUTE_MS).await;
    assert_eq!(early.requeued, 0, "the batches may still arrive");
    let stats = reconcile(&env, 5 * MINUTE_MS).await;
    assert_eq!((stats.campaigns, stats.requeued), (1, 1));
    assert_eq!(reconcile(&env, 6 * MINUTE_MS).await.requeued, 0);
    env.run_queued_imports().await;
    env.send_all().await;
    assert_eq!(env.simulator.state.stats().accepted, 30);

    env.recount_ledger(&id).await;
    assert_eq!(reconcile(&env, 5 * MINUTE_MS).await.closed, 1);
    assert_eq!(
        reconcile(&env, 5 * MINUTE_MS).await,
        ReconcileStats::default()
    );
    // A row that comes back opens the campaign again. It stays open until the counters show the row.
    env.apply(&id, Event::Reopen).await;
    let reopened = ReconcileStats {
        campaigns: 1,
        ..ReconcileStats::default()
    };
    assert_eq!(reconcile(&env, MINUTE_MS).await, reopened);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn rows_that_the_counter_has_not_seen_are_not_sent_again() {
    let env = TestEnv::new().await;
    let id = import_and_lose_batches(&env, 4, |_| {}).await;
    for row in [1, 2] {
        claim_row(&env, &id, row, 0).await;
        record_outcome(&env, &id, row, Transition::Reject).await;
        if row == 1 {
            let seen = TestEnv::stream_event(1, &env.ledger_items(&id).await);
            env.counter().handle(seen).await.unwrap();
        }
    }
    env.requeue(&id).await;
    let offered = env.drain_batches().await;
    assert_eq!(row_numbers(&offered), [3, 4]);
    env.requeue(&id).await;
    env.send_all().await;
    assert_eq!(env.simulator.state.stats().accepted, 2);
    let states = env.row_states(&id).await;
    assert_eq!(states, [(State::Accepted, 2), (State::Rejected, 2)]);
}

/// Rows 1 and 2 of four are claimed by dead senders, row 3 by one that is alive; then the reconciler runs, now and half an
/// hour later. Gives how many rows that resends.
async fn reconcile_expired_claims(env: &TestEnv, id: &CampaignId) -> usize {
    claim_row(env, id, 1, 3 * MINUTE_MS).await;
    claim_row(env, id, 2, 3 * MINUTE_MS).await;
    let alive = env
        .ledger
        .claim(id, 3, "alive", cloud::now() + 4 * MINUTE_MS);
    alive.await.unwrap();
    env.recount_ledger(id).await;
    // The last attempt is that of row 3: the campaign is idle from seven minutes after it.
    let stats = reconcile(env, 6 * MINUTE_MS + 100).await;
    assert_eq!((stats.unconfirmed, stats.resent), (2, 0));
    assert_eq!(env.row_state(id, 3).await, State::Claimed);
    env.recount_ledger(id).await;
    let resent = reconcile(env, 30 * MINUTE_MS).await.resent;
    env.run_queued_imports().await;
    env.send_all().await;
    assert_eq!(env.row_state(id, 4).await, State::Accepted);
    resent
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn expired_claims_become_unconfirmed_and_are_resent_only_if_the_policy_says_so() {
    let env = TestEnv::new().await;
    for (policy, resent, expected) in [
        (OnUnconfirmed::Leave, 0, State::Unconfirmed),
        (OnUnconfirmed::Resend, 2, State::Accepted),
    ] {
        let change = |campaign: &mut Campaign| campaign.policy.on_unconfirmed = policy;
        let id = import_and_lose_batches(&env, 4, change).await;
        assert_eq!(
            reconcile_expired_claims(&env, &id).await,
            resent,
            "{policy:?}"
        );
        assert_eq!(env.row_state(&id, 1).await, expected, "{policy:?}");
        env.drain_batches().await;
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn late_callback_settles_an_unconfirmed_row_before_its_resend() {
    let env = TestEnv::new().await;
    let change = |campaign: &mut Campaign| campaign.policy.on_unconfirmed = OnUnconfirmed::Resend;
    let id = import_and_lose_batches(&env, 1, change).await;
    claim_row(&env, &id, 1, 30 * MINUTE_MS).await;
    record_outcome(&env, &id, 1, Transition::MarkUnconfirmed).await;
    assert!(env.ledger.schedule_resend(&id, 1, 1).await.unwrap());
    let update = StatusUpdate {
        wamid: "wamid.1".into(),
        sent_at: Some(1),
        ..StatusUpdate::default()
    };
    assert!(env.ledger.apply_status(&id, 1, 1, &update).await.unwrap());
    let row = env.ledger_row(&id, 1).await;
    assert_eq!((row.state, row.was_unconfirmed), (State::Accepted, false));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn acceptance_that_is_recorded_late_settles_an_unconfirmed_row() {
    let env = TestEnv::new().await;
    let id = env.create_campaign(CampaignState::Sending).await.id;
    let acceptance = Acceptance {
        wamid: "wamid.1".into(),
        wa_id: None,
        user_id: None,
        message_status: None,
    };
    for (row, is_resent) in [(1, false), (2, true)] {
        claim_row(&env, &id, row, 30 * MINUTE_MS).await;
        record_outcome(&env, &id, row, Transition::MarkUnconfirmed).await;
        if is_resent {
            assert!(env.ledger.schedule_resend(&id, row, 1).await.unwrap());
        }
        let recorded = env.ledger.record_acceptance(&id, row, 1, &acceptance);
        assert!(recorded.await.unwrap(), "row {row}");
        let settled = env.ledger_row(&id, row).await;
        let shown = (settled.state, settled.was_unconfirmed);
        assert_eq!(shown, (State::Accepted, false), "row {row}");
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn long_retry_waits_in_the_ledger_and_is_requeued_when_due() {
    let env = TestEnv::new().await;
    let id = import_and_lose_batches(&env, 2, |_| {}).await;
    let tomorrow = cloud::now() + 24 * 60 * MINUTE_MS;
    for (row, due_at) in [(1, tomorrow), (2, cloud::now() - 1)] {
        claim_row(&env, &id, row, 0).await;
        let error = ErrorInfo::transport("a test");
        let retry = env.ledger.schedule_retry(&id, row, 1, due_at, &error);
        assert!(retry.await.unwrap());
    }
    env.recount_ledger(&id).await;
    let requeued = reconcile(&env, 5 * MINUTE_MS).await.requeued;
    assert_eq!(requeued, 1, "the one that is due");
    env.run_queued_imports().await;
    env.send_all().await;
    assert_eq!(env.row_state(&id, 1).await, State::Retry);
    assert_eq!(env.row_state(&id, 2).await, State::Accepted);
    env.recount_ledger(&id).await;
    assert_eq!(reconcile(&env, 60 * MINUTE_MS).await.requeued, 0);
    let stats = reconcile(&env, 25 * 60 * MINUTE_MS).await;
    assert_eq!((stats.requeued, stats.closed), (1, 0));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn expired_campaign_is_settled_even_while_paused() {
    let env = TestEnv::new().await;
    let end = cloud::now() + 3000;
    let change = |campaign: &mut Campaign| campaign.schedule.not_after = Some(end);
    let id = import_and_lose_batches(&env, 10, change).await;
    assert!(env.campaigns.pause(&id, "a test").await.unwrap());
    claim_row(&env, &id, 1, 30 * MINUTE_MS).await;
    record_outcome(&env, &id, 1, Transition::Hold).await;
    while !env.load_campaign(&id).await.has_ended(cloud::now()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(reconcile(&env, 5 * MINUTE_MS).await.requeued, 1);
    env.run_queued_imports().await;
    assert_eq!(env.row_states(&id).await, [(State::Skipped, 10)]);
    env.recount_ledger(&id).await;
    assert_eq!(reconcile(&env, 10 * MINUTE_MS).await.closed, 1);
    assert_eq!(env.simulator.state.stats().calls, 0);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn missed_schedule_is_repaired() {
    let env = TestEnv::new().await;
    let in_an_hour = cloud::now() + 60 * MINUTE_MS;
    let change = |campaign: &mut Campaign| campaign.schedule.not_before = Some(in_an_hour);
    let id = import_and_lose_batches(&env, 3, change).await;
    assert_eq!(env.campaign_state(&id).await, CampaignState::Scheduled);
    assert_eq!(reconcile(&env, 0).await.imports_resumed, 0);
    let a_minute_ago = cloud::now() - MINUTE_MS;
    set_not_before(&env, &id, a_minute_ago).await;
    assert_eq!(reconcile(&env, 3 * MINUTE_MS).await.imports_resumed, 1);
    env.run_queued_imports().await;
    assert_eq!(env.campaign_state(&id).await, CampaignState::Sending);
}

/// Moves a campaign's schedule, as if time had passed.
async fn set_not_before(env: &TestEnv, id: &CampaignId, not_before: Millis) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let update = env.aws.dynamodb.update_item();
    let update = update
        .table_name(env.table("CampaignsTable"))
        .key("id", text(id.as_str()))
        .key("part", text("campaign"))
        .update_expression("SET schedule.not_before = :not_before")
        .expression_attribute_values(":not_before", AttributeValue::N(not_before.to_string()));
    update.send().await.unwrap();
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn import_whose_splitter_died_is_resumed() {
    let env = TestEnv::new().await;
    let id = import_and_lose_batches(&env, 3, |campaign| campaign.manual_start = true).await;
    // It died between the validation and the enqueuing.
    assert_eq!(
        env.load_campaign(&id).await.files[0].stage,
        FileStage::Validated
    );
    env.apply(&id, Event::Start).await;
    assert_eq!(reconcile(&env, 5 * MINUTE_MS).await.imports_resumed, 1);
    env.run_queued_imports().await;
    assert_eq!(env.campaign_state(&id).await, CampaignState::Sending);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn dead_letters_are_requeued_and_repeated_ones_pause_their_campaign() {
    let env = TestEnv::new().await;
    let change = |campaign: &mut Campaign| {
        set_state(campaign, CampaignState::Sending);
        (
            campaign.files[0].counts.rows,
            campaign.files[0].counts.enqueued,
        ) = (7, 7);
    };
    let id = env.create_campaign_with(change).await.id;
    let row = batch_row(7, "+34610000001");
    let batches = [Batch {
        campaign: id.clone(),
        rows: vec![row],
        hops: 0,
    }];
    for time in 1..=3 {
        env.dead_letter_queue
            .enqueue(&batches, Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(reconcile(&env, 0).await.dead_letters, 1);
        let requeued = if time < 3 { 1 } else { 0 };
        assert_eq!(env.drain_batches().await.len(), requeued, "time {time}");
        assert!(env.dead_letter_queue.is_empty().await.unwrap());
    }
    let campaign = env.load_campaign(&id).await;
    assert_eq!(campaign.state(cloud::now()), CampaignState::Paused);
    assert!(campaign.reason(cloud::now()).unwrap().contains("failed 3"));
}

/// A campaign of 50 rows whose five canary rows were accepted, but for the first `rejected`.
async fn settle_canary(env: &TestEnv, rejected: u32) -> CampaignId {
    let canary = Canary {
        rows: 5,
        after: AfterCanary::ContinueIfClean,
        released: false,
        enqueued: None,
    };
    let change = |campaign: &mut Campaign| campaign.canary = Some(canary);
    let id = import_and_lose_batches(env, 50, change).await;
    for index in 1..=5 {
        let is_rejected = index <= rejected;
        let transition = if is_rejected {
            Transition::Reject
        } else {
            Transition::Accept
        };
        claim_row(env, &id, index * 10, 0).await;
        record_outcome(env, &id, index * 10, transition).await;
    }
    env.recount_ledger(&id).await;
    id
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn clean_canary_continues_and_a_failed_one_pauses() {
    let env = TestEnv::new().await;
    for (rejected, resumed, expected) in [
        (0, 1, (CampaignState::Sending, 45)),
        (2, 0, (CampaignState::Paused, 0)),
    ] {
        let id = settle_canary(&env, rejected).await;
        let early = reconcile(&env, MINUTE_MS).await.imports_resumed;
        assert_eq!(early, 0, "callbacks may still come");
        let later = reconcile(&env, 5 * MINUTE_MS).await.imports_resumed;
        assert_eq!(later, resumed);
        env.run_queued_imports().await;
        let batches = env.drain_batches().await.into_iter();
        let of_campaign = batches.filter(|queued| queued.batch.campaign == id);
        let rows: usize = of_campaign.map(|queued| queued.batch.rows.len()).sum();
        assert_eq!((env.campaign_state(&id).await, rows), expected);
    }
}
