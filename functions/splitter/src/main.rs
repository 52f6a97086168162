//! The splitter Lambda.

use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};
use splitter::Splitter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let splitter = &Splitter::from_env().await?;
    run(service_fn(move |event: LambdaEvent<_>| {
        splitter.handle(event.payload, event.context)
    }))
    .await
}
