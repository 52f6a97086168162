//! The outcome of a broadcast, for people and as one line of JSON.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// A broadcast that is over.
pub(crate) struct Outcome {
    /// The campaign's id.
    pub(crate) id: String,
    /// The campaign as the API shows it.
    pub(crate) campaign: Value,
    /// The simulator's statistics.
    pub(crate) stats: Value,
    /// When the upload was done, in milliseconds since the Unix epoch.
    pub(crate) uploaded_at: u64,
}

/// Width of a full bar, in characters.
const WIDTH: f64 = 40.0;

/// Prints the report people read.
pub(crate) fn print(outcome: &Outcome, rejects: &str) {
    let Outcome {
        campaign, stats, ..
    } = outcome;
    let (rows, delivery) = (&campaign["rows"], &campaign["delivery"]);
    let total = number(&rows["total"]).max(1.0);
    let bar = |name: &str, value: &Value| {
        let length = (number(value) / total * WIDTH).ceil() as usize;
        eprintln!(
            "  {name:<26}{:>8}  {}",
            value.to_string(),
            "█".repeat(length)
        );
    };
    eprintln!("\n  {}\n", campaign["name"].as_str().unwrap_or_default());
    bar("rows in the file", &rows["total"]);
    bar("  cannot be used", &rows["rejected_at_import"]);
    bar("  repeated numbers", &rows["duplicates"]);
    bar("  to be sent", &rows["enqueued"]);
    bar("    accepted by WhatsApp", &rows["accepted"]);
    bar("      delivered", &delivery["delivered"]);
    bar("      read", &delivery["read"]);
    bar("      not delivered", &delivery["undelivered"]);
    bar("    refused at once", &rows["rejected"]);
    bar("    unconfirmed", &rows["unconfirmed"]);
    eprintln!("\n  by the simulator's own call log:");
    let figures = figures(outcome);
    eprintln!(
        "    calls {}, accepted {}, repeats {}",
        stats["sends"]["calls"], stats["sends"]["accepted"], figures["repeats"]
    );
    eprintln!(
        "    busiest second {} of {} allowed",
        figures["busiest_second"], campaign["sending"]["budget"]
    );
    eprintln!(
        "    {} s from first to last call, {} s at best",
        figures["seconds"], figures["ideal_seconds"]
    );
    eprintln!("    refused: {}", stats["sends"]["refused"]);
    if !rejects.is_empty() {
        eprintln!("\n  the rejects file begins:");
        rejects
            .lines()
            .take(4)
            .for_each(|line| eprintln!("    {line}"));
    }
    eprintln!();
}

/// Prints what was asked of AWS during the run, per message: from the functions' own log lines and the simulator's statistics.
pub(crate) fn print_requests(log: &str, outcome: &Outcome) {
    let Outcome {
        campaign, stats, ..
    } = outcome;
    let messages = number(&campaign["rows"]["enqueued"]).max(1.0);
    let lines = |what: &str| log.lines().filter(|line| line.contains(what)).count() as f64;
    let counted = [
        (
            "ledger writes (its stream's records)",
            sum(log, "stream batch", "records="),
        ),
        (
            "campaign reads (one a send)",
            number(&stats["sends"]["calls"]),
        ),
        (
            "raw callbacks written",
            number(&stats["callbacks"]["statuses"]),
        ),
        (
            "callback POSTs, packed by the simulator",
            number(&stats["callbacks"]["posts"]),
        ),
        (
            "queue messages, each sent, received, deleted",
            lines("batches done"),
        ),
        ("counter invocations, one write each", lines("stream batch")),
    ];
    eprintln!("  asked of AWS:");
    for (what, count) in counted {
        eprintln!(
            "    {what:<46}{count:>8}  {:.3} a message",
            count / messages
        );
    }
    eprintln!();
}

/// Adds up the numbers that follow `field` in the lines that have `what`.
fn sum(log: &str, what: &str, field: &str) -> f64 {
    let numbers = log
        .lines()
        .filter(|line| line.contains(what))
        .filter_map(|line| {
            let after = line.split(field).nth(1)?;
            after
                .split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse::<f64>()
                .ok()
        });
    numbers.sum()
}

/// The figures of one run.
pub(crate) fn figures(outcome: &Outcome) -> Value {
    let Outcome {
        campaign,
        stats,
        uploaded_at,
        ..
    } = outcome;
    let (rows, delivery, sends) = (&campaign["rows"], &campaign["delivery"], &stats["sends"]);
    let budget = number(&campaign["sending"]["budget"]);
    let since_upload = |at: &Value| rounded((number(at) - *uploaded_at as f64) / 1000.0);
    json!({
        "rows": rows["total"],
        "rejected": rows["rejected_at_import"],
        "duplicates": rows["duplicates"],
        "enqueued": rows["enqueued"],
        "accepted": rows["accepted"],
        "failed": rows["rejected"],
        "undelivered": delivery["undelivered"],
        "delivered": delivery["delivered"],
        "read": delivery["read"],
        "unconfirmed": rows["unconfirmed"],
        "conserved": rows["balanced"],
        "accepted_by_books": sends["accepted"],
        "accepted_twice": number(&sends["rows_accepted_twice"]) + number(&sends["recipients_accepted_twice"]),
        "repeats": sends["repeats"],
        "budget": budget,
        "busiest_second": sends["busiest_second"],
        "seconds": rounded(number(&sends["seconds"])),
        "ideal_seconds": rounded((number(&sends["calls"]) - 1.0) / budget),
        "upload_to_first_call_seconds": since_upload(&sends["first_call_at"]),
        "upload_to_last_call_seconds": since_upload(&sends["last_call_at"]),
        "webhook_p99_ms": rounded(number(&stats["callbacks"]["p99_ms"])),
    })
}

/// Checks what Crier promises of any run against the simulator's call log.
pub(crate) fn check_promises(figures: &Value) -> Result<()> {
    let n = |name: &str| number(&figures[name]);
    ensure!(
        n("rows") == n("rejected") + n("duplicates") + n("enqueued"),
        "the file's rows do not add up"
    );
    ensure!(
        n("enqueued") == n("accepted") + n("failed") + n("unconfirmed"),
        "the enqueued rows do not add up"
    );
    ensure!(
        figures["conserved"] == true,
        "the API says its own sums do not hold"
    );
    ensure!(n("accepted_twice") == 0.0, "a recipient was messaged twice");
    ensure!(
        n("busiest_second") <= n("budget"),
        "a second had more sends than the budget allows"
    );
    Ok(())
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_numbers_of_log_lines() {
        let log = "INFO invoke{requestId=\"1\"}: stream batch records=39 campaigns=1\n\
                   INFO other records=7\nINFO: stream batch records=1 campaigns=1\nstream batch without a number\n";
        assert_eq!(sum(log, "stream batch", "records="), 40.0);
    }

    #[test]
    fn broken_promise_fails_the_run() {
        let good = json!({"rows": 10, "rejected": 1, "duplicates": 1, "enqueued": 8, "accepted": 7, "failed": 1,
            "unconfirmed": 0, "conserved": true, "accepted_twice": 0, "busiest_second": 40, "budget": 40});
        assert!(check_promises(&good).is_ok());
        for (field, value) in [
            ("rows", json!(11)),
            ("accepted", json!(6)),
            ("conserved", json!(false)),
            ("accepted_twice", json!(1)),
            ("busiest_second", json!(41)),
        ] {
            let mut broken = good.clone();
            broken[field] = value;
            assert!(check_promises(&broken).is_err(), "{field}");
        }
    }
}
