//! What the API, the ledger and the simulator's call log say about a broadcast.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::trial::{ROWS, TPS, Trial, TrialOutcome};
use crate::client::Client;
use crate::stack::{API_TOKEN, Stack};

/// Where to ask.
pub(super) struct Evidence<'s> {
    stack: &'s Stack,
    client: Client,
}

impl<'s> Evidence<'s> {
    pub(super) fn new(stack: &'s Stack) -> Self {
        Self {
            stack,
            client: Client::new(&stack.api, API_TOKEN),
        }
    }

    pub(super) fn check(&self, trial: &Trial, id: &str, outcome: &TrialOutcome) -> Result<()> {
        let (rows, sends) = (&outcome.campaign["rows"], &outcome.sends);
        let count = |state: &str| rows[state].as_u64().unwrap_or_default();
        ensure!(rows["balanced"] == true, "the sums do not hold: {rows}");
        ensure!(
            sends["busiest_second"].as_u64() <= Some(u64::from(TPS)),
            "too fast: {sends}"
        );
        ensure!(
            outcome.listed_unconfirmed as u64 == count("unconfirmed"),
            "not every unconfirmed row is listed"
        );
        ensure!(
            outcome.sends_after_stop.unwrap_or(0) == 0,
            "sends after a stop"
        );
        match trial.on_unconfirmed {
            "leave" => ensure!(
                sends["repeats"] == 0 && sends["rows_accepted_twice"] == 0,
                "a recipient was messaged twice: {sends}"
            ),
            _ => ensure!(
                count("accepted") == u64::from(ROWS),
                "not every recipient was reached: {rows}"
            ),
        }
        self.compare(id, ROWS)
    }

    /// Compares row by row: what the call log shows as accepted is accepted or unconfirmed in the ledger, and nothing else
    /// is accepted.
    pub(super) fn compare(&self, id: &str, rows: u32) -> Result<()> {
        let states = self.row_states(id)?;
        let calls = self.stack.simulator.calls()?;
        let accepted: BTreeSet<u64> = calls
            .iter()
            .filter(|call| call["accepted"] == true)
            .filter_map(|call| call["row"].as_str()?.rsplit(':').next()?.parse().ok())
            .collect();
        ensure!(
            states.len() == rows as usize,
            "{} rows in the ledger",
            states.len()
        );
        for (row, state) in &states {
            let sent = accepted.contains(row);
            let right = match state.as_str() {
                "accepted" => sent,
                "unconfirmed" => true,
                _ => !sent,
            };
            ensure!(
                right,
                "row {row} is {state}, and by the call log sent: {sent}"
            );
        }
        Ok(())
    }

    pub(super) fn recount(&self, id: &str) -> Result<BTreeMap<String, u64>> {
        let mut counts = BTreeMap::new();
        for state in self.row_states(id)?.into_values() {
            *counts.entry(state).or_default() += 1;
        }
        Ok(counts)
    }

    /// Every row's state, from the table itself.
    fn row_states(&self, id: &str) -> Result<BTreeMap<u64, String>> {
        let all = json!({"TableName": self.stack.output("MessagesTable")?});
        let items = self.stack.emulator.call_aws("dynamodb", "scan", &all)?;
        let text =
            |item: &Value, name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
        let rows = items["Items"].as_array().into_iter().flatten();
        let of_campaign = rows
            .filter(|item| text(item, "partition_key").starts_with(id) && !item["state"].is_null());
        of_campaign
            .map(|item| Ok((text(item, "row").parse()?, text(item, "state"))))
            .collect()
    }

    /// Every unconfirmed row, page after page, as an operator sees it.
    pub(super) fn list_unconfirmed(&self, id: &str) -> Result<Vec<Value>> {
        let (mut unconfirmed, mut after) = (Vec::new(), 0);
        loop {
            let path = format!("/v1/campaigns/{id}/rows?state=unconfirmed&after={after}");
            let page = self.client.get(&path)?;
            unconfirmed.extend(page["rows"].as_array().cloned().unwrap_or_default());
            match page["next"].as_u64() {
                Some(next) => after = next,
                None => return Ok(unconfirmed),
            }
        }
    }

    /// Sends that arrived more than two seconds after this time of day.
    pub(super) fn sends_after(&self, answered: u64) -> Result<usize> {
        let calls = self.stack.simulator.calls()?;
        let at = |call: &Value| call["at_us"].as_u64().unwrap_or_default() / 1000;
        let first = calls.iter().map(at).min().unwrap_or_default();
        let stats = self.stack.simulator.stats()?;
        let began = stats["sends"]["first_call_at"].as_u64().unwrap_or_default() - first;
        let late = |call: &&Value| began + at(call) > answered + 2000;
        Ok(calls.iter().filter(late).count())
    }
}
