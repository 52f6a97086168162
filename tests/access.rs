//! Roles, tokens and sessions.

use campaign::lifecycle::campaign::CampaignState;
use serde_json::json;

use crate::harness::api_client::{ApiClient, ApiReply};
use crate::harness::json::{assert_has, assert_says, list, text};
use crate::harness::{API_TOKEN, TestEnv};

/// The header of the console.
const CONSOLE: (&str, &str) = ("x-crier-console", "1");

/// A token of that role, created by the admin of the secret.
pub(crate) async fn create_token(api: &ApiClient, name: &str, role: &str) -> (String, String) {
    let body = json!({"name": name, "role": role});
    let created = api.post("/v1/tokens", body).await.expect(201);
    (
        text(&created["token"]).to_owned(),
        text(&created["id"]).to_owned(),
    )
}

pub(crate) async fn with_token(api: &ApiClient, token: &str, method: &str, path: &str) -> ApiReply {
    api.request(method, path, Some(token), Vec::new()).await
}

/// The cookie of a session, as a browser sends it.
async fn sign_in(api: &ApiClient, token: &str) -> String {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), CONSOLE];
    let reply = api
        .request_with("POST", "/v1/session", &headers, Vec::new())
        .await;
    let cookie = reply.cookie.clone().unwrap();
    reply.expect(201);
    for flag in [
        "HttpOnly",
        "Secure",
        "SameSite=Strict",
        "Path=/",
        "Max-Age=43200",
    ] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

