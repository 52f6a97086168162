//! AWS in this process: the SDK's clients send their requests to fakes instead of the network.
//!
//! `connector.rs` takes a request, lets it go wrong as `faults.rs` decides, and records it in `history.rs`;
//! each service has a file of its own. An operation that no fake knows panics.

mod connector;
mod dynamodb;
mod event_bus;
mod faults;
mod history;
mod host;
mod message;
mod resources;
mod s3;
mod scheduler;
mod secrets;
mod sqs;

use std::sync::Arc;

pub use self::dynamodb::{DynamoDb, StreamRecord};
pub use self::event_bus::{BusEvent, EventBus};
pub use self::faults::{Fault, Faults, Rates, SERVICES, Service};
pub use self::history::{Entry, History};
pub use self::host::{Host, KillPoint, StallPoint};
pub use self::resources::{
    BucketSpec, QueueSpec, REGION, Resources, SECOND_QUEUES, TableSpec, queue_arn, queue_name,
    queue_url,
};
pub use self::s3::{ObjectCreated, PresignedAnswer, S3};
pub use self::scheduler::{Schedule, Scheduler};
pub use self::secrets::Secrets;
pub use self::sqs::{ReceivedMessage, Sqs};
use crate::random::Random;

/// AWS with the resources of one stack. Clones are the same.
#[derive(Clone, Debug)]
pub struct Aws(Arc<Services>);

#[derive(Debug)]
struct Services {
    dynamodb: DynamoDb,
    sqs: Sqs,
    s3: S3,
    secrets: Secrets,
    scheduler: Scheduler,
    event_bus: EventBus,
    faults: Arc<Faults>,
    history: History,
}

impl Aws {
    /// AWS with new resources. Must be called in the world's runtime.
    pub fn new(random: &Random, resources: &Resources) -> Self {
        let faults = Arc::new(Faults::new(random.fork("faults")));
        let sqs = Sqs::new(resources, random.fork("sqs"), Arc::clone(&faults));
        Self(Arc::new(Services {
            dynamodb: DynamoDb::new(resources),
            scheduler: Scheduler::new(sqs.clone(), random.fork("scheduler")),
            sqs,
            s3: S3::new(&resources.bucket),
            secrets: Secrets::new(&resources.secret),
            event_bus: EventBus::default(),
            faults,
            history: History::default(),
        }))
    }

    /// DynamoDB, without faults and latency.
    pub fn dynamodb(&self) -> &DynamoDb {
        &self.0.dynamodb
    }

    /// SQS, without faults and latency.
    pub fn sqs(&self) -> &Sqs {
        &self.0.sqs
    }

    /// S3, without faults and latency.
    pub fn s3(&self) -> &S3 {
        &self.0.s3
    }

    /// Secrets Manager.
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// `EventBridge` Scheduler.
    pub fn scheduler(&self) -> &Scheduler {
        &self.0.scheduler
    }

    /// The events that were put on buses.
    pub fn events(&self) -> &EventBus {
        &self.0.event_bus
    }

    /// Every request so far.
    pub fn history(&self) -> &History {
        &self.0.history
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }
}
