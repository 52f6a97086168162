//! Claims: a sender claims a row before it sends, so that no other sends the same row.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use campaign::delivery::ledger::{State, Transition};
use campaign::id::{CampaignId, RowNumber};
use campaign::time::Millis;

use super::Ledger;
use super::row::{LedgerRow, PastAttempt};
use super::transition::with_attempt_condition;
use crate::dynamodb::{Item, Update, number, text, to_attribute, update_if};
use crate::{Error, ErrorKind, ttl};

/// The result of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// The row belongs to the caller, for the attempt of this number.
    Won(u32),
    /// The row is settled: there is nothing to send.
    Settled,
    /// Another owner has claimed it, and has not recorded an outcome yet.
    HeldByOther(OtherClaim),
    /// It is a retry that is not due before this time.
    NotBefore(Millis),
}

/// A claim of another owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherClaim {
    /// When it was made.
    pub claimed_at: Millis,
    /// The attempt it is for.
    pub attempt: u32,
}

/// What a new attempt removes from the item; the former attempt goes into the history.
const ATTEMPT_ATTRIBUTES: &str = "not_before, wamid, wa_id, message_status, error_info, sent_at, delivered_at, read_at, failed_at, failure, category";

impl Ledger {
    /// Claims a row for `owner`, before the message is sent.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, row))]
    pub async fn claim(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        owner: &str,
        now: Millis,
    ) -> Result<Claim, Error> {
        let action = "claim a row";
        let update = self
            .update(campaign, row)
            .update_expression(
                "SET #state = :claimed, attempt = :first, #owner = :owner, claimed_at = :now, expires_at = :expires_at",
            )
            .condition_expression("attribute_not_exists(#state)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":claimed", text(State::Claimed.name()))
            .expression_attribute_values(":first", number(1))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expires_at", number(ttl(now, self.retention_days)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match update_if(action, update).await? {
            Update::Written(_) => Ok(Claim::Won(1)),
            Update::ConditionFailed(item) => {
                let known = existing_row(action, item)?;
                match claim_of(&known, owner, now) {
                    Some(claim) => Ok(claim),
                    None => self.reclaim(campaign, row, owner, now, known).await,
                }
            }
        }
    }

    /// Begins the next attempt at a row that is in the ledger already.
    async fn reclaim(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        owner: &str,
        now: Millis,
        known: LedgerRow,
    ) -> Result<Claim, Error> {
        let action = "claim a row for another attempt";
        let former = known.attempt;
        let attempt = former + 1;
        let past = PastAttempt {
            attempt: former,
            state: known.state,
            claimed_at: known.claimed_at,
            wamid: known.wamid,
            error_info: known.error_info,
        };
        let update = with_attempt_condition(self.update(campaign, row), Transition::Claim, former)
            .update_expression(format!(
                "SET #state = :to, attempt = :next, #owner = :owner, claimed_at = :now, \
                 history = list_append(if_not_exists(history, :none), :past) REMOVE {ATTEMPT_ATTRIBUTES}"
            ))
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":next", number(attempt.into()))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":past", to_attribute(action, vec![past])?)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match update_if(action, update).await? {
            Update::Written(_) => Ok(Claim::Won(attempt)),
            Update::ConditionFailed(item) => {
                let current = existing_row(action, item)?;
                Ok(if is_claimed_by(&current, owner) {
                    Claim::Won(current.attempt)
                } else {
                    Claim::HeldByOther(other_claim(&current))
                })
            }
        }
    }
}

/// The result of a claim of this row, unless it is free for another attempt.
fn claim_of(row: &LedgerRow, owner: &str, now: Millis) -> Option<Claim> {
    match row.state {
        // The SDK repeats a request if it received no response: the existing claim may be the caller's own.
        State::Claimed if is_claimed_by(row, owner) => {
            crate::sometimes!("a claim whose response was lost is recognised");
            Some(Claim::Won(row.attempt))
        }
        State::Claimed => Some(Claim::HeldByOther(other_claim(row))),
        State::Retry => row
            .not_before
            .filter(|&not_before| not_before > now)
            .map(Claim::NotBefore),
        State::Held => None,
        State::Accepted | State::Rejected | State::Unconfirmed | State::Skipped => {
            Some(Claim::Settled)
        }
    }
}

fn is_claimed_by(row: &LedgerRow, owner: &str) -> bool {
    row.state == State::Claimed && row.owner == owner
}

fn other_claim(row: &LedgerRow) -> OtherClaim {
    OtherClaim {
        claimed_at: row.claimed_at,
        attempt: row.attempt,
    }
}

fn existing_row(action: &'static str, item: Option<Item>) -> Result<LedgerRow, Error> {
    let missing = || Error::with_kind(action, ErrorKind::ConditionFailed, "the row has no item");
    LedgerRow::from_item(item.ok_or_else(missing)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use campaign::delivery::outcome::ErrorInfo;

    fn row(state: State, not_before: Option<Millis>) -> LedgerRow {
        let item = serde_dynamo::to_item::<_, Item>(serde_json::json!({
            "partition_key": "c1#0", "row": "0000000001", "state": state, "attempt": 2, "owner": "me", "claimed_at": 5,
            "not_before": not_before, "error_info": ErrorInfo::transport("lost"),
        }));
        LedgerRow::from_item(item.expect("item")).expect("row")
    }

    #[test]
    fn existing_row_decides_the_claim() {
        let held = Claim::HeldByOther(OtherClaim {
            claimed_at: 5,
            attempt: 2,
        });
        for (state, not_before, owner, claim) in [
            (State::Claimed, None, "me", Some(Claim::Won(2))),
            (State::Claimed, None, "other", Some(held)),
            (State::Retry, Some(11), "me", Some(Claim::NotBefore(11))),
            (State::Retry, Some(10), "me", None),
            (State::Retry, None, "me", None),
            (State::Held, None, "me", None),
            (State::Accepted, None, "me", Some(Claim::Settled)),
            (State::Rejected, None, "me", Some(Claim::Settled)),
            (State::Unconfirmed, None, "me", Some(Claim::Settled)),
            (State::Skipped, None, "me", Some(Claim::Settled)),
        ] {
            assert_eq!(
                claim_of(&row(state, not_before), owner, 10),
                claim,
                "{state:?}"
            );
        }
    }
}
