//! SQS: standard queues with delays, visibility timeouts and dead-letter queues.
//!
//! This file has SQS's protocol; `sqs/queue.rs` has the queues.

mod queue;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

pub use self::queue::ReceivedMessage;
use self::queue::{Counts, Queue};
use super::faults::{Faults, Service};
use super::message::Response;
use super::resources::{Resources, queue_name};
use crate::clock;
use crate::random::Random;

/// The most messages of one answer, and entries of one request (SQS quotas).
const MAX_MESSAGES: u64 = 10;

/// The most bytes of a message, and of all messages of a request (SQS quotas).
const MAX_BYTES: usize = 1024 * 1024;

/// The most seconds of a delay, a visibility timeout and a long poll (SQS quotas).
const MAX_DELAY: u64 = 900;
const MAX_VISIBILITY_TIMEOUT: u64 = 43_200;
const MAX_WAIT: u64 = 20;

/// A count may leave out what happened in this time (AWS, "Available `CloudWatch` metrics for Amazon SQS").
const COUNT_LAG: Duration = Duration::from_secs(60);

/// SQS. Clones are the same.
#[derive(Clone, Debug)]
pub struct Sqs {
    state: Arc<Mutex<State>>,
    faults: Arc<Faults>,
    /// Wakes those who wait for messages.
    arrivals: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    random: Random,
    queues: BTreeMap<String, Queue>,
    last_id: u64,
}

/// An error: the code, and the code of the former query protocol that the SDK reads.
struct SqsError(&'static str, &'static str);

const NO_QUEUE: SqsError = SqsError(
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
);
const NOT_IN_FLIGHT: SqsError = SqsError(
    "MessageNotInflight",
    "AWS.SimpleQueueService.MessageNotInflight",
);
const INVALID_VALUE: SqsError = SqsError("InvalidParameterValue", "InvalidParameterValue");
const INVALID_HANDLE: SqsError = SqsError("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid");

impl Sqs {
    pub(super) fn new(resources: &Resources, random: Random, faults: Arc<Faults>) -> Self {
        let queues = resources.queues.iter();
        let queues = queues.map(|(name, spec)| (name.clone(), Queue::new(spec.clone())));
        Self {
            state: Arc::new(Mutex::new(State {
                random,
                queues: queues.collect(),
                last_id: 0,
            })),
            faults,
            arrivals: Arc::default(),
        }
    }

    /// Sends a message, as another service does; returns its id.
    pub fn send(&self, queue: &str, body: &str, delay: Duration) -> String {
        let id = self.with_queue(queue, |queue, state| {
            state.last_id += 1;
            queue.send(state.last_id, body, delay)
        });
        self.arrivals.notify_waiters();
        id
    }

    /// Receives messages as Lambda's pollers do: at once, without faults except for the order and for duplicates.
    /// Without a `visibility_timeout` the queue's own holds.
    pub fn receive(
        &self,
        queue: &str,
        max: usize,
        visibility_timeout: Option<Duration>,
    ) -> Vec<ReceivedMessage> {
        let rates = self.faults.rates(Service::Sqs);
        let (received, dead) = self.with_queue(queue, |queue, state| {
            queue.receive(max, visibility_timeout, &rates, &state.random)
        });
        for (target, message) in dead {
            self.with_queue(&target, |queue, _| queue.insert(message));
        }
        received
    }

    /// Waits until a message can be received.
    pub async fn wait_for_message(&self, queue: &str) {
        loop {
            let arrival = self.arrivals.notified();
            let visible_at = self.with_queue(queue, |queue, _| queue.next_visible_at());
            let now = clock::now_ms();
            match visible_at {
                Some(at) if at <= now => return,
                Some(at) => drop(timeout(Duration::from_millis(at - now), arrival).await),
                None => arrival.await,
            }
        }
    }

    /// Deletes a message.
    pub fn delete(&self, queue: &str, receipt_handle: &str) {
        self.with_queue(queue, |queue, _| queue.delete(receipt_handle));
    }

    /// Hides a received message for this time from now; zero shows it at once. No effect on a message that is not
    /// in flight.
    pub fn set_visibility_timeout(&self, queue: &str, receipt_handle: &str, timeout: Duration) {
        self.with_queue(queue, |queue, _| queue.hide(receipt_handle, timeout));
        self.arrivals.notify_waiters();
    }

    /// The number of messages in a queue: visible, delayed and in flight.
    pub fn len(&self, queue: &str) -> usize {
        self.with_queue(queue, |queue, _| queue.bodies().len())
    }

    /// Whether a queue has no message at all.
    pub fn is_empty(&self, queue: &str) -> bool {
        self.len(queue) == 0
    }

