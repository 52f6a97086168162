//! The report Lambda.

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};
use report::Reporter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let reporter = &Reporter::from_env().await?;
    run(service_fn(move |event: LambdaEvent<SqsEvent>| {
        reporter.handle(event.payload)
    }))
    .await
}
