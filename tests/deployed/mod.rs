//! The main job on a deployed stack, with IAM enforced, compared with the simulator's call log.
//!
//! - [`stack`]: requests to the deployed stack
//! - [`campaigns`]: every recipient once, at the configured rate; a scheduled start; refused requests
//! - [`numbers`]: two numbers, each with its budget
//! - [`results`]: inbound messages, replies, reports, metrics and forwarding, with the template's permissions
//! - [`webhook_crash`]: webhooks that are killed between their writes

mod campaigns;
mod numbers;
mod results;
mod stack;
mod webhook_crash;
