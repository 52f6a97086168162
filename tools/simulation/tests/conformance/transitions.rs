//! The table does what the rules say that are proven: for each row that the ledger may have, each transition and each
//! attempt that it may be about, the row afterwards is what [`apply`] makes of it.

use aws_sdk_dynamodb::types::AttributeValue;
use campaign::delivery::ledger::{Claim, RowStatus, State, Transition, apply, next_attempt};
use campaign::delivery::outcome::{Acceptance, ErrorInfo};
use campaign::delivery::requeue::SkipReason;
use campaign::id::{CampaignId, ROWS_PER_PARTITION, RowNumber};
use cloud::Error;
use cloud::ledger::{Ledger, StatusUpdate};
use futures::{StreamExt, TryStreamExt};

use crate::case;
use crate::tables::dynamodb;
use crate::target::{NOW, Results, Target, campaign_id};

/// The latest attempt of the rows.
const LATEST: u32 = 2;

/// Requests at the same time.
const CONCURRENCY: usize = 8;

case!(
    transitions,
    apply_transitions,
    ["1824 cases, 0 differ from the rules"]
);

/// What is called: a transition, or the two of which the table chooses one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Transition(Transition),
    SkipOrAbandon,
    SkipOrAbandonClaimed,
}

/// One row, and what is to happen to it.
#[derive(Clone, Copy, Debug)]
struct Case {
    row: RowNumber,
    before: Option<RowStatus>,
    operation: Operation,
    attempt: u32,
}

impl Case {
    /// The row afterwards, by the rules.
    fn expected(&self) -> Option<RowStatus> {
        let after = match self.operation {
            Operation::Transition(transition) => apply(self.before, transition, self.attempt),
            Operation::SkipOrAbandon => apply(self.before, Transition::Skip, self.attempt)
                .or_else(|| apply(self.before, Transition::Abandon, self.attempt)),
            Operation::SkipOrAbandonClaimed => {
                apply(self.before, Transition::SkipClaimed, self.attempt)
                    .or_else(|| apply(self.before, Transition::AbandonClaimed, self.attempt))
            }
        };
        after.or(self.before)
    }
}

async fn apply_transitions(target: &Target) -> Results {
    let ledger = Ledger::new(dynamodb(target), target.table("MessagesTable"), 90);
    let id = &campaign_id();
    let cases = cases();
    let run = async |case: Case| {
        store(target, id, &case).await;
        let is_applied = call(&ledger, id, &case).await.expect("a write");
        assert!(is_applied || case.expected() == case.before, "{case:?}");
    };
    futures::stream::iter(cases.clone())
        .for_each_concurrent(CONCURRENCY, run)
        .await;
    let last = cases.last().expect("cases").row;
    let rows: Vec<_> = ledger.rows(id, 0..=last).try_collect().await.expect("read");
    let wrong = cases.iter().filter(|case| {
        let row = rows.iter().find(|row| row.row_number() == Some(case.row));
        let after = row.map(|row| row.status());
        if after != case.expected() {
            eprintln!("{case:?}: {after:?}, not {:?}", case.expected());
        }
        after != case.expected()
    });
    let wrong = wrong.count();
    vec![format!(
        "{} cases, {wrong} differ from the rules",
        cases.len()
    )]
}

fn cases() -> Vec<Case> {
    let mut rows = vec![None];
    for &state in State::ALL {
        for flags in 0..8 {
            rows.push(Some(RowStatus {
                state,
                attempt: LATEST,
                was_unconfirmed: flags & 1 > 0,
                failed: flags & 2 > 0,
                abandoned: flags & 4 > 0,
            }));
        }
    }
    let mut cases = Vec::new();
    for before in rows {
        for (operation, attempts) in operations(before) {
            cases.extend(
                attempts
                    .into_iter()
                    .map(|attempt| (before, operation, attempt)),
            );
        }
    }
    let numbered = (0..).zip(cases);
    let case = |(row, (before, operation, attempt))| Case {
        row,
        before,
        operation,
        attempt,
    };
    numbered.map(case).collect()
}

