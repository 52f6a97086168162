//! A transition of a row as one conditional write, rendered from its rule. Nothing else writes the state of a row.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use campaign::delivery::ledger::rule::{AttemptRule, FlagChange, Precondition, Rule};
use campaign::delivery::ledger::{LedgerRow, State, Transition};
use campaign::id::{CampaignId, RowNumber};

use super::{Ledger, parse_row};
use crate::dynamodb::{Item, Update, number, text, update_if};
use crate::{Error, scan};
use uuid::Uuid;

/// The id of the latest write that must not be repeated.
const WRITE_ID: &str = "write_id";

/// What became of a transition.
pub(super) enum TransitionResult {
    /// It happened.
    Applied,
    /// It is not allowed for the row as it is, which is not an error: the row has moved on. `None` if it is not there.
    Refused(Option<Box<LedgerRow>>),
}

impl TransitionResult {
    pub(super) fn is_applied(&self) -> bool {
        matches!(self, TransitionResult::Applied)
    }
}

/// A transition on its way to the table, with what is to be stored beside the state.
pub(super) struct TransitionWrite {
    update: UpdateItemFluentBuilder,
    names: BTreeSet<&'static str>,
    values: BTreeMap<&'static str, AttributeValue>,
    condition: String,
    set: Vec<String>,
    remove: Vec<&'static str>,
    /// The SDK repeats a write whose response was lost. If the row refuses it and has this id, the write has happened.
    id: Option<String>,
}

impl Ledger {
    /// A transition, about `attempt` as [`AttemptRule`] says.
    pub(super) fn transition(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        transition: Transition,
        attempt: u32,
    ) -> TransitionWrite {
        let rule = transition.rule();
        let mut write = TransitionWrite {
            update: self.update(campaign, row),
            names: BTreeSet::new(),
            values: BTreeMap::new(),
            condition: String::new(),
            set: Vec::new(),
            remove: Vec::new(),
            id: None,
        };
        write.condition = write.condition_of(&rule, attempt);
        write.with_effect(&rule, attempt)
    }
}

impl TransitionWrite {
    fn condition_of(&mut self, rule: &Rule, attempt: u32) -> String {
        let from = rule.from.iter().map(|from| self.condition_from(from));
        let from: Vec<String> = from.collect();
        let mut condition = match &*from {
            [only] => only.clone(),
            several => format!("({})", several.join(" OR ")),
        };
        let latest = match rule.attempt {
            AttemptRule::Latest => Some(attempt),
            AttemptRule::Next => Some(attempt.saturating_sub(1)),
            AttemptRule::Any => None,
        };
        if let Some(latest) = latest {
            let (name, value) = (
                self.name("attempt"),
                self.value("latest", number(latest.into())),
            );
            condition = format!("{name} = {value} AND {condition}");
        }
        if rule.may_be_first(attempt) {
            let state = self.name("state");
            condition = format!("attribute_not_exists({state}) OR {condition}");
        }
        condition
    }

    fn condition_from(&mut self, from: &Precondition) -> String {
        let states: Vec<String> = from.states.iter().map(|&state| self.state(state)).collect();
        let mut condition = format!("{} IN ({})", self.name("state"), states.join(", "));
        for (attribute, flag) in [
            ("was_unconfirmed", from.was_unconfirmed),
            ("failed_at", from.failed),
        ] {
            let function = match flag {
                Some(true) => "attribute_exists",
                Some(false) => "attribute_not_exists",
                None => continue,
            };
            let name = self.name(attribute);
            condition = format!("{condition} AND {function}({name})");
        }
        condition
    }

