//! Since when a command holds, by its answer.

use crate::record::Command;

/// A pause, a cancellation or an end holds from so long after its answer on (the documentation).
pub(super) const STOP_MS: u64 = 2_000;

/// Whether a pause took effect before `at`, and nothing that ends it may have done so since. Commands may overlap.
pub(super) fn is_paused(commands: &[Command], at: u64) -> bool {
    let holds = |pause: &&Command| {
        pause.succeeded
            && pause
                .answered_ms
                .is_some_and(|answered| answered + STOP_MS < at)
    };
    let ends = |pause: &Command, command: &Command| {
        matches!(command.name, "resume" | "start" | "continue")
            && command.asked_ms <= at
            && command
                .answered_ms
                .is_none_or(|answered| answered >= pause.asked_ms)
    };
    let mut pauses = commands
        .iter()
        .filter(|command| command.name == "pause")
        .filter(holds);
    pauses.any(|pause| !commands.iter().any(|command| ends(pause, command)))
}

pub(super) fn is_cancelled(commands: &[Command], at: u64) -> bool {
    let mut cancels = commands
        .iter()
        .filter(|command| command.name == "cancel" && command.succeeded);
    cancels.any(|cancel| {
        cancel
            .answered_ms
            .is_some_and(|answered| answered + STOP_MS < at)
    })
}
