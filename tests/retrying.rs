//! Chosen rows of a campaign that is over are sent again, and a file that was sent already is not.

use campaign::delivery::ledger::State;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, CampaignState};
use serde_json::{Value, json};

use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_has, assert_says, text};
use crate::harness::{TestEnv, recipients_csv};

/// The simulator refuses these numbers, each with its code.
const REFUSED: [(&str, i64); 2] = [("+12025550120", 131_021), ("+12025550123", 130_497)];

/// A campaign of six rows, of which WhatsApp refuses the last two.
async fn finish_with_two_rejects(env: &TestEnv) -> CampaignId {
    let mut file = recipients_csv(4);
    for (number, _) in REFUSED {
        file.push_str(&format!("{number},Bo\n"));
    }
    let id = env.create_campaign_with(|_| {}).await.id;
    env.import_file(&id, file.as_bytes()).await;
    env.send_all().await;
    assert_eq!(
        env.row_states(&id).await,
        [(State::Accepted, 4), (State::Rejected, 2)]
    );
    env.recount_ledger(&id).await;
    id
}

async fn retry(api: &ApiClient, id: &CampaignId, body: Value, status: u16) -> Value {
    api.post(&format!("/v1/campaigns/{id}/retries"), body)
        .await
        .expect(status)
}

/// Who was called after the first `before` calls.
fn called_after(env: &TestEnv, before: usize) -> Vec<String> {
    let calls = env.simulator.state.calls();
    let mut called: Vec<String> = calls.into_iter().skip(before).map(|call| call.to).collect();
    called.sort();
    called
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn retry_sends_exactly_the_chosen_rows_once() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = finish_with_two_rejects(&env).await;
    let before = env.simulator.state.calls().len();

    let [(number, code), (_, other_code)] = REFUSED;
    let body = json!({"codes": [code], "states": ["rejected"]});
    let created = retry(&api, &id, body, 201).await;
    let child: CampaignId = text(&created["id"]).parse().unwrap();
    env.run_queued_imports().await;
    env.send_all().await;
    assert_eq!(called_after(&env, before), [number]);
    assert_eq!(env.row_states(&child).await, [(State::Rejected, 1)]);
    let sent = env.simulator.state.calls().pop().unwrap();
    let parameter = &sent.body["template"]["components"][0]["parameters"][0];
    assert_eq!(parameter["text"], "Bo", "the value of the row");

    let seen = api.get(&format!("/v1/campaigns/{child}")).await.expect(200);
    assert_eq!(seen["retry_of"], json!(id.as_str()));
    let seen = api.get(&format!("/v1/campaigns/{id}")).await.expect(200);
    assert_eq!(seen["retries"], json!([child.as_str()]));
    // A double click gets the same campaign, and whoever chooses the row once more is told of it.
    let body = json!({"codes": [code], "states": ["rejected"], "allow_repeat": true});
    let again = retry(&api, &id, body, 201).await;
    assert_eq!(again["id"], created["id"]);
    let problem = retry(&api, &id, json!({}), 409).await;
    assert_says(text(&problem["detail"]), &[child.as_str(), "allow_repeat"]);
    let other = json!({"codes": [other_code]});
    retry(&api, &id, other, 201).await;
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn recipients_of_chosen_rows_are_suppressed_and_nobody_else() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = finish_with_two_rejects(&env).await;
    let path = format!("/v1/campaigns/{id}/suppression");
    api.get(&path).await.expect(404);
    let [(number, code), (other, _)] = REFUSED;
    let body = json!({"states": ["rejected"], "codes": [code]});
    let requested = api.post(&path, body.clone()).await.expect(202);
    assert_eq!(requested["state"], "requested");
    let detail = api.post(&path, body.clone()).await.expect(409)["detail"].clone();
    assert_says(text(&detail), &["being suppressed"]);
    env.run_next_job().await;
    let done = api.get(&path).await.expect(200);
    assert_has(&done, &json!({"state": "done", "rows": 6, "affected": 1}));
    assert_says(text(&done["outcome"]), &["1 recipients"]);

    let contact = async |number: &str| {
        let path = format!("/v1/contacts/{}", number.replace('+', "%2B"));
        api.get(&path).await.expect(200)
    };
    let suppressed = contact(number).await;
    assert_eq!(suppressed["suppressed"], true);
    assert_says(&suppressed.to_string(), &["error 131021"]);
    assert_eq!(contact(other).await["suppressed"], false);

    // Once more, and every state: only the other one is new.
    let body = json!({"states": ["rejected"]});
    api.post(&path, body).await.expect(202);
    env.run_next_job().await;
    let done = api.get(&path).await.expect(200);
    assert_says(text(&done["outcome"]), &["1 recipients"]);
    let wrong = api.post(&path, json!({"states": []})).await.expect(422);
    assert_eq!(wrong["field"], "/states");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn retry_of_nobody_fails_and_one_of_a_running_campaign_is_refused() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let running = env.import_campaign(3, |_| {}).await.id;
    retry(&api, &running, json!({}), 409).await;
    let problem = retry(&api, &running, json!({"states": ["waiting"]}), 422).await;
    assert_eq!(problem["field"], "/states/0");
    env.send_all().await;
    env.recount_ledger(&running).await;
    let created = retry(&api, &running, json!({}), 201).await;
    let child: CampaignId = text(&created["id"]).parse().unwrap();
    env.run_queued_imports().await;
    let failed = env.load_campaign(&child).await;
    assert_eq!(failed.state(cloud::now()), CampaignState::Failed);
    assert_says(failed.reason(cloud::now()).unwrap(), &["chosen states"]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn file_that_was_sent_already_is_refused_unless_it_is_meant() {
    let env = TestEnv::new().await;
    let guarded = |campaign: &mut Campaign| campaign.allow_repeat = false;
    let first = env.import_campaign(4, guarded).await.id;
    env.send_all().await;
    // The same people in another spelling.
    let again = env.create_campaign_with(guarded).await.id;
    let file = recipients_csv(4).replace("+34610", "+34 610 ");
    env.import_file(&again, file.as_bytes()).await;
    let refused = env.load_campaign(&again).await;
    assert_eq!(refused.state(cloud::now()), CampaignState::Failed);
    let reason = refused.reason(cloud::now()).unwrap();
    assert_says(reason, &[first.as_str(), "allow_repeat"]);
    assert!(env.drain_batches().await.is_empty());

    let meant = env.import_campaign(4, |_| {}).await.id;
    env.send_all().await;
    assert_eq!(env.row_states(&meant).await, [(State::Accepted, 4)]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn of_two_campaigns_with_the_same_file_one_is_sent() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let waits = |campaign: &mut Campaign| {
        campaign.allow_repeat = false;
        campaign.manual_start = true;
    };
    let ids = [
        env.import_campaign(4, waits).await.id,
        env.import_campaign(4, waits).await.id,
    ];
    for id in &ids {
        let path = format!("/v1/campaigns/{id}/start");
        api.post(&path, Value::Null).await.expect(200);
    }
    env.run_queued_imports().await;
    env.send_all().await;
    assert_eq!(env.simulator.state.stats().calls, 4);
    let failed = api
        .get(&format!("/v1/campaigns/{}", ids[1]))
        .await
        .expect(200);
    assert_has(&failed, &json!({"state": "failed"}));
    assert_has(&failed["rows"], &json!({"total": 0, "balanced": true}));
    assert_eq!(env.campaign_state(&ids[0]).await, CampaignState::Sending);
}
