//! The counter Lambda.

use counter::Counter;
use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let counter = &Counter::from_env().await?;
    run(service_fn(move |event: LambdaEvent<_>| {
        counter.handle(event.payload)
    }))
    .await
}
