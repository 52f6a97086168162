//! SQS: what several queues have in common.

use std::time::Duration;

use aws_sdk_sqs::Client;
use serde::Serialize;

use crate::{Error, message_body};

/// Enqueues one message as JSON.
pub(crate) async fn send_json<T: Serialize>(
    client: &Client,
    url: &str,
    action: &'static str,
    message: &T,
) -> Result<(), Error> {
    let body = message_body::encode(message).map_err(|error| Error::new(action, error))?;
    let send = client.send_message().queue_url(url).message_body(body);
    send.send().await.map(drop).map_err(Error::from_sdk(action))
}

/// Hides a received message from other consumers for `timeout` from now.
pub(crate) async fn set_visibility_timeout(
    client: &Client,
    url: &str,
    action: &'static str,
    receipt_handle: &str,
    timeout: Duration,
) -> Result<(), Error> {
    let change = client
        .change_message_visibility()
        .queue_url(url)
        .receipt_handle(receipt_handle)
        .visibility_timeout(timeout.as_secs() as i32);
    let changed = change.send().await;
    changed.map(drop).map_err(Error::from_sdk(action))
}