async fn with_cookie(api: &ApiClient, cookie: &str, method: &str, path: &str) -> ApiReply {
    let headers = [("cookie", cookie), CONSOLE];
    api.request_with(method, path, &headers, Vec::new()).await
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn token_is_shown_once_works_and_ends_with_its_revocation() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let (token, id) = create_token(&api, "maria", "author").await;
    let known = with_token(&api, &token, "GET", "/v1/session")
        .await
        .expect(200);
    assert_has(
        &known,
        &json!({"name": "maria", "role": "author", "kind": "token", "expires_at": null}),
    );
    let listed = api.get("/v1/tokens").await.expect(200);
    let listed_token = &list(&listed["tokens"])[0];
    assert_has(
        listed_token,
        &json!({"id": id, "name": "maria", "created_by": "ops"}),
    );
    assert!(listed_token["last_used_at"].is_string() && listed_token.get("token").is_none());
    assert!(!listed.to_string().contains(&token));

    let again = api
        .post("/v1/tokens", json!({"name": "MARIA", "role": "viewer"}))
        .await;
    assert_eq!(again.expect(409)["field"], "/name");
    api.post("/v1/tokens", json!({"name": "ops", "role": "viewer"}))
        .await
        .expect(409);

    let path = format!("/v1/tokens/{id}");
    assert_eq!(api.delete(&path).await.status, 204);
    with_token(&api, &token, "GET", "/v1/session")
        .await
        .expect(401);
    api.delete(&path).await.expect(404);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn each_role_is_refused_what_it_may_not_do() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let campaign = env.create_campaign(CampaignState::Ready).await;
    let path = |end: &str| format!("/v1/campaigns/{}{end}", campaign.id);
    let (viewer, _) = create_token(&api, "v", "viewer").await;
    let (author, _) = create_token(&api, "a", "author").await;
    let (sender, _) = create_token(&api, "s", "sender").await;
    let refused = [
        (&viewer, "POST", "/v1/campaigns".to_owned(), "author"),
        (&viewer, "POST", path("/test"), "author"),
        (&viewer, "GET", path("/rejects"), "author"),
        (&author, "POST", path("/start"), "sender"),
        (&author, "POST", path("/cancel"), "sender"),
        (&author, "GET", "/v1/audit".to_owned(), "sender"),
        (
            &author,
            "PUT",
            "/v1/contacts/5511987654321".to_owned(),
            "sender",
        ),
        (&sender, "PUT", "/v1/settings".to_owned(), "admin"),
        (&sender, "GET", "/v1/tokens".to_owned(), "admin"),
        (
            &sender,
            "DELETE",
            "/v1/contacts/5511987654321".to_owned(),
            "admin",
        ),
    ];
    for (token, method, path, needed) in refused {
        let problem = with_token(&api, token, method, &path).await.expect(403);
        assert_says(text(&problem["detail"]), &["needs the role", needed]);
    }
    let seen = with_token(&api, &viewer, "GET", &path(""))
        .await
        .expect(200);
    assert_eq!(seen["state"], "ready", "nothing was changed");
    let options = json!({"options": {"delimiter": ";"}})
        .to_string()
        .into_bytes();
    let preview = api
        .request("POST", &path("/preview"), Some(&viewer), options)
        .await;
    preview.expect(403);
    with_token(&api, &sender, "POST", &path("/start"))
        .await
        .expect(200);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn session_works_like_its_token_and_ends_with_it() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let campaign = env.import_campaign(2, |_| {}).await;
    let (token, id) = create_token(&api, "ana", "sender").await;
    let cookie = sign_in(&api, &token).await;
    let who = with_cookie(&api, &cookie, "GET", "/v1/session")
        .await
        .expect(200);
    assert_has(
        &who,
        &json!({"name": "ana", "role": "sender", "kind": "session", "budget": 40}),
    );
    assert!(list(&who["allowed"]).contains(&json!("startCampaign")));

    let pause = format!("/v1/campaigns/{}/pause", campaign.id);
    for headers in [
        vec![("cookie", cookie.as_str())],
        vec![
            ("cookie", cookie.as_str()),
            CONSOLE,
            ("sec-fetch-site", "cross-site"),
        ],
        vec![
            ("cookie", cookie.as_str()),
            CONSOLE,
            ("sec-fetch-site", "same-site"),
        ],
    ] {
        let reply = api.request_with("POST", &pause, &headers, Vec::new()).await;
        assert_eq!(reply.expect(403)["title"], "not from the console");
    }
    let headers = [
        ("cookie", cookie.as_str()),
        CONSOLE,
        ("sec-fetch-site", "same-origin"),
    ];
    api.request_with("POST", &pause, &headers, Vec::new())
        .await
        .expect(200);

    // Another session of the same person, which stays.
    let other = sign_in(&api, &token).await;
    let reply = with_cookie(&api, &cookie, "DELETE", "/v1/session").await;
    assert!(reply.status == 204 && reply.cookie.unwrap().contains("Max-Age=0"));
    let reply = with_cookie(&api, &cookie, "GET", "/v1/session").await;
    assert!(reply.cookie.clone().unwrap().contains("Max-Age=0"));
    reply.expect(401);
    with_cookie(&api, &other, "GET", "/v1/session")
        .await
        .expect(200);
    assert_eq!(api.delete(&format!("/v1/tokens/{id}")).await.status, 204);
    with_cookie(&api, &other, "GET", "/v1/session")
        .await
        .expect(401);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn identity_provider_names_people_and_their_roles() {
    const PATH: &str = "/v1/session/oidc";
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let claims = json!({"sub": "42", "email": "maria@example.com", "email_verified": "true",
        "roles": "[staff crier-author]"});
    let reply = api.post_with_claims(PATH, claims).await;
    let cookie = reply.cookie.clone().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let seen = reply.expect(201);
    let maria = json!({"name": "maria@example.com", "role": "author", "kind": "session"});
    assert_has(&seen, &maria);

    let seen = with_cookie(&api, cookie, "GET", "/v1/session").await;
    assert_has(&seen.expect(200), &maria);
    let start = "/v1/campaigns/0198c0de-0000-7000-8000-000000000001/start";
    let refused = with_cookie(&api, cookie, "POST", start).await;
    assert_says(text(&refused.expect(403)["detail"]), &["sender", "author"]);
    let audit = api.get("/v1/audit").await.expect(200);
    let entries = list(&audit["entries"]);
    assert!(
        entries
            .iter()
            .any(|entry| entry["who"] == "maria@example.com"
                && entry["via"] == "identity_provider"
                && entry["operation"] == "signInWithOidc")
    );
    assert_eq!(
        with_cookie(&api, cookie, "DELETE", "/v1/session")
            .await
            .status,
        204
    );
    with_cookie(&api, cookie, "GET", "/v1/session")
        .await
        .expect(401);

    // Whom the provider gives no role may not enter, and only the provider's word opens this way.
    let unnamed = json!({"sub": "42", "roles": "crier-sender"});
    let refused = api.post_with_claims(PATH, unnamed).await.expect(403);
    assert_says(text(&refused["detail"]), &["no `email`"]);
    let nobody = json!({"email": "bo@example.com", "email_verified": "true", "roles": "staff"});
    let refused = api.post_with_claims(PATH, nobody).await.expect(403);
    assert_says(text(&refused["detail"]), &["no role", "roles"]);
    let bearer = format!("Bearer {API_TOKEN}");
    let headers = [("authorization", bearer.as_str()), CONSOLE];
    let reply = api.request_with("POST", PATH, &headers, Vec::new()).await;
    assert_says(text(&reply.expect(409)["detail"]), &["POST /v1/session"]);
    with_token(&api, "a.b.c", "POST", PATH).await.expect(401);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn wrong_tokens_are_slowed_down_and_nobody_is_locked_out() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let (token, _) = create_token(&api, "ana", "viewer").await;
    let cookie = sign_in(&api, &token).await;
    let mut refused = 0;
    for guess in 0..40 {
        let reply = with_token(&api, &format!("guess-{guess}"), "GET", "/v1/account").await;
        assert!(matches!(reply.status, 401 | 429), "{}", reply.status);
        refused += usize::from(reply.status == 429);
    }
    assert!(refused >= 8, "{refused}");
    // Everybody else from the same address works on, and signs in.
    with_token(&api, API_TOKEN, "GET", "/v1/account")
        .await
        .expect(200);
    with_token(&api, &token, "GET", "/v1/account")
        .await
        .expect(200);
    with_cookie(&api, &cookie, "GET", "/v1/account")
        .await
        .expect(200);
    sign_in(&api, &token).await;
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn viewer_sees_no_number() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let (viewer, _) = create_token(&api, "v", "viewer").await;
    let number = "+5511987654321";
    let settings = json!({"test_numbers": [{"name": "Mine", "phone": number}]});
    api.put("/v1/settings", settings).await.expect(200);
    let reason = json!({"suppressed": true, "reason": "call 11 98765-4321"});
    api.put("/v1/contacts/5511987654321", reason)
        .await
        .expect(200);
    for path in [
        "/v1/contacts/5511987654321",
        "/v1/settings",
        "/v1/session",
        "/v1/inbox",
        "/v1/metrics",
    ] {
        let masked = with_token(&api, &viewer, "GET", path).await;
        assert!(!masked.text.contains("98765"), "{path}: {}", masked.text);
        assert_eq!(masked.status, 200, "{path}: {}", masked.text);
    }
    let contact = with_token(&api, &viewer, "GET", "/v1/contacts/5511987654321")
        .await
        .expect(200);
    assert_eq!(contact["phone"], "+•••••••••4321");
    assert_eq!(contact["consent"][0]["text"], "call •• •••••-4321");
}
