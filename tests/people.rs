//! People beyond one campaign: opt-outs in and out, everything of one person as a file, conversations and replies.

use campaign::contacts::contact::{ConsentEvent, ConsentSource};
use campaign::id::CampaignId;
use cloud::contacts::ContactKey;
use serde_json::{Value, json};

use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_has, assert_says, list, text};
use crate::harness::meta::{MetaClient, message_body};
use crate::harness::{TestEnv, phone};

const MESSAGES: &str = "/v1/contacts/5511987654321/messages";

/// A text that a recipient writes now.
async fn receive_text(meta: &MetaClient, wamid: &str, from: &str, body: &str) {
    let fields = json!({"text": {"body": body}});
    let seconds = cloud::now() / 1000;
    meta.post(&message_body(from, wamid, seconds, fields)).await;
}

fn reply(request_id: &str, body: &str) -> Value {
    json!({"request_id": request_id, "message": {"type": "text", "text": {"body": body}}})
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn opt_outs_come_in_and_go_out_in_bulk() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    api.put("/v1/contacts/5511987654320", json!({"suppressed": true}))
        .await
        .expect(200);
    let mut phones: Vec<String> = (0..300)
        .map(|row| format!("+55119876540{row:02}"))
        .collect();
    phones.truncate(100);
    phones.push("+55 11 98765-4320".into());
    phones.push("n/a".into());
    let body = json!({"phones": phones, "reason": "old list"});
    let result = api.post("/v1/opt-outs", body).await.expect(200);
    assert_has(&result, &json!({"suppressed": 100, "already": 1}));
    assert_eq!(result["rejected"][0]["index"], 101);
    let (mut lines, mut after) = (Vec::new(), String::new());
    loop {
        let file = api.get(&format!("/v1/opt-outs.csv{after}")).await;
        assert_eq!(file.status, 200);
        lines.extend(file.text.lines().skip(1).map(str::to_owned));
        match file.next {
            Some(next) => after = format!("?after={next}"),
            None => break,
        }
    }
    lines.sort();
    assert_eq!(lines.len(), 101);
    assert!(lines[0].starts_with("+5511987654000,") && lines[0].ends_with(",operator,old list"));
    let none = json!({"phones": []});
    assert_eq!(
        api.post("/v1/opt-outs", none).await.expect(422)["field"],
        "/phones"
    );
}