    /// The texts of all messages in a queue, in the order in which they were sent.
    pub fn bodies(&self, queue: &str) -> Vec<String> {
        self.with_queue(queue, |queue, _| queue.bodies())
    }

    pub(super) async fn call(&self, operation: &str, request: Value, is_partial: bool) -> Response {
        let queue = queue_name(request["QueueUrl"].as_str().unwrap_or_default()).to_owned();
        if !self.lock().queues.contains_key(&queue) {
            return NO_QUEUE.into();
        }
        if let Some(error) = refuse(&request) {
            return error.into();
        }
        match operation {
            "SendMessage" => Response::json(&self.send_entry(&queue, &request)),
            "SendMessageBatch" => self.batch(&request, is_partial, |entry| {
                Ok(self.send_entry(&queue, entry))
            }),
            "ReceiveMessage" => self.receive_message(&queue, &request).await,
            "DeleteMessage" => answer(self.delete_entry(&queue, &request)),
            "DeleteMessageBatch" => self.batch(&request, is_partial, |entry| {
                self.delete_entry(&queue, entry)
            }),
            "ChangeMessageVisibility" => answer(self.hide_entry(&queue, &request)),
            "GetQueueAttributes" => self.get_attributes(&queue, &request),
            other => panic!("the simulation's SQS has no {other}"),
        }
    }

    /// Every entry on its own; if `is_partial`, every second one fails.
    fn batch(
        &self,
        request: &Value,
        is_partial: bool,
        call: impl Fn(&Value) -> Result<Value, SqsError>,
    ) -> Response {
        let entries = request["Entries"].as_array().into_iter().flatten();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (index, entry) in entries.enumerate() {
            let result = if is_partial && index % 2 == 1 {
                Err(SqsError("InternalError", "InternalError"))
            } else {
                call(entry)
            };
            match result {
                Ok(mut result) => {
                    result["Id"] = entry["Id"].clone();
                    successful.push(result);
                }
                Err(SqsError(code, _)) => failed.push(json!({
                    "Id": entry["Id"],
                    "Code": code,
                    "SenderFault": code != "InternalError",
                    "Message": "simulated",
                })),
            }
        }
        Response::json(&json!({"Successful": successful, "Failed": failed}))
    }

    fn send_entry(&self, queue: &str, entry: &Value) -> Value {
        let delay = entry["DelaySeconds"].as_u64().map(Duration::from_secs);
        let delay = delay.unwrap_or_else(|| self.with_queue(queue, |queue, _| queue.delay()));
        let body = entry["MessageBody"].as_str().unwrap_or_default();
        json!({
            "MessageId": self.send(queue, body, delay),
            "MD5OfMessageBody": "simulated",
        })
    }

    fn delete_entry(&self, queue: &str, entry: &Value) -> Result<Value, SqsError> {
        let handle = entry["ReceiptHandle"].as_str().unwrap_or_default();
        if !queue::is_handle(handle) {
            return Err(INVALID_HANDLE);
        }
        self.delete(queue, handle);
        Ok(json!({}))
    }

    fn hide_entry(&self, queue: &str, entry: &Value) -> Result<Value, SqsError> {
        let handle = entry["ReceiptHandle"].as_str().unwrap_or_default();
        let timeout = entry["VisibilityTimeout"].as_u64().unwrap_or_default();
        if !queue::is_handle(handle) {
            return Err(INVALID_HANDLE);
        }
        let timeout = Duration::from_secs(timeout);
        let result = self.with_queue(queue, |queue, _| queue.hide(handle, timeout));
        self.arrivals.notify_waiters();
        match result {
            queue::Hidden::Yes => Ok(json!({})),
            queue::Hidden::NotInFlight => Err(NOT_IN_FLIGHT),
            queue::Hidden::NoMessage => Err(INVALID_VALUE),
        }
    }

    async fn receive_message(&self, queue: &str, request: &Value) -> Response {
        let max = request["MaxNumberOfMessages"].as_u64().unwrap_or(1);
        let visibility_timeout = request["VisibilityTimeout"].as_u64();
        let visibility_timeout = visibility_timeout.map(Duration::from_secs);
        let wait = request["WaitTimeSeconds"].as_u64().unwrap_or_default();
        if wait == 0 && self.misses() {
            return Response::json(&json!({}));
        }
        let deadline = clock::now_ms() + wait * 1000;
        let received = loop {
            let received = self.receive(queue, max as usize, visibility_timeout);
            let now = clock::now_ms();
            if !received.is_empty() || now >= deadline {
                break received;
            }
            let wait = Duration::from_millis(deadline - now);
            if timeout(wait, self.wait_for_message(queue)).await.is_ok() {
                // Others wait too; who comes first is not always the same.
                let jitter = self.lock().random.millis(1..4);
                sleep(jitter).await;
            }
        };
        if received.is_empty() {
            // SQS leaves the list out.
            return Response::json(&json!({}));
        }
        let messages: Vec<Value> = received
            .iter()
            .map(|message| message.to_answer(&request["MessageSystemAttributeNames"]))
            .collect();
        Response::json(&json!({"Messages": messages}))
    }

