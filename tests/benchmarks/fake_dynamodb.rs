//! Tables in memory: a ledger of as many rows as wanted, and writes that are acknowledged at once. What is measured beside
//! them is the function's own time and not the emulator's.

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use campaign::id::ROWS_PER_PARTITION;
use serde_json::{Value, json};

/// Starts a server; gives its URL.
pub(crate) async fn start_server() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(handle_request));
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    url
}

/// A DynamoDB client for that URL.
pub(crate) async fn connect(url: &str) -> aws_sdk_dynamodb::Client {
    let config = cloud::aws::load_config();
    let config = aws_sdk_dynamodb::config::Builder::from(&config).endpoint_url(url);
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

async fn handle_request(headers: HeaderMap, body: String) -> String {
    let operation = headers["x-amz-target"].to_str().unwrap();
    match operation.rsplit('.').next().unwrap() {
        "Query" => query_partition(&serde_json::from_str(&body).unwrap()),
        "BatchWriteItem" => r#"{"UnprocessedItems":{}}"#.into(),
        _ => "{}".into(),
    }
}

/// A partition of the ledger: every row was read, but each thousandth is rejected.
fn query_partition(query: &Value) -> String {
    let key = query["ExpressionAttributeValues"][":partition_key"]["S"]
        .as_str()
        .unwrap();
    let number: u32 = key.rsplit('#').next().unwrap().parse().unwrap();
    let rows = number * ROWS_PER_PARTITION..(number + 1) * ROWS_PER_PARTITION;
    let items: Vec<Value> = rows.map(|row| ledger_item(key, row)).collect();
    json!({"Count": items.len(), "ScannedCount": items.len(), "Items": items}).to_string()
}

fn ledger_item(partition: &str, row: u32) -> Value {
    let at = 1_790_000_000_000 + u64::from(row) * 12;
    let n = |number: u64| json!({"N": number.to_string()});
    let mut item = json!({
        "partition_key": {"S": partition}, "row": {"S": format!("{row:010}")}, "attempt": n(1), "owner": {"S": "a/1"},
        "claimed_at": n(at), "expires_at": n(1_890_000_000),
    });
    if row.is_multiple_of(1000) {
        item["state"] = json!({"S": "rejected"});
        item["error_info"] =
            json!({"M": {"code": n(131_026), "title": {"S": "Message undeliverable"}}});
    } else {
        item["state"] = json!({"S": "accepted"});
        item["wamid"] = json!({"S": format!("wamid.HBgNNTUxMTk{row:020}")});
        item["wa_id"] = json!({"S": format!("55119{row:08}")});
        item["message_status"] = json!({"S": "accepted"});
        item["category"] = json!({"S": "marketing"});
        for (name, after) in [
            ("sent_at", 900),
            ("delivered_at", 1900),
            ("read_at", 60_000),
        ] {
            item[name] = n(at + after);
        }
    }
    item
}
