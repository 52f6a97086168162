//! The reconciler Lambda.

use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};
use reconciler::Reconciler;
use serde::de::IgnoredAny;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let reconciler = &Reconciler::from_env().await?;
    run(service_fn(move |event: LambdaEvent<IgnoredAny>| {
        reconciler.handle(event.context)
    }))
    .await
}
