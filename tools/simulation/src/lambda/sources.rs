//! What invokes functions: queues, streams, uploads and a schedule.

use std::rc::Rc;
use std::time::Duration;

use campaign::delivery::pacing::Rate;
use serde_json::{Value, json};
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::aws::{Aws, ReceivedMessage, SECOND_QUEUES, queue_arn};
use crate::functions::{Function, SECOND_RATE};
use crate::lambda::{Lambda, NoAnswer};
use crate::random::Random;

/// Lambda repeats an asynchronous invocation that failed twice, after one and two minutes (AWS, "How Lambda handles errors
/// and retries with asynchronous invocation").
const ASYNC_RETRIES: u32 = 2;

/// A stream batch is repeated so often (the template).
const STREAM_RETRIES: u32 = 100;

/// How long records are collected (the template).
const STREAM_WINDOW: Duration = Duration::from_secs(1);

/// How often the reconciler runs (the template).
pub const RECONCILE_INTERVAL: Duration = Duration::from_secs(300);

/// A queue that invokes a function.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    queue: &'static str,
    function: Function,
    batch_size: usize,
    /// Whether the function names the messages that failed.
    reports_failures: bool,
}

const MAPPINGS: [Mapping; 3] = [
    Mapping {
        queue: "ImportQueue",
        function: Function::Splitter,
        batch_size: 1,
        reports_failures: false,
    },
    Mapping {
        queue: "JobsQueue",
        function: Function::Report,
        batch_size: 1,
        reports_failures: false,
    },
    Mapping {
        queue: "ErasureQueue",
        function: Function::Erase,
        batch_size: 1,
        reports_failures: false,
    },
];

const SENDS: Mapping = Mapping {
    queue: "SendsQueue",
    function: Function::Sender,
    batch_size: 1,
    reports_failures: true,
};

const SECOND_SENDS: Mapping = Mapping {
    queue: SECOND_QUEUES[0],
    function: Function::SecondSender,
    ..SENDS
};

/// How often S3 and the schedule deliver an event more than once, or late.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EventFaults {
    /// An upload's event comes twice.
    pub duplicated: f64,
    /// An upload's event comes minutes late.
    pub late: f64,
    /// An upload's event never comes.
    pub lost: f64,
}

/// How far a shard of a stream was read.
#[derive(Default)]
struct StreamPlace {
    position: usize,
    writes_seen: u64,
}

/// Everything that invokes functions.
pub struct Sources {
    /// The functions.
    pub lambda: Lambda,
    /// The queues, streams and the bucket.
    pub aws: Aws,
    /// Chance.
    pub random: Random,
    /// What goes wrong with events.
    pub faults: std::cell::Cell<EventFaults>,
    /// How often the reconciler runs.
    pub reconcile_interval: std::cell::Cell<Duration>,
}

impl Sources {
    /// Starts them; they run for ever.
    pub fn start(self: &Rc<Self>) {
        for mapping in MAPPINGS {
            for execution in 0..2 {
                self.clone().spawn_execution(mapping, execution);
            }
        }
        self.start_senders(0, self.lambda.rate());
        for execution in 0..SECOND_RATE.slots {
            self.clone().spawn_execution(SECOND_SENDS, execution);
        }
        for shard in 0..self.aws.dynamodb().shards() {
            let sources = Rc::clone(self);
            spawn_local(async move { sources.count_ledger(shard).await });
            let sources = Rc::clone(self);
            spawn_local(async move { sources.forward_callbacks(shard).await });
        }
        let sources = Rc::clone(self);
        spawn_local(async move { sources.deliver_uploads().await });
        let sources = Rc::clone(self);
        spawn_local(async move { sources.reconcile().await });
    }

    /// Starts the executions of the sender from this one on, as its event source does: five at once, then 300 a minute
    /// (AWS, "Configuring scaling behavior for SQS event source mappings").
    pub fn start_senders(self: &Rc<Self>, from: u32, rate: Rate) {
        for execution in from..rate.slots {
            let sources = Rc::clone(self);
            let delay = Duration::from_millis(200) * (execution - from).saturating_sub(4);
            spawn_local(async move {
                sleep(delay).await;
                sources.poll(SENDS, execution).await;
            });
        }
    }

    fn spawn_execution(self: Rc<Self>, mapping: Mapping, execution: u32) {
        spawn_local(async move { self.poll(mapping, execution).await });
    }

    /// One concurrent execution of a queue's function: one invocation after the other.
    async fn poll(&self, mapping: Mapping, execution: u32) {
        loop {
            self.aws.sqs().wait_for_message(mapping.queue).await;
            sleep(self.random.millis(1..50)).await;
            // A smaller rate has fewer executions.
            if mapping.function == Function::Sender && execution >= self.lambda.rate().slots {
                return;
            }
            let messages = self
                .aws
                .sqs()
                .receive(mapping.queue, mapping.batch_size, None);
            if messages.is_empty() {
                continue;
            }
            let arn = queue_arn(mapping.queue);
            let records: Vec<Value> = messages
                .iter()
                .map(|message| message.to_record(&arn))
                .collect();
            let event = json!({"Records": records});
            match self.lambda.invoke(mapping.function, event).await {
                Ok(answer) => self.delete(mapping, &messages, &answer),
                // A poller shows a message again when it is throttled.
                Err(NoAnswer::Throttled) => {
                    sleep(self.random.millis(200..2_000)).await;
                    for message in &messages {
                        let handle = &message.receipt_handle;
                        let (sqs, queue) = (self.aws.sqs(), mapping.queue);
                        sqs.set_visibility_timeout(queue, handle, Duration::from_secs(5));
                    }
                }
                Err(_) => {}
            }
        }
    }

