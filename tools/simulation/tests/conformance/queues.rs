//! SQS.

use std::time::Duration;

use campaign::delivery::batch::Batch;
use cloud::batch_queue::BatchQueue;

use crate::case;
use crate::target::{Results, Target, campaign_id};

const HOUR: Duration = Duration::from_secs(3600);

async fn batch_queue(target: &Target, name: &str) -> BatchQueue {
    BatchQueue::new(cloud::aws::sqs(&target.config), target.queue(name).await)
}

fn batches(count: u32) -> Vec<Batch> {
    let batch = |hops| Batch {
        campaign: campaign_id(),
        rows: Vec::new(),
        hops,
    };
    (0..count).map(batch).collect()
}

case!(
    send_and_receive,
    send_and_receive_batches,
    [
        "empty: true",
        "sent 12",
        "empty: false",
        "received 10, all once",
        "received 2, all once",
        "received 0, all once",
        "empty: true",
        "hidden again",
        "shown again",
        "received 1, all twice",
        "deleted",
        "received 0, all once",
    ]
);

async fn send_and_receive_batches(target: &Target) -> Results {
    let queue = batch_queue(target, "SendsQueue").await;
    let is_empty = async || format!("empty: {}", queue.is_empty().await.expect("count"));
    let receive = async || {
        let received = queue.receive(10, HOUR, Duration::ZERO).await;
        received.expect("received")
    };
    let count = |received: &[cloud::batch_queue::QueueMessage]| {
        let twice = received.iter().any(|message| message.receive_count == 2);
        let times = if twice { "twice" } else { "once" };
        format!("received {}, all {times}", received.len())
    };
    let mut results = vec![is_empty().await];
    queue
        .enqueue(&batches(12), Duration::ZERO)
        .await
        .expect("sent");
    results.push("sent 12".into());
    results.push(is_empty().await);
    let first = receive().await;
    let second = receive().await;
    let third = receive().await;
    results.extend([count(&first), count(&second), count(&third)]);
    // Messages in flight do not count.
    results.push(is_empty().await);
    let handle = &second[0].receipt_handle;
    let hide = async |timeout| queue.set_visibility_timeout(handle, timeout).await;
    hide(HOUR).await.expect("hidden");
    results.push("hidden again".into());
    hide(Duration::ZERO).await.expect("shown");
    results.push("shown again".into());
    let again = receive().await;
    results.push(count(&again));
    let handles: Vec<String> = first
        .iter()
        .chain(&second[1..])
        .chain(&again)
        .map(|message| message.receipt_handle.clone())
        .collect();
    queue.delete(&handles).await.expect("deleted");
    results.push("deleted".into());
    results.push(count(&receive().await));
    results
}

case!(
    delays,
    delay_batches,
    ["received 0", "empty: false", "received 1 after a second"]
);

async fn delay_batches(target: &Target) -> Results {
    let queue = batch_queue(target, "UrgentQueue").await;
    let delay = Duration::from_millis(600);
    queue.enqueue(&batches(1), delay).await.expect("sent");
    let received = queue.receive(10, HOUR, Duration::ZERO).await;
    let mut results = vec![format!("received {}", received.expect("received").len())];
    results.push(format!("empty: {}", queue.is_empty().await.expect("count")));
    let received = queue.receive(10, HOUR, Duration::from_secs(5)).await;
    let received = received.expect("received").len();
    results.push(format!("received {received} after a second"));
    results
}

case!(
    dead_letters,
    redrive_to_dead_letters,
    [
        "receipt 1",
        "receipt 2",
        "receipt 3",
        "receipt 4",
        "receipt 5",
        "none left",
        "dead: the same text",
    ]
);

async fn redrive_to_dead_letters(target: &Target) -> Results {
    let queue = batch_queue(target, "SendsQueue").await;
    queue
        .enqueue(&batches(1), Duration::ZERO)
        .await
        .expect("sent");
    let mut results = Vec::new();
    let mut body = String::new();
    for _ in 0..6 {
        let received = queue.receive(1, Duration::ZERO, Duration::ZERO).await;
        match received.expect("received").pop() {
            Some(message) => {
                results.push(format!("receipt {}", message.receive_count));
                body = message.body;
            }
            None => results.push("none left".into()),
        }
    }
    let dead = batch_queue(target, "SendsDeadLetters").await;
    let received = dead.receive(1, HOUR, Duration::from_secs(2)).await;
    let dead = received.expect("received").pop().expect("dead letter");
    assert_eq!(dead.body, body);
    results.push("dead: the same text".into());
    results
}

case!(
    queue_errors,
    misuse_queues,
    ["no queue: not found", "deleted twice"]
);

async fn misuse_queues(target: &Target) -> Results {
    let queue = batch_queue(target, "SendsQueue").await;
    let client = cloud::aws::sqs(&target.config);
    let url = target.queue("SendsQueue").await;
    let nowhere = BatchQueue::new(client, url.replace("SendsQueue", "NoQueue"));
    let error = nowhere.receive(1, HOUR, Duration::ZERO).await;
    let mut results = vec![format!("no queue: {}", error.expect_err("none").kind)];
    let handle = receive_visible(&queue).await;
    for _ in 0..2 {
        let deleted = queue.delete(std::slice::from_ref(&handle)).await;
        deleted.expect("deleted");
    }
    results.push("deleted twice".into());
    results
}

/// The receipt handle of a new message that is visible again.
async fn receive_visible(queue: &BatchQueue) -> String {
    let sent = queue.enqueue(&batches(1), Duration::ZERO).await;
    sent.expect("sent");
    let received = queue.receive(1, Duration::ZERO, Duration::ZERO).await;
    received.expect("received")[0].receipt_handle.clone()
}

/// AWS refuses this (`ChangeMessageVisibility`, `MessageNotInflight`); LocalStack does not.
#[test]
fn visible_message_cannot_be_hidden() {
    crate::target::on_fakes(async |target| {
        let queue = batch_queue(target, "SendsQueue").await;
        let handle = receive_visible(&queue).await;
        let error = queue.set_visibility_timeout(&handle, HOUR).await;
        assert_eq!(error.expect_err("visible").kind, cloud::ErrorKind::Rejected);
        Results::new()
    });
}
