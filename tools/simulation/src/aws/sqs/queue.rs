//! One queue.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::faults::Rates;
use super::super::resources::QueueSpec;
use crate::clock;
use crate::random::Random;

#[derive(Debug)]
pub(super) struct Queue {
    spec: QueueSpec,
    messages: BTreeMap<u64, Message>,
}

#[derive(Debug)]
pub(super) struct Message {
    id: u64,
    body: String,
    sent_at: u64,
    first_received_at: Option<u64>,
    receive_count: u32,
    visible_at: u64,
}

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Its id.
    pub id: String,
    /// Identifies this receipt.
    pub receipt_handle: String,
    /// Its text.
    pub body: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub sent_at: u64,
    /// When it was received first.
    pub first_received_at: u64,
}

/// The numbers of messages.
pub(super) struct Counts {
    pub(super) visible: usize,
    pub(super) delayed: usize,
    pub(super) in_flight: usize,
}

/// Whether a message was hidden.
pub(super) enum Hidden {
    Yes,
    NotInFlight,
    NoMessage,
}

impl ReceivedMessage {
    /// The attributes that SQS adds to a message.
    pub fn attributes(&self) -> Value {
        json!({
            "ApproximateReceiveCount": self.receive_count.to_string(),
            "SentTimestamp": self.sent_at.to_string(),
            "ApproximateFirstReceiveTimestamp": self.first_received_at.to_string(),
            "SenderId": "simulation",
        })
    }

    /// The record of Lambda's event.
    pub fn to_record(&self, queue_arn: &str) -> Value {
        json!({
            "messageId": self.id,
            "receiptHandle": self.receipt_handle,
            "body": self.body,
            "attributes": self.attributes(),
            "messageAttributes": {},
            "md5OfBody": "simulated",
            "eventSource": "aws:sqs",
            "eventSourceARN": queue_arn,
            "awsRegion": super::super::REGION,
        })
    }

    /// The message in SQS's answer, with the attributes that were asked for.
    pub(super) fn to_answer(&self, wanted: &Value) -> Value {
        let mut attributes = self.attributes();
        let wanted = wanted.as_array().map_or(&[][..], Vec::as_slice);
        if let (false, Some(attributes)) =
            (wanted.contains(&json!("All")), attributes.as_object_mut())
        {
            attributes.retain(|name, _| wanted.contains(&json!(name)));
        }
        json!({
            "MessageId": self.id,
            "ReceiptHandle": self.receipt_handle,
            "MD5OfBody": "simulated",
            "Body": self.body,
            "Attributes": attributes,
        })
    }
}

impl Queue {
    pub(super) fn new(spec: QueueSpec) -> Self {
        let messages = BTreeMap::new();
        Self { spec, messages }
    }

    pub(super) fn delay(&self) -> Duration {
        self.spec.delay
    }

    pub(super) fn send(&mut self, id: u64, body: &str, delay: Duration) -> String {
        let now = clock::now_ms();
        self.insert(Message {
            id,
            body: body.to_owned(),
            sent_at: now,
            first_received_at: None,
            receive_count: 0,
            visible_at: now + delay.as_millis() as u64,
        });
        message_id(id)
    }

    pub(super) fn insert(&mut self, message: Message) {
        self.messages.insert(message.id, message);
    }

    /// Receives messages; also gives those that go to the dead-letter queue instead.
    pub(super) fn receive(
        &mut self,
        max: usize,
        visibility_timeout: Option<Duration>,
        rates: &Rates,
        random: &Random,
    ) -> (Vec<ReceivedMessage>, Vec<(String, Message)>) {
        let now = clock::now_ms();
        let visible = self.messages.values();
        let visible = visible.filter(|message| message.visible_at <= now);
        let mut ids: Vec<u64> = visible.map(|message| message.id).collect();
        if random.fault("reordered messages", rates.reordered) {
            random.shuffle(&mut ids);
        }
        let timeout = visibility_timeout.unwrap_or(self.spec.visibility_timeout);
        let (mut received, mut dead) = (Vec::new(), Vec::new());
        for id in ids {
            if received.len() == max {
                break;
            }
            if let Some(entry) = self.take_if_dead(id) {
                dead.push(entry);
                continue;
            }
            let Some(message) = self.messages.get_mut(&id) else {
                continue;
            };
            message.receive_count += 1;
            message.first_received_at.get_or_insert(now);
            if !random.fault("duplicated message", rates.duplicated) {
                message.visible_at = now + timeout.as_millis() as u64;
            }
            received.push(message.to_received());
        }
        (received, dead)
    }

    fn take_if_dead(&mut self, id: u64) -> Option<(String, Message)> {
        let (target, max) = self.spec.redrive.as_ref()?;
        let count = self.messages.get(&id)?.receive_count;
        if count < *max {
            return None;
        }
        let mut message = self.messages.remove(&id)?;
        message.receive_count = 0;
        message.first_received_at = None;
        Some((target.clone(), message))
    }

    /// Deletes a message. An older receipt does it too, as AWS does mostly.
    pub(super) fn delete(&mut self, handle: &str) {
        if let Some(id) = id_of(handle) {
            self.messages.remove(&id);
        }
    }

    pub(super) fn hide(&mut self, handle: &str, timeout: Duration) -> Hidden {
        let now = clock::now_ms();
        let message = id_of(handle).and_then(|id| self.messages.get_mut(&id));
        match message {
            None => Hidden::NoMessage,
            Some(message) if message.visible_at <= now => Hidden::NotInFlight,
            Some(message) => {
                message.visible_at = now + timeout.as_millis() as u64;
                Hidden::Yes
            }
        }
    }

    pub(super) fn next_visible_at(&self) -> Option<u64> {
        self.messages
            .values()
            .map(|message| message.visible_at)
            .min()
    }

    pub(super) fn bodies(&self) -> Vec<String> {
        let messages = self.messages.values();
        messages.map(|message| message.body.clone()).collect()
    }

    /// Counts the messages that were sent before the last `lag`.
    pub(super) fn count(&self, lag: Duration) -> Counts {
        let now = clock::now_ms();
        let counted = |is_counted: &dyn Fn(&Message) -> bool| {
            let messages = self.messages.values();
            let messages =
                messages.filter(|message| message.sent_at + lag.as_millis() as u64 <= now);
            messages.filter(|message| is_counted(message)).count()
        };
        Counts {
            visible: counted(&|message| message.visible_at <= now),
            delayed: counted(&|message| message.visible_at > now && message.receive_count == 0),
            in_flight: counted(&|message| message.visible_at > now && message.receive_count > 0),
        }
    }

    /// Deletes the messages whose retention period is over.
    pub(super) fn expire(&mut self) {
        let now = clock::now_ms();
        let retention = self.spec.retention.as_millis() as u64;
        self.messages
            .retain(|_, message| now < message.sent_at + retention);
    }
}

impl Message {
    fn to_received(&self) -> ReceivedMessage {
        ReceivedMessage {
            id: message_id(self.id),
            receipt_handle: format!("{}.{}", message_id(self.id), self.receive_count),
            body: self.body.clone(),
            receive_count: self.receive_count,
            sent_at: self.sent_at,
            first_received_at: self.first_received_at.unwrap_or_default(),
        }
    }
}

/// Whether this may be a receipt handle.
pub(super) fn is_handle(handle: &str) -> bool {
    id_of(handle).is_some()
}

fn message_id(id: u64) -> String {
    format!("message-{id}")
}

fn id_of(handle: &str) -> Option<u64> {
    let (message, _) = handle.strip_prefix("message-")?.split_once('.')?;
    message.parse().ok()
}
