//! The ledger (messages table): storage of what `campaign::delivery::ledger` decides, and the only file that knows its keys.
//!
//! Partition key `page` = `{campaign}#{row / 64}`, sort key `row`, zero-padded. Every write is conditional on the
//! states its move may start from; one that finds the row further on is a success.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use campaign::delivery::ledger::{RowStatus, State, Transition};
use campaign::delivery::outcome::{Acceptance, ErrorInfo, Millis};
use campaign::delivery::requeue::SkipReason;
use campaign::id::{CampaignId, RowNumber, partition_of};
use campaign::lifecycle::counters::RowFacts;
use serde::{Deserialize, Serialize};

use crate::campaigns::{condition_failed, in_list, number, send_if, text, to_attribute};
use crate::{Error, scan, ttl};

/// The ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    client: Client,
    table: String,
    retention_days: u32,
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// The row is the caller's, for this attempt.
    Won(u32),
    /// Nothing to do: the row is settled.
    Settled,
    /// Another owner claimed it and has not reported yet.
    HeldByOther(OtherClaim),
    /// A retry that is not due before this time.
    NotBefore(Millis),
}

/// A claim of somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherClaim {
    /// Since when.
    pub claimed_at: Millis,
    /// For which attempt.
    pub attempt: u32,
}

/// What callbacks of one attempt at one row say together; each fact is kept as first told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatusUpdate {
    /// The message's id.
    pub wamid: String,
    /// When it was sent, delivered, read.
    pub sent_at: Option<Millis>,
    /// Reached the device; may be missing though it was read.
    pub delivered_at: Option<Millis>,
    /// Seen.
    pub read_at: Option<Millis>,
    /// Refused after acceptance, and why.
    pub failed: Option<(Millis, ErrorInfo)>,
    /// What Meta charges for.
    pub category: Option<String>,
}

/// A row as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Page, then row.
    pub partition_key: String,
    /// Zero-padded number.
    pub row: String,
    /// Where it stands.
    pub state: State,
    /// Latest attempt, from 1.
    pub attempt: u32,
    /// Request id of the invocation that claimed it last.
    pub owner: String,
    /// When.
    pub claimed_at: Millis,
    /// Earliest time of the next attempt, in `retry`.
    pub not_before: Option<Millis>,
    /// Message id.
    pub wamid: Option<String>,
    /// Recipient's id as Meta has it.
    pub wa_id: Option<String>,
    /// What the API said of the message's way.
    pub message_status: Option<String>,
    /// Why it is in this state, where the API or the way there said.
    pub error_info: Option<ErrorInfo>,
    /// Reported `sent`.
    pub sent_at: Option<Millis>,
    /// Reported `delivered`; may be missing though it was read.
    pub delivered_at: Option<Millis>,
    /// Reported `read`.
    pub read_at: Option<Millis>,
    /// Reported `failed`.
    pub failed_at: Option<Millis>,
    /// Why it failed after acceptance.
    pub failure: Option<ErrorInfo>,
    /// What Meta charges for, such as `marketing`.
    #[serde(default)]
    pub category: Option<String>,
    /// Some attempt may have been sent, and no later one was accepted.
    #[serde(default)]
    pub has_unconfirmed: bool,
    /// It is in doubt for good.
    #[serde(default)]
    pub abandoned: bool,
    /// Earlier attempts, as they ended.
    #[serde(default)]
    pub history: Vec<PastAttempt>,
}

/// What an earlier attempt left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Which.
    pub attempt: u32,
    /// How it ended.
    pub state: State,
    /// When it was claimed.
    pub claimed_at: Millis,
    /// Its message's id, where it had one.
    pub wamid: Option<String>,
    /// Why it ended so.
    pub error_info: Option<ErrorInfo>,
}

impl LedgerRow {
    /// A row from an item of the table or an image of its stream.
    pub fn from_item(item: HashMap<String, AttributeValue>) -> Result<Self, Error> {
        serde_dynamo::from_item(item).map_err(|error| Error::new("read a ledger row", error))
    }

    /// What the counters need.
    pub fn row_facts(&self) -> RowFacts {
        RowFacts {
            state: self.state,
            attempt: self.attempt,
            claimed_at: self.claimed_at,
            sent: self.sent_at.is_some(),
            delivered: self.delivered_at.is_some(),
            read: self.read_at.is_some(),
            failed: self.failed_at.is_some(),
            abandoned: self.abandoned,
        }
    }

    /// What the rules need.
    pub fn status(&self) -> RowStatus {
        RowStatus {
            state: self.state,
            attempt: self.attempt,
            was_unconfirmed: self.has_unconfirmed,
            failed: self.failed_at.is_some(),
            abandoned: self.abandoned,
        }
    }

