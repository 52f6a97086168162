//! Names of earlier versions stay away: in code, documents, events and the template. Each is a word that nothing else has.

use std::path::Path;

use super::source::{is_word, sorted_entries, workspace};

/// Names of earlier versions, and what they are called now.
const RETIRED: &[(&str, &str)] = &[
    ("Blame", "ErrorCause"),
    ("Books", "CallLog"),
    ("Circumstances", "RetryContext"),
    ("Cutter", "Batcher"),
    ("Desk", "SendBackend"),
    ("Doubts", "Unconfirmed"),
    ("Echo", "PaceSignal"),
    ("Endless", "RecordTooLong"),
    ("ErasureOrder", "ErasureJob"),
    ("Errand", "WebhookDelivery"),
    ("Errands", "DeliveryQueue"),
    ("HIDDEN", "VISIBILITY_TIMEOUT"),
    ("InDoubt", "Unconfirmed"),
    ("JobOrder", "JobRequest"),
    ("KeptBack", "SuppressedRows"),
    ("LOOK_AROUND", "URGENT_POLL_INTERVAL"),
    ("Letter", "InboundMessage"),
    ("NotStored", "StoreFailures"),
    ("NotTaken", "ForwardFailures"),
    ("Office", "AwsBackend"),
    ("OnDoubt", "OnUnconfirmed"),
    ("Outbox", "CallbackQueue"),
    ("OutsideWindow", "OutsideServiceWindow"),
    ("PATIENCE", "TIMEOUT"),
    ("PhoneKey", "CanonicalPhone"),
    ("PutBack", "Requeued"),
    ("SLOT_RATE", "TPS_BUDGET / SLOTS"),
    ("ShardTally", "ShardCounters"),
    ("SlotRate", "TpsBudget / Slots"),
    ("Slows", "ThrottleScope"),
    ("SplitOrder", "ImportJob"),
    ("Standing", "RowStatus"),
    ("StandingStill", "StalledCampaigns"),
    ("StopLoss", "CircuitBreaker"),
    ("Survey", "PreviewBuilder"),
    ("Swept", "ReconcileStats"),
    ("Tape", "ReplayReader"),
    ("WIND_UP", "SHUTDOWN_RESERVE"),
    ("WordLists", "KeywordLists"),
    ("by_open", "by_reconcile_key"),
    ("called_at", "attempted_at"),
    ("canary_then", "after_canary"),
    ("give_back", "requeue"),
    ("go_on", "resume"),
    ("grace_seconds", "unconfirmed_timeout_seconds"),
    ("is_conserved", "is_balanced"),
    ("is_news", "is_newer"),
    ("kept_back", "suppressed_rows"),
    ("last_called_at", "last_messaged_at"),
    ("lasting_doubts", "final_unconfirmed"),
    ("leave_out", "skip_or_abandon"),
    ("left_out", "dropped_at_import"),
    ("look_around", "poll_urgent"),
    ("may_call", "reserve_send"),
    ("messages_per_second", "tps_budget"),
    ("offered_at", "requeued_at"),
    ("on_doubt", "on_unconfirmed"),
    ("on_the_way", "transport"),
    ("open_doubts", "unconfirmed_to_resend"),
    ("open_unconfirmed", "unconfirmed_to_resend"),
    ("outside_window", "outside_service_window"),
    ("owner_is_dead", "lease_expired"),
    ("people_in_a_day", "recipients_in_a_day"),
    ("put_back", "requeue"),
    ("split_beat_at", "lease_renewed_at"),
    ("standing_still", "stalled"),
    ("swept_at", "reconciled_at"),
    ("take_files", "acquire_lease"),
    ("take_in", "reap_completed"),
    ("younger_than", "get_with_max_age"),
];

const EXTENSIONS: [&str; 6] = ["rs", "toml", "json", "md", "yaml", "yml"];

/// These tell what names were before.
const EXCEPT: [&str; 2] = ["architecture/names.rs", "docs/CHANGELOG.md"];

/// Calls `read` with the path and the text of every file that may have a name in it.
fn for_each_file(folder: &Path, read: &mut impl FnMut(&Path, &str)) {
    for path in sorted_entries(folder) {
        let name = path.file_name().unwrap().to_string_lossy();
        // What builds write and package managers install is not ours.
        let is_hidden = name.starts_with('.') || ["target", "node_modules"].contains(&&*name);
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !is_hidden {
            for_each_file(&path, read);
        } else if EXTENSIONS.contains(&&*extension) && !EXCEPT.iter().any(|end| path.ends_with(end))
        {
            read(&path, &std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn no_retired_name_is_used() {
    let mut found = Vec::new();
    for_each_file(&workspace(), &mut |path, text| {
        for (number, line) in (1..).zip(text.lines()) {
            for word in line.split(|character| !is_word(character)) {
                if let Some((_, name)) = RETIRED.iter().find(|(old, _)| *old == word) {
                    found.push(format!("{}:{number}: {word} is now {name}", path.display()));
                }
            }
        }
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}
