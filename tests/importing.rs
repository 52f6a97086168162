//! What an operator does with a file before and after it is sent: preview, corrections, exclude list, test send.

use campaign::delivery::ledger::State;
use campaign::id::CampaignId;
use campaign::import::row::ImportCounts;
use campaign::lifecycle::campaign::CampaignState;
use cloud::files::Upload;
use serde_json::{Value, json};

use crate::harness::TestEnv;
use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_has, assert_says, list, text};
use crate::harness::meta::{MetaClient, text_body};

/// Row 3 is rejected, row 4 repeats row 1, row 6 is on the exclude list; the tests suppress row 5.
const RECIPIENTS: &str = "Name;Handy;Note\r\n\
    José;+55 11 98765-4321;a\r\n\
    Ana;0612345678;b\r\n\
    Bob;5.5E+11;=1+1\r\n\
    José again;+55 11 8765-4321;c\r\n\
    Eve;+34 612 345 678;d\r\n\
    Mallory;+33612345699;e\r\n\
    Tom;+1 202 555 0143;f\r\n";

const EXCLUDE_LIST: &str = "+33 6 12 34 56 99\nnobody\n";

/// A campaign that waits for its start, with [`RECIPIENTS`] and [`EXCLUDE_LIST`]; gives its id.
async fn create_held_campaign(env: &TestEnv, api: &ApiClient) -> CampaignId {
    let file = to_latin1(RECIPIENTS);
    let campaign = json!({
        "name": "Winter", "manual_start": true, "file": {"name": "recipients.csv", "size": file.len()},
        "exclude": {"name": "left-out.txt", "size": EXCLUDE_LIST.len()},
        "message": {"type": "template", "template": {"name": "winter_sale", "language": {"code": "en"}, "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://example.com/a.png"}}]},
            {"type": "body", "parameters": [{"type": "text", "text": "{{name|friend}}"}]}]}},
        "options": {"default_region": "FR"},
    });
    let created = api.post("/v1/campaigns", campaign).await.expect(201);
    assert_says(
        text(&created["exclude_upload"]["url"]),
        &["/exclude/input.csv"],
    );
    let id: CampaignId = text(&created["id"]).parse().unwrap();
    // The import begins with the upload that comes last.
    env.import_file(&id, &file).await;
    assert_eq!(env.campaign_state(&id).await, CampaignState::AwaitingUpload);
    let event = env
        .upload_to(&id, Upload::Exclusions, EXCLUDE_LIST.as_bytes())
        .await;
    env.run_import(event).await;
    id
}

fn to_latin1(text: &str) -> Vec<u8> {
    let byte = |character| u8::try_from(u32::from(character)).unwrap();
    text.chars().map(byte).collect()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn preview_shows_what_a_held_campaign_would_send() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    suppress_eve(&api).await;
    let id = create_held_campaign(&env, &api).await;
    let path = format!("/v1/campaigns/{id}");
    assert_eq!(api.get(&path).await.expect(200)["state"], "ready");

    let preview = api
        .post(&format!("{path}/preview"), Value::Null)
        .await
        .expect(200);
    let expected = json!({"file": {"encoding": "windows-1252", "delimiter": ";"},
        "columns": {"phone": ["Handy"], "message": {"name": "Name"}},
        "rows": {"total": 7, "rejected_at_import": 1, "duplicates": 1, "suppressed": 2, "recipients": 3, "excluded": 1},
        "estimated_seconds": 1});
    assert_has(&preview, &expected);
    let problem = &preview["problems"][0];
    assert_says(text(&problem["problem"]), &["rounded"]);
    assert_eq!(problem["first"], json!([3]));
    let countries = list(&preview["countries"]).iter();
    let countries: Vec<&str> = countries.map(|count| text(&count["country"])).collect();
    assert_eq!(countries, ["BR", "ES", "FR", "US"]);
    let message = &preview["messages"][0];
    assert_eq!(message["to"], "+5511987654321");
    let parameter = &message["message"]["template"]["components"][1]["parameters"][0];
    assert_eq!(parameter["text"], "José");
    let warnings = [
        "1 recipients have US numbers",
        "1 lines of the exclude list",
        "read as windows-1252",
    ];
    assert_says(&preview["warnings"].to_string(), &warnings);
    let queued = env.drain_batches().await;
    assert!(queued.is_empty(), "nothing is enqueued before the start");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn preview_compares_people_outside_their_window_with_what_the_limit_leaves() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    // Of 3 recipients, one is inside the service window; another campaign messages 249 people.
    let hello = text_body("34612345678", "wamid.1", "hello");
    MetaClient::new(&env).post(&hello).await;
    let other = env.import_campaign(249, |_| {}).await.id;
    let id = create_held_campaign(&env, &api).await;
    for (limit, words) in [
        ("TIER_UNLIMITED", None),
        ("TIER_2K", None),
        ("TIER_250", Some("more than the 250 people")),
        ("UNTIERED", Some("Meta does not say")),
    ] {
        env.configure_simulator(json!({"daily_limit": limit}));
        env.files.write_cache("account", Vec::new()).await.unwrap();
        let path = format!("/v1/campaigns/{id}/preview");
        let preview = api.post(&path, Value::Null).await.expect(200);
        assert_eq!(preview["rows"]["recipients"], 4);
        assert_eq!(preview["rows"]["in_service_window"], 1);
        let warnings = preview["warnings"].to_string();
        match words {
            Some(words) => assert_says(
                &warnings,
                &[
                    words,
                    "3 recipients outside",
                    "up to 249 of other campaigns",
                ],
            ),
            None => assert!(!warnings.contains("24 hours"), "{limit}: {warnings}"),
        }
        let listed = api.get("/v1/templates").await.expect(200);
        let is_known = limit != "UNTIERED";
        assert_eq!(listed["daily_limit_known"], is_known, "{listed}");
    }
    assert_eq!(env.campaign_state(&other).await, CampaignState::Sending);
}