    /// Its campaign.
    pub fn campaign_id(&self) -> Option<CampaignId> {
        self.partition_key.split('#').next()?.parse().ok()
    }

    /// Its number.
    pub fn row_number(&self) -> Option<RowNumber> {
        self.row.parse().ok()
    }
}

/// What a new attempt clears: everything that a former one learned goes to the history.
const ATTEMPT_ATTRIBUTES: &str = "not_before, wamid, wa_id, message_status, error_info, sent_at, delivered_at, read_at, failed_at, failure, category";

impl Ledger {
    /// The table of that name; rows expire after `retention_days`.
    pub fn new(client: Client, table: String, retention_days: u32) -> Self {
        Self {
            client,
            table,
            retention_days,
        }
    }

    /// Claims a row for `owner`, before the call.
    pub async fn claim(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        owner: &str,
        now: Millis,
    ) -> Result<Claim, Error> {
        let fresh = self
            .update(campaign, row)
            .update_expression("SET #state = :claimed, attempt = :first, #owner = :owner, claimed_at = :now, expires_at = :expiry")
            .condition_expression("attribute_not_exists(#state)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":claimed", text(State::Claimed.name()))
            .expression_attribute_values(":first", number(1))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expiry", number(ttl(now, self.retention_days)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match fresh.send().await {
            Ok(_) => Ok(Claim::Won(1)),
            Err(error) => match condition_failed(&error) {
                Some(Some(item)) => {
                    self.reclaim(campaign, row, owner, now, LedgerRow::from_item(item)?)
                        .await
                }
                _ => Err(Error::from_sdk("claim a row")(error)),
            },
        }
    }

