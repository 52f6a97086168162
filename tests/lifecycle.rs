//! Nothing of a campaign is forgotten, and nothing is sent that nobody started: each test is a way in which that once happened.

use aws_sdk_dynamodb::types::AttributeValue;
use campaign::delivery::batch::Row;
use campaign::delivery::ledger::State;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, CampaignState, FileStage, ImportOptions};
use campaign::lifecycle::event::{Conflict, Event, FileChange};
use campaign::message::Message;
use campaign::time::Millis;
use cloud::campaigns::Lease;
use cloud::files::Upload;
use reconciler::ReconcileStats;
use serde_json::{Value, json};

use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_has, assert_says};
use crate::harness::meta::{MetaClient, text_body};
use crate::harness::{TestEnv, phone, recipients_csv};

const MINUTE_MS: Millis = 60_000;
const DAY_MS: Millis = 24 * 60 * MINUTE_MS;

async fn reconcile(env: &TestEnv, later: Millis) -> ReconcileStats {
    let now = cloud::now() + later;
    let stats = env.reconciler().run(now, now + 10 * MINUTE_MS).await;
    stats.unwrap()
}

async fn is_visited(env: &TestEnv, id: &CampaignId) -> bool {
    env.campaigns.list_open_ids().await.unwrap().contains(id)
}

/// When DynamoDB deletes the campaign, in days from now; `None` if it does not.
async fn days_to_live(env: &TestEnv, table: &str, key: [(&str, AttributeValue); 2]) -> Option<i64> {
    let get = env.aws.dynamodb.get_item().table_name(env.table(table));
    let get = get.set_key(Some(key.map(|(name, value)| (name.into(), value)).into()));
    let item = get.send().await.unwrap().item.expect("an item");
    let expires_at: Millis = item.get("expires_at")?.as_n().unwrap().parse().unwrap();
    Some((expires_at as i64 - cloud::now() as i64 / 1000) / 86_400)
}

