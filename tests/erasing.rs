//! Erasure: only a hash of a recipient is left, and no other recipient is touched.

use campaign::id::CampaignId;
use campaign::import::phone::Phone;
use campaign::lifecycle::campaign::FileInfo;
use campaign::lifecycle::event::Event;
use cloud::campaigns::Lease;
use cloud::files::Upload;
use serde_json::{Value, json};

use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_has, assert_says, text};
use crate::harness::meta::{MetaClient, change_body, row_status, statuses_body};
use crate::harness::{TestEnv, phone};

/// The recipient to erase is in rows 2 and 5; row 3 is rejected.
const FILE: &[u8] = b"phone,name\r\n+34610000001,Ana\r\n+34 610 000 002,Secret Person\r\n12,Nobody\r\n+34610000003,Cleo\r\n+34610000002,Secret Person\r\n";

const EXCLUDE_LIST: &[u8] = b"+34 610 999 999\n+34610888888\n";

const CONTACT: &str = "/v1/contacts/34610000002";

fn subject() -> Phone {
    phone("+34610000002")
}

/// A campaign that was sent, with a status and an answer of the recipient, and a report of it.
async fn send_campaign(env: &TestEnv, api: &ApiClient) -> CampaignId {
    env.configure_simulator(json!({"user_ids": true}));
    let exclude = FileInfo {
        name: "out.csv".into(),
        size: 1,
    };
    let campaign = env
        .create_campaign_with(|campaign| campaign.exclude = Some(exclude))
        .await;
    let id = campaign.id;
    env.upload_to(&id, Upload::Exclusions, EXCLUDE_LIST).await;
    env.import_file(&id, FILE).await;
    env.send_all().await;
    post_callbacks_of_the_subject(env, &id).await;
    api.post(&format!("/v1/campaigns/{id}/report"), Value::Null)
        .await
        .expect(202);
    env.run_next_job().await;
    id
}

async fn post_callbacks_of_the_subject(env: &TestEnv, id: &CampaignId) {
    let meta = MetaClient::new(env);
    let mut sent = row_status(id, 2, "sent", 10);
    sent["id"] = json!(env.ledger_row(id, 2).await.wamid.unwrap());
    sent["recipient_id"] = json!("34610000002");
    meta.post(&statuses_body(&[sent])).await;
    let message = json!({"from": "34610000002", "id": "wamid.in", "timestamp": "1790000000", "type": "text",
        "text": {"body": "my secret"}});
    let contact = json!({"profile": {"name": "Secret Person"}, "wa_id": "34610000002", "user_id": "XX.34610000002"});
    let value = json!({"contacts": [contact], "messages": [message]});
    meta.post(&change_body("messages", value)).await;
}

/// Closes the campaign as the reconciler does once it is finished.
async fn close_campaign(env: &TestEnv, id: &CampaignId) {
    env.recount_ledger(id).await;
    let now = cloud::now();
    env.reconciler()
        .run(now + 300_000, now + 900_000)
        .await
        .unwrap();
    assert!(env.load_campaign(id).await.is_closed());
}

/// How many jobs a run of the reconciler, now, puts back into their queues.
async fn wake_jobs(env: &TestEnv) -> usize {
    let now = cloud::now();
    let stats = env.reconciler().run(now, now + 900_000).await;
    stats.unwrap().jobs_woken
}

