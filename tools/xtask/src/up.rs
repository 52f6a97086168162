//! `up` and `down`: a stack that stays.

use std::fs;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::dev;
use crate::process::{catch_interrupts, stop_group};
use crate::stack::{API_TOKEN, Forwards, Stack};

/// How fast.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Messages per second
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(2..=1000))]
    tps: u32,
}

/// Deploys, and leaves everything running.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    down()?;
    keep(Stack::up("up", options.tps, Forwards::No)?, options.tps)
}

/// Leaves a stack running, and says how to use it.
pub(crate) fn keep(stack: Stack, tps: u32) -> Result<()> {
    let (api, simulator) = (stack.api.clone(), stack.simulator.url.clone());
    let emulator = stack.emulator.url.clone();
    let processes = [
        stack.emulator.process.leave(),
        stack.simulator.process.leave(),
    ];
    fs::write(state_file(), json!({"processes": processes}).to_string())
        .context("note what is running")?;
    eprintln!(
        r#"
  Crier is up, {tps} messages per second at most.

    export API='{api}' TOKEN='{API_TOKEN}'

    # a campaign, its upload, and how it goes
    printf 'phone,name,amount,order\n+5511987654321,Ana,20,a1\n+12025550120,Bob,30,b2\n' > /tmp/people.csv
    curl -s "$API/v1/campaigns" -H "Authorization: Bearer $TOKEN" -d '{{"name": "First", "file": {{"name": "people.csv",
      "size": '$(wc -c < /tmp/people.csv)'}}, "message": {{"type": "template", "template": {{"name": "order_update",
      "language": {{"code": "en"}}, "components": [{{"type": "body", "parameters": [{{"type": "text", "text": "{{{{name}}}}"}},
      {{"type": "text", "text": "{{{{amount}}}} €"}}]}}, {{"type": "button", "sub_type": "url", "index": "0",
      "parameters": [{{"type": "text", "text": "{{{{order}}}}"}}]}}]}}}}}}' > /tmp/campaign.json
    curl -s -T /tmp/people.csv -H 'content-type: text/csv' -H 'if-none-match: *' \
      "$(python3 -c 'import json; print(json.load(open("/tmp/campaign.json"))["upload"]["url"])')"
    curl -s "$API/v1/campaigns" -H "Authorization: Bearer $TOKEN"

    # somebody answers, and what is known of them then
    curl -s {simulator}/_control/inbound -H 'content-type: application/json' -d '{{"from": "+5511987654321", "text": "STOP"}}'
    curl -s "$API/v1/contacts/5511987654321" -H "Authorization: Bearer $TOKEN"

    the API's description   curl -s "$API/openapi.json" -H "Authorization: Bearer $TOKEN"
    WhatsApp's books        curl -s {simulator}/_control/stats
    AWS, emulated           {emulator}
    stop it                 cargo xtask down
"#
    );
    Ok(())
}

/// Stops what `up` or `demo --keep` left running.
pub(crate) fn down() -> Result<()> {
    let Ok(state) = fs::read_to_string(state_file()) else {
        return Ok(());
    };
    let state: Value = serde_json::from_str(&state).context("read what is running")?;
    for process in state["processes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
    {
        stop_group(process as u32);
    }
    fs::remove_file(state_file()).context("forget what was running")
}

fn state_file() -> std::path::PathBuf {
    dev().join("up.json")
}
