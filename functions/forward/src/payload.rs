//! The JSON that is sent, the same on the bus and to the endpoint.

use campaign::time::Millis;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// `{"type", "timestamp", "key", "data"}`: the callback as Meta sent it, with its type and the time it was received.
pub(crate) fn payload(key: &str, raw: &str, received_at: Millis) -> String {
    let at = Timestamp::from_millisecond(received_at as i64).unwrap_or_default();
    let data: Value = serde_json::from_str(raw).unwrap_or_else(|_| raw.into());
    json!({"type": event_type(key), "timestamp": at.to_string(), "key": key, "data": data})
        .to_string()
}

/// `whatsapp.status`, `whatsapp.message` and so on, from the first part of the callback's key.
pub(crate) fn event_type(key: &str) -> String {
    format!("whatsapp.{}", key.split('#').next().unwrap_or_default())
}

/// The id by which the receiver recognizes duplicates: a hash of the callback's key, 128 bits as hexadecimal.
pub(crate) fn webhook_id(key: &str) -> String {
    let hash = Sha256::digest(key.as_bytes());
    let hex = hex::encode(&hash[..16]);
    format!("msg_{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_names_type_and_time() {
        let payload: Value =
            serde_json::from_str(&payload("status#w#sent", r#"{"a":1}"#, 0)).expect("JSON");
        assert_eq!(
            (&payload["type"], &payload["data"]["a"]),
            (&json!("whatsapp.status"), &json!(1))
        );
        assert_eq!(payload["timestamp"], "1970-01-01T00:00:00Z");
    }
}
