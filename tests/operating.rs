//! The API's answers, good and bad.

use api::{Api, router};
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use axum::{Router, http};
use campaign::record::CampaignState;
use serde_json::{Value, json};
use tower::ServiceExt;
use whatsapp::account::Account;

use crate::architecture::event;
use crate::world::{TOKEN, World};

/// The API over a test's own tables, and the simulator as Meta.
pub(crate) fn api(world: &World) -> Router {
    let settings = world.simulator.state.settings();
    let account = Account::new(
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
        settings: world.settings(),
        notices: world.notices.clone(),
        ledger: world.ledger.clone(),
        schedules: world.schedules.clone(),
        files: world.files.clone(),
        queue: world.queue.clone(),
        jobs: world.jobs(),
        erasures: world.erasures(),
        splits: world.splits(),
        secrets: world.secret(),
        account: account.unwrap(),
        budget: 40,
    })
}

pub(crate) async fn call(
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

pub(crate) async fn get(api: &Router, path: &str) -> (u16, Value) {
    let (status, _, body) = call(api, "GET", path, Some(TOKEN), Vec::new()).await;
    (status, body)
}

fn sample() -> Value {
    serde_json::from_str(event("api.create-campaign.json")["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn only_health_is_open() {
    let world = World::new().await;
    let api = api(&world);
    assert_eq!(call(&api, "GET", "/health", None, Vec::new()).await.0, 200);
    for path in [
        "/campaigns",
        "/campaigns/x",
        "/campaigns/x/rejects",
        "/templates",
        "/contacts/5511987654321",
        "/openapi.json",
        "/nothing",
    ] {
        for token in [
            None,
            Some(""),
            Some("local-operatos"),
            Some("LOCAL-OPERATOR"),
        ] {
            let (status, kind, body) = call(&api, "GET", path, token, Vec::new()).await;
            assert_eq!(
                (status, kind.as_str()),
                (401, "application/problem+json"),
                "{path} {token:?}"
            );
            assert_eq!(body["status"], 401);
        }
    }
    let before = world.campaigns.list(10).await.unwrap().len();
    assert_eq!(
        call(
            &api,
            "POST",
            "/campaigns",
            None,
            sample().to_string().into()
        )
        .await
        .0,
        401
    );
    assert_eq!(world.campaigns.list(10).await.unwrap().len(), before);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn bad_requests_get_a_problem_that_says_what_to_do() {
    let world = World::new().await;
    let api = api(&world);
    let (status, problem) = get(&api, "/campaigns/no-such-campaign").await;
    assert!(
        status == 404
            && problem["detail"]
                .as_str()
                .unwrap()
                .contains("GET /campaigns"),
        "{problem}"
    );
    assert_eq!(get(&api, "/campaigns/NOT%20AN%20ID").await.0, 404);
    assert_eq!(get(&api, "/nothing").await.0, 404);
    assert_eq!(
        call(&api, "DELETE", "/campaigns", Some(TOKEN), Vec::new())
            .await
            .0,
        405
    );
    let huge = vec![b' '; api::MAX_BODY + 1];
    let (status, kind, _) = call(&api, "POST", "/campaigns", Some(TOKEN), huge).await;
    assert_eq!((status, kind.as_str()), (413, "application/problem+json"));
    assert_eq!(
        call(&api, "POST", "/campaigns", Some(TOKEN), b"{".to_vec())
            .await
            .0,
        400
    );
    let mut body = sample();
    body["message"]["template"]["components"][0]["parameters"][0]["type"] = json!("tekst");
    let (status, kind, problem) = call(
        &api,
        "POST",
        "/campaigns",
        Some(TOKEN),
        body.to_string().into(),
    )
    .await;
    assert_eq!((status, kind.as_str()), (422, "application/problem+json"));
    assert_eq!(
        problem["field"],
        "/message/template/components/0/parameters/0/tekst"
    );
    assert!(world.campaigns.list(10).await.unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_campaign_from_creation_to_its_numbers() {
    let world = World::new().await;
    let api = api(&world);
    let file = "Name,Phone,Amount,Order\nAna,(11) 98765-4321,3,7\nBob,n/a,4,8\n";
    let mut body = sample();
    body["file"]["size"] = json!(file.len());
    let (status, _, created) = call(
        &api,
        "POST",
        "/campaigns",
        Some(TOKEN),
        body.to_string().into(),
    )
    .await;
    assert_eq!(status, 201, "{created}");
    assert_eq!(created["upload"]["headers"]["if-none-match"], "*");
    let id = created["id"].as_str().unwrap();
    let path = format!("/campaigns/{id}");
    let (_, seen) = get(&api, &path).await;
    assert_eq!(
        (&seen["state"], &seen["rows"]["conserved"]),
        (&json!("awaiting_upload"), &json!(true))
    );
    assert_eq!(get(&api, &format!("{path}/rejects")).await.0, 404);

    let event = world.upload(&id.parse().unwrap(), file.as_bytes()).await;
    world.split(event).await;
    let (_, seen) = get(&api, &path).await;
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
    let (status, signed) = get(&api, &format!("{path}/rejects")).await;
    assert_eq!(status, 200);
    let rejects = reqwest::get(signed["url"].as_str().unwrap())
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(rejects.contains("Bob,n/a,4,8,2,Phone,"), "{rejects}");

    world.campaign(CampaignState::Paused).await;
    let (_, listed) = get(&api, "/campaigns").await;
    let states: Vec<&str> = listed["campaigns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["paused", "sending"], "newest first");
    assert_eq!(
        get(&api, "/campaigns?limit=1").await.1["campaigns"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn the_description_has_every_route() {
    let world = World::new().await;
    let (status, description) = get(&api(&world), "/openapi.json").await;
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
            "/account",
            "/campaigns",
            "/campaigns/{id}",
            "/campaigns/{id}/cancel",
            "/campaigns/{id}/continue",
            "/campaigns/{id}/files",
            "/campaigns/{id}/pause",
            "/campaigns/{id}/preview",
            "/campaigns/{id}/recount",
            "/campaigns/{id}/rejects",
            "/campaigns/{id}/report",
            "/campaigns/{id}/resume",
            "/campaigns/{id}/rows",
            "/campaigns/{id}/start",
            "/campaigns/{id}/test",
            "/contacts/{phone}",
            "/messages",
            "/metrics",
            "/settings",
            "/templates"
        ]
    );
    let created = &description["components"]["schemas"]["NewCampaign"];
    assert_eq!(created["required"], json!(["name", "message", "file"]));
    assert_eq!(
        description["components"]["securitySchemes"]["token"]["scheme"],
        "bearer"
    );
}