fn campaign_key(id: &CampaignId) -> [(&'static str, AttributeValue); 2] {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    [("id", text(id.as_str())), ("part", text("campaign"))]
}

async fn command(api: &ApiClient, id: &CampaignId, name: &str) -> Value {
    let path = format!("/v1/campaigns/{id}/{name}");
    api.post(&path, Value::Null).await.expect(200)
}

/// A campaign whose file of three rows was sent, and which the reconciler visits no more.
async fn finish_campaign(env: &TestEnv) -> CampaignId {
    let id = env.import_campaign(3, |_| {}).await.id;
    env.send_all().await;
    env.recount_ledger(&id).await;
    assert_eq!(reconcile(env, 5 * MINUTE_MS).await.closed, 1);
    assert!(!is_visited(env, &id).await);
    id
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn further_file_of_a_finished_campaign_is_read_although_its_event_is_lost() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = finish_campaign(&env).await;
    let file = "phone,name\n+34620000001,Bo\n";
    let info = json!({"name": "b.csv", "size": file.len()});
    let path = format!("/v1/campaigns/{id}/files");
    api.post(&path, info).await.expect(201);
    assert!(is_visited(&env, &id).await);
    env.upload_to(&id, Upload::File(1), file.as_bytes()).await;
    assert_eq!(reconcile(&env, MINUTE_MS).await.closed, 0, "it may come");
    let stats = reconcile(&env, 15 * MINUTE_MS).await;
    assert_eq!((stats.imports_resumed, stats.closed), (1, 0));
    env.run_queued_imports().await;
    env.send_all().await;
    assert_eq!(env.row_states(&id).await, [(State::Accepted, 4)]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn failed_file_that_is_read_again_is_visited_again() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    let file = b"name,order id\nAna,+34612345678\n";
    env.import_file(&id, file).await;
    assert_eq!(reconcile(&env, MINUTE_MS).await.closed, 1);
    let options = json!({"options": {"phone_columns": ["order id"]}});
    let path = format!("/v1/campaigns/{id}/preview");
    api.post(&path, options).await.expect(202);
    env.lose_import_job().await;
    let stats = reconcile(&env, 5 * MINUTE_MS).await;
    assert_eq!(stats.imports_resumed, 1, "the job was lost");
    env.run_queued_imports().await;
    env.send_all().await;
    assert_eq!(env.row_states(&id).await, [(State::Accepted, 1)]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn pause_and_resume_before_the_start_start_nothing() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let change = |campaign: &mut Campaign| {
        campaign.manual_start = true;
        campaign.files[0].stage = FileStage::Reading;
    };
    let id = env.create_campaign_with(change).await.id;
    let event = env.upload_file(&id, recipients_csv(5).as_bytes()).await;
    command(&api, &id, "pause").await;
    env.run_import(event).await;
    assert_eq!(command(&api, &id, "resume").await["state"], "ready");
    env.run_queued_imports().await;
    assert!(env.drain_batches().await.is_empty());
    command(&api, &id, "start").await;
    env.run_queued_imports().await;
    env.send_all().await;
    assert_eq!(env.row_states(&id).await, [(State::Accepted, 5)]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn retention_deletes_nothing_that_may_still_be_sent() {
    let env = TestEnv::new().await;
    let end = cloud::now() + 4000;
    let id = env
        .import_campaign(3, |campaign| campaign.sendable_until = end)
        .await
        .id;
    let mut batches = env.drain_batches().await;
    batches.truncate(1);
    env.enqueue_batches(batches).await;
    env.deliver_next(&env.sender()).await;
    assert!(env.campaigns.pause(&id, "a test").await.unwrap());
    assert_eq!(
        days_to_live(&env, "CampaignsTable", campaign_key(&id)).await,
        None
    );
    while cloud::now() < end {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // Whatever the operator does now, nothing is sent: what is known of the rows may soon expire.
    let api = ApiClient::new(&env);
    command(&api, &id, "resume").await;
    env.run_queued_imports().await;
    env.send_all().await;
    let states = env.row_states(&id).await;
    let skipped = states.iter().find(|(state, _)| *state == State::Skipped);
    assert!(skipped.is_some(), "{states:?}");
    assert_eq!(states.iter().map(|(_, rows)| rows).sum::<usize>(), 3);
    env.recount_ledger(&id).await;
    assert_eq!(reconcile(&env, 5 * MINUTE_MS).await.closed, 1);
    let campaign_days = days_to_live(&env, "CampaignsTable", campaign_key(&id)).await;
    let row = env.ledger_row(&id, 1).await;
    let text = |text: String| AttributeValue::S(text);
    let key = [
        ("partition_key", text(format!("{id}#0"))),
        ("row", text(row.row)),
    ];
    let row_days = days_to_live(&env, "MessagesTable", key).await;
    assert!(
        row_days.unwrap() >= campaign_days.unwrap() + 29,
        "{row_days:?} {campaign_days:?}"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn options_that_change_while_the_file_is_read_are_those_of_every_pass() {
    let env = TestEnv::new().await;
    let change = |campaign: &mut Campaign| campaign.manual_start = true;
    let id = env.create_campaign_with(change).await.id;
    let file = b"phone,mobile,name\n+34610000001,+34620000001,Ana\n";
    let event = env.upload_file(&id, file).await;
    let lease = env
        .campaigns
        .acquire_lease(&id, "an import", cloud::now(), 0);
    let Lease::Acquired(mut reading) = lease.await.unwrap() else {
        panic!("no lease");
    };
    let reads = env
        .campaigns
        .change_file(&mut reading, 0, FileChange::Reading);
    assert_eq!(reads.await.unwrap(), Ok(()));
    let options = ImportOptions {
        phone_columns: vec!["mobile".into()],
        ..ImportOptions::default()
    };
    env.apply(&id, Event::SetOptions(options)).await;
    let counts = reading.files[0].counts;
    let validated = FileChange::Validated {
        counts,
        content_hash: String::new(),
        chunk_set: 1,
    };
    let stored = env.campaigns.change_file(&mut reading, 0, validated).await;
    assert_eq!(stored.unwrap(), Err(Conflict::Superseded));
    env.campaigns.release_lease(&id, "an import").await.unwrap();
    env.run_import(event).await;
    env.apply(&id, Event::Start).await;
    reconcile(&env, 5 * MINUTE_MS).await;
    env.run_queued_imports().await;
    assert_eq!(
        env.drain_recipients().await,
        [(1, "+34620000001".to_owned())]
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn rows_of_a_file_that_failed_do_not_keep_a_campaign_open() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let change = |campaign: &mut Campaign| campaign.manual_start = true;
    let id = env.import_campaign(7, change).await.id;
    let options = json!({"options": {"phone_columns": ["nothing"]}});
    let path = format!("/v1/campaigns/{id}");
    let preview = format!("{path}/preview");
    api.post(&preview, options).await.expect(202);
    env.run_queued_imports().await;
    assert_eq!(env.campaign_state(&id).await, CampaignState::Failed);
    let file = "nothing,name\n+34620000001,Bo\n";
    let info = json!({"name": "b.csv", "size": file.len()});
    api.post(&format!("{path}/files"), info).await.expect(201);
    let event = env.upload_to(&id, Upload::File(1), file.as_bytes()).await;
    env.run_import(event).await;
    command(&api, &id, "start").await;
    env.run_queued_imports().await;
    env.send_all().await;
    env.recount_ledger(&id).await;
    let seen = api.get(&path).await.expect(200);
    assert_eq!(seen["state"], "finished", "{seen}");
    assert_has(
        &seen["rows"],
        &json!({"total": 1, "accepted": 1, "balanced": true}),
    );
    assert_eq!(reconcile(&env, 5 * MINUTE_MS).await.closed, 1);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn reply_whose_message_was_lost_is_sent_and_one_that_nobody_wants_any_more_is_not() {
    let env = TestEnv::new().await;
    let reply = |id: &str, to: &str, now| {
        let row = Row {
            row: 1,
            to: phone(to),
            values: Vec::new(),
        };
        let message = Message::new(json!({"type": "text", "text": {"body": "9 to 5"}})).unwrap();
        Campaign::single_row(id.parse().unwrap(), "Reply".into(), message, row, now)
    };
    let asks = text_body("34610000001", "wamid.q", "when?");
    MetaClient::new(&env).post(&asks).await;
    let lost = reply("reply-1", "+34610000001", cloud::now());
    let late = reply("reply-2", "+34610000002", cloud::now() - DAY_MS);
    for campaign in [&lost, &late] {
        env.campaigns.create_single(campaign).await.unwrap();
    }
    // The webhook died before it put them into the urgent queue.
    assert_eq!(reconcile(&env, 5 * MINUTE_MS).await.requeued, 2);
    env.run_queued_imports().await;
    env.send_all().await;
    for (campaign, state) in [(&lost, State::Accepted), (&late, State::Skipped)] {
        assert_eq!(env.row_state(&campaign.id, 1).await, state);
        env.recount_ledger(&campaign.id).await;
    }
    assert_eq!(reconcile(&env, 10 * MINUTE_MS).await.closed, 2);
    let settled = env.load_campaign(&lost.id).await;
    assert_eq!(settled.single_row, None, "nothing of its recipient stays");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn cancelled_campaign_whose_file_is_gone_is_closed() {
    let env = TestEnv::new().await;
    let id = env.import_campaign(5, |_| {}).await.id;
    let mut batches = env.drain_batches().await;
    batches.truncate(1);
    env.enqueue_batches(batches).await;
    env.deliver_next(&env.sender()).await;
    env.delete_recipients(&id).await;

    // A campaign that still sends says so, and waits.
    env.requeue(&id).await;
    let paused = env.load_campaign(&id).await;
    assert_eq!(paused.state(cloud::now()), CampaignState::Paused);
    assert_says(
        paused.reason(cloud::now()).unwrap(),
        &["does not exist any more"],
    );
    env.apply(&id, Event::Cancel).await;
    env.requeue(&id).await;
    assert!(env.load_campaign(&id).await.has_lost_file());
    env.recount_ledger(&id).await;
    assert_eq!(reconcile(&env, 5 * MINUTE_MS).await.closed, 1);
}
