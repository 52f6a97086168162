//! What is tried, and what a trial gives.

use serde_json::Value;

/// Rows of each broadcast.
pub(super) const ROWS: u32 = 5_000;

/// Messages per second.
pub(super) const TPS: u32 = 60;

/// What the operator does in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    PauseAndResume,
    Cancel,
    None,
}

/// A broadcast in chaos.
pub(super) struct Trial {
    pub(super) name: &'static str,
    pub(super) on_unconfirmed: &'static str,
    pub(super) interruption: Interruption,
}

pub(super) const TRIALS: [Trial; 3] = [
    Trial {
        name: "unconfirmed left, paused, resumed",
        on_unconfirmed: "leave",
        interruption: Interruption::PauseAndResume,
    },
    Trial {
        name: "unconfirmed sent again",
        on_unconfirmed: "resend",
        interruption: Interruption::None,
    },
    Trial {
        name: "cancelled in the middle",
        on_unconfirmed: "leave",
        interruption: Interruption::Cancel,
    },
];

/// The outcome of a trial.
pub(super) struct TrialOutcome {
    pub(super) campaign: Value,
    pub(super) sends: Value,
    pub(super) kills: u32,
    pub(super) other_kills: [u32; 4],
    pub(super) doubled: u64,
    pub(super) sends_after_stop: Option<usize>,
    pub(super) listed_unconfirmed: usize,
    pub(super) seconds: u64,
}

/// A row's states, as the API counts them.
pub(super) const STATES: [&str; 7] = [
    "claimed",
    "retry",
    "held",
    "accepted",
    "rejected",
    "unconfirmed",
    "skipped",
];
