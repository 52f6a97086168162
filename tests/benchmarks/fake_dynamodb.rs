//! Tables in memory: a ledger of as many rows as wanted, and writes that are acknowledged at once. What is measured beside
//! them is the function's own time and not the emulator's.

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use campaign::id::ROWS_PER_PARTITION;
use serde_json::Value;

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

/// A partition of the ledger: every row was read, but each thousandth is rejected. Written as text, so that the table takes
/// next to no time.
fn query_partition(query: &Value) -> String {
    let key = query["ExpressionAttributeValues"][":partition_key"]["S"]
        .as_str()
        .unwrap();
    let number: u32 = key.rsplit('#').next().unwrap().parse().unwrap();
    let rows = number * ROWS_PER_PARTITION..(number + 1) * ROWS_PER_PARTITION;
    let count = rows.len();
    let items: Vec<String> = rows.map(|row| ledger_item(key, row)).collect();
    format!(
        r#"{{"Count":{count},"ScannedCount":{count},"Items":[{}]}}"#,
        items.join(",")
    )
}

fn ledger_item(partition: &str, row: u32) -> String {
    let at = 1_790_000_000_000 + u64::from(row) * 12;
    let outcome = match row.is_multiple_of(1000) {
        true => r#""state":{"S":"rejected"},"error_info":{"M":{"code":{"N":"131026"},"title":{"S":"Message undeliverable"}}}"#.to_owned(),
        false => format!(
            r#""state":{{"S":"accepted"}},"wamid":{{"S":"wamid.HBgNNTUxMTk{row:020}"}},"wa_id":{{"S":"55119{row:08}"}},"message_status":{{"S":"accepted"}},"category":{{"S":"marketing"}},"sent_at":{{"N":"{}"}},"delivered_at":{{"N":"{}"}},"read_at":{{"N":"{}"}}"#,
            at + 900,
            at + 1900,
            at + 60_000
        ),
    };
    format!(
        r#"{{"partition_key":{{"S":"{partition}"}},"row":{{"S":"{row:010}"}},"attempt":{{"N":"1"}},"owner":{{"S":"a/1"}},"claimed_at":{{"N":"{at}"}},"expires_at":{{"N":"1890000000"}},{outcome}}}"#
    )
}