/// A campaign that was sent and closed, and whose recipient was erased then.
async fn erase_after_campaign(env: &TestEnv, api: &ApiClient) -> CampaignId {
    let id = send_campaign(env, api).await;
    close_campaign(env, &id).await;
    api.delete(CONTACT).await.expect(202);
    assert!(env.run_next_erasure().await);
    id
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn erasure_suppresses_at_once_and_waits_for_open_campaigns() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = send_campaign(&env, &api).await;
    let requested = api.delete(CONTACT).await.expect(202);
    assert_has(
        &requested,
        &json!({"suppressed": true, "erasure": "requested"}),
    );
    // The campaign is not closed yet: rows are identified by their place in the file.
    assert!(!env.run_next_erasure().await);
    let waiting = api.get(CONTACT).await.expect(200);
    assert_says(text(&waiting["erasure"]), &["waits until"]);
    // It waits in the table: nothing circles in the queue, and nothing wakes it while the campaign is open.
    assert_eq!(wake_jobs(&env).await, 0);
    assert!(!env.has_erasure().await);
    assert_eq!(env.waiting_jobs().list(&id).await.unwrap().len(), 1);

    close_campaign(&env, &id).await;
    assert!(env.run_next_erasure().await);
    assert_eq!(wake_jobs(&env).await, 0);
    let dump = env.dump().await;
    assert!(!dump.contains("610000002"), "{dump}");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn erasure_waits_for_an_upload_that_was_not_read_yet() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = env.create_campaign_with(|_| {}).await.id;
    env.upload_to(&id, Upload::File(0), FILE).await;
    api.delete(CONTACT).await.expect(202);
    assert!(!env.run_next_erasure().await);
    assert_eq!(env.waiting_jobs().list(&id).await.unwrap().len(), 1);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn erasure_waits_while_another_one_changes_the_same_files() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = send_campaign(&env, &api).await;
    close_campaign(&env, &id).await;
    let lease = env.campaigns.acquire_lease(&id, "another", cloud::now(), 0);
    assert!(matches!(lease.await.unwrap(), Lease::Acquired(_)));
    api.delete(CONTACT).await.expect(202);
    assert!(!env.run_next_erasure().await);

    env.campaigns.release_lease(&id, "another").await.unwrap();
    assert_eq!(wake_jobs(&env).await, 1);
    assert!(env.run_next_erasure().await);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn erasure_is_woken_even_if_the_reconciler_died_after_it_closed_the_campaign() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = send_campaign(&env, &api).await;
    api.delete(CONTACT).await.expect(202);
    assert!(!env.run_next_erasure().await);
    env.apply(&id, Event::Close).await;

    assert_eq!(wake_jobs(&env).await, 1);
    assert_eq!(wake_jobs(&env).await, 0, "it was woken once");
    assert!(env.run_next_erasure().await);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn erasure_leaves_only_a_hash_and_touches_no_other_recipient() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    erase_after_campaign(&env, &api).await;
    let dump = env.dump().await;
    for trace in ["610000002", "610 000 002", "Secret Person", "my secret"] {
        let lines: Vec<&str> = dump.lines().filter(|line| line.contains(trace)).collect();
        assert!(lines.is_empty(), "{trace}: {lines:?}");
    }
    for other in ["34610000001", "Cleo", "610 999 999", "34610888888"] {
        assert!(dump.contains(other), "{other} was erased, too");
    }
    let contact = env.contact(subject()).await;
    assert!(contact.suppressed && contact.phone.is_none());
    let shown = api.get(CONTACT).await.expect(200);
    assert_eq!(shown["erasure"], "done");
    assert_eq!(shown["consent"][0]["source"], "erasure");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn erasure_finds_a_number_in_a_column_that_no_message_went_to() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let file = "name,phone,second phone\nSecret Person,+34610000001,+34 610 000 002\nCleo,+34610000003,+34610000004\n";
    let id = env.create_campaign_with(|_| {}).await.id;
    env.import_file(&id, file.as_bytes()).await;
    env.send_all().await;
    assert_eq!(env.simulator.state.calls()[0].to, "+34610000001");
    close_campaign(&env, &id).await;
    api.delete(CONTACT).await.expect(202);
    assert!(env.run_next_erasure().await);
    let dump = env.dump().await;
    for trace in ["610000002", "610 000 002", "Secret Person"] {
        let lines: Vec<&str> = dump.lines().filter(|line| line.contains(trace)).collect();
        assert!(lines.is_empty(), "{trace}: {lines:?}");
    }
    assert!(dump.contains("34610000004") && dump.contains("Cleo"));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn preview_goes_with_a_file_that_goes_as_a_whole() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let created = env
        .create_campaign_with(|campaign| campaign.manual_start = true)
        .await;
    let id = created.id;
    env.import_file(&id, FILE).await;
    // Read in another way, the file cannot be used; the preview still shows the first reading.
    let options = json!({"options": {"delimiter": ";"}});
    let path = format!("/v1/campaigns/{id}/preview");
    api.post(&path, options).await.expect(202);
    env.run_queued_imports().await;
    close_campaign(&env, &id).await;
    assert!(env.dump().await.contains("Secret Person"));
    // The first erasure deletes the file. Of those who are erased later, nothing finds what it has left.
    for contact in ["/v1/contacts/34610000003", CONTACT] {
        api.delete(contact).await.expect(202);
        assert!(env.run_next_erasure().await);
    }
    assert!(!env.dump().await.contains("Secret Person"));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn erased_rows_keep_their_place_and_counters_balance() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = erase_after_campaign(&env, &api).await;
    let campaign = api.get(&format!("/v1/campaigns/{id}")).await.expect(200);
    assert_has(
        &campaign,
        &json!({"rows": {"balanced": true, "accepted": 3}}),
    );
    let report = format!("/v1/campaigns/{id}/report");
    api.post(&report, Value::Null).await.expect(202);
    env.run_next_job().await;
    let shown = api.get(&report).await.expect(200);
    let file = env.download_text(&shown["files"][0]["url"]).await;
    let lines: Vec<&str> = file.trim_start_matches('\u{feff}').lines().collect();
    assert!(lines[2].starts_with("erased,,2,sent"), "{file}");
    assert!(
        lines[4].starts_with("+34610000003,Cleo,4,accepted"),
        "{file}"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn erased_recipient_is_suppressed_in_later_campaigns() {
    let env = TestEnv::new().await;
    erase_after_campaign(&env, &ApiClient::new(&env)).await;
    let later = env.create_campaign_with(|_| {}).await;
    let file = b"phone,name\n+34610000002,Again\n+34610000009,New\n";
    env.import_file(&later.id, file).await;
    assert_eq!(
        env.load_campaign(&later.id)
            .await
            .import_counts()
            .suppressed,
        1
    );
}
