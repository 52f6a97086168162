//! The forward Lambda.

use forward::{Event, Forwarder};
use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let forwarder = &Forwarder::from_env().await?;
    run(service_fn(move |event: LambdaEvent<Event>| {
        forwarder.handle(event.payload)
    }))
    .await
}
