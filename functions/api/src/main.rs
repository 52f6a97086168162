//! The API Lambda.

use api::Api;
use lambda_http::{Error, run, tracing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    run(api::router(Api::from_env().await?)).await
}