/// An operator answers, with a request that is repeated.
async fn answer_once(env: &TestEnv, api: &ApiClient) {
    let answer = reply("11111111-0000", "Yes, we are");
    let sent = api.post(MESSAGES, answer.clone()).await.expect(202);
    let again = api.post(MESSAGES, answer).await.expect(202);
    assert_eq!(again["id"], sent["id"], "sent once");
    env.send_all().await;
    let calls = env.simulator.state.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn conversation_has_both_directions_and_its_window() {
    let env = TestEnv::new().await;
    let (api, meta) = (ApiClient::new(&env), MetaClient::new(&env));
    receive_text(&meta, "wamid.A1", "5511987654321", "Hello").await;
    receive_text(&meta, "wamid.B1", "5511987654322", "Is it open?").await;
    receive_text(&meta, "wamid.A2", "5511987654321", "Anybody?").await;
    let listed = api.get("/v1/conversations").await.expect(200);
    let latest: Vec<&str> = list(&listed["conversations"])
        .iter()
        .map(|conversation| text(&conversation["last_message"]["text"]))
        .collect();
    assert_eq!(latest, ["Anybody?", "Is it open?"]);
    assert_has(
        &listed["conversations"][0],
        &json!({"phone": "+5511987654321", "suppressed": false}),
    );
    assert!(listed["conversations"][0]["service_window_until"].is_string());
    let first = api.get("/v1/conversations?limit=1").await.expect(200);
    let next = format!("/v1/conversations?limit=1&after={}", text(&first["next"]));
    let second = api.get(&next).await.expect(200);
    assert_eq!(
        second["conversations"][0]["last_message"]["text"],
        "Is it open?"
    );

    answer_once(&env, &api).await;
    let messages = api.get(MESSAGES).await.expect(200);
    let shown: Vec<(&str, &str)> = list(&messages["messages"])
        .iter()
        .map(|message| (text(&message["direction"]), text(&message["text"])))
        .collect();
    assert_eq!(
        shown,
        [("out", "Yes, we are"), ("in", "Anybody?"), ("in", "Hello")]
    );
    assert_has(
        &messages["messages"][0],
        &json!({"by": "ops", "state": "accepted"}),
    );

    let file = api
        .get("/v1/contacts/5511987654321/export")
        .await
        .expect(200);
    assert_eq!(list(&file["messages"]).len(), 3);
    assert_eq!(file["contact"]["phone"], "+5511987654321");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn reply_needs_an_open_window_and_no_opt_out() {
    let env = TestEnv::new().await;
    let (api, meta) = (ApiClient::new(&env), MetaClient::new(&env));
    let path = "/v1/contacts/5511987654321/messages";
    api.post(path, reply("11111111", "Hi")).await.expect(404);
    env.import_campaign(1, |_| {}).await;
    env.send_all().await;
    let contacts = api.get("/v1/contacts/5511987654321").await;
    if contacts.status == 200 {
        let closed = api.post(path, reply("11111111", "Hi")).await.expect(409);
        assert_eq!(closed["title"], "outside the service window");
    }
    receive_text(&meta, "wamid.A1", "5511987654321", "STOP").await;
    let refused = api.post(path, reply("11111112", "Hi")).await.expect(409);
    assert_eq!(refused["title"], "suppressed");
    assert_says(text(&refused["detail"]), &["must not be messaged"]);
    let short = api.post(path, reply("1", "Hi")).await.expect(422);
    assert_eq!(short["field"], "/request_id");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn operator_decides_last_although_the_api_has_a_slow_clock() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let key = ContactKey::Phone(phone("+5511987654321"));
    let consented = ConsentEvent {
        at: cloud::now() + 60_000,
        suppressed: false,
        source: ConsentSource::Text,
        text: Some("START".into()),
    };
    env.contacts.record_consent(&key, consented).await.unwrap();
    let contact = "/v1/contacts/5511987654321";
    for suppressed in [true, false] {
        let seen = api.put(contact, json!({"suppressed": suppressed})).await;
        assert_eq!(seen.expect(200)["suppressed"], suppressed);
    }
    let body = json!({"phones": ["+5511987654321"]});
    let done = api.post("/v1/opt-outs", body).await.expect(200);
    assert_eq!(done["suppressed"], 1);
    assert_eq!(api.get(contact).await.expect(200)["suppressed"], true);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn row_has_its_history() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let campaign = env.import_campaign(1, |_| {}).await;
    env.send_all().await;
    let path = format!("/v1/campaigns/{}/rows", campaign.id);
    let row = api.get(&format!("{path}/1")).await.expect(200);
    assert_has(&row, &json!({"row": 1, "state": "accepted"}));
    assert_has(
        &row["events"][0],
        &json!({"event": "attempted", "attempt": 1, "outcome": "accepted"}),
    );
    api.get(&format!("{path}/7")).await.expect(404);
    api.get(&format!("{path}/x")).await.expect(400);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn person_is_found_in_whichever_campaign_messaged_them() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let first = env.create_campaign_with(|_| {}).await.id;
    env.import_file(
        &first,
        b"phone,name\n+5511987654321,Ana\n+5511987654321,Ana\n+34612345678,Bo\n",
    )
    .await;
    env.send_all().await;
    let later = env.create_campaign_with(|_| {}).await.id;
    env.import_file(&later, b"phone,name\n+5511987654321,Ana\n")
        .await;
    env.send_all().await;
    let rows_of = async |id: &CampaignId, phone: &str| {
        let path = format!("/v1/campaigns/{id}/recipients/{phone}");
        api.get(&path).await.expect(200)["rows"].clone()
    };
    let rows = rows_of(&first, "5511987654321").await;
    assert_has(
        &rows[0],
        &json!({"row": 1, "history": {"row": 1, "state": "accepted"}}),
    );
    assert_has(&rows[1], &json!({"row": 2, "history": null}));
    assert_eq!(list(&rows).len(), 2);
    assert_eq!(rows_of(&first, "34612345678").await[0]["row"], 3);
    assert_eq!(rows_of(&later, "34612345678").await, json!([]));
    let path = format!("/v1/campaigns/{first}/recipients/12");
    api.get(&path).await.expect(422);
}
