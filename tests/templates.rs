//! Templates: a campaign's message is checked against those of the account.

use serde_json::{Value, json};

use crate::harness::TestEnv;
use crate::harness::api_client::{ApiClient, ApiReply};
use crate::harness::json::{assert_says, list, text};

fn template_message(name: &str, components: Value) -> Value {
    json!({"type": "template",
        "template": {"name": name, "language": {"code": "en"}, "components": components}})
}

async fn create_campaign(api: &ApiClient, message: Value, check: bool) -> ApiReply {
    let campaign = json!({"name": "T", "message": message, "check_template": check,
        "file": {"name": "a.csv", "size": 9}});
    api.post("/v1/campaigns", campaign).await
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn template_is_checked_against_the_account_and_the_answer_is_cached() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let listed = api.get("/v1/templates").await.expect(200);
    let names = list(&listed["templates"]).iter();
    let names: Vec<&str> = names.map(|template| text(&template["name"])).collect();
    assert_eq!(names, ["hello_world", "order_update", "winter_sale"]);
    assert_eq!(listed["templates"][2]["header"], "image");

    let calls = env.simulator.state.management_call_count();
    for (name, field, part) in [
        (
            "order_updat",
            "/message/template/name",
            "approved ones are: hello_world, order_update",
        ),
        (
            "hello_world",
            "/message/template/language/code",
            "only in: en_US",
        ),
        (
            "order_update",
            "/message/template/components",
            "needs 2 body parameters in order, 0 are given; needs a parameter for button 0",
        ),
    ] {
        let message = template_message(name, json!([]));
        let problem = create_campaign(&api, message, true).await.expect(422);
        assert_eq!(problem["field"], field, "{problem}");
        assert_says(text(&problem["detail"]), &[part]);
    }
    let calls_after = env.simulator.state.management_call_count();
    assert_eq!(calls_after, calls, "the account is not asked again so soon");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn campaign_can_be_created_unchecked_while_the_account_is_unavailable() {
    let env = TestEnv::new().await;
    env.configure_simulator(json!({"waba_id": "1", "access_token": "another"}));
    let api = ApiClient::new(&env);
    let problem = api.get("/v1/templates").await.expect(503);
    assert_says(text(&problem["detail"]), &["check_template"]);
    let message =
        json!({"type": "template", "template": {"name": "x", "language": {"code": "en"}}});
    create_campaign(&api, message, false).await.expect(201);
}
