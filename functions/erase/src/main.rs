//! The erase Lambda.

use aws_lambda_events::sqs::SqsEvent;
use erase::Eraser;
use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let eraser = &Eraser::from_env().await?;
    run(service_fn(move |event: LambdaEvent<SqsEvent>| {
        eraser.handle(event.payload)
    }))
    .await
}
