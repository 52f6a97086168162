//! The ledger in DynamoDB.

use campaign::delivery::ledger::Transition;
use campaign::delivery::outcome::{Acceptance, ErrorInfo};
use campaign::delivery::requeue::SkipReason;
use cloud::ledger::{Ledger, StatusUpdate};
use futures::TryStreamExt;

use crate::case;
use crate::tables::{dynamodb, line};
use crate::target::{NOW, Results, Target, campaign_id};

case!(
    claims,
    claim_rows,
    [
        "first: Won(1)",
        "same owner: Won(1)",
        "other owner: HeldByOther(OtherClaim { claimed_at: 1900000000000, attempt: 1 })",
        "retry: true",
        "too early: NotBefore(1900000005000)",
        "second attempt: Won(2)",
        "late retry: false",
        "accepted: true",
        "settled: Settled",
        "history: [(1, Retry)] removed: true",
        "rejected: true",
        "no such table: not found",
    ]
);

async fn claim_rows(target: &Target) -> Results {
    let ledger = Ledger::new(dynamodb(target), target.table("MessagesTable"), 90);
    let id = &campaign_id();
    let claim = async |owner: &str, now| ledger.claim(id, 1, owner, now).await;
    let retry = async || {
        let error = ErrorInfo::transport("busy");
        ledger.schedule_retry(id, 1, 1, NOW + 5000, &error).await
    };
    let mut results = vec![
        line("first", claim("a", NOW).await),
        line("same owner", claim("a", NOW + 1).await),
        line("other owner", claim("b", NOW + 2).await),
        line("retry", retry().await),
        line("too early", claim("b", NOW + 4999).await),
        line("second attempt", claim("b", NOW + 5000).await),
        line("late retry", retry().await),
    ];
    let acceptance = Acceptance {
        wamid: "wamid.1".into(),
        wa_id: None,
        user_id: None,
        message_status: None,
    };
    let accepted = ledger.record_acceptance(id, 1, 2, &acceptance).await;
    results.push(line("accepted", accepted));
    results.push(line("settled", claim("c", NOW + 6000).await));
    let row = ledger.get_row(id, 1).await.expect("read").expect("row");
    let past = row.history.iter().map(|past| (past.attempt, past.state));
    let past: Vec<_> = past.collect();
    let removed = row.not_before.is_none() && row.error_info.is_none();
    results.push(format!("history: {past:?} removed: {removed}"));
    ledger.claim(id, 2, "a", NOW).await.expect("claim");
    let (transition, error) = (Transition::Reject, ErrorInfo::transport("invalid"));
    let rejected = ledger.record_outcome(id, 2, 1, transition, &error).await;
    results.push(line("rejected", rejected));
    let nowhere = Ledger::new(dynamodb(target), target.table("NoTable"), 90);
    let claim = nowhere.claim(id, 1, "a", NOW).await;
    results.push(line("no such table", claim));
    results
}

case!(
    statuses,
    apply_statuses,
    [
        "unclaimed: false",
        "unconfirmed: true",
        "reported: true",
        "earlier value stays: true",
        "state Accepted, sent 5, read 7, unconfirmed false",
        "skipped: true",
        "skipped again: false",
        "resend: true",
        "skipped: false",
        "abandoned: true",
        "rows: [1, 2, 3]",
        "erased: 1",
    ]
);

async fn apply_statuses(target: &Target) -> Results {
    let ledger = Ledger::new(dynamodb(target), target.table("MessagesTable"), 90);
    let id = &campaign_id();
    let status = |sent_at, read_at| StatusUpdate {
        wamid: "wamid.1".into(),
        sent_at,
        read_at,
        ..StatusUpdate::default()
    };
    let apply = async |status: StatusUpdate| ledger.apply_status(id, 1, 1, &status).await;
    let mark_unconfirmed = async |row| {
        ledger.claim(id, row, "a", NOW).await.expect("claim");
        let error = ErrorInfo::transport("lost");
        let transition = Transition::MarkUnconfirmed;
        ledger.record_outcome(id, row, 1, transition, &error).await
    };
    let skip = async |row| {
        let reason = SkipReason::Cancelled;
        ledger.skip_or_abandon(id, row, "a", reason, NOW).await
    };
    let mut results = vec![
        line("unclaimed", apply(status(Some(5), None)).await),
        line("unconfirmed", mark_unconfirmed(1).await),
        line("reported", apply(status(Some(5), None)).await),
        line("earlier value stays", apply(status(Some(6), Some(7))).await),
    ];
    let row = ledger.get_row(id, 1).await.expect("read").expect("row");
    results.push(format!(
        "state {:?}, sent {}, read {}, unconfirmed {}",
        row.state,
        row.sent_at.unwrap_or_default(),
        row.read_at.unwrap_or_default(),
        row.was_unconfirmed
    ));
    results.push(line("skipped", skip(2).await));
    results.push(line("skipped again", skip(2).await));
    mark_unconfirmed(3).await.expect("unconfirmed");
    results.push(line("resend", ledger.schedule_resend(id, 3, 1).await));
    results.push(line("skipped", skip(3).await));
    let row = ledger.get_row(id, 3).await.expect("read").expect("row");
    results.push(format!("abandoned: {}", row.abandoned));
    let rows: Vec<_> = ledger.rows(id, 1..=9).try_collect().await.expect("read");
    let rows: Vec<_> = rows.iter().filter_map(|row| row.row_number()).collect();
    results.push(format!("rows: {rows:?}"));
    let acceptance = Acceptance {
        wamid: "wamid.4".into(),
        wa_id: Some("5511".into()),
        user_id: None,
        message_status: None,
    };
    ledger.claim(id, 4, "a", NOW).await.expect("claim");
    let accepted = ledger.record_acceptance(id, 4, 1, &acceptance).await;
    accepted.expect("accepted");
    let erased = ledger.erase(|wa_id| wa_id == "5511").await;
    results.push(line("erased", erased));
    results
}
