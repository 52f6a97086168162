//! What an operator does with a file before and after it is sent: preview, corrections, people who are left out.

use std::time::Duration;

use axum::Router;
use campaign::batch::Batch;
use campaign::import::ImportCounts;
use campaign::ledger::State;
use campaign::record::CampaignState;
use cloud::files::Upload;
use serde_json::{Value, json};

use crate::operating::{api, call, get};
use crate::world::{TOKEN, World};

const PEOPLE: &str = "Name;Handy;Note\r\n\
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
    let (status, _, answer) = call(api, "POST", path, Some(TOKEN), bytes).await;
    (status, answer)
}

/// A held campaign for [`PEOPLE`], with its exclude list.
async fn held(world: &World, api: &Router) -> String {
    let exclude = "+33 6 12 34 56 99\nnobody\n";
    let campaign = json!({
        "name": "Winter", "hold": true, "file": {"name": "people.csv", "size": latin(PEOPLE).len()},
        "exclude": {"name": "left-out.txt", "size": exclude.len()},
        "message": {"type": "template", "template": {"name": "winter_sale", "language": {"code": "en"}, "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://example.com/a.png"}}]},
            {"type": "body", "parameters": [{"type": "text", "text": "{{name|friend}}"}]}]}},
        "options": {"default_region": "FR"},
    });
    let (status, created) = post(api, "/campaigns", campaign).await;
    assert_eq!(status, 201, "{created}");
    assert!(
        created["exclude_upload"]["url"]
            .as_str()
            .unwrap()
            .contains("/exclude/input.csv")
    );
    let id = created["id"].as_str().unwrap().to_owned();
    // Whichever comes last makes it go on.
    let event = world.upload(&id.parse().unwrap(), &latin(PEOPLE)).await;
    world.split(event).await;
    assert_eq!(
        world.now(&id.parse().unwrap()).await.state,
        CampaignState::AwaitingUpload
    );
    let event = world
        .upload_as(&id.parse().unwrap(), Upload::Exclude, exclude.as_bytes())
        .await;
    world.split(event).await;
    id
}

