//! An exhaustive model of a campaign's lifecycle: two files, canary rows, a start by hand, a schedule, pauses, other options
//! while a file is read, retention; with lost jobs, lost queue messages and imports that die after each step. Left out:
//! retries of chosen rows, reopened rows, cooldowns, automatic pauses and `continue_if_clean`.
//!
//! The model explores the rules that run in production: `lifecycle::apply`, `Campaign::sendability`,
//! `requeue::disposition`, `compute_progress` and `repair::Snapshot`.
//!
//! - [`system`]: the state that is explored, the operator, senders and the reconciler
//! - [`import`]: an import, step by step
//! - [`model`]: which steps are possible, and what must hold in every state

mod import;
mod model;
mod system;

use stateright::{Checker, Model};

use crate::model::Lifecycle;

fn explore(faults: u8) {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let checker = Lifecycle { faults }
        .checker()
        .threads(threads)
        .spawn_bfs()
        .join();
    eprintln!(
        "up to {faults} faults: {} states of a campaign's lifecycle, all properties hold",
        checker.unique_state_count()
    );
    checker.assert_properties();
}

#[test]
fn lifecycle_holds_without_faults() {
    explore(0);
}

#[test]
#[ignore = "millions of states: cargo xtask verify"]
fn lifecycle_holds_with_any_one_fault() {
    explore(1);
}
