//! Measurements that need services: `cargo xtask bench` starts them and runs this in release, once for each measurement:
//! `callbacks`, `splitting`, `million`, `memory`, `requeue`, `continuation`, `report`. Each prints its lines.
//!
//! - [`webhook`]: the webhook's time for a POST
//! - [`import`]: from an object in S3 to the last batch in SQS, with kills and without
//! - [`report`]: the report of a million rows
//! - [`fake_dynamodb`]: tables in memory

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that fails here fails where it should"
)]

mod fake_dynamodb;
#[expect(dead_code, unused_imports, reason = "the tests use all of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod import;
mod report;
mod webhook;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    match name.as_str() {
        "callbacks" => webhook::measure().await,
        "splitting" => import::measure(50_000, false).await,
        "memory" => import::measure(5_000_000, true).await,
        "million" => import::measure(1_000_000, false).await,
        "requeue" => import::measure_requeue().await,
        "continuation" => import::measure_continuation().await,
        "report" => report::measure().await,
        // Processes that the measurements start.
        "splitter" => import::run_splitter().await,
        "reporter" => report::run_reporter().await,
        _ => println!("`{name}` is no measurement; use cargo xtask bench"),
    }
}

/// The most memory this process ever had resident, in megabytes (Linux).
fn peak_memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let kilobytes = lines
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}
