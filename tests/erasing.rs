//! Erasure: nothing of somebody is left anywhere but a hash, and nobody else is touched.

use campaign::lifecycle::campaign::FileInfo;
use cloud::contacts::ContactKey;
use cloud::files::Upload;
use serde_json::json;

use crate::callbacks::{response_status, signed_request, status_json, statuses_body};
use crate::harness::{API_TOKEN, TestEnv};
use crate::http_api::{call_api, get_json, new_api};

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn erasure_removes_every_trace_once_the_campaigns_are_over() {
    let world = TestEnv::new().await;
    let (api, webhook) = (new_api(&world), world.webhook());
    world
        .simulator
        .state
        .update_settings(&json!({"user_ids": true}))
        .unwrap();
    let campaign = world
        .create_campaign_with(|campaign| {
            campaign.exclude = Some(FileInfo {
                name: "out.csv".into(),
                size: 1,
            });
        })
        .await;
    let id = campaign.id.clone();
    world
        .upload_to(&id, Upload::Exclusions, b"+34 610 999 999\n+34610888888\n")
        .await;
    let file = b"phone,name\r\n+34610000001,Ana\r\n+34 610 000 002,Secret Person\r\n12,Nobody\r\n+34610000003,Cleo\r\n+34610000002,Secret Person\r\n";
    let event = world.upload_file(&id, file).await;
    world.run_import(event).await;
    world.send_all().await;
    let wamid = world
        .ledger
        .get_row(&id, 2)
        .await
        .unwrap()
        .unwrap()
        .wamid
        .unwrap();
    let mut sent = status_json(&format!("{id}:2:1"), &wamid, "sent", 10);
    sent["recipient_id"] = json!("34610000002");
    assert_eq!(
        response_status(&webhook, signed_request(&world, &statuses_body(&[sent]))).await,
        200
    );
    let said = json!({"from": "34610000002", "id": "wamid.in", "timestamp": "1790000000", "type": "text", "text": {"body": "my secret"}});
    let value = json!({"contacts": [{"profile": {"name": "Secret Person"}, "wa_id": "34610000002", "user_id": "XX.34610000002"}], "messages": [said]});
    let body = json!({"entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]})
        .to_string();
    assert_eq!(
        response_status(&webhook, signed_request(&world, &body)).await,
        200
    );
    let path = format!("/v1/campaigns/{id}/report");
    assert_eq!(
        call_api(&api, "POST", &path, Some(API_TOKEN), Vec::new())
            .await
            .0,
        202
    );
    world.run_next_job().await;

    let (code, _, asked) = call_api(
        &api,
        "DELETE",
        "/v1/contacts/34610000002",
        Some(API_TOKEN),
        Vec::new(),
    )
    .await;
    assert_eq!(
        (code, &asked["suppressed"], &asked["erasure"]),
        (202, &json!(true), &json!("requested"))
    );
    // The campaign is not closed yet: rows are known by their place in the file.
    assert!(!world.run_next_erasure().await);
    let (_, waiting) = get_json(&api, "/v1/contacts/34610000002").await;
    assert!(
        waiting["erasure"].as_str().unwrap().contains("waits until"),
        "{waiting}"
    );
    let phone = campaign::import::phone::parse("+34610000002", None).unwrap();
    let order_again = async || {
        let waits_for = Some(id.clone());
        let order = cloud::erasure_queue::ErasureJob { phone, waits_for };
        let order = world
            .erasure_queue()
            .enqueue(&order, std::time::Duration::ZERO)
            .await;
        order.unwrap();
    };
    order_again().await;
    assert!(!world.run_next_erasure().await, "still not over");
    world.recount_ledger(&id).await;
    let now = cloud::now();
    world
        .reconciler()
        .run(now + 300_000, now + 900_000)
        .await
        .unwrap();
    assert!(world.load_campaign(&id).await.is_over());
    order_again().await;
    assert!(world.run_next_erasure().await);

    let all = world.dump().await;
    for trace in ["610000002", "610 000 002", "Secret Person", "my secret"] {
        let lines: Vec<&str> = all.lines().filter(|line| line.contains(trace)).collect();
        assert!(lines.is_empty(), "{trace}: {lines:?}");
    }
    for other in ["34610000001", "Cleo", "610 999 999", "34610888888"] {
        assert!(all.contains(other), "{other} is gone, too");
    }
    let contact = world
        .contacts
        .get(&ContactKey::Phone(phone))
        .await
        .unwrap()
        .unwrap();
    assert!(contact.suppressed && contact.phone.is_none());
    let (_, seen) = get_json(&api, "/v1/contacts/34610000002").await;
    assert_eq!(
        (&seen["erasure"], &seen["consent"][0]["source"]),
        (&json!("done"), &json!("erasure"))
    );
    // Rows are where they were, sums hold, and nobody messages them again.
    let (_, seen) = get_json(&api, &format!("/v1/campaigns/{id}")).await;
    assert_eq!(
        (&seen["rows"]["balanced"], &seen["rows"]["accepted"]),
        (&json!(true), &json!(3)),
        "{seen}"
    );
    assert_eq!(
        call_api(&api, "POST", &path, Some(API_TOKEN), Vec::new())
            .await
            .0,
        202
    );
    world.run_next_job().await;
    let (_, shown) = get_json(&api, &path).await;
    let text = reqwest::get(shown["files"][0]["url"].as_str().unwrap())
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
    assert!(
        lines[2].starts_with("erased,,2,rejected_at_import"),
        "{text}"
    );
    assert!(
        lines[4].starts_with("+34610000003,Cleo,4,accepted"),
        "{text}"
    );
    let again = world.create_campaign_with(|_| {}).await;
    let event = world
        .upload_file(
            &again.id,
            b"phone,name\n+34610000002,Again\n+34610000009,New\n",
        )
        .await;
    world.run_import(event).await;
    assert_eq!(
        world
            .load_campaign(&again.id)
            .await
            .import_counts()
            .suppressed,
        1
    );
}
