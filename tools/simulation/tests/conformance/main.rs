//! The fakes do what AWS does: the same requests of Crier's own clients to the fakes and to the emulators have the
//! same results.
//!
//! `target.rs` makes the resources; `ledger.rs`, `transitions.rs`, `tables.rs`, `imports.rs`, `queues.rs` and `objects.rs`
//! have the requests, and the results that are expected.

mod imports;
mod ledger;
mod objects;
mod queues;
mod tables;
mod target;
mod transitions;

/// Two tests of one case: that the fakes' results are the expected ones, and that the emulators' are too.
macro_rules! case {
    ($name:ident, $case:path, $expected:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn on_fakes() {
                assert_eq!(
                    crate::target::on_fakes(async |target| $case(target).await),
                    $expected
                );
            }

            #[test]
            #[ignore = "needs the emulators: cargo xtask test"]
            fn on_emulators() {
                let name = stringify!($name);
                let results = crate::target::on_emulators(name, async |target| $case(target).await);
                assert_eq!(results, $expected);
            }
        }
    };
}

pub(crate) use case;
