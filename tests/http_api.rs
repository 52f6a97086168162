//! The API's answers, good and bad.

use api::{Api, router};
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use axum::{Router, http};
use campaign::lifecycle::campaign::CampaignState;
use serde_json::{Value, json};
use tower::ServiceExt;
use whatsapp::account::AccountClient;

use crate::architecture::sample_event;
use crate::harness::{API_TOKEN, TestEnv};

/// The API over a test's own tables, and the simulator as Meta.
pub(crate) fn new_api(world: &TestEnv) -> Router {
    let settings = world.simulator.state.settings();
    let account = AccountClient::new(
        &world.simulator.url(),
        "v25.0",
        &settings.waba_id,
        &settings.phone_number_id,
    );
    router(Api {
        campaigns: world.campaigns.clone(),
        counters: world.counters.clone(),
        imports: world.imports.clone(),
        contacts: world.contacts.clone(),
        inbox: world.inbox.clone(),
        settings: world.settings_store(),
        account_events: world.account_events.clone(),
        ledger: world.ledger.clone(),
        schedules: world.schedules.clone(),
        files: world.files.clone(),
        queue: world.queue.clone(),
        jobs: world.job_queue(),
        erasures: world.erasure_queue(),
        import_queue: world.import_queue(),
        secrets: world.secrets(),
        account: account.unwrap(),
        messages_per_second: 40,
    })
}

