//! Journeys. What goes where:
//!
//! - [`architecture`]: who may depend on whom; the sample events are events (plain `cargo test`)
//! - [`corpus`]: files as people export them, and what becomes of each (plain `cargo test`)
//! - [`uploads`]: the presigned PUT and every way of tampering with it (real S3)
//! - [`splitting`]: from the S3 event to what is on the queue, and files that cannot be used
//! - [`importing`]: preview and start, corrections, people who are left out, templates
//! - [`sending`]: the sender against real queues and tables and the simulator; every class of error
//! - [`controlling`]: pause, resume, cancel, the breaker, canary rows, a campaign's time
//! - [`reconciling`]: the sweep repairs what died, was lost, or ran out of time
//! - [`callbacks`]: the webhook: handshake, signature, storage, any order
//! - [`inbound`]: what people and Meta say: consent, the window, the inbox, answers, notices
//! - [`erasing`]: somebody is forgotten everywhere
//! - [`forwarding`]: callbacks on their way to `EventBridge` and a customer
//! - [`counting`]: the tally: repeated and overlapping batches add nothing
//! - [`reporting`]: the report, the summary, the counters anew
//! - [`http_api`]: the API's answers, good and bad
//! - [`deployed`]: the main job on the deployed whole, by the simulator's books
//! - [`harness`]: buckets, queues and tables of one test's own, from the template
//!
//! All but the first two need services: `cargo xtask test` starts them and runs these with `--ignored`.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails here fails where it should"
)]

mod architecture;
mod callbacks;
mod controlling;
mod corpus;
mod counting;
mod deployed;
mod erasing;
mod forwarding;
mod harness;
mod http_api;
mod importing;
mod inbound;
mod reconciling;
mod reporting;
mod sending;
mod splitting;
mod uploads;
