//! The sender Lambda.

use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};
use sender::Sender;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let sender = &Sender::from_env().await?;
    run(service_fn(move |event: LambdaEvent<_>| {
        sender.handle(event.payload, event.context)
    }))
    .await
}
