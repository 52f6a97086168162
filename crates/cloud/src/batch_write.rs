//! Writes of many items without a condition.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::WriteRequest;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::{Error, ErrorKind};

/// Items per `BatchWriteItem` (DynamoDB quotas).
const MAX_ITEMS_PER_REQUEST: usize = 25;

const MAX_CONCURRENT_REQUESTS: usize = 4;

/// How often items are written that DynamoDB left unprocessed in a successful response.
const MAX_ATTEMPTS: u32 = 8;

/// Writes all items, in any order, or fails; some may be written then.
pub(crate) async fn write_all(
    client: &Client,
    table: &str,
    action: &'static str,
    writes: Vec<WriteRequest>,
) -> Result<(), Error> {
    let requests: Vec<Vec<WriteRequest>> = writes
        .chunks(MAX_ITEMS_PER_REQUEST)
        .map(<[_]>::to_vec)
        .collect();
    stream::iter(requests)
        .map(|writes| write_request(client, table, action, writes))
        .buffer_unordered(MAX_CONCURRENT_REQUESTS)
        .try_collect()
        .await
}

async fn write_request(
    client: &Client,
    table: &str,
    action: &'static str,
    mut writes: Vec<WriteRequest>,
) -> Result<(), Error> {
    for attempt in 0..MAX_ATTEMPTS {
        let request = client.batch_write_item().request_items(table, writes);
        let response = request.send().await.map_err(Error::from_sdk(action))?;
        let unprocessed = response
            .unprocessed_items
            .and_then(|mut items| items.remove(table));
        writes = unprocessed.unwrap_or_default();
        if writes.is_empty() {
            return Ok(());
        }
        crate::sometimes!("the table left items of a batch unprocessed");
        tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
    }
    Err(Error::with_kind(
        action,
        ErrorKind::Throttled,
        format!(
            "DynamoDB left {} items unprocessed {MAX_ATTEMPTS} times",
            writes.len()
        ),
    ))
}
