//! Two numbers, each with a stack, a budget and a sender of its own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::stack::DeployedStack;
use crate::harness::json::{assert_has, text};

/// The numbers of the deployed stack (`cargo xtask test`), and their budgets.
pub(super) const FIRST: &str = "100000000000001";
const SECOND: &str = "100000000000002";
const BUDGETS: [(&str, i64); 2] = [(FIRST, 40), (SECOND, 20)];

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn each_number_keeps_its_budget_and_each_person_hears_from_one() {
    let stack = DeployedStack::new();
    let numbers = stack.get_json("/v1/numbers").await;
    let first = json!({"id": FIRST, "is_first": true, "budget": 40, "slots": 40});
    let second = json!({"id": SECOND, "is_first": false, "budget": 20, "slots": 4});
    let numbers = numbers["numbers"].as_array().unwrap();
    assert_eq!(numbers.len(), 2, "{numbers:?}");
    for (seen, expected) in numbers.iter().zip([first, second]) {
        assert_has(seen, &expected);
        assert_has(
            &seen["number"],
            &json!({"throughput": "STANDARD", "quality": "GREEN"}),
        );
    }

    let both = send(
        &stack,
        "Both",
        640_000_000..640_000_600,
        json!([FIRST, SECOND]),
    );
    let on_first = send(&stack, "First", 640_001_000..640_001_200, json!([FIRST]));
    let on_second = send(&stack, "Second", 640_002_000..640_002_100, json!([SECOND]));
    let (both, on_first, on_second) = tokio::join!(both, on_first, on_second);
    assert_eq!(on_first, BTreeSet::from([FIRST.to_owned()]));
    assert_eq!(on_second, BTreeSet::from([SECOND.to_owned()]));
    assert_eq!(both.len(), 2, "{both:?}");

    // Those whom the second has messaged hear from it again.
    let known = send(
        &stack,
        "Known",
        640_002_000..640_002_100,
        json!([FIRST, SECOND]),
    )
    .await;
    assert_eq!(known, BTreeSet::from([SECOND.to_owned()]));

    let stats = stack.get_control("stats").await;
    assert_eq!(stats["sends"]["repeats"], 0);
    for (number, budget) in BUDGETS {
        let busiest = stats["sends"]["by_number"][number]["busiest_second"].as_i64();
        assert!(busiest.is_some_and(|sends| sends <= budget), "{stats}");
    }
}

#[tokio::test]
#[ignore = "needs a deployed stack: cargo xtask test"]
async fn flagged_number_is_paused_and_its_rows_wait_until_it_is_resumed() {
    let stack = DeployedStack::new();
    // Callbacks of the first campaign tell which phone the number has.
    send(&stack, "Before", 640_003_000..640_003_020, json!([SECOND])).await;
    let numbers = stack.get_json("/v1/numbers").await;
    let phone = text(&numbers["numbers"][1]["number"]["phone"]);
    let flag =
        json!({"event": "FLAGGED", "current_limit": "TIER_1K", "display_phone_number": phone});
    let change = json!({"field": "phone_number_quality_update", "value": flag});
    let entry = json!({"id": "1", "time": cloud::now() / 1000, "changes": [change]});
    let flagged = json!({"object": "whatsapp_business_account", "entry": [entry]});
    assert!(stack.post_callback(&flagged).await);
    let numbers = stack.get_json("/v1/numbers").await;
    assert_eq!(numbers["numbers"][0]["paused"], Value::Null);
    assert_has(&numbers["numbers"][1]["paused"], &json!({"by": "crier"}));

    let id = start(&stack, "Flagged", 640_003_100..640_003_140, json!([SECOND])).await;
    let held = stack
        .wait_for_campaign(&id, |seen| {
            seen["state"] == "sending" && seen["rows"]["waiting"] == 40
        })
        .await;
    assert_has(&held["suspended_numbers"][0], &json!({"id": SECOND}));
    let path = format!("/v1/numbers/{SECOND}/resume");
    let (status, resumed) = stack.post(&path, &Value::Null).await;
    assert_eq!((status.as_u16(), &resumed["paused"]), (200, &Value::Null));
    wait_until_sent(&stack, &id, 40).await;
}

/// Sends a campaign to these recipients from these numbers, to its end. Each recipient must have one call. Gives the numbers
/// that were sent from.
async fn send(
    stack: &DeployedStack,
    name: &str,
    recipients: std::ops::Range<u32>,
    numbers: Value,
) -> BTreeSet<String> {
    let count = recipients.len();
    let id = start(stack, name, recipients, numbers.clone()).await;
    let seen = wait_until_sent(stack, &id, count).await;
    assert_eq!(seen["numbers"], numbers);
    let calls = stack.calls_for(&id).await;
    let called: BTreeSet<&str> = calls.iter().map(|call| text(&call["to"])).collect();
    assert_eq!((called.len(), calls.len()), (count, count), "{name}");
    let numbers = calls.iter().map(|call| text(&call["number"]).to_owned());
    numbers.collect()
}

/// Starts such a campaign.
async fn start(
    stack: &DeployedStack,
    name: &str,
    recipients: std::ops::Range<u32>,
    numbers: Value,
) -> String {
    let lines = recipients.map(|number| format!("+34{number},Ana\n"));
    let file = format!("phone,name\n{}", lines.collect::<String>());
    let fields = json!({"numbers": numbers});
    stack.start_campaign(name, &file, fields).await
}

/// Waits for the end of a campaign of which every row must be accepted.
async fn wait_until_sent(stack: &DeployedStack, id: &str, rows: usize) -> Value {
    let seen = stack
        .wait_for_campaign(id, |seen| seen["state"] == "finished")
        .await;
    assert_has(&seen["rows"], &json!({"accepted": rows, "balanced": true}));
    seen
}
