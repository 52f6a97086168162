//! What the console needs of a campaign: the list, the page, edits before the start, the approval of a second person.

use campaign::lifecycle::campaign::CampaignState;
use serde_json::{Value, json};

use crate::harness::api_client::{ApiClient, ApiReply};
use crate::harness::json::{assert_has, assert_says, list, text};
use crate::harness::{API_TOKEN, TestEnv};

async fn create_token(api: &ApiClient, name: &str, role: &str) -> String {
    let body = json!({"name": name, "role": role});
    let created = api.post("/v1/tokens", body).await.expect(201);
    text(&created["token"]).to_owned()
}

async fn send_as(api: &ApiClient, token: &str, method: &str, path: &str, body: Value) -> ApiReply {
    let bytes = body.to_string().into_bytes();
    api.request(method, path, Some(token), bytes).await
}

/// A campaign that waits for its start, created by the owner of a token.
async fn create_draft(env: &TestEnv, api: &ApiClient, token: &str) -> String {
    let file = "Name,Phone\nAna,+5511987654321\nBob,+5511987654322\n";
    let body = json!({
        "name": "November offer", "manual_start": true, "check_template": false,
        "message": {"type": "text", "text": {"body": "Hi {{Name}}"}},
        "file": {"name": "a.csv", "size": file.len()},
    });
    let created = send_as(api, token, "POST", "/v1/campaigns", body)
        .await
        .expect(201);
    let id = text(&created["id"]).to_owned();
    env.import_file(&id.parse().unwrap(), file.as_bytes()).await;
    id
}