fn latin(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_held_campaign_shows_what_it_would_do_and_does_it_when_started() {
    let world = World::new().await;
    let api = api(&world);
    let eve = json!({"suppressed": true, "reason": "asked on the phone"});
    let (status, _, contact) = call(
        &api,
        "PUT",
        "/contacts/34612345678",
        Some(TOKEN),
        eve.to_string().into(),
    )
    .await;
    assert_eq!((status, &contact["phone"]), (200, &json!("+34612345678")));
    let id = held(&world, &api).await;
    let path = format!("/campaigns/{id}");

    assert_eq!(get(&api, &path).await.1["state"], "ready");
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
        world.drain().await.is_empty(),
        "nothing is sent before the start"
    );

    let (status, started) = post(&api, &format!("{path}/start"), Value::Null).await;
    assert_eq!((status, &started["state"]), (200, &json!("splitting")));
    assert_eq!(
        post(&api, &format!("{path}/start"), Value::Null).await.0,
        200,
        "twice is once"
    );
    while world
        .follow_order(&world.splitter(2), crate::world::context(900))
        .await
    {}
    let mut sent: Vec<(u32, String)> = sent(&world.drain().await);
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
    assert_eq!(world.now(&id.parse().unwrap()).await.counts(), counts);
    let (_, seen) = get(&api, &path).await;
    assert_eq!(
        (&seen["rows"]["suppressed"], &seen["rows"]["conserved"]),
        (&json!(2), &json!(true))
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_corrected_rejects_file_sends_only_what_was_not_sent() {
    let world = World::new().await;
    let api = api(&world);
    let id = held(&world, &api).await;
    post(&api, &format!("/campaigns/{id}/start"), Value::Null).await;
    while world
        .follow_order(&world.splitter(2), crate::world::context(900))
        .await
    {}
    assert_eq!(sent(&world.drain().await).len(), 4);

    let (_, signed) = get(&api, &format!("/campaigns/{id}/rejects")).await;
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
    let (status, announced) = post(&api, &format!("/campaigns/{id}/files"), info).await;
    assert_eq!(status, 201, "{announced}");
    let event = world
        .upload_as(&id.parse().unwrap(), Upload::File(1), again.as_bytes())
        .await;
    world.split(event).await;
    assert_eq!(sent(&world.drain().await), [(8, "+34612345600".to_owned())]);
    let now = world.now(&id.parse().unwrap()).await;
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
    let (_, seen) = get(&api, &format!("/campaigns/{id}")).await;
    assert_eq!(
        (&seen["rows"]["total"], &seen["rows"]["conserved"]),
        (&json!(9), &json!(true))
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_file_that_failed_can_be_read_in_another_way_or_replaced() {
    let world = World::new().await;
    let api = api(&world);
    let file = "naam,nummer\nAna,+34612345678\n";
    let campaign = json!({"name": "Text", "hold": true, "file": {"name": "a.csv", "size": file.len()},
        "message": {"type": "text", "text": {"body": "Hi {{naam}}"}}});
    let (_, created) = post(&api, "/campaigns", campaign).await;
    let id = created["id"].as_str().unwrap();
    let path = format!("/campaigns/{id}");
    assert_eq!(
        post(&api, &format!("{path}/preview"), Value::Null).await.0,
        409,
        "nothing is uploaded"
    );
    let event = world.upload(&id.parse().unwrap(), file.as_bytes()).await;
    world.split(event).await;
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
        .follow_order(&world.splitter(2), crate::world::context(900))
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

    let failed = world.campaign(CampaignState::AwaitingUpload).await.id;
    let event = world.upload(&failed, b"name\nAna\n").await;
    world.split(event).await;
    let other = "name,phone\nAna,+34612345678\n";
    let (status, _) = post(
        &api,
        &format!("/campaigns/{failed}/files"),
        json!({"name": "b.csv", "size": other.len()}),
    )
    .await;
    assert_eq!(status, 201);
    let event = world
        .upload_as(&failed, Upload::File(1), other.as_bytes())
        .await;
    world.split(event).await;
    assert_eq!(world.now(&failed).await.state, CampaignState::Sending);
    assert_eq!(sent(&world.drain().await), [(1, "+34612345678".to_owned())]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_test_send_is_one_message_to_the_number_given() {
    let world = World::new().await;
    let api = api(&world);
    let id = held(&world, &api).await;
    let (status, problem) = post(
        &api,
        &format!("/campaigns/{id}/test"),
        json!({"to": "+4915112345678", "row": 3}),
    )
    .await;
    assert_eq!((status, &problem["field"]), (422, &json!("/row")));
    let (status, sent) = post(
        &api,
        &format!("/campaigns/{id}/test"),
        json!({"to": "+4915112345678", "row": 2}),
    )
    .await;
    assert_eq!(status, 202, "{sent}");
    world
        .pump(&world.sender(), crate::world::PATIENCE)
        .await
        .unwrap();
    let calls = world.simulator.state.calls();
    assert_eq!(calls.len(), 1);
    let calls = json!(calls).to_string();
    assert!(calls.contains("4915112345678"), "{calls}");
    let test = sent["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        world.ledger.row(&test, 1).await.unwrap().unwrap().state,
        State::Accepted
    );
    assert_eq!(
        world.now(&id.parse().unwrap()).await.state,
        CampaignState::Ready,
        "the campaign itself still waits"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn somebody_who_says_stop_after_the_import_is_skipped_by_the_sender() {
    let world = World::new().await;
    let api = api(&world);
    let campaign = world.campaign(CampaignState::AwaitingUpload).await;
    let event = world
        .upload(
            &campaign.id,
            b"phone,name\n+34612345678,Eve\n+34612345679,Ana\n",
        )
        .await;
    world.split(event).await;
    let body = json!({"suppressed": true}).to_string();
    assert_eq!(
        call(
            &api,
            "PUT",
            "/contacts/%2B34612345678",
            Some(TOKEN),
            body.into()
        )
        .await
        .0,
        200
    );
    while world
        .pump(&world.sender(), Duration::from_secs(1))
        .await
        .is_some()
    {}
    let state = async |row| world.ledger.row(&campaign.id, row).await.unwrap().unwrap();
    let eve = state(1).await;
    assert_eq!((eve.state, eve.attempt), (State::Skipped, 0));
    assert!(eve.fault.unwrap().title.starts_with("suppressed"));
    assert_eq!(state(2).await.state, State::Accepted);
    assert_eq!(world.simulator.state.calls().len(), 1);
    let (status, contact) = get(&api, "/contacts/+34612345678").await;
    assert_eq!(
        (
            status,
            &contact["suppressed"],
            &contact["consent"][0]["source"]
        ),
        (200, &json!(true), &json!("operator"))
    );
    assert_eq!(get(&api, "/contacts/+34612345670").await.0, 404);
    assert_eq!(get(&api, "/contacts/12").await.0, 422);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_template_is_held_against_the_account_and_the_account_is_asked_rarely() {
    let world = World::new().await;
    let api = api(&world);
    let (status, listed) = get(&api, "/templates").await;
    assert_eq!(status, 200, "{listed}");
    let names: Vec<&str> = listed["templates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["hello_world", "order_update", "winter_sale"]);
    assert_eq!(listed["templates"][2]["header"], "image");
    let calls = world.simulator.state.management_calls();
    let create = async |name: &str, components: Value| {
        let message = json!({"type": "template", "template": {"name": name, "language": {"code": "en"}, "components": components}});
        post(
            &api,
            "/campaigns",
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
        world.simulator.state.management_calls(),
        calls,
        "what was just asked is not asked again"
    );
    // Meta cannot be asked at all: another account, nothing kept.
    let other = World::new().await;
    other
        .simulator
        .state
        .set(&json!({"waba_id": "1", "access_token": "another"}))
        .unwrap();
    let api = crate::operating::api(&other);
    let (status, problem) = get(&api, "/templates").await;
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
    assert_eq!(post(&api, "/campaigns", campaign).await.0, 201);
}

/// Row and recipient of everything on the queue.
fn sent(batches: &[(Batch, Option<String>)]) -> Vec<(u32, String)> {
    let rows = batches.iter().flat_map(|(batch, _)| &batch.rows);
    rows.map(|row| (row.row, row.to.to_string())).collect()
}