    fn misses(&self) -> bool {
        let rate = self.faults.rates(Service::Sqs).missed;
        self.lock().random.fault("empty receive", rate)
    }

    fn get_attributes(&self, queue: &str, request: &Value) -> Response {
        let lags = self.misses();
        let counts = self.with_queue(queue, |queue, _| {
            queue.count(if lags { COUNT_LAG } else { Duration::ZERO })
        });
        let Counts {
            visible,
            delayed,
            in_flight,
        } = counts;
        let names = request["AttributeNames"].as_array().into_iter().flatten();
        let names = names.filter_map(Value::as_str);
        let attributes = names.map(|name| {
            let count = match name {
                "ApproximateNumberOfMessages" => visible,
                "ApproximateNumberOfMessagesDelayed" => delayed,
                "ApproximateNumberOfMessagesNotVisible" => in_flight,
                other => panic!("the simulation's queues have no {other}"),
            };
            (name.to_owned(), json!(count.to_string()))
        });
        let attributes: serde_json::Map<String, Value> = attributes.collect();
        Response::json(&json!({"Attributes": attributes}))
    }

    fn with_queue<T>(&self, name: &str, use_queue: impl FnOnce(&mut Queue, &mut State) -> T) -> T {
        let mut state = self.lock();
        let mut queue = state
            .queues
            .remove(name)
            .unwrap_or_else(|| panic!("the simulation has no queue {name}"));
        queue.expire();
        let result = use_queue(&mut queue, &mut state);
        state.queues.insert(name.to_owned(), queue);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<SqsError> for Response {
    fn from(SqsError(code, query_code): SqsError) -> Self {
        let message = "The request was refused by the simulation.";
        Response::error(
            Service::Sqs,
            400,
            &format!("com.amazonaws.sqs#{code}"),
            message,
        )
        .with_header("x-amzn-query-error", format!("{query_code};Sender"))
    }
}

/// What a request is about: the queue, and the number of entries.
pub(super) fn describe(request: &Value) -> String {
    let queue = queue_name(request["QueueUrl"].as_str().unwrap_or_default());
    match request["Entries"].as_array() {
        Some(entries) => format!("{queue}*{}", entries.len()),
        None => match request["ReceiptHandle"].as_str() {
            Some(handle) => format!("{queue}/{handle}"),
            None => queue.to_owned(),
        },
    }
}

/// What SQS does not accept.
fn refuse(request: &Value) -> Option<SqsError> {
    let exceeds = |object: &Value, name: &str, max: u64| {
        let value = object[name].as_i64();
        value.is_some_and(|value| u64::try_from(value).map_or(true, |value| value > max))
    };
    let has_bad_value = |object: &Value| {
        exceeds(object, "DelaySeconds", MAX_DELAY)
            || exceeds(object, "VisibilityTimeout", MAX_VISIBILITY_TIMEOUT)
            || exceeds(object, "WaitTimeSeconds", MAX_WAIT)
            || exceeds(object, "MaxNumberOfMessages", MAX_MESSAGES)
            || object["MaxNumberOfMessages"] == 0
    };
    let body_length = |object: &Value| object["MessageBody"].as_str().map_or(0, str::len);
    if has_bad_value(request) || body_length(request) > MAX_BYTES {
        return Some(INVALID_VALUE);
    }
    let entries = request["Entries"].as_array()?;
    let ids: BTreeSet<_> = entries.iter().map(|entry| entry["Id"].as_str()).collect();
    let bytes: usize = entries.iter().map(body_length).sum();
    let code = if entries.is_empty() {
        "EmptyBatchRequest"
    } else if entries.len() as u64 > MAX_MESSAGES {
        "TooManyEntriesInBatchRequest"
    } else if ids.len() < entries.len() {
        "BatchEntryIdsNotDistinct"
    } else if bytes > MAX_BYTES {
        "BatchRequestTooLong"
    } else if entries.iter().any(has_bad_value) {
        "InvalidParameterValue"
    } else {
        return None;
    };
    Some(SqsError(code, code))
}

fn answer(result: Result<Value, SqsError>) -> Response {
    match result {
        Ok(answer) => Response::json(&answer),
        Err(error) => error.into(),
    }
}