/// What may be called, and about which attempts: the one before, the latest, and the next.
fn operations(before: Option<RowStatus>) -> Vec<(Operation, Vec<u32>)> {
    let transitions = [
        Transition::Accept,
        Transition::Reject,
        Transition::Retry,
        Transition::Hold,
        Transition::MarkUnconfirmed,
        Transition::ApplyStatus,
        Transition::ApplyFailure,
        Transition::Resend,
        Transition::RequeueUndelivered,
    ];
    let attempts = [LATEST - 1, LATEST, LATEST + 1];
    let mut operations: Vec<_> = transitions
        .into_iter()
        .map(|transition| (Operation::Transition(transition), attempts.to_vec()))
        .collect();
    // A claim is always about the next attempt; the others are about none.
    let claim = Operation::Transition(Transition::Claim);
    operations.push((claim, vec![next_attempt(before)]));
    operations.push((Operation::SkipOrAbandon, vec![0]));
    operations.push((Operation::SkipOrAbandonClaimed, attempts.to_vec()));
    operations
}

/// Puts the row into the table.
async fn store(target: &Target, id: &CampaignId, case: &Case) {
    let Some(status) = case.before else { return };
    let error = ErrorInfo::transport("before");
    let error = serde_dynamo::to_attribute_value(&error).expect("attribute");
    let text = |text: &str| AttributeValue::S(text.into());
    let number = |number: u64| AttributeValue::N(number.to_string());
    let partition = case.row / ROWS_PER_PARTITION;
    let put = dynamodb(target)
        .put_item()
        .table_name(target.table("MessagesTable"))
        .item("partition_key", text(&format!("{id}#{partition}")))
        .item("row", text(&format!("{:010}", case.row)))
        .item("state", text(status.state.name()))
        .item("attempt", number(status.attempt.into()))
        .item("owner", text("another"))
        .item("claimed_at", number(NOW));
    let flags = [
        (
            status.was_unconfirmed,
            "was_unconfirmed",
            AttributeValue::Bool(true),
        ),
        (status.abandoned, "abandoned", AttributeValue::Bool(true)),
        (status.failed, "failed_at", number(NOW)),
        (status.failed, "failure", error),
    ];
    let set = flags.into_iter().filter(|(is_set, ..)| *is_set);
    let put = set.fold(put, |put, (_, name, value)| put.item(name, value));
    put.send().await.expect("put");
}

/// Calls the ledger as Crier does; returns whether something was written.
async fn call(ledger: &Ledger, id: &CampaignId, case: &Case) -> Result<bool, Error> {
    let Case { row, attempt, .. } = *case;
    let error = &ErrorInfo::transport("reason");
    let transition = match case.operation {
        Operation::SkipOrAbandon => {
            let reason = SkipReason::Cancelled;
            ledger.skip_or_abandon(id, row, "me", reason, NOW).await?;
            return Ok(true);
        }
        Operation::SkipOrAbandonClaimed => {
            let reason = SkipReason::Suppressed;
            ledger
                .skip_or_abandon_claimed(id, row, attempt, reason)
                .await?;
            return Ok(true);
        }
        Operation::Transition(transition) => transition,
    };
    match transition {
        Transition::Claim => {
            let claim = ledger.claim(id, row, "me", NOW).await?;
            Ok(claim == Claim::Won(attempt))
        }
        Transition::Accept => {
            let acceptance = Acceptance {
                wamid: "wamid.1".into(),
                wa_id: None,
                user_id: None,
                message_status: None,
            };
            ledger
                .record_acceptance(id, row, attempt, &acceptance)
                .await
        }
        Transition::Retry => ledger.schedule_retry(id, row, attempt, NOW, error).await,
        Transition::ApplyStatus | Transition::ApplyFailure => {
            let is_failure = transition == Transition::ApplyFailure;
            let update = StatusUpdate {
                wamid: "wamid.1".into(),
                sent_at: Some(NOW),
                failed: is_failure.then(|| (NOW, error.clone())),
                ..StatusUpdate::default()
            };
            ledger.apply_status(id, row, attempt, &update).await
        }
        Transition::Resend => ledger.schedule_resend(id, row, attempt).await,
        Transition::RequeueUndelivered => ledger.requeue_undelivered(id, row, attempt, NOW).await,
        other => ledger.record_outcome(id, row, attempt, other, error).await,
    }
}
