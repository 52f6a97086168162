//! The audit log: each change, with what it changed.

use campaign::id::CampaignId;
use serde_json::{Value, json};

use crate::access::{create_token, with_token};
use crate::harness::TestEnv;
use crate::harness::api_client::ApiClient;
use crate::harness::json::{list, text};

/// What Ana does, the latest first, after her token was created.
const OPERATIONS: [&str; 6] = [
    "updateContact",
    "continueCampaign",
    "startCampaign",
    "resumeCampaign",
    "pauseCampaign",
    "createToken",
];

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn every_change_is_in_the_audit_log_with_its_versions() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let campaign = env.import_campaign(2, |_| {}).await;
    change_something(&api, &campaign.id).await;
    let path = format!("/v1/audit?campaign={}", campaign.id);
    let listed = api.get(&path).await.expect(200);
    let entries: Vec<_> = list(&listed["entries"]).iter().map(facts).collect();
    let (before, paused, resumed) = (
        Some(campaign.version),
        Some(campaign.version + 1),
        Some(campaign.version + 2),
    );
    let expected = [
        ("continueCampaign", None, None, Some(409)),
        ("startCampaign", resumed, resumed, Some(200)),
        ("resumeCampaign", paused, resumed, Some(200)),
        ("pauseCampaign", before, paused, Some(200)),
    ];
    assert_eq!(entries, expected);
    let mut all = list(&listed["entries"]).iter();
    assert!(all.all(|entry| entry["who"] == "ana" && entry["via"] == "token"));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn audit_log_is_read_page_by_page_and_exported_without_numbers() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let campaign = env.import_campaign(2, |_| {}).await;
    change_something(&api, &campaign.id).await;
    assert_eq!(operations_by_page(&api).await, OPERATIONS);
    let csv = api.get("/v1/audit.csv").await;
    assert_eq!((csv.status, csv.next.as_deref()), (200, None));
    assert!(csv.content_type.starts_with("text/csv"));
    assert_eq!(csv.text.lines().count(), 1 + OPERATIONS.len());
    assert!(!csv.text.contains("5511987654321") && csv.text.contains("updateContact"));
}

/// Ana, a sender, pauses a campaign, resumes it, and so on: [`OPERATIONS`].
async fn change_something(api: &ApiClient, campaign: &CampaignId) {
    let (token, _) = create_token(api, "ana", "sender").await;
    for (command, status) in [
        ("pause", 200),
        ("resume", 200),
        ("start", 200),
        ("continue", 409),
    ] {
        let path = format!("/v1/campaigns/{campaign}/{command}");
        let reply = with_token(api, &token, "POST", &path).await;
        reply.expect(status);
    }
    let suppressed = json!({"suppressed": true}).to_string().into_bytes();
    let contact = "/v1/contacts/5511987654321";
    let reply = api.request("PUT", contact, Some(&token), suppressed).await;
    reply.expect(200);
}

/// The operation of an entry, the campaign's versions before and after, and the status.
fn facts(entry: &Value) -> (&str, Option<u64>, Option<u64>, Option<u64>) {
    let number = |name: &str| entry[name].as_u64();
    (
        text(&entry["operation"]),
        number("version_before"),
        number("version_after"),
        number("status"),
    )
}

/// All operations, read two by two.
async fn operations_by_page(api: &ApiClient) -> Vec<String> {
    let (mut operations, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/audit?limit=2{after}");
        let page = api.get(&path).await.expect(200);
        for entry in list(&page["entries"]) {
            operations.push(text(&entry["operation"]).to_owned());
        }
        let Some(next) = page["next"].as_str() else {
            return operations;
        };
        after = format!("&after={}", next.replace('#', "%23"));
    }
}
