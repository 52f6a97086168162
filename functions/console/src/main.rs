//! The console Lambda.

use console::Console;
use lambda_http::{Error, Request, run, service_fn, tracing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let console = &Console::from_env()?;
    run(service_fn(async move |request: Request| {
        console.respond(&request)
    }))
    .await
}
