//! What an operator does with a file before and after it is sent: preview, corrections, people who are left out.

use std::time::Duration;

use axum::Router;
use campaign::delivery::batch::Batch;
use campaign::delivery::ledger::State;
use campaign::import::row::ImportCounts;
use campaign::lifecycle::campaign::CampaignState;
use cloud::files::Upload;
use serde_json::{Value, json};

use crate::harness::{API_TOKEN, TestEnv};
use crate::http_api::{call_api, get_json, new_api};

const RECIPIENTS: &str = "Name;Handy;Note\r\n\
    José;+55 11 98765-4321;a\r\n\
    Ana;0612345678;b\r\n\
    Bob;5.5E+11;=1+1\r\n\
    José again;+55 11 8765-4321;c\r\n\
    Eve;+34 612 345 678;d\r\n\
    Mallory;+33612345699;e\r\n\
    Tom;+1 202 555 0143;f\r\n";

async fn post(api: &Router, path: &str, body: Value) -> (u16, Value) {
    let bytes = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into()
    };
    let (status, _, answer) = call_api(api, "POST", path, Some(API_TOKEN), bytes).await;
    (status, answer)
}

/// A held campaign for [`PEOPLE`], with its exclude list.
async fn create_held_campaign(world: &TestEnv, api: &Router) -> String {
    let exclude = "+33 6 12 34 56 99\nnobody\n";
    let campaign = json!({
        "name": "Winter", "manual_start": true, "file": {"name": "people.csv", "size": to_latin1(RECIPIENTS).len()},
        "exclude": {"name": "left-out.txt", "size": exclude.len()},
        "message": {"type": "template", "template": {"name": "winter_sale", "language": {"code": "en"}, "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://example.com/a.png"}}]},
            {"type": "body", "parameters": [{"type": "text", "text": "{{name|friend}}"}]}]}},
        "options": {"default_region": "FR"},
    });
    let (status, created) = post(api, "/v1/campaigns", campaign).await;
    assert_eq!(status, 201, "{created}");
    assert!(
        created["exclude_upload"]["url"]
            .as_str()
            .unwrap()
            .contains("/exclude/input.csv")
    );
    let id = created["id"].as_str().unwrap().to_owned();
    // Whichever comes last makes it go on.
    let event = world
        .upload_file(&id.parse().unwrap(), &to_latin1(RECIPIENTS))
        .await;
    world.run_import(event).await;
    assert_eq!(
        world.load_campaign(&id.parse().unwrap()).await.state,
        CampaignState::AwaitingUpload
    );
    let event = world
        .upload_to(&id.parse().unwrap(), Upload::Exclusions, exclude.as_bytes())
        .await;
    world.run_import(event).await;
    id
}

