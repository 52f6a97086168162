//! `EventBridge`: records the events that are put on buses.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::faults::Service;
use super::message::Response;

/// Entries of a request, and the bytes of their details (`EventBridge` quotas).
const MAX_ENTRIES: usize = 10;
const MAX_BYTES: usize = 256 * 1024;

/// `EventBridge`. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct EventBus {
    events: Arc<Mutex<Vec<BusEvent>>>,
}

/// An event on a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusEvent {
    /// The bus's name.
    pub bus: String,
    /// The detail type, such as `whatsapp.status`.
    pub detail_type: String,
    /// The detail: JSON.
    pub detail: String,
}

impl EventBus {
    /// Every event so far.
    pub fn all(&self) -> Vec<BusEvent> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.clone()
    }

    pub(super) fn call(&self, operation: &str, request: &Value, is_partial: bool) -> Response {
        assert_eq!(
            operation, "PutEvents",
            "the simulation's EventBridge has no such operation"
        );
        let entries = request["Entries"].as_array().map_or(&[][..], Vec::as_slice);
        let details = entries.iter().filter_map(|entry| entry["Detail"].as_str());
        let bytes: usize = details.map(str::len).sum();
        if entries.is_empty() || entries.len() > MAX_ENTRIES || bytes > MAX_BYTES {
            let code = "ValidationException";
            return Response::error(Service::EventBridge, 400, code, "simulated");
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failed = 0;
        let results: Vec<Value> = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                if is_partial && index % 2 == 1 {
                    failed += 1;
                    return json!({"ErrorCode": "InternalFailure", "ErrorMessage": "simulated"});
                }
                let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
                events.push(BusEvent {
                    bus: text("EventBusName"),
                    detail_type: text("DetailType"),
                    detail: text("Detail"),
                });
                json!({"EventId": events.len().to_string()})
            })
            .collect();
        Response::json(&json!({"FailedEntryCount": failed, "Entries": results}))
    }
}