fn actions(page: &Value) -> Vec<(&str, bool)> {
    list(&page["actions"])
        .iter()
        .map(|action| (text(&action["action"]), action["allowed"] == true))
        .collect()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn campaigns_are_found_page_by_page_by_name_and_by_state() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let mut ids = Vec::new();
    for index in 0..5 {
        let campaign = env
            .import_campaign(2, |campaign| campaign.name = format!("Offer {index}"))
            .await;
        if index == 3 {
            env.send_all().await;
        }
        ids.push(campaign.id);
    }
    for id in &ids {
        env.recount_ledger(id).await;
    }
    env.create_campaign(CampaignState::Paused).await;
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = api
            .get(&format!("/v1/campaigns?limit=2{after}"))
            .await
            .expect(200);
        for campaign in list(&page["campaigns"]) {
            names.push(text(&campaign["name"]).to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(names.len(), 6);
    assert!(
        names[1..]
            .iter()
            .map(String::as_str)
            .eq(["Offer 4", "Offer 3", "Offer 2", "Offer 1", "Offer 0"])
    );

    let found = api.get("/v1/campaigns?search=oFFer%204").await.expect(200);
    assert_eq!(list(&found["campaigns"]).len(), 1);
    let finished = api.get("/v1/campaigns?state=finished").await.expect(200);
    let finished = list(&finished["campaigns"]);
    assert_eq!(finished.len(), 4, "of the last one nothing was sent");
    for campaign in finished {
        let whole = api
            .get(&format!("/v1/campaigns/{}", text(&campaign["id"])))
            .await
            .expect(200);
        assert_eq!(campaign["rows"], whole["rows"]);
        assert_eq!(campaign["rows"]["accepted"], 2);
    }
    api.get("/v1/campaigns?state=sent").await.expect(400);
    api.get("/v1/campaigns?after=x").await.expect(400);
    let tests = api.get("/v1/campaigns?kind=tests").await.expect(200);
    assert!(list(&tests["campaigns"]).is_empty());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn page_shows_what_happened_and_what_can_be_done() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let campaign = env.import_campaign(3, |_| {}).await;
    let path = format!("/v1/campaigns/{}", campaign.id);
    let page = api.get(&path).await.expect(200);
    assert_eq!(
        actions(&page),
        [
            ("pause", true),
            ("cancel", true),
            ("add_file", true),
            ("report", true)
        ]
    );
    assert_says(text(&page["actions"][0]["effect"]), &["3 rows wait"]);
    let viewer = create_token(&api, "v", "viewer").await;
    let seen = send_as(&api, &viewer, "GET", &path, Value::Null)
        .await
        .expect(200);
    assert_eq!(seen["actions"], json!([]));

    env.simulator
        .state
        .update_settings(&json!({"refuse": 131_026}))
        .unwrap();
    env.send_all().await;
    env.recount_ledger(&campaign.id).await;
    let failures = api.get(&format!("{path}/failures")).await.expect(200);
    assert_eq!(failures["total"], 3);
    let cause = &failures["causes"][0];
    assert_has(
        cause,
        &json!({"state": "rejected", "code": 131_026, "rows": 3, "retry": {"makes_sense": false}}),
    );
    assert_says(text(&cause["meaning"]), &["not on WhatsApp"]);
    let retry = api
        .post(
            &format!("{path}/retries"),
            cause["retry"]["request"].clone(),
        )
        .await;
    retry.expect(201);

    let timeline = api.get(&format!("{path}/timeline")).await.expect(200);
    let sum = |points: &Value| -> i64 {
        list(points)
            .iter()
            .map(|point| point["attempts"].as_i64().unwrap())
            .sum()
    };
    assert_eq!(sum(&timeline["recent"]["points"]), 3);
    assert_eq!(sum(&timeline["history"]["points"]), 3);
    assert_eq!(timeline["recent"]["bucket_seconds"], 5);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn draft_is_changed_before_its_start_and_not_afterwards() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = create_draft(&env, &api, API_TOKEN).await;
    let path = format!("/v1/campaigns/{id}");
    let change =
        json!({"name": "Other", "max_failure_ratio": 0.5, "not_after": "2099-01-01T00:00:00Z"});
    let page = api.patch(&path, change).await.expect(200);
    assert_has(
        &page,
        &json!({"name": "Other", "state": "ready", "policy": {"max_failure_ratio": 0.5}}),
    );
    let problem = api
        .patch(&path, json!({"manual_start": false}))
        .await
        .expect(422);
    assert_eq!(problem["field"], "/manual_start");
    let message = json!({"message": {"type": "text", "text": {"body": "Dear {{Name}}"}}});
    let page = api.patch(&path, message).await.expect(200);
    assert_eq!(page["state"], "validating");
    env.run_queued_imports().await;
    let preview = api
        .post(&format!("{path}/preview"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        preview["messages"][0]["message"]["text"]["body"],
        "Dear Ana"
    );
    api.post(&format!("{path}/start"), Value::Null)
        .await
        .expect(200);
    api.patch(&path, json!({"name": "Late"})).await.expect(409);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn campaign_starts_only_with_the_approval_of_a_second_person() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let (maria, ana) = (
        create_token(&api, "maria", "sender").await,
        create_token(&api, "ana", "sender").await,
    );
    // A draft of the time before the setting needs an approval, too.
    let older = create_draft(&env, &api, &maria).await;
    api.put("/v1/settings", json!({"approval_required": true}))
        .await
        .expect(200);
    send_as(
        &api,
        &maria,
        "POST",
        &format!("/v1/campaigns/{older}/start"),
        Value::Null,
    )
    .await
    .expect(409);

    let id = create_draft(&env, &api, &maria).await;
    let path = format!("/v1/campaigns/{id}");
    let start = format!("{path}/start");
    let approval = format!("{path}/approval");
    let page = send_as(&api, &maria, "GET", &path, Value::Null)
        .await
        .expect(200);
    assert_has(
        &page["approval"],
        &json!({"required": true, "valid": false, "may_approve": false}),
    );
    assert!(
        actions(&page).contains(&("start", false))
            && actions(&page).contains(&("give_approval", false))
    );
    let hash = json!({"hash": page["approval"]["hash"]});
    let refused = send_as(&api, &maria, "POST", &start, Value::Null)
        .await
        .expect(409);
    assert_says(text(&refused["detail"]), &["second person"]);
    let note = json!({"note": "Please look"});
    let asked = send_as(
        &api,
        &maria,
        "POST",
        &format!("{path}/approval-request"),
        note,
    )
    .await
    .expect(200);
    assert_has(
        &asked,
        &json!({"requested_by": "maria", "note": "Please look"}),
    );
    let own = send_as(&api, &maria, "POST", &approval, hash.clone())
        .await
        .expect(403);
    assert_eq!(own["title"], "second person needed");
    send_as(
        &api,
        &ana,
        "POST",
        &approval,
        json!({"hash": "0".repeat(64)}),
    )
    .await
    .expect(409);
    let given = send_as(&api, &ana, "POST", &approval, hash.clone())
        .await
        .expect(200);
    assert_has(&given, &json!({"approved_by": "ana", "valid": true}));

    // A change makes it void; changed back by somebody else than ana, it is valid again.
    let change = json!({"not_after": "2099-01-01T00:00:00Z"});
    let page = send_as(&api, &maria, "PATCH", &path, change)
        .await
        .expect(200);
    assert_eq!(page["approval"]["valid"], false);
    assert_says(
        text(&page["approval"]["void_because"]),
        &["changed since ana approved"],
    );
    send_as(&api, &maria, "POST", &start, Value::Null)
        .await
        .expect(409);
    send_as(&api, &ana, "POST", &approval, hash.clone())
        .await
        .expect(409);
    send_as(&api, &maria, "PATCH", &path, json!({"not_after": null}))
        .await
        .expect(200);
    send_as(&api, &maria, "POST", &start, Value::Null)
        .await
        .expect(200);
    let page = send_as(&api, &maria, "GET", &path, Value::Null)
        .await
        .expect(200);
    assert_has(
        &page,
        &json!({"created_by": "maria", "started_by": "maria"}),
    );
    send_as(
        &api,
        &maria,
        "POST",
        &format!("{path}/files"),
        json!({"name": "b.csv", "size": 9}),
    )
    .await
    .expect(409);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn author_sends_tests_to_saved_numbers_only() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let author = create_token(&api, "paul", "author").await;
    let id = create_draft(&env, &api, &author).await;
    let numbers = json!({"test_numbers": [{"name": "Paul", "phone": "+34612345678"}]});
    api.put("/v1/settings", numbers).await.expect(200);
    let test = format!("/v1/campaigns/{id}/test");
    let refused = send_as(&api, &author, "POST", &test, json!({"to": "+34612345679"}))
        .await
        .expect(403);
    assert_says(text(&refused["detail"]), &["saved in the settings"]);
    send_as(&api, &author, "POST", &test, json!({"to": "+34612345678"}))
        .await
        .expect(202);
    let wrong = json!({"test_numbers": [{"name": "x", "phone": "12"}]});
    assert_eq!(
        api.put("/v1/settings", wrong).await.expect(422)["field"],
        "/test_numbers/0/phone"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn large_file_is_uploaded_in_parts_that_resume() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    // Two parts: the first one of 16 MiB.
    let mut file = "Name,Phone\nAna,+5511987654321\n".to_owned();
    while file.len() < 17 * 1024 * 1024 {
        file.push_str(&" ".repeat(1000));
        file.push('\n');
    }
    let file = file.into_bytes();
    let body = json!({
        "name": "Large", "manual_start": true, "check_template": false,
        "message": {"type": "text", "text": {"body": "Hi"}},
        "file": {"name": "a.csv", "size": file.len()},
    });
    let created = api.post("/v1/campaigns", body).await.expect(201);
    let upload = format!("/v1/campaigns/{}/upload", text(&created["id"]));
    api.get(&format!("{upload}?file=1")).await.expect(404);
    let begun = api.post(&upload, json!({"file": 1})).await.expect(200);
    assert_has(
        &begun,
        &json!({"file": "1", "parts": 2, "part_size": 16_777_216, "complete": false}),
    );
    let parts = json!({"file": "1", "parts": [1, 2]});
    let signed = api
        .post(&format!("{upload}/parts"), parts)
        .await
        .expect(200);
    let send = async |index: usize, bytes: &[u8]| {
        let part = &signed["parts"][index];
        let put = reqwest::Client::new()
            .put(text(&part["url"]))
            .body(bytes.to_vec());
        put.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send(0, &file[..16_777_216]).await, 200);
    assert_ne!(send(1, b"of another size").await, 200);
    let missing = api
        .post(&format!("{upload}/complete"), json!({"file": "1"}))
        .await
        .expect(409);
    assert_says(text(&missing["detail"]), &["1 parts are missing", "2"]);
    // The connection was lost: whoever goes on learns what is there.
    let resumed = api.post(&upload, json!({"file": "1"})).await.expect(200);
    assert_eq!(list(&resumed["uploaded"]).len(), 1);
    assert_has(
        &resumed["uploaded"][0],
        &json!({"part": 1, "size": 16_777_216}),
    );
    assert_eq!(send(1, &file[16_777_216..]).await, 200);
    for _ in 0..2 {
        let done = api
            .post(&format!("{upload}/complete"), json!({"file": "1"}))
            .await
            .expect(200);
        assert_eq!(done["complete"], true);
    }
    let key = format!("uploads/{}/input.csv", text(&created["id"]));
    let stored = env.files.read_object(&key).await.unwrap().unwrap();
    assert!(stored[..] == file[..]);

    // Once it is there, no other upload takes its place.
    let single = reqwest::Client::new().put(text(&created["upload"]["url"]));
    let single = single
        .header("if-none-match", "*")
        .header("content-type", "text/csv");
    let status = single.body(file.clone()).send().await.unwrap().status();
    assert_eq!(status.as_u16(), 412);
}
