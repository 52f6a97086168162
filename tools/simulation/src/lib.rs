//! Crier in one process, from a seed: AWS, Meta and the functions on one thread, in virtual time.

pub mod aws;
pub mod clock;
pub mod random;
