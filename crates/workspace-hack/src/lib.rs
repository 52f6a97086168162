//! One set of dependency features for every build.
//!
//! Cargo compiles a dependency once for each set of features that it is asked for, and which set that is depends on the
//! packages that are built together. Without this crate, `cargo test --package sender` would compile the AWS SDK anew,
//! and `sam build`, which builds one function after the other, several times. So every build asks for the same
//! features: a dependency of `cloud`, which all functions use, and with its feature `tests` of everything that is
//! tested. It has no code.
