//! What the services do by themselves: streams, expiry, schedules, and the freedoms that AWS takes.

use std::collections::BTreeSet;
use std::time::Duration;

use campaign::delivery::batch::Batch;
use campaign::id::CampaignId;
use cloud::batch_queue::BatchQueue;
use cloud::callbacks::{Callbacks, RawCallback};
use cloud::ledger::Ledger;
use cloud::outbound::{EventBus, OutboundEvent};
use cloud::schedules::Schedules;
use cloud::secrets::Secrets;
use simulation::aws::{Aws, Fault, Host, Rates, Resources, Service, queue_arn, queue_url};
use simulation::clock;
use simulation::random::Random;

const BASE_MS: u64 = 1_800_000_000_000;
const DAY: Duration = Duration::from_secs(86_400);

fn run<T: Send>(world: impl AsyncFnOnce(Aws) -> T + Send) -> T {
    let resources = Resources::load();
    clock::run(1, BASE_MS, || async move {
        world(Aws::new(&Random::new(1), &resources)).await
    })
}

fn config(aws: &Aws) -> aws_config::SdkConfig {
    aws.config(&Host::new("test", 1))
}

fn ledger(aws: &Aws) -> Ledger {
    let client = cloud::aws::dynamodb(&config(aws));
    Ledger::new(client, "MessagesTable".into(), 90)
}

fn batch_queue(aws: &Aws, name: &str) -> BatchQueue {
    BatchQueue::new(cloud::aws::sqs(&config(aws)), queue_url(name))
}

fn campaign() -> CampaignId {
    "c1".parse().expect("id")
}

fn batches(count: u32) -> Vec<Batch> {
    let batch = |hops| Batch {
        campaign: campaign(),
        rows: Vec::new(),
        hops,
    };
    (0..count).map(batch).collect()
}

#[test]
fn stream_has_each_change_once_in_the_order_of_its_key() {
    run(async |aws| {
        let (ledger, id) = (ledger(&aws), campaign());
        for row in [1, 64, 128, 192, 256, 320] {
            ledger.claim(&id, row, "a", BASE_MS).await.expect("claim");
        }
        let erased = ledger.erase(|_| true).await.expect("erased");
        assert_eq!(erased, 0, "nothing to erase, so no change");
        let error = campaign::delivery::outcome::ErrorInfo::transport("busy");
        let retry = ledger.schedule_retry(&id, 1, 1, BASE_MS, &error).await;
        assert!(retry.expect("retry"));
        let shards = 0..aws.dynamodb().shards();
        let records: Vec<_> = shards
            .map(|shard| aws.dynamodb().take_records("MessagesTable", shard, 0))
            .collect();
        assert!(records.iter().all(|records| !records.is_empty()), "both");
        let all: Vec<_> = records.iter().flatten().collect();
        assert_eq!(all.len(), 7);
        let states_of_first: Vec<_> = all
            .iter()
            .map(|record| &record.record["dynamodb"])
            .filter(|change| change["Keys"]["row"]["S"] == "0000000001")
            .map(|change| &change["NewImage"]["state"]["S"])
            .collect();
        assert_eq!(states_of_first, ["claimed", "retry"]);
        let first = aws.dynamodb().take_records("MessagesTable", 0, 1);
        assert_eq!(first.len(), records[0].len() - 1, "behind the first");
        assert_eq!(first[0].position, 2);
    });
}

#[test]
fn update_without_a_change_has_no_record() {
    run(async |aws| {
        let client = cloud::aws::dynamodb(&config(&aws));
        let put = async |value: &str| {
            use aws_sdk_dynamodb::types::AttributeValue;
            let put = client.put_item().table_name("CallbacksTable");
            let put = put.item("key", AttributeValue::S("k".into()));
            let put = put.item("raw", AttributeValue::S(value.into()));
            put.send().await.expect("put");
        };
        for value in ["a", "a", "b"] {
            put(value).await;
        }
        let records =
            (0..2).flat_map(|shard| aws.dynamodb().take_records("CallbacksTable", shard, 0));
        let records: Vec<_> = records.collect();
        assert_eq!(records.len(), 2);
        let change = &records[1].record["dynamodb"];
        assert!(
            change.get("OldImage").is_none(),
            "the table's view is NEW_IMAGE"
        );
        assert_eq!(change["NewImage"]["raw"]["S"], "b");
    });
}