fn to_latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn held_campaign_previews_then_sends_what_it_previewed() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let eve = json!({"suppressed": true, "reason": "asked on the phone"});
    let (status, _, contact) = call_api(
        &api,
        "PUT",
        "/v1/contacts/34612345678",
        Some(API_TOKEN),
        eve.to_string().into(),
    )
    .await;
    assert_eq!((status, &contact["phone"]), (200, &json!("+34612345678")));
    let id = create_held_campaign(&world, &api).await;
    let path = format!("/v1/campaigns/{id}");

    assert_eq!(get_json(&api, &path).await.1["state"], "ready");
    let (status, preview) = post(&api, &format!("{path}/preview"), Value::Null).await;
    assert_eq!(status, 200, "{preview}");
    assert_eq!(preview["file"]["encoding"], "windows-1252");
    assert_eq!(
        (&preview["file"]["delimiter"], &preview["columns"]["phone"]),
        (&json!(";"), &json!("Handy"))
    );
    assert_eq!(preview["columns"]["message"], json!({"name": "Name"}));
    let rows = json!({"total": 7, "rejected": 1, "duplicates": 1, "suppressed": 2, "recipients": 3, "excluded": 1});
    assert_eq!(preview["rows"], rows);
    let problem = &preview["problems"][0];
    assert!(
        problem["problem"].as_str().unwrap().contains("rounded") && problem["first"] == json!([3]),
        "{problem}"
    );
    let countries: Vec<&str> = preview["countries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["country"].as_str().unwrap())
        .collect();
    assert_eq!(countries, ["BR", "ES", "FR", "US"]);
    assert_eq!(
        preview["messages"][0]["message"]["template"]["components"][1]["parameters"][0]["text"],
        "José"
    );
    assert_eq!(
        (&preview["messages"][0]["to"], &preview["seconds"]),
        (&json!("+5511987654321"), &json!(1))
    );
    let warnings = preview["warnings"].to_string();
    for words in [
        "1 recipients have US numbers",
        "1 lines of the exclude list",
        "read as windows-1252",
    ] {
        assert!(warnings.contains(words), "{words}: {warnings}");
    }
    assert!(
        world.drain_batches().await.is_empty(),
        "nothing is sent before the start"
    );

    let (status, started) = post(&api, &format!("{path}/start"), Value::Null).await;
    assert_eq!((status, &started["state"]), (200, &json!("enqueuing")));
    assert_eq!(
        post(&api, &format!("{path}/start"), Value::Null).await.0,
        200,
        "twice is once"
    );
    while world
        .run_next_import_job(&world.splitter(2), crate::harness::lambda_context(900))
        .await
    {}
    let mut sent: Vec<(u32, String)> = queued_recipients(&world.drain_batches().await);
    sent.sort();
    assert_eq!(
        sent,
        [
            (1, "+5511987654321".into()),
            (2, "+33612345678".into()),
            (7, "+12025550143".into())
        ]
    );
    let counts = ImportCounts {
        rows: 7,
        rejected: 1,
        duplicates: 1,
        suppressed: 2,
        enqueued: 3,
    };
    assert_eq!(
        world
            .load_campaign(&id.parse().unwrap())
            .await
            .import_counts(),
        counts
    );
    let (_, seen) = get_json(&api, &path).await;
    assert_eq!(
        (&seen["rows"]["suppressed"], &seen["rows"]["balanced"]),
        (&json!(2), &json!(true))
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn corrected_rejects_file_sends_only_unsent_rows() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let id = create_held_campaign(&world, &api).await;
    post(&api, &format!("/v1/campaigns/{id}/start"), Value::Null).await;
    while world
        .run_next_import_job(&world.splitter(2), crate::harness::lambda_context(900))
        .await
    {}
    assert_eq!(queued_recipients(&world.drain_batches().await).len(), 4);

    let (_, signed) = get_json(&api, &format!("/v1/campaigns/{id}/rejects")).await;
    let rejects = reqwest::get(signed["url"].as_str().unwrap())
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let (header, row) = rejects.split_once("\r\n").unwrap();
    assert_eq!(header, "\u{feff}Name;Handy;Note;row;column;problem;fix");
    assert!(
        row.starts_with("Bob;5.5E+11;'=1+1;3;Handy;a spreadsheet rounded"),
        "{row}"
    );

    // Bob is corrected; Ana is in it once more, under another spelling.
    let again = rejects.replace("5.5E+11", "+34 612 345 600") + "Ana;+33 6 12 34 56 78;x\r\n";
    let info = json!({"name": "rejects.csv", "size": again.len()});
    let (status, announced) = post(&api, &format!("/v1/campaigns/{id}/files"), info).await;
    assert_eq!(status, 201, "{announced}");
    let event = world
        .upload_to(&id.parse().unwrap(), Upload::File(1), again.as_bytes())
        .await;
    world.run_import(event).await;
    assert_eq!(
        queued_recipients(&world.drain_batches().await),
        [(8, "+34612345600".to_owned())]
    );
    let now = world.load_campaign(&id.parse().unwrap()).await;
    assert_eq!(now.state, CampaignState::Sending);
    assert_eq!(
        now.files[1].counts,
        ImportCounts {
            rows: 2,
            duplicates: 1,
            enqueued: 1,
            ..ImportCounts::default()
        }
    );
    let (_, seen) = get_json(&api, &format!("/v1/campaigns/{id}")).await;
    assert_eq!(
        (&seen["rows"]["total"], &seen["rows"]["balanced"]),
        (&json!(9), &json!(true))
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn failed_file_can_be_read_with_other_options_or_replaced() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let file = "naam,nummer\nAna,+34612345678\n";
    let campaign = json!({"name": "Text", "manual_start": true, "file": {"name": "a.csv", "size": file.len()},
        "message": {"type": "text", "text": {"body": "Hi {{naam}}"}}});
    let (_, created) = post(&api, "/v1/campaigns", campaign).await;
    let id = created["id"].as_str().unwrap();
    let path = format!("/v1/campaigns/{id}");
    assert_eq!(
        post(&api, &format!("{path}/preview"), Value::Null).await.0,
        409,
        "nothing is uploaded"
    );
    let event = world
        .upload_file(&id.parse().unwrap(), file.as_bytes())
        .await;
    world.run_import(event).await;
    let (status, problem) = post(&api, &format!("{path}/preview"), Value::Null).await;
    assert!(
        status == 409
            && problem["detail"]
                .as_str()
                .unwrap()
                .contains("no phone column"),
        "{problem}"
    );
    assert_eq!(
        post(&api, &format!("{path}/start"), Value::Null).await.0,
        409
    );

    let (status, _) = post(
        &api,
        &format!("{path}/preview"),
        json!({"options": {"phone_column": "nummer"}}),
    )
    .await;
    assert_eq!(status, 202);
    while world
        .run_next_import_job(&world.splitter(2), crate::harness::lambda_context(900))
        .await
    {}
    let (status, preview) = post(&api, &format!("{path}/preview"), Value::Null).await;
    assert_eq!(
        (status, &preview["rows"]["recipients"]),
        (200, &json!(1)),
        "{preview}"
    );
    assert_eq!(
        post(
            &api,
            &format!("{path}/files"),
            json!({"name": "b.csv", "size": 1})
        )
        .await
        .0,
        409,
        "start this one first"
    );

    let failed = world
        .create_campaign(CampaignState::AwaitingUpload)
        .await
        .id;
    let event = world.upload_file(&failed, b"name\nAna\n").await;
    world.run_import(event).await;
    let other = "name,phone\nAna,+34612345678\n";
    let (status, _) = post(
        &api,
        &format!("/v1/campaigns/{failed}/files"),
        json!({"name": "b.csv", "size": other.len()}),
    )
    .await;
    assert_eq!(status, 201);
    let event = world
        .upload_to(&failed, Upload::File(1), other.as_bytes())
        .await;
    world.run_import(event).await;
    assert_eq!(
        world.load_campaign(&failed).await.state,
        CampaignState::Sending
    );
    assert_eq!(
        queued_recipients(&world.drain_batches().await),
        [(1, "+34612345678".to_owned())]
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn test_send_is_one_message_to_the_given_number() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let id = create_held_campaign(&world, &api).await;
    let (status, problem) = post(
        &api,
        &format!("/v1/campaigns/{id}/test"),
        json!({"to": "+4915112345678", "row": 3}),
    )
    .await;
    assert_eq!((status, &problem["field"]), (422, &json!("/row")));
    let (status, sent) = post(
        &api,
        &format!("/v1/campaigns/{id}/test"),
        json!({"to": "+4915112345678", "row": 2}),
    )
    .await;
    assert_eq!(status, 202, "{sent}");
    world
        .deliver_next(&world.sender(), crate::harness::TIMEOUT)
        .await
        .unwrap();
    let calls = world.simulator.state.calls();
    assert_eq!(calls.len(), 1);
    let calls = json!(calls).to_string();
    assert!(calls.contains("4915112345678"), "{calls}");
    let test = sent["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        world.ledger.get_row(&test, 1).await.unwrap().unwrap().state,
        State::Accepted
    );
    assert_eq!(
        world.load_campaign(&id.parse().unwrap()).await.state,
        CampaignState::Ready,
        "the campaign itself still waits"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn recipient_suppressed_after_import_is_skipped_by_the_sender() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let campaign = world.create_campaign(CampaignState::AwaitingUpload).await;
    let event = world
        .upload_file(
            &campaign.id,
            b"phone,name\n+34612345678,Eve\n+34612345679,Ana\n",
        )
        .await;
    world.run_import(event).await;
    let body = json!({"suppressed": true}).to_string();
    assert_eq!(
        call_api(
            &api,
            "PUT",
            "/v1/contacts/%2B34612345678",
            Some(API_TOKEN),
            body.into()
        )
        .await
        .0,
        200
    );
    while world
        .deliver_next(&world.sender(), Duration::from_secs(1))
        .await
        .is_some()
    {}
    let state = async |row| {
        world
            .ledger
            .get_row(&campaign.id, row)
            .await
            .unwrap()
            .unwrap()
    };
    let eve = state(1).await;
    assert_eq!((eve.state, eve.attempt), (State::Skipped, 0));
    assert!(eve.error_info.unwrap().title.starts_with("suppressed"));
    assert_eq!(state(2).await.state, State::Accepted);
    assert_eq!(world.simulator.state.calls().len(), 1);
    let (status, contact) = get_json(&api, "/v1/contacts/+34612345678").await;
    assert_eq!(
        (
            status,
            &contact["suppressed"],
            &contact["consent"][0]["source"]
        ),
        (200, &json!(true), &json!("operator"))
    );
    assert_eq!(get_json(&api, "/v1/contacts/+34612345670").await.0, 404);
    assert_eq!(get_json(&api, "/v1/contacts/12").await.0, 422);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn template_is_checked_against_the_account_and_the_answer_is_cached() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let (status, listed) = get_json(&api, "/v1/templates").await;
    assert_eq!(status, 200, "{listed}");
    let names: Vec<&str> = listed["templates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["hello_world", "order_update", "winter_sale"]);
    assert_eq!(listed["templates"][2]["header"], "image");
    let calls = world.simulator.state.management_call_count();
    let create = async |name: &str, components: Value| {
        let message = json!({"type": "template", "template": {"name": name, "language": {"code": "en"}, "components": components}});
        post(
            &api,
            "/v1/campaigns",
            json!({"name": "T", "message": message, "file": {"name": "a.csv", "size": 9}}),
        )
        .await
    };
    for (name, components, field, words) in [
        (
            "order_updat",
            json!([]),
            "/message/template/name",
            "approved ones are: hello_world, order_update",
        ),
        (
            "hello_world",
            json!([]),
            "/message/template/language/code",
            "only in: en_US",
        ),
        (
            "order_update",
            json!([]),
            "/message/template/components",
            "wants 2 body parameters in order, 0 are given; wants a parameter for button 0",
        ),
    ] {
        let (status, problem) = create(name, components).await;
        assert_eq!(
            (status, problem["field"].as_str()),
            (422, Some(field)),
            "{problem}"
        );
        assert!(
            problem["detail"].as_str().unwrap().contains(words),
            "{problem}"
        );
    }
    assert_eq!(
        world.simulator.state.management_call_count(),
        calls,
        "what was just asked is not asked again"
    );
    // Meta cannot be asked at all: another account, nothing kept.
    let other = TestEnv::new().await;
    other
        .simulator
        .state
        .update_settings(&json!({"waba_id": "1", "access_token": "another"}))
        .unwrap();
    let api = crate::http_api::new_api(&other);
    let (status, problem) = get_json(&api, "/v1/templates").await;
    assert!(
        status == 503
            && problem["detail"]
                .as_str()
                .unwrap()
                .contains("check_template"),
        "{status} {problem}"
    );
    let message =
        json!({"type": "template", "template": {"name": "x", "language": {"code": "en"}}});
    let campaign = json!({"name": "T", "message": message, "check_template": false, "file": {"name": "a.csv", "size": 9}});
    assert_eq!(post(&api, "/v1/campaigns", campaign).await.0, 201);
}

/// Row and recipient of everything on the queue.
fn queued_recipients(batches: &[(Batch, Option<String>)]) -> Vec<(u32, String)> {
    let rows = batches.iter().flat_map(|(batch, _)| &batch.rows);
    rows.map(|row| (row.row, row.to.to_string())).collect()
}