pub(crate) async fn call_api(
    api: &Router,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Vec<u8>,
) -> (u16, String, Value) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = api
        .clone()
        .oneshot(request.body(Body::from(body)).unwrap())
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let kind = answer
        .headers()
        .get(http::header::CONTENT_TYPE)
        .map(|kind| kind.to_str().unwrap().to_owned());
    let bytes = to_bytes(answer.into_body(), 10_000_000).await.unwrap();
    (
        status,
        kind.unwrap_or_default(),
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

pub(crate) async fn get_json(api: &Router, path: &str) -> (u16, Value) {
    let (status, _, body) = call_api(api, "GET", path, Some(API_TOKEN), Vec::new()).await;
    (status, body)
}

fn sample_campaign() -> Value {
    serde_json::from_str(
        sample_event("api.create-campaign.json")["body"]
            .as_str()
            .unwrap(),
    )
    .unwrap()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn every_route_but_health_requires_a_token() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    assert_eq!(
        call_api(&api, "GET", "/health", None, Vec::new()).await.0,
        200
    );
    for path in [
        "/v1/campaigns",
        "/v1/campaigns/x",
        "/v1/campaigns/x/rejects",
        "/v1/templates",
        "/v1/contacts/5511987654321",
        "/openapi.json",
        "/nothing",
    ] {
        for token in [
            None,
            Some(""),
            Some("local-operatos"),
            Some("LOCAL-OPERATOR"),
        ] {
            let (status, kind, body) = call_api(&api, "GET", path, token, Vec::new()).await;
            assert_eq!(
                (status, kind.as_str()),
                (401, "application/problem+json"),
                "{path} {token:?}"
            );
            assert_eq!(body["status"], 401);
        }
    }
    let before = world.campaigns.list_latest(10).await.unwrap().len();
    assert_eq!(
        call_api(
            &api,
            "POST",
            "/v1/campaigns",
            None,
            sample_campaign().to_string().into()
        )
        .await
        .0,
        401
    );
    assert_eq!(world.campaigns.list_latest(10).await.unwrap().len(), before);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn bad_requests_get_a_problem_with_a_remedy() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let (status, problem) = get_json(&api, "/v1/campaigns/no-such-campaign").await;
    assert!(
        status == 404
            && problem["detail"]
                .as_str()
                .unwrap()
                .contains("GET /v1/campaigns"),
        "{problem}"
    );
    assert_eq!(get_json(&api, "/v1/campaigns/NOT%20AN%20ID").await.0, 404);
    assert_eq!(get_json(&api, "/nothing").await.0, 404);
    assert_eq!(
        call_api(&api, "DELETE", "/v1/campaigns", Some(API_TOKEN), Vec::new())
            .await
            .0,
        405
    );
    let huge = vec![b' '; api::MAX_BODY_BYTES + 1];
    let (status, kind, _) = call_api(&api, "POST", "/v1/campaigns", Some(API_TOKEN), huge).await;
    assert_eq!((status, kind.as_str()), (413, "application/problem+json"));
    assert_eq!(
        call_api(
            &api,
            "POST",
            "/v1/campaigns",
            Some(API_TOKEN),
            b"{".to_vec()
        )
        .await
        .0,
        400
    );
    let mut body = sample_campaign();
    body["message"]["template"]["components"][0]["parameters"][0]["type"] = json!("tekst");
    let (status, kind, problem) = call_api(
        &api,
        "POST",
        "/v1/campaigns",
        Some(API_TOKEN),
        body.to_string().into(),
    )
    .await;
    assert_eq!((status, kind.as_str()), (422, "application/problem+json"));
    assert_eq!(
        problem["field"],
        "/message/template/components/0/parameters/0/tekst"
    );
    assert!(world.campaigns.list_latest(10).await.unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn campaign_is_created_imported_and_listed() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let file = "Name,Phone,Amount,Order\nAna,(11) 98765-4321,3,7\nBob,n/a,4,8\n";
    let mut body = sample_campaign();
    body["file"]["size"] = json!(file.len());
    let (status, _, created) = call_api(
        &api,
        "POST",
        "/v1/campaigns",
        Some(API_TOKEN),
        body.to_string().into(),
    )
    .await;
    assert_eq!(status, 201, "{created}");
    assert_eq!(created["upload"]["headers"]["if-none-match"], "*");
    let id = created["id"].as_str().unwrap();
    let path = format!("/v1/campaigns/{id}");
    let (_, seen) = get_json(&api, &path).await;
    assert_eq!(
        (&seen["state"], &seen["rows"]["balanced"]),
        (&json!("awaiting_upload"), &json!(true))
    );
    assert_eq!(get_json(&api, &format!("{path}/rejects")).await.0, 404);

    let event = world
        .upload_file(&id.parse().unwrap(), file.as_bytes())
        .await;
    world.run_import(event).await;
    let (_, seen) = get_json(&api, &path).await;
    assert_eq!(
        (&seen["state"], &seen["rows"]["total"]),
        (&json!("sending"), &json!(2))
    );
    assert_eq!(
        (
            &seen["rows"]["waiting"],
            &seen["rows"]["rejected_at_import"]
        ),
        (&json!(1), &json!(1))
    );
    assert!(seen["sending"]["estimated_end"].is_string() && seen["sending"]["budget"] == 40);
    let (status, signed) = get_json(&api, &format!("{path}/rejects")).await;
    assert_eq!(status, 200);
    let rejects = reqwest::get(signed["url"].as_str().unwrap())
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(rejects.contains("Bob,n/a,4,8,2,Phone,"), "{rejects}");

    world.create_campaign(CampaignState::Paused).await;
    let (_, listed) = get_json(&api, "/v1/campaigns").await;
    let states: Vec<&str> = listed["campaigns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["paused", "sending"], "newest first");
    assert_eq!(
        get_json(&api, "/v1/campaigns?limit=1").await.1["campaigns"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn openapi_lists_every_route() {
    let world = TestEnv::new().await;
    let (status, description) = get_json(&new_api(&world), "/openapi.json").await;
    assert_eq!(status, 200);
    let mut paths: Vec<&str> = description["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "/v1/account",
            "/v1/campaigns",
            "/v1/campaigns/{id}",
            "/v1/campaigns/{id}/cancel",
            "/v1/campaigns/{id}/continue",
            "/v1/campaigns/{id}/files",
            "/v1/campaigns/{id}/pause",
            "/v1/campaigns/{id}/preview",
            "/v1/campaigns/{id}/recount",
            "/v1/campaigns/{id}/rejects",
            "/v1/campaigns/{id}/report",
            "/v1/campaigns/{id}/resume",
            "/v1/campaigns/{id}/rows",
            "/v1/campaigns/{id}/start",
            "/v1/campaigns/{id}/test",
            "/v1/contacts/{phone}",
            "/v1/inbox",
            "/v1/metrics",
            "/v1/settings",
            "/v1/templates"
        ]
    );
    let created = &description["components"]["schemas"]["NewCampaign"];
    assert_eq!(created["required"], json!(["name", "message", "file"]));
    assert_eq!(
        description["components"]["securitySchemes"]["token"]["scheme"],
        "bearer"
    );
}
