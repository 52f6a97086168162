//! Tests of several crates together. What is where:
//!
//! - [`sample_events`]: the sample events are what each function reads (plain `cargo test`)
//! - [`corpus_files`]: files as customers export them, and what each must give (plain `cargo test`)
//! - [`uploads`]: the presigned upload and every way of tampering with it (real S3)
//! - [`splitting`]: from the S3 event to the batches on the queue, and files that cannot be used
//! - [`import_recovery`]: imports that are interrupted
//! - [`importing`]: preview and start, corrections, exclude list, test send
//! - [`templates`]: messages are checked against the account's templates
//! - [`sending`]: the sender, and every class of error
//! - [`recording`]: outcomes of sends while tables are throttled
//! - [`pausing_errors`]: errors that pause a campaign or a number, limits that start a cooldown
//! - [`controlling`]: pause, resume, cancel
//! - [`hops`]: the longest chain of messages of a campaign that is retried, cooled down and paused
//! - [`canary_and_schedule`]: canary rows and a campaign's schedule
//! - [`numbers`]: several numbers: whose rows are whose, and whom each of them messages
//! - [`daily_window`]: the hours of the day in which a campaign sends
//! - [`reconciling`]: the reconciler repairs what died, was lost or ran out of time
//! - [`callbacks`]: the webhook: handshake, signature, storage, statuses in any order
//! - [`webhook_crash`]: a webhook that is killed while it stores
//! - [`consent`]: opt-outs and opt-ins
//! - [`service_window`]: the 24-hour customer service window
//! - [`inbox`]: what recipients write, with the campaign it answers
//! - [`replies`]: automatic replies and opt-out keywords
//! - [`account_events`]: account notifications and failed deliveries pause campaigns
//! - [`erasing`]: a recipient's data is erased everywhere
//! - [`erasing_lists`]: exclude lists and files that failed, in every format
//! - [`forwarding`]: callbacks on their way to `EventBridge` and a webhook endpoint
//! - [`counting`]: the counter: repeated and overlapping batches add nothing; the circuit breaker
//! - [`reporting`]: the report, the summary
//! - [`recounting`]: the counters are compared with the ledger
//! - [`access`]: roles, tokens, sessions, the audit log
//! - [`console`]: the list and the page of campaigns, edits, approval, uploads in parts
//! - [`people`]: opt-outs in bulk, the file of one person, conversations and replies
//! - [`http_api`]: the API's answers, good and bad
//! - [`api_examples`]: the examples of docs/api.md are what the API answers
//! - [`deployed`]: the main job on a deployed stack, compared with the simulator's call log
//! - [`harness`]: what the tests share: an environment of one test's own, and the verbs that act on it
//!
//! All but the first three need services: `cargo xtask test` starts them and runs these with `--ignored`.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails here fails where it should"
)]

mod access;
mod account_events;
mod api_examples;
mod audit;
mod callbacks;
mod canary_and_schedule;
mod consent;
mod console;
mod controlling;
mod corpus_files;
mod counting;
mod daily_window;
mod deployed;
mod erasing;
mod erasing_lists;
mod forwarding;
mod harness;
mod hops;
mod http_api;
mod import_recovery;
mod importing;
mod inbox;
mod lifecycle;
mod numbers;
mod pausing_errors;
mod people;
mod reconciling;
mod recording;
mod recounting;
mod replies;
mod reporting;
mod retrying;
mod sample_events;
mod sending;
mod service_window;
mod single_messages;
mod splitting;
mod templates;
mod uploads;
mod webhook_crash;
