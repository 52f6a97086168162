//! The webhook Lambda.

use lambda_http::{Error, Request, run, service_fn, tracing};
use webhook::Webhook;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let webhook = &Webhook::from_env().await?;
    run(service_fn(move |request: Request| webhook.handle(request))).await
}
