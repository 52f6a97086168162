//! Crier in one process, from a seed: AWS, Meta and the functions on one thread, in virtual time, with operators and
//! faults that the seed draws, and a checker that shares no rule with the product.
//!
//! - [`clock`], [`random`]: time and chance
//! - [`aws`], [`meta`], [`call`]: what Crier runs on, and whom it sends to
//! - [`functions`], [`lambda`]: its functions, and what starts, invokes and kills them
//! - [`operator`], [`record`]: what operators and recipients do, and what they note
//! - [`profile`]: what a seed's world is like
//! - [`world`]: one life from the deployment to the judgement
//! - [`checker`], [`violation`]: the judgement
//! - [`known`]: faults that are known and not removed yet
//! - [`fork`]: a process for each seed

pub mod aws;
pub mod call;
pub mod checker;
pub mod clock;
pub mod fork;
pub mod functions;
pub mod known;
pub mod lambda;
pub mod meta;
pub mod operator;
pub mod profile;
pub mod random;
pub mod record;
pub mod violation;
pub mod world;