#[test]
fn expired_items_are_deleted_by_the_service() {
    run(async |aws| {
        let ledger = ledger(&aws);
        ledger
            .claim(&campaign(), 1, "a", BASE_MS)
            .await
            .expect("claim");
        let callbacks = Callbacks::new(
            cloud::aws::dynamodb(&config(&aws)),
            "CallbacksTable".into(),
            30,
        );
        let raw = RawCallback {
            key: "k".into(),
            json: "{}".into(),
        };
        callbacks.store(vec![raw], BASE_MS).await.expect("stored");
        tokio::time::sleep(31 * DAY).await;
        assert_eq!(aws.dynamodb().sweep_ttl(), 1);
        assert_eq!(aws.dynamodb().all_items("CallbacksTable").len(), 0);
        // Rows are kept 37 days longer than their campaign.
        tokio::time::sleep(97 * DAY).await;
        assert_eq!(aws.dynamodb().sweep_ttl(), 1);
        let shards = 0..aws.dynamodb().shards();
        let mut records =
            shards.flat_map(|shard| aws.dynamodb().take_records("MessagesTable", shard, 0));
        let removed = records.find(|record| record.record["eventName"] == "REMOVE");
        let removed = removed.expect("removed").record;
        assert_eq!(
            removed["userIdentity"]["principalId"],
            "dynamodb.amazonaws.com"
        );
    });
}

#[test]
fn schedule_fires_once_at_its_time() {
    run(async |aws| {
        let schedules = Schedules::new(
            cloud::aws::scheduler(&config(&aws)),
            queue_arn("ImportQueue"),
            "group".into(),
            "role".into(),
        );
        for at in [3_600_000, 7_200_000] {
            let scheduled = schedules.schedule_start(&campaign(), 0, BASE_MS + at).await;
            scheduled.expect("scheduled");
        }
        assert_eq!(aws.scheduler().pending().len(), 1, "the first one holds");
        tokio::time::sleep(Duration::from_secs(3599)).await;
        assert_eq!(aws.sqs().len("ImportQueue"), 0);
        tokio::time::sleep(Duration::from_secs(70)).await;
        let bodies = aws.sqs().bodies("ImportQueue");
        assert_eq!(bodies.len(), 1);
        assert!(bodies[0].contains("\"c1\""), "{}", bodies[0]);
        tokio::time::sleep(DAY).await;
        assert_eq!(aws.sqs().len("ImportQueue"), 1);
        assert!(aws.scheduler().pending().is_empty());
    });
}

#[test]
fn secret_rotates() {
    run(async |aws| {
        let secret = |token: &str| {
            serde_json::json!({
                "access_token": "t", "app_secrets": ["s"], "verify_token": token, "api_tokens": [],
            })
        };
        let client = cloud::aws::secrets_manager(&config(&aws));
        let secrets = Secrets::new(client.clone(), "Secret".into());
        aws.secrets().set(&secret("one").to_string());
        assert!(secrets.get().await.expect("secret").is_verify_token("one"));
        aws.secrets().set(&secret("two").to_string());
        assert!(secrets.get().await.expect("secret").is_verify_token("one"));
        tokio::time::sleep(Duration::from_secs(301)).await;
        assert!(secrets.get().await.expect("secret").is_verify_token("two"));
        let other = Secrets::new(client, "Other".into()).get().await;
        assert_eq!(other.expect_err("none").kind, cloud::ErrorKind::NotFound);
    });
}

#[test]
fn partial_batches_are_completed_by_their_clients() {
    run(async |aws| {
        for operation in [
            "SendMessageBatch",
            "BatchWriteItem",
            "BatchGetItem",
            "PutEvents",
        ] {
            aws.faults().force(operation, &[Fault::Partial]);
        }
        let queue = batch_queue(&aws, "SendsQueue");
        let sent = queue.enqueue(&batches(7), Duration::ZERO).await;
        sent.expect("sent");
        let distinct: BTreeSet<_> = aws.sqs().bodies("SendsQueue").into_iter().collect();
        assert_eq!((distinct.len(), aws.sqs().len("SendsQueue")), (7, 7));
        let client = cloud::aws::dynamodb(&config(&aws));
        let callbacks = Callbacks::new(client, "CallbacksTable".into(), 30);
        let raw = |number| RawCallback {
            key: format!("k{number}"),
            json: "{}".into(),
        };
        let updates = (0..9).map(raw).collect();
        callbacks.store(updates, BASE_MS).await.expect("stored");
        assert_eq!(aws.dynamodb().all_items("CallbacksTable").len(), 9);
        let bus = EventBus::new(cloud::aws::eventbridge(&config(&aws)), "default".into());
        let event = |number| OutboundEvent {
            key: format!("k{number}"),
            detail: "{}".into(),
            kind: "whatsapp.status".into(),
        };
        let events: Vec<_> = (0..5).map(event).collect();
        bus.put_events(&events).await.expect("put");
        assert_eq!(aws.events().all().len(), 5);
        let partial = aws.history().find(|entry| entry.fault.is_some());
        assert_eq!(partial.len(), 3, "{}", aws.history().render());
    });
}

