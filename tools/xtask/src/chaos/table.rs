//! The trials side by side.

use super::faults::OTHERS;
use super::trial::{ROWS, STATES, TPS, Trial, TrialOutcome};

/// Prints a column for each trial.
pub(super) fn print(table: &[(&Trial, TrialOutcome)]) {
    eprintln!("\n  Chaos: {ROWS} rows at {TPS} TPS\n");
    let line = |name: &str, cell: &dyn Fn(&Trial, &TrialOutcome) -> String| {
        let cells: Vec<String> = table
            .iter()
            .map(|(trial, outcome)| cell(trial, outcome))
            .collect();
        eprintln!(
            "  {name:<34}{}",
            cells
                .iter()
                .map(|cell| format!("{cell:>34}"))
                .collect::<String>()
        );
    };
    line("", &|trial, _| trial.name.into());
    line("senders killed", &|_, outcome| outcome.kills.to_string());
    for (index, function) in OTHERS.iter().enumerate() {
        let name = format!("{}s killed", function.to_lowercase());
        line(&name, &|_, outcome| outcome.other_kills[index].to_string());
    }
    line("queue messages doubled", &|_, outcome| {
        outcome.doubled.to_string()
    });
    for name in [
        "calls",
        "accepted",
        "repeats",
        "retries",
        "rows_accepted_twice",
        "busiest_second",
    ] {
        line(
            &format!("call log: {}", name.replace('_', " ")),
            &|_, outcome| outcome.sends[name].to_string(),
        );
    }
    for state in STATES.iter().chain(["waiting", "balanced"].iter()) {
        line(&format!("campaign: {state}"), &|_, outcome| {
            outcome.campaign["rows"][state].to_string()
        });
    }
    line("unconfirmed rows listed", &|_, outcome| {
        outcome.listed_unconfirmed.to_string()
    });
    line("sends 2 s after a stop", &|_, outcome| {
        outcome
            .sends_after_stop
            .map_or("-".into(), |late| late.to_string())
    });
    line("until all was settled", &|_, outcome| {
        format!("{} s", outcome.seconds)
    });
}