async fn suppress_eve(api: &ApiClient) {
    let update = json!({"suppressed": true, "reason": "asked on the phone"});
    let contact = api
        .put("/v1/contacts/34612345678", update)
        .await
        .expect(200);
    assert_eq!(contact["phone"], "+34612345678");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn start_enqueues_what_the_preview_showed() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    suppress_eve(&api).await;
    let id = create_held_campaign(&env, &api).await;
    let start = format!("/v1/campaigns/{id}/start");
    let started = api.post(&start, Value::Null).await.expect(200);
    assert_eq!(started["state"], "enqueuing");
    api.post(&start, Value::Null).await.expect(200);
    env.run_queued_imports().await;

    let queued = env.drain_recipients().await;
    let expected = [
        (1, "+5511987654321"),
        (2, "+33612345678"),
        (7, "+12025550143"),
    ];
    assert_eq!(queued, expected.map(|(row, to)| (row, to.to_owned())));
    let counts = ImportCounts {
        rows: 7,
        rejected: 1,
        duplicates: 1,
        suppressed: 2,
        enqueued: 3,
    };
    assert_eq!(env.load_campaign(&id).await.import_counts(), counts);
    let seen = api.get(&format!("/v1/campaigns/{id}")).await.expect(200);
    assert_has(&seen["rows"], &json!({"suppressed": 2, "balanced": true}));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn corrected_rejects_file_sends_only_unsent_rows() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = create_held_campaign(&env, &api).await;
    let path = format!("/v1/campaigns/{id}");
    api.post(&format!("{path}/start"), Value::Null)
        .await
        .expect(200);
    env.run_queued_imports().await;
    assert_eq!(env.drain_recipients().await.len(), 4);

    let signed = api.get(&format!("{path}/rejects")).await.expect(200);
    let rejects = env.download_text(&signed["url"]).await;
    let (header, row) = rejects.split_once("\r\n").unwrap();
    assert_eq!(header, "\u{feff}Name;Handy;Note;row;column;problem;fix");
    assert!(
        row.starts_with("Bob;5.5E+11;'=1+1;3;Handy;a spreadsheet rounded"),
        "{row}"
    );

    // Bob is corrected; Ana is in it once more, in another spelling.
    let corrected = rejects.replace("5.5E+11", "+34 612 345 600") + "Ana;+33 6 12 34 56 78;x\r\n";
    let file = json!({"name": "rejects.csv", "size": corrected.len()});
    api.post(&format!("{path}/files"), file).await.expect(201);
    let event = env
        .upload_to(&id, Upload::File(1), corrected.as_bytes())
        .await;
    env.run_import(event).await;
    assert_eq!(
        env.drain_recipients().await,
        [(8, "+34612345600".to_owned())]
    );
    let campaign = env.load_campaign(&id).await;
    assert_eq!(campaign.state(cloud::now()), CampaignState::Sending);
    let counts = campaign.files[1].counts;
    assert_eq!((counts.rows, counts.duplicates, counts.enqueued), (2, 1, 1));
    assert_eq!((counts.rejected, counts.suppressed), (0, 0));
    let seen = api.get(&path).await.expect(200);
    assert_has(&seen["rows"], &json!({"total": 9, "balanced": true}));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn failed_file_can_be_read_with_other_options() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let file = "naam,order id\nAna,+34612345678\n";
    let campaign = json!({"name": "Text", "manual_start": true, "file": {"name": "a.csv", "size": file.len()},
        "message": {"type": "text", "text": {"body": "Hi {{naam}}"}}});
    let created = api.post("/v1/campaigns", campaign).await.expect(201);
    let id = text(&created["id"]);
    let [preview, start, files] =
        ["preview", "start", "files"].map(|command| format!("/v1/campaigns/{id}/{command}"));
    api.post(&preview, Value::Null).await.expect(409);

    env.import_file(&id.parse().unwrap(), file.as_bytes()).await;
    let problem = api.post(&preview, Value::Null).await.expect(409);
    assert_says(text(&problem["detail"]), &["no phone column"]);
    api.post(&start, Value::Null).await.expect(409);

    let options = json!({"options": {"phone_columns": ["order id"]}});
    api.post(&preview, options).await.expect(202);
    env.run_queued_imports().await;
    let shown = api.post(&preview, Value::Null).await.expect(200);
    assert_eq!(shown["rows"]["recipients"], 1, "{shown}");
    // Another file only once this one is started.
    api.post(&files, json!({"name": "b.csv", "size": 1}))
        .await
        .expect(409);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn failed_file_can_be_replaced() {
    let env = TestEnv::new().await;
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    env.import_file(&id, b"name\nAna\n").await;
    let file = "name,phone\nAna,+34612345678\n";
    let info = json!({"name": "b.csv", "size": file.len()});
    let files = format!("/v1/campaigns/{id}/files");
    ApiClient::new(&env).post(&files, info).await.expect(201);
    let event = env.upload_to(&id, Upload::File(1), file.as_bytes()).await;
    env.run_import(event).await;
    assert_eq!(env.campaign_state(&id).await, CampaignState::Sending);
    assert_eq!(
        env.drain_recipients().await,
        [(1, "+34612345678".to_owned())]
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn test_send_is_one_message_to_the_given_number() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = create_held_campaign(&env, &api).await;
    let path = format!("/v1/campaigns/{id}/test");
    let rejected_row = json!({"to": "+4915112345678", "row": 3});
    let problem = api.post(&path, rejected_row).await.expect(422);
    assert_eq!(problem["field"], "/row");

    let good_row = json!({"to": "+4915112345678", "row": 2});
    let sent = api.post(&path, good_row).await.expect(202);
    env.deliver_next(&env.sender()).await;
    let calls = env.simulator.state.calls();
    assert_eq!(calls.len(), 1);
    assert_says(&json!(calls).to_string(), &["4915112345678"]);
    let test = text(&sent["id"]).parse().unwrap();
    assert_eq!(env.row_state(&test, 1).await, State::Accepted);
    assert_eq!(env.campaign_state(&id).await, CampaignState::Ready);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn recipient_suppressed_after_import_is_skipped_by_the_sender() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    env.import_file(&id, b"phone,name\n+34612345678,Eve\n+34612345679,Ana\n")
        .await;
    let suppressed = json!({"suppressed": true});
    api.put("/v1/contacts/%2B34612345678", suppressed)
        .await
        .expect(200);
    env.send_all().await;

    let eve = env.ledger_row(&id, 1).await;
    assert_eq!(eve.state, State::Skipped);
    assert!(eve.error_info.unwrap().title.starts_with("suppressed"));
    assert_eq!(env.row_state(&id, 2).await, State::Accepted);
    assert_eq!(env.simulator.state.calls().len(), 1);
    let contact = api.get("/v1/contacts/+34612345678").await.expect(200);
    assert_eq!(contact["suppressed"], true);
    assert_eq!(contact["consent"][0]["source"], "operator");
    api.get("/v1/contacts/+34612345670").await.expect(404);
    api.get("/v1/contacts/12").await.expect(422);
}
