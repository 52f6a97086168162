//! The API: authentication, problems, a campaign from its creation to its import, the description.

use api::roles::OPERATIONS;
use campaign::lifecycle::campaign::CampaignState;
use serde_json::{Value, json};

use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_has, assert_says, list, sample_event, text};
use crate::harness::{API_TOKEN, TestEnv};

const PROBLEM: &str = "application/problem+json";

fn sample_campaign() -> Value {
    let event = sample_event("api.create-campaign.json");
    serde_json::from_str(text(&event["body"])).unwrap()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn every_route_but_health_requires_a_token() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    api.request("GET", "/health", None, Vec::new())
        .await
        .expect(200);
    let paths = [
        "/v1/campaigns",
        "/v1/campaigns/x",
        "/v1/campaigns/x/rejects",
        "/v1/templates",
        "/v1/contacts/5511987654321",
        "/openapi.json",
        "/nothing",
    ];
    let wrong_tokens = [
        None,
        Some(""),
        Some("local-operatos"),
        Some("LOCAL-OPERATOR"),
    ];
    for path in paths {
        for token in wrong_tokens {
            let reply = api.request("GET", path, token, Vec::new()).await;
            assert_eq!(reply.content_type, PROBLEM, "{path} {token:?}");
            assert_eq!(reply.expect(401)["status"], 401);
        }
    }
    let body = sample_campaign().to_string().into_bytes();
    api.request("POST", "/v1/campaigns", None, body)
        .await
        .expect(401);
    assert!(env.campaigns.list_latest(10).await.unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn bad_requests_get_a_problem_with_a_remedy() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let problem = api.get("/v1/campaigns/no-such-campaign").await.expect(404);
    assert_says(text(&problem["detail"]), &["GET /v1/campaigns"]);
    api.get("/v1/campaigns/NOT%20AN%20ID").await.expect(404);
    api.get("/nothing").await.expect(404);
    api.delete("/v1/campaigns").await.expect(405);
    let post = async |body| {
        api.request("POST", "/v1/campaigns", Some(API_TOKEN), body)
            .await
    };
    let reply = post(vec![b' '; api::MAX_BODY_BYTES + 1]).await;
    assert_eq!((reply.status, reply.content_type.as_str()), (413, PROBLEM));
    post(b"{".to_vec()).await.expect(400);

    let mut body = sample_campaign();
    body["message"]["template"]["components"][0]["parameters"][0]["type"] = json!("tekst");
    let reply = api.post("/v1/campaigns", body).await;
    assert_eq!(reply.content_type, PROBLEM);
    let field = "/message/template/components/0/parameters/0/tekst";
    assert_eq!(reply.expect(422)["field"], field);
    assert!(env.campaigns.list_latest(10).await.unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn campaign_is_created_imported_and_shown() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let file = "Name,Phone,Amount,Order\nAna,(11) 98765-4321,3,7\nBob,n/a,4,8\n";
    let mut body = sample_campaign();
    body["file"]["size"] = json!(file.len());
    let created = api.post("/v1/campaigns", body).await.expect(201);
    assert_eq!(created["upload"]["headers"]["if-none-match"], "*");
    let id = text(&created["id"]);
    let path = format!("/v1/campaigns/{id}");
    let seen = api.get(&path).await.expect(200);
    assert_has(
        &seen,
        &json!({"state": "awaiting_upload", "rows": {"balanced": true}}),
    );
    api.get(&format!("{path}/rejects")).await.expect(404);

    env.import_file(&id.parse().unwrap(), file.as_bytes()).await;
    let seen = api.get(&path).await.expect(200);
    let rows = json!({"total": 2, "waiting": 1, "rejected_at_import": 1});
    assert_has(
        &seen,
        &json!({"state": "sending", "rows": rows, "sending": {"budget": 40}}),
    );
    assert!(seen["sending"]["estimated_end"].is_string());
    let signed = api.get(&format!("{path}/rejects")).await.expect(200);
    let rejects = env.download_text(&signed["url"]).await;
    assert_says(&rejects, &["Bob,n/a,4,8,2,Phone,"]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn campaigns_are_listed_newest_first() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    env.import_campaign(1, |_| {}).await;
    env.create_campaign(CampaignState::Paused).await;
    let listed = api.get("/v1/campaigns").await.expect(200);
    let states = list(&listed["campaigns"]).iter();
    let states: Vec<&str> = states.map(|campaign| text(&campaign["state"])).collect();
    assert_eq!(states, ["paused", "sending"]);
    let listed = api.get("/v1/campaigns?limit=1").await.expect(200);
    assert_eq!(list(&listed["campaigns"]).len(), 1);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn openapi_describes_every_operation_and_its_role() {
    let env = TestEnv::new().await;
    let description = ApiClient::new(&env).get("/openapi.json").await.expect(200);
    let paths = description["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|path| path.as_object().unwrap().values());
    let mut described: Vec<&str> = operations
        .map(|operation| text(&operation["operationId"]))
        .collect();
    let mut known: Vec<&str> = OPERATIONS.iter().map(|operation| operation.id).collect();
    described.sort_unstable();
    known.sort_unstable();
    assert_eq!(described, known);
    let start = &description["paths"]["/v1/campaigns/{id}/start"]["post"];
    assert_says(text(&start["description"]), &["Needs the role `sender`"]);
    let created = &description["components"]["schemas"]["NewCampaign"];
    assert_eq!(created["required"], json!(["name", "message", "file"]));
    let scheme = &description["components"]["securitySchemes"]["token"]["scheme"];
    assert_eq!(scheme, "bearer");
}