    fn with_effect(mut self, rule: &Rule, attempt: u32) -> Self {
        let to = self.state(rule.to);
        self.assign("state", &to);
        match (rule.attempt, rule.first_attempt) {
            (AttemptRule::Next, _) => self = self.set("attempt", number(attempt.into())),
            (AttemptRule::Any, Some(first)) => {
                self = self.set_first("attempt", number(first.into()));
            }
            (AttemptRule::Any, None) | (AttemptRule::Latest, _) => {}
        }
        for (attribute, flag) in [
            ("was_unconfirmed", rule.was_unconfirmed),
            ("abandoned", rule.abandoned),
        ] {
            self = match flag {
                FlagChange::Keep => self,
                FlagChange::Set => self.set(attribute, AttributeValue::Bool(true)),
                FlagChange::Clear => self.remove(&[attribute]),
            };
        }
        // Where it is set, the caller sets `failed_at` and `failure`.
        if rule.failed == FlagChange::Clear {
            self = self.remove(&["failed_at", "failure"]);
        }
        if rule.may_be_repeated() {
            return self;
        }
        let id = Uuid::now_v7().simple().to_string();
        let write = self.set(WRITE_ID, text(&id));
        TransitionWrite {
            id: Some(id),
            ..write
        }
    }

    /// Sets an attribute.
    pub(super) fn set(mut self, name: &'static str, value: AttributeValue) -> Self {
        let value = self.value(name, value);
        self.assign(name, &value);
        self
    }

    /// Sets an attribute, unless the row has it.
    pub(super) fn set_first(mut self, name: &'static str, value: AttributeValue) -> Self {
        let (attribute, value) = (self.name(name), self.value(name, value));
        self.assign(name, &format!("if_not_exists({attribute}, {value})"));
        self
    }

    /// Sets an attribute to what another one is.
    pub(super) fn copy(mut self, name: &'static str, from: &'static str) -> Self {
        let from = self.name(from);
        self.assign(name, &from);
        self
    }

    /// Appends to a list.
    pub(super) fn append(mut self, name: &'static str, list: AttributeValue) -> Self {
        let none = self.value("none", AttributeValue::L(Vec::new()));
        let (attribute, list) = (self.name(name), self.value(name, list));
        let list = format!("list_append(if_not_exists({attribute}, {none}), {list})");
        self.assign(name, &list);
        self
    }

    /// Removes attributes.
    pub(super) fn remove(mut self, names: &[&'static str]) -> Self {
        self.names.extend(names);
        self.remove.extend(names);
        self
    }

    /// Writes it.
    pub(super) async fn send(self, action: &'static str) -> Result<TransitionResult, Error> {
        let mut expression = format!("SET {}", self.set.join(", "));
        if !self.remove.is_empty() {
            let names: Vec<String> = self.remove.iter().map(|name| format!("#{name}")).collect();
            expression = format!("{expression} REMOVE {}", names.join(", "));
        }
        let mut update = self
            .update
            .update_expression(expression)
            .condition_expression(self.condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for name in self.names {
            update = update.expression_attribute_names(format!("#{name}"), name);
        }
        for (name, value) in self.values {
            update = update.expression_attribute_values(format!(":{name}"), value);
        }
        match update_if(action, update).await? {
            Update::Written(_) => Ok(TransitionResult::Applied),
            Update::ConditionFailed(Some(item)) if has_id(&item, self.id.as_deref()) => {
                crate::sometimes!("a write whose response was lost is recognised");
                Ok(TransitionResult::Applied)
            }
            Update::ConditionFailed(item) => {
                let row = item.map(parse_row).transpose()?;
                Ok(TransitionResult::Refused(row.map(Box::new)))
            }
        }
    }

    /// Writes it; returns whether it happened.
    pub(super) async fn send_if(self, action: &'static str) -> Result<bool, Error> {
        Ok(self.send(action).await?.is_applied())
    }

    fn state(&mut self, state: State) -> String {
        self.value(state.name(), text(state.name()))
    }

    fn assign(&mut self, name: &'static str, value: &str) {
        let name = self.name(name);
        self.set.push(format!("{name} = {value}"));
    }

    fn name(&mut self, name: &'static str) -> String {
        self.names.insert(name);
        format!("#{name}")
    }

    fn value(&mut self, name: &'static str, value: AttributeValue) -> String {
        self.values.insert(name, value);
        format!(":{name}")
    }
}

fn has_id(item: &Item, id: Option<&str>) -> bool {
    id.is_some_and(|id| scan::get_text(item, WRITE_ID) == Some(id))
}
