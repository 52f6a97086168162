//! An exhaustive model of the ledger's protocol: two rows and two senders, with duplicated and lost queue messages, a
//! crash after every step, lost API responses, outcomes that cannot be recorded before their lease expires, callbacks at
//! any time and in any number, the reconciler, pause, resume, cancel and opt-outs.
//!
//! The model explores the rules that run in production: `ledger::apply`, `ledger::repair_transition`,
//! `requeue::decide_requeue` and `outcome::next_action`.
//!
//! - [`system`]: the state that is explored, and the steps that change it
//! - [`api`]: what the Cloud API may do with a send
//! - [`sender`]: claim, send, record
//! - [`background`]: the reconciler, requeueing and callbacks
//! - [`actions`]: which steps are possible in a state
//! - [`model`]: what each step does
//! - [`properties`]: what must hold in every state

mod actions;
mod api;
mod background;
mod model;
mod properties;
mod sender;
mod system;

use campaign::lifecycle::campaign::OnUnconfirmed;
use stateright::{Checker, Model};

use crate::system::Protocol;

/// The operator's choices that change the protocol: `on_unconfirmed` and `retry_undelivered`.
const POLICIES: [(OnUnconfirmed, bool); 3] = [
    (OnUnconfirmed::Leave, false),
    (OnUnconfirmed::Resend, false),
    (OnUnconfirmed::Leave, true),
];

fn explore(faults: u8, on_unconfirmed: OnUnconfirmed, retry_undelivered: bool) {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let checker = Protocol::new(faults, on_unconfirmed, retry_undelivered)
        .checker()
        .threads(threads)
        .spawn_bfs()
        .join();
    eprintln!(
        "any {faults} faults, on_unconfirmed {on_unconfirmed:?}, retry_undelivered {retry_undelivered}: \
         {} states, all properties hold",
        checker.unique_state_count()
    );
    checker.assert_properties();
}

#[test]
fn protocol_holds_with_any_two_faults() {
    for (on_unconfirmed, retry_undelivered) in POLICIES {
        explore(2, on_unconfirmed, retry_undelivered);
    }
}

#[test]
#[ignore = "millions of states: cargo xtask verify"]
fn protocol_holds_with_any_three_faults() {
    for (on_unconfirmed, retry_undelivered) in POLICIES {
        explore(3, on_unconfirmed, retry_undelivered);
    }
}
