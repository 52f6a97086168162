//! Callbacks as events on an `EventBridge` bus.

use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use crate::{Error, ErrorKind};

/// Entries per request (`EventBridge` quotas).
const MAX_ENTRIES_PER_REQUEST: usize = 10;

/// Bytes of an event's detail: a request may have 256 KB (`EventBridge` quotas), its other fields included.
const MAX_DETAIL_BYTES: usize = 200_000;

/// Bytes of all details in one request.
const MAX_REQUEST_BYTES: usize = 240_000;

/// How often entries are sent that failed within a successful response.
const MAX_ATTEMPTS: u32 = 5;

/// A callback to put on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundEvent {
    /// Its key in the callbacks table.
    pub key: String,
    /// The event's detail: JSON.
    pub detail: String,
    /// The event's detail type, such as `whatsapp.status`.
    pub kind: String,
}

/// An `EventBridge` bus.
#[derive(Clone, Debug)]
pub struct EventBus {
    client: Client,
    name: String,
}

impl EventBus {
    /// The bus of that name.
    pub fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Puts all events on the bus, or fails.
    #[tracing::instrument(skip_all, fields(events = events.len()))]
    pub async fn put_events(&self, events: &[OutboundEvent]) -> Result<(), Error> {
        let mut remaining = events;
        while !remaining.is_empty() {
            let (request, rest) = remaining.split_at(request_length(remaining));
            self.put_request(request).await?;
            remaining = rest;
        }
        Ok(())
    }

    /// A successful response may report entries that failed: those are sent again.
    async fn put_request(&self, events: &[OutboundEvent]) -> Result<(), Error> {
        let action = "put callbacks on the event bus";
        let mut entries: Vec<_> = events.iter().map(|event| self.to_entry(event)).collect();
        for attempt in 0..MAX_ATTEMPTS {
            let put = self.client.put_events().set_entries(Some(entries.clone()));
            let response = put.send().await.map_err(Error::from_sdk(action))?;
            let results = entries.iter().zip(response.entries());
            let failed = results.filter(|(_, result)| result.error_code.is_some());
            entries = failed.map(|(entry, _)| entry.clone()).collect();
            if entries.is_empty() {
                return Ok(());
            }
            crate::sometimes!("the event bus refused some events of a request");
            tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
        }
        Err(Error::with_kind(
            action,
            ErrorKind::Unavailable,
            format!("{} entries failed {MAX_ATTEMPTS} times", entries.len()),
        ))
    }

    fn to_entry(&self, event: &OutboundEvent) -> PutEventsRequestEntry {
        let detail = if event.detail.len() > MAX_DETAIL_BYTES {
            serde_json::json!({"key": event.key, "too_long": true}).to_string()
        } else {
            event.detail.clone()
        };
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source("crier")
            .detail_type(&event.kind)
            .detail(detail)
            .build()
    }
}

/// How many of the events, from the first, fit into one request: one at least.
fn request_length(events: &[OutboundEvent]) -> usize {
    let (mut count, mut bytes) = (0, 0);
    for event in events.iter().take(MAX_ENTRIES_PER_REQUEST) {
        bytes += event.detail.len().min(MAX_DETAIL_BYTES);
        if count > 0 && bytes > MAX_REQUEST_BYTES {
            break;
        }
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_respects_both_limits() {
        let event = |bytes: usize| OutboundEvent {
            key: "k".into(),
            detail: "x".repeat(bytes),
            kind: "whatsapp.status".into(),
        };
        assert_eq!(request_length(&vec![event(10); 25]), 10);
        assert_eq!(request_length(&vec![event(100_000); 5]), 2);
        assert_eq!(request_length(&vec![event(900_000); 5]), 1);
        assert_eq!(request_length(&[]), 0);
    }
}
