//! `up` and `down`: a stack that stays. `up` again deploys what changed.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::build::{FUNCTIONS, build_programs, package_programs};
use crate::console;
use crate::emulator::{call_aws, run_python};
use crate::paths::{dev, root};
use crate::process::{catch_interrupts, is_group_alive, stop_group};
use crate::progress::Step;
use crate::stack::{API_TOKEN, Stack, StackOptions};

/// How fast.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Messages per second
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(2..=1000))]
    tps: u32,
}

/// Deploys, and leaves everything running. Where that was done before, only functions that changed are deployed again,
/// unless the template or the budget changed, too.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    if let Some(state) = read_state()? {
        let is_same = state["template"] == fingerprint(&template())? && state["tps"] == options.tps;
        if is_same && is_running(&state) {
            return update_functions(state);
        }
    }
    down()?;
    let stack = Stack::start(&StackOptions::new("up", options.tps))?;
    leave_running(stack, options.tps)
}

/// Leaves a stack running, and says how to use it.
pub(crate) fn leave_running(stack: Stack, tps: u32) -> Result<()> {
    let state = json!({
        "api": stack.api, "simulator": stack.simulator.url, "emulator": stack.emulator.url, "tps": tps,
        "template": fingerprint(&template())?, "functions": fingerprint_functions()?,
        "processes": [stack.emulator.process.detach(), stack.simulator.process.detach()],
    });
    write_state(&state)?;
    print_help(&state);
    Ok(())
}

/// Builds, and deploys the functions whose programs changed.
fn update_functions(mut state: Value) -> Result<()> {
    console::build()?;
    build_programs()?;
    package_programs()?;
    let functions = fingerprint_functions()?;
    let emulator = state["emulator"].as_str().unwrap_or_default().to_owned();
    for (package, resource) in FUNCTIONS {
        if state["functions"][package] == functions[package] {
            continue;
        }
        let step = Step::begin(&format!("deploy {package}"));
        update_function(&emulator, package, resource)?;
        step.finish();
        state["functions"][package] = functions[package].clone();
        write_state(&state)?;
    }
    print_help(&state);
    Ok(())
}

fn update_function(emulator: &str, package: &str, resource: &str) -> Result<()> {
    let of_stack = json!({"StackName": "crier", "LogicalResourceId": resource});
    let found = call_aws(
        emulator,
        "cloudformation",
        "describe_stack_resource",
        &of_stack,
    )?;
    let name = found["StackResourceDetail"]["PhysicalResourceId"].as_str();
    let name = name.with_context(|| format!("the stack has no {resource}"))?;
    let program = program(package).display().to_string();
    run_python(emulator, UPDATE_CODE, &[name, &program])?;
    Ok(())
}

/// `$1`: the function, `$2`: its program.
const UPDATE_CODE: &str = "import boto3, io, sys, zipfile\n\
    archive = io.BytesIO()\n\
    with zipfile.ZipFile(archive, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as packed:\n    \
        packed.write(sys.argv[2], 'bootstrap')\n\
    boto3.client('lambda').update_function_code(FunctionName=sys.argv[1], ZipFile=archive.getvalue())";

fn print_help(state: &Value) {
    let text = |name: &str| state[name].as_str().unwrap_or_default();
    let (api, simulator, emulator) = (text("api"), text("simulator"), text("emulator"));
    let tps = &state["tps"];
    eprintln!(
        r#"
  Crier is up, {tps} messages per second at most.

    export API='{api}' TOKEN='{API_TOKEN}'

    # a campaign, its upload, and its progress
    printf 'phone,name,amount,order\n+5511987654321,Ana,20,a1\n+12025550120,Bob,30,b2\n' > /tmp/recipients.csv
    curl -s "$API/v1/campaigns" -H "Authorization: Bearer $TOKEN" -d '{{"name": "First", "file": {{"name": "recipients.csv",
      "size": '$(wc -c < /tmp/recipients.csv)'}}, "message": {{"type": "template", "template": {{"name": "order_update",
      "language": {{"code": "en"}}, "components": [{{"type": "body", "parameters": [{{"type": "text", "text": "{{{{name}}}}"}},
      {{"type": "text", "text": "{{{{amount}}}} €"}}]}}, {{"type": "button", "sub_type": "url", "index": "0",
      "parameters": [{{"type": "text", "text": "{{{{order}}}}"}}]}}]}}}}}}' > /tmp/campaign.json
    curl -s -T /tmp/recipients.csv -H 'content-type: text/csv' -H 'if-none-match: *' \
      "$(python3 -c 'import json; print(json.load(open("/tmp/campaign.json"))["upload"]["url"])')"
    curl -s "$API/v1/campaigns" -H "Authorization: Bearer $TOKEN"

    # a recipient answers, and what is known about the contact then
    curl -s {simulator}/_control/inbound -H 'content-type: application/json' -d '{{"from": "+5511987654321", "text": "STOP"}}'
    curl -s "$API/v1/contacts/5511987654321" -H "Authorization: Bearer $TOKEN"

    the API's description     curl -s "$API/openapi.json" -H "Authorization: Bearer $TOKEN"
    the simulator's numbers   curl -s {simulator}/_control/stats
    AWS, emulated             {emulator}
    deploy changes            cargo xtask up
    stop it                   cargo xtask down
"#
    );
}

/// Stops what `up` or `demo --keep` left running.
pub(crate) fn down() -> Result<()> {
    let Some(state) = read_state()? else {
        return Ok(());
    };
    processes(&state).for_each(stop_group);
    fs::remove_file(state_file()).context("forget what was running")
}

fn is_running(state: &Value) -> bool {
    processes(state).all(is_group_alive)
}

fn processes(state: &Value) -> impl Iterator<Item = u32> {
    let ids = state["processes"].as_array().into_iter().flatten();
    ids.filter_map(Value::as_u64).map(|id| id as u32)
}

/// The hash of each function's program.
fn fingerprint_functions() -> Result<Value> {
    let prints = FUNCTIONS.map(|(package, _)| Ok((package, fingerprint(&program(package))?)));
    let prints: BTreeMap<_, _> = prints.into_iter().collect::<Result<_>>()?;
    Ok(json!(prints))
}

/// A hash of a file's content, to see whether it changed.
fn fingerprint(file: &Path) -> Result<String> {
    let content = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

fn program(package: &str) -> PathBuf {
    dev().join("packages").join(package).join("bootstrap")
}

fn template() -> PathBuf {
    root().join("infra/template.yaml")
}

fn read_state() -> Result<Option<Value>> {
    let Ok(state) = fs::read_to_string(state_file()) else {
        return Ok(None);
    };
    serde_json::from_str(&state).context("read what is running")
}

fn write_state(state: &Value) -> Result<()> {
    fs::write(state_file(), state.to_string()).context("note what is running")
}

fn state_file() -> PathBuf {
    dev().join("up.json")
}