#[test]
fn download_breaks_in_the_middle() {
    run(async |aws| {
        aws.s3().put("cache/a.json", &vec![b'x'; 1000]);
        let client = cloud::aws::s3(&config(&aws));
        let files = cloud::files::Files::new(client, aws.s3().bucket().into());
        aws.faults().force("GetObject", &[Fault::BodyCut]);
        let error = files.read_cache("a").await.expect_err("cut");
        assert_eq!(error.kind, cloud::ErrorKind::Unavailable);
        let whole = files.read_cache("a").await.expect("read");
        assert_eq!(whole.map(|bytes| bytes.len()), Some(1000));
    });
}

#[test]
fn queue_takes_the_freedoms_of_its_service() {
    run(async |aws| {
        let queue = batch_queue(&aws, "SendsQueue");
        queue
            .enqueue(&batches(8), Duration::ZERO)
            .await
            .expect("sent");
        let set = |rates| aws.faults().set(Service::Sqs, rates);
        let receive = async || {
            let received = queue.receive(8, Duration::ZERO, Duration::ZERO).await;
            received.expect("received")
        };
        let always = 1.0;
        set(Rates {
            missed: always,
            ..Rates::default()
        });
        assert!(receive().await.is_empty() && queue.is_empty().await.expect("count"));
        set(Rates {
            reordered: always,
            ..Rates::default()
        });
        let ids: Vec<_> = receive()
            .await
            .into_iter()
            .map(|message| message.id)
            .collect();
        assert!(ids.len() == 8 && !ids.is_sorted(), "{ids:?}");
        set(Rates {
            duplicated: always,
            ..Rates::default()
        });
        let hour = Duration::from_secs(3600);
        let first = aws.sqs().receive("SendsQueue", 10, Some(hour));
        let second = aws.sqs().receive("SendsQueue", 10, Some(hour));
        assert_eq!((first.len(), second.len()), (8, 8));
        assert_eq!(second[0].receive_count, first[0].receive_count + 1);
    });
}

#[test]
fn requests_beyond_the_quotas_are_refused() {
    run(async |aws| {
        let client = cloud::aws::sqs(&config(&aws));
        let receive = async |max, wait, timeout| {
            let receive = client
                .receive_message()
                .queue_url(queue_url("SendsQueue"))
                .max_number_of_messages(max)
                .wait_time_seconds(wait)
                .visibility_timeout(timeout);
            receive.send().await.is_ok()
        };
        assert!(receive(10, 1, 43_200).await);
        for (max, wait, timeout) in [
            (11, 0, 1),
            (0, 0, 1),
            (1, 21, 1),
            (1, 0, 43_201),
            (1, 0, -1),
        ] {
            assert!(!receive(max, wait, timeout).await, "{max} {wait} {timeout}");
        }
        let send = async |count: usize, bytes: usize| {
            use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
            let entry = |id: usize| {
                let entry = SendMessageBatchRequestEntry::builder().id(id.to_string());
                let entry = entry.message_body("x".repeat(bytes)).build();
                entry.expect("entry")
            };
            let send = client
                .send_message_batch()
                .queue_url(queue_url("SendsQueue"))
                .set_entries(Some((0..count).map(entry).collect()));
            send.send().await.is_ok()
        };
        assert!(send(10, 10_000).await);
        assert!(!send(11, 1).await && !send(0, 1).await && !send(10, 200_000).await);
        assert_eq!(aws.sqs().len("SendsQueue"), 10);
    });
}

#[test]
fn long_poll_ends_with_the_first_message() {
    run(async |aws| {
        let queue = batch_queue(&aws, "UrgentQueue");
        let started = tokio::time::Instant::now();
        let (received, ()) = tokio::join!(
            queue.receive(10, Duration::from_secs(60), Duration::from_secs(8)),
            async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                aws.sqs().send("UrgentQueue", "{}", Duration::ZERO);
            }
        );
        assert_eq!(received.expect("received").len(), 1);
        let elapsed = started.elapsed().as_secs();
        assert_eq!(elapsed, 5);
        let nothing = queue.receive(10, Duration::from_secs(60), Duration::from_secs(8));
        assert!(nothing.await.expect("received").is_empty());
        assert_eq!(started.elapsed().as_secs(), 13);
    });
}

#[test]
#[should_panic(expected = "the simulation's DynamoDB has no TransactWriteItems")]
fn unknown_operation_panics() {
    run(async |aws| {
        let client = cloud::aws::dynamodb(&config(&aws));
        let _ = client.transact_write_items().send().await;
    });
}