    async fn reclaim(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        owner: &str,
        now: Millis,
        old: LedgerRow,
    ) -> Result<Claim, Error> {
        match old.state {
            // The SDK repeats a request whose answer was lost: then this claim is our own.
            State::Claimed if old.owner == owner => return Ok(Claim::Won(old.attempt)),
            State::Claimed => {
                return Ok(Claim::HeldByOther(OtherClaim {
                    claimed_at: old.claimed_at,
                    attempt: old.attempt,
                }));
            }
            State::Retry => match old.not_before {
                Some(due) if due > now => return Ok(Claim::NotBefore(due)),
                Some(_) | None => {}
            },
            State::Held => {}
            State::Accepted | State::Rejected | State::Unconfirmed | State::Skipped => {
                return Ok(Claim::Settled);
            }
        }
        let past = PastAttempt {
            attempt: old.attempt,
            state: old.state,
            claimed_at: old.claimed_at,
            wamid: old.wamid,
            error_info: old.error_info,
        };
        let history = to_attribute("claim a row", vec![past])?;
        let attempt = old.attempt + 1;
        let again = with_attempt_condition(self.update(campaign, row), Transition::Claim, old.attempt)
            .update_expression(format!(
                "SET #state = :to, attempt = :next, #owner = :owner, claimed_at = :now, \
                 history = list_append(if_not_exists(history, :none), :past) REMOVE {ATTEMPT_ATTRIBUTES}"
            ))
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":next", number(attempt.into()))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":past", history)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match again.send().await {
            Ok(_) => Ok(Claim::Won(attempt)),
            Err(error) => match condition_failed(&error) {
                Some(Some(item)) => {
                    let now_is = LedgerRow::from_item(item)?;
                    let ours = now_is.state == State::Claimed && now_is.owner == owner;
                    let taken = OtherClaim {
                        claimed_at: now_is.claimed_at,
                        attempt: now_is.attempt,
                    };
                    Ok(if ours {
                        Claim::Won(now_is.attempt)
                    } else {
                        Claim::HeldByOther(taken)
                    })
                }
                _ => Err(Error::from_sdk("claim a row again")(error)),
            },
        }
    }

    /// The API took the message.
    pub async fn record_acceptance(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
        with: &Acceptance,
    ) -> Result<bool, Error> {
        let optional =
            |value: &Option<String>| value.as_deref().map_or(AttributeValue::Null(true), text);
        let update = with_attempt_condition(self.update(campaign, row), Transition::Accept, attempt)
            .update_expression(
                "SET #state = :to, wamid = :wamid, wa_id = :wa_id, message_status = :status REMOVE has_unconfirmed",
            )
            .expression_attribute_values(":wamid", text(&with.wamid))
            .expression_attribute_values(":wa_id", optional(&with.wa_id))
            .expression_attribute_values(":status", optional(&with.message_status));
        send_if(update, "record an acceptance").await
    }

    /// The API refused for good, the campaign must stop, or it is in doubt.
    pub async fn record_outcome(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
        step: Transition,
        fault: &ErrorInfo,
    ) -> Result<bool, Error> {
        let action = "record the end of an attempt";
        let update = with_attempt_condition(self.update(campaign, row), step, attempt)
            .expression_attribute_values(":error_info", to_attribute(action, fault)?);
        let update = if step == Transition::MarkUnconfirmed {
            update
                .update_expression(
                    "SET #state = :to, error_info = :error_info, has_unconfirmed = :yes",
                )
                .expression_attribute_values(":yes", AttributeValue::Bool(true))
        } else {
            update.update_expression("SET #state = :to, error_info = :error_info")
        };
        send_if(update, action).await
    }

    /// The grace time of a doubt is over, and the operator chose to send again: at once.
    pub async fn schedule_resend(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
    ) -> Result<bool, Error> {
        let update =
            with_attempt_condition(self.update(campaign, row), Transition::Resend, attempt)
                .update_expression("SET #state = :to REMOVE not_before");
        send_if(update, "send a doubt again").await
    }

    /// It was accepted, then not delivered, and may be later: another try is due at `not_before`.
    pub async fn retry_undelivered(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
        not_before: Millis,
    ) -> Result<bool, Error> {
        let (update, states) =
            with_transition(self.update(campaign, row), Transition::RequeueUndelivered);
        let update = update
            .update_expression("SET #state = :to, not_before = :due, error_info = failure")
            .condition_expression(format!(
                "attempt = :attempt AND #state IN ({states}) AND attribute_exists(failed_at)"
            ))
            .expression_attribute_values(":attempt", number(attempt.into()))
            .expression_attribute_values(":due", number(not_before));
        send_if(update, "offer what was not delivered again").await
    }

    /// No further attempt is made, for the reason in `fault`, but an earlier one may have been sent.
    async fn abandon(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        fault: &ErrorInfo,
    ) -> Result<bool, Error> {
        let action = "give a row up";
        let (update, states) = with_transition(self.update(campaign, row), Transition::Abandon);
        let update = update
            .update_expression("SET #state = :to, error_info = :error_info, abandoned = :yes")
            .condition_expression(format!(
                "#state IN ({states}) AND attribute_exists(has_unconfirmed)"
            ))
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":error_info", to_attribute(action, fault)?);
        send_if(update, action).await
    }

    /// Nothing was sent; another try is due at `not_before`.
    pub async fn schedule_retry(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
        not_before: Millis,
        fault: &ErrorInfo,
    ) -> Result<bool, Error> {
        let action = "record a retry";
        let update = with_attempt_condition(self.update(campaign, row), Transition::Retry, attempt)
            .update_expression("SET #state = :to, error_info = :error_info, not_before = :due")
            .expression_attribute_values(":error_info", to_attribute(action, fault)?)
            .expression_attribute_values(":due", number(not_before));
        send_if(update, action).await
    }

    /// Not to be sent after all: skipped, or, where somebody may have been messaged, given up as a doubt. Tells whether it
    /// was skipped; a row that is claimed or settled stays as it is.
    pub async fn skip_or_abandon(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        owner: &str,
        why: SkipReason,
        now: Millis,
    ) -> Result<bool, Error> {
        let fault = ErrorInfo::transport(why.text());
        let skipped = self.skip(campaign, row, owner, &fault, now).await?;
        if !skipped {
            self.abandon(campaign, row, &fault).await?;
        }
        Ok(skipped)
    }

    async fn skip(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        owner: &str,
        fault: &ErrorInfo,
        now: Millis,
    ) -> Result<bool, Error> {
        let action = "skip a row";
        let update = self
            .update(campaign, row)
            .update_expression(
                "SET #state = :to, error_info = :error_info, attempt = if_not_exists(attempt, :none), #owner = if_not_exists(#owner, :owner), \
                 claimed_at = if_not_exists(claimed_at, :now), expires_at = :expiry",
            )
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":error_info", to_attribute(action, fault)?)
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expiry", number(ttl(now, self.retention_days)));
        let (update, states) = with_transition(update, Transition::Skip);
        let condition = format!(
            "attribute_not_exists(#state) OR #state IN ({states}) AND attribute_not_exists(has_unconfirmed)"
        );
        send_if(update.condition_expression(condition), action).await
    }

    /// What callbacks say of an attempt: it was accepted, and its way since. Order and repeats do not matter.
    pub async fn apply_status(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        attempt: u32,
        reports: &StatusUpdate,
    ) -> Result<bool, Error> {
        let action = "record a callback";
        let mut facts = vec![("wamid", text(&reports.wamid))];
        let times = [
            ("sent_at", reports.sent_at),
            ("delivered_at", reports.delivered_at),
            ("read_at", reports.read_at),
        ];
        facts.extend(
            times
                .into_iter()
                .filter_map(|(name, at)| Some((name, number(at?)))),
        );
        if let Some(category) = &reports.category {
            facts.push(("category", text(category)));
        }
        if let Some((at, fault)) = &reports.failed {
            facts.push(("failed_at", number(*at)));
            facts.push(("failure", to_attribute(action, fault)?));
        }
        let (update, states) = with_transition(self.update(campaign, row), Transition::ApplyStatus);
        // A doubt that was to be sent again is settled by a late callback, too; what was reported as failed is not.
        let mut update = update
            .expression_attribute_values(":attempt", number(attempt.into()))
            .expression_attribute_values(":retry", text(State::Retry.name()))
            .condition_expression(format!(
                "attempt = :attempt AND (#state IN ({states}) OR \
                 #state = :retry AND attribute_exists(has_unconfirmed) AND attribute_not_exists(failed_at))"
            ));
        let mut sets = vec!["#state = :to".to_owned()];
        for (name, value) in facts {
            sets.push(format!("{name} = if_not_exists({name}, :{name})"));
            update = update.expression_attribute_values(format!(":{name}"), value);
        }
        send_if(
            update.update_expression(format!("SET {} REMOVE has_unconfirmed", sets.join(", "))),
            action,
        )
        .await
    }

    /// Forgets the numbers that WhatsApp named, of everybody whom `is_it` picks by one; gives how many rows that were.
    pub async fn erase(&self, is_it: impl Fn(&str) -> bool) -> Result<u64, Error> {
        let wanted = |item: &scan::Item| scan::get_text(item, "wa_id").is_some_and(&is_it);
        let forget = async |mut item: scan::Item| {
            let mut key = HashMap::new();
            for name in ["partition_key", "row"] {
                key.extend(item.remove(name).map(|value| (name.to_owned(), value)));
            }
            let update = self.client.update_item().table_name(&self.table);
            let update = update.set_key(Some(key)).update_expression("REMOVE wa_id");
            let updated = update.send().await;
            updated
                .map(drop)
                .map_err(Error::from_sdk("erase a number from the ledger"))
        };
        let names = ["partition_key", "row", "wa_id"];
        scan::for_each(&self.client, &self.table, &names, wanted, forget).await
    }

    /// Reads one row.
    pub async fn get_row(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
    ) -> Result<Option<LedgerRow>, Error> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(campaign, row)))
            .consistent_read(true);
        let item = get
            .send()
            .await
            .map_err(Error::from_sdk("read a row"))?
            .item;
        item.map(LedgerRow::from_item).transpose()
    }

    /// The rows of one page that are in the ledger, as they were a moment ago.
    pub async fn list_partition(
        &self,
        campaign: &CampaignId,
        partition: RowNumber,
    ) -> Result<Vec<LedgerRow>, Error> {
        let action = "read a page of the ledger";
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("partition_key = :partition_key")
            .expression_attribute_values(
                ":partition_key",
                AttributeValue::S(partition_key(campaign, partition)),
            );
        let mut items = query.into_paginator().items().send();
        let mut rows = Vec::new();
        while let Some(item) = items.next().await {
            rows.push(LedgerRow::from_item(
                item.map_err(Error::from_sdk(action))?,
            )?);
        }
        Ok(rows)
    }

    fn update(&self, campaign: &CampaignId, row: RowNumber) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(campaign, row)))
    }
}

/// The condition of a move: its attempt, and the states it may start from. Sets `:to`.
fn with_attempt_condition(
    update: UpdateItemFluentBuilder,
    step: Transition,
    attempt: u32,
) -> UpdateItemFluentBuilder {
    let (update, states) = with_transition(update, step);
    update
        .expression_attribute_values(":attempt", number(attempt.into()))
        .condition_expression(format!("attempt = :attempt AND #state IN ({states})"))
}

/// Sets `:to`, names `#state`, and gives the states the move may start from, as a list for `IN`.
fn with_transition(
    update: UpdateItemFluentBuilder,
    step: Transition,
) -> (UpdateItemFluentBuilder, String) {
    let update = update
        .expression_attribute_names("#state", "state")
        .expression_attribute_values(":to", text(step.to().name()));
    in_list(update, step.from().iter().map(|from| from.name()))
}

fn partition_key(campaign: &CampaignId, page: RowNumber) -> String {
    format!("{campaign}#{page}")
}

fn key(campaign: &CampaignId, row: RowNumber) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (
            "partition_key".into(),
            AttributeValue::S(partition_key(campaign, partition_of(row))),
        ),
        ("row".into(), AttributeValue::S(format!("{row:010}"))),
    ])
}
