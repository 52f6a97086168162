//! Callbacks for other systems: [`EventBus`] for AWS, [`DeliveryQueue`] for the operator's webhook endpoint.

mod delivery_queue;
mod event_bus;

pub use delivery_queue::{DeliveryQueue, WebhookDelivery};
pub use event_bus::{EventBus, OutboundEvent};