    fn delete(&self, mapping: Mapping, messages: &[ReceivedMessage], answer: &Value) {
        let failures = answer["batchItemFailures"].as_array();
        let is_failed = |message: &&ReceivedMessage| {
            let id = |failure: &Value| failure["itemIdentifier"] == message.id.as_str();
            mapping.reports_failures && failures.is_some_and(|all| all.iter().any(id))
        };
        for message in messages.iter().filter(|message| !is_failed(message)) {
            self.aws
                .sqs()
                .delete(mapping.queue, &message.receipt_handle);
        }
    }

    /// The ledger's stream invokes the counter; Lambda names the shard because of the tumbling window.
    async fn count_ledger(&self, shard: usize) {
        let mut place = StreamPlace::default();
        loop {
            let records = self.next_records("MessagesTable", shard, &mut place).await;
            let event = json!({"Records": records, "shardId": format!("shardId-{shard}"), "state": {},
                "window": {"start": "2026-12-01T00:00:00Z", "end": "2026-12-01T00:01:00Z"},
                "isFinalInvokeForWindow": false, "isWindowTerminatedEarly": false,
                "eventSourceARN": "arn:aws:dynamodb:stream"});
            self.repeat(Function::Counter, event).await;
        }
    }

    /// The callbacks' stream invokes the forwarder with what was inserted.
    async fn forward_callbacks(&self, shard: usize) {
        let mut place = StreamPlace::default();
        loop {
            let records = self.next_records("CallbacksTable", shard, &mut place).await;
            let inserted = records
                .iter()
                .filter(|record| record["eventName"] == "INSERT");
            let inserted: Vec<&Value> = inserted.collect();
            if !inserted.is_empty() {
                let event = json!({"Records": inserted});
                self.repeat(Function::Forward, event).await;
            }
        }
    }

    /// Waits for records of a shard that were not read yet, and collects them for a while.
    async fn next_records(&self, table: &str, shard: usize, place: &mut StreamPlace) -> Vec<Value> {
        let dynamodb = self.aws.dynamodb();
        loop {
            place.writes_seen = dynamodb.wait_for_write(place.writes_seen).await;
            sleep(STREAM_WINDOW).await;
            let records = dynamodb.take_records(table, shard, place.position);
            if let Some(last) = records.last() {
                place.position = last.position;
                return records.into_iter().map(|record| record.record).collect();
            }
        }
    }

    /// A stream's batch is repeated until it succeeds: the shard waits.
    async fn repeat(&self, function: Function, event: Value) {
        for attempt in 0..STREAM_RETRIES {
            if self.lambda.invoke(function, event.clone()).await.is_ok() {
                return;
            }
            sleep(Duration::from_secs(u64::from(attempt + 1).min(60))).await;
        }
    }

    /// S3 invokes the splitter, asynchronously.
    async fn deliver_uploads(self: Rc<Self>) {
        loop {
            self.aws.s3().wait_for_event().await;
            for upload in self.aws.s3().take_events() {
                let faults = self.faults.get();
                let mut deliveries = 1;
                if self.random.fault("lost upload event", faults.lost) {
                    deliveries = 0;
                } else if self
                    .random
                    .fault("duplicated upload event", faults.duplicated)
                {
                    deliveries = 2;
                }
                for _ in 0..deliveries {
                    let delay = match self.random.fault("late upload event", faults.late) {
                        true => self.random.millis(1_000..600_000),
                        false => self.random.millis(20..1_000),
                    };
                    let (sources, event) =
                        (Rc::clone(&self), json!({"Records": [upload.to_record()]}));
                    spawn_local(async move {
                        sleep(delay).await;
                        sources
                            .invoke_asynchronously(Function::Splitter, event)
                            .await;
                    });
                }
            }
        }
    }

    async fn invoke_asynchronously(&self, function: Function, event: Value) {
        for attempt in 0..=ASYNC_RETRIES {
            let answer = self.lambda.invoke(function, event.clone()).await;
            if answer.is_ok() {
                return;
            }
            sleep(Duration::from_secs(60 * u64::from(attempt + 1))).await;
        }
    }

    /// The schedule invokes the reconciler.
    async fn reconcile(&self) {
        sleep(self.random.millis(0..300_000)).await;
        loop {
            // Its error does not matter: the next run repeats what this one left.
            let _ = self.lambda.invoke(Function::Reconciler, json!({})).await;
            sleep(self.reconcile_interval.get()).await;
        }
    }
}
