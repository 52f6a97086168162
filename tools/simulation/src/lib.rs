//! Crier in one process, from a seed: AWS, Meta and the functions on one thread, in virtual time, with operators and
//! faults that the seed draws, and a checker that shares no rule with the product.
//!
//! - [`clock`], [`random`], [`parts`]: time and chance, and what of it can be left out
//! - [`aws`], [`meta`], [`call`]: what Crier runs on, and whom it sends to
//! - [`functions`], [`lambda`]: its functions, and what starts, invokes and kills them
//! - [`operator`], [`record`]: what operators and recipients do, and what they note
//! - [`disturbance`], [`outage`]: what happens to the whole of Crier once in a life
//! - [`profile`]: what a seed's world is like
//! - [`calendar`]: when lives are, and what clocks show then
//! - [`window`]: the hours of a campaign, as its operator knows them
//! - [`world`], [`life`]: one life from the deployment to the judgement
//! - [`checker`], [`violation`]: the judgement
//! - [`known`]: faults that are known and not removed yet
//! - [`fork`], [`results`]: a process for each seed, and what was found in many
//! - [`shrink`]: what a failure needs
//! - [`marks`]: branches that must happen
//! - [`speed`]: how fast lives are

pub mod aws;
pub mod calendar;
pub mod call;
pub mod checker;
pub mod clock;
pub mod disturbance;
pub mod fork;
pub mod functions;
pub mod known;
pub mod lambda;
pub mod life;
pub mod marks;
pub mod meta;
pub mod operator;
pub mod outage;
pub mod parts;
pub mod profile;
pub mod random;
pub mod record;
pub mod results;
pub mod shrink;
pub mod speed;
pub mod violation;
pub mod window;
pub mod world;
