//! From the stream of the callbacks table to the bus and the queue of deliveries.

use aws_lambda_events::dynamodb::EventRecord;
use campaign::time::Millis;
use cloud::metrics::Metrics;
use cloud::outbound::{OutboundEvent, WebhookDelivery};
use lambda_runtime::Error;
use serde::Deserialize;

use crate::Forwarder;
use crate::payload::{event_type, payload};

/// A callback as the table stores it.
#[derive(Debug, Deserialize)]
struct StoredCallback {
    key: String,
    raw: String,
    received_at: Millis,
}

impl Forwarder {
    /// Publishes new callbacks. A callback that is stored again or expires is not new.
    #[tracing::instrument(skip_all, fields(records = records.len()))]
    pub(crate) async fn publish_inserts(&self, records: Vec<EventRecord>) -> Result<(), Error> {
        let (mut events, mut deliveries) = (Vec::new(), Vec::new());
        for record in records {
            if record.event_name != "INSERT" {
                continue;
            }
            let callback: StoredCallback = serde_dynamo::from_item(record.change.new_image)?;
            deliveries.push(WebhookDelivery {
                key: callback.key.clone(),
                received_at: callback.received_at,
                hops: 0,
            });
            events.push(OutboundEvent {
                detail: payload(&callback.key, &callback.raw, callback.received_at),
                kind: event_type(&callback.key),
                key: callback.key,
            });
        }
        if let Some(bus) = &self.bus {
            bus.put_events(&events).await?;
        }
        if let Some(endpoint) = &self.endpoint {
            endpoint.deliveries.enqueue(&deliveries).await?;
        }
        Metrics::for_function("forward")
            .add_count("Forwarded", events.len())
            .emit();
        Ok(())
    }
}
