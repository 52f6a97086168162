//! The deployed whole: the template, built and deployed by the SAM CLI as it would be on AWS.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::emulator::{Emulator, REGION, aws_environment};
use crate::process::{done, quietly, spinner};
use crate::setup::BUILD;
use crate::simulator::{ACCESS_TOKEN, APP_SECRET, PHONE_NUMBER_ID, Simulator, WABA_ID};
use crate::{dev, root};

/// The API token of a local stack, and its SHA-256.
pub(crate) const API_TOKEN: &str = "local-operator";
/// With what callbacks are signed that are forwarded.
const FORWARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const API_TOKEN_SHA256: &str = "e89ea0f9ebb9513d9e60a9155fcd81ba6704ff8a473b65257f36a28b6785f472";

/// The handshake's token of a local stack.
pub(crate) const VERIFY_TOKEN: &str = "local-verify";

/// Whether callbacks go on to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwards {
    /// To the simulator, which counts them, and to the default bus.
    ToSimulator,
    /// To nobody.
    No,
}

/// A deployed stack with everything it needs; dropping it stops all of it.
pub(crate) struct Stack {
    /// Base URL of the API, without a slash at the end.
    pub(crate) api: String,
    /// The template's outputs.
    pub(crate) outputs: BTreeMap<String, String>,
    /// WhatsApp.
    pub(crate) simulator: Simulator,
    /// AWS.
    pub(crate) emulator: Emulator,
}

impl Stack {
    /// Builds, starts and deploys, for a budget of `tps` messages per second; logs go to `.dev/logs/{name}`.
    pub(crate) fn up(name: &str, tps: u32, forwards: Forwards) -> Result<Self> {
        let logs = dev().join("logs").join(name);
        let _ = fs::remove_dir_all(&logs);
        fs::create_dir_all(&logs)?;
        build()?;
        let simulator = Simulator::start(&logs)?;
        let starting = spinner("start the embedded stack");
        let emulator = Emulator::ministack(&logs)?;
        done(&starting, "start the embedded stack, IAM enforced");
        deploy(&emulator, &simulator, tps, forwards, &logs)?;
        let outputs = outputs(&emulator)?;
        let api = format!(
            "{}/_aws/execute-api/{}/$default",
            emulator.url,
            output(&outputs, "ApiId")?
        );
        let stack = Self {
            api,
            outputs,
            simulator,
            emulator,
        };
        stack.configure(tps)?;
        Ok(stack)
    }

    /// An output of the template.
    pub(crate) fn output(&self, name: &str) -> Result<&str> {
        output(&self.outputs, name)
    }

    /// What follows a deploy on AWS too (the secret, Meta's dashboard), and one thing that does not.
    fn configure(&self, tps: u32) -> Result<()> {
        let secret = json!({
            "access_token": ACCESS_TOKEN, "app_secrets": [APP_SECRET], "verify_token": VERIFY_TOKEN,
            "api_tokens": [{"name": "local", "sha256": API_TOKEN_SHA256}],
            "forward_secrets": [FORWARD_SECRET],
        });
        let put =
            json!({"SecretId": self.output("SecretArn")?, "SecretString": secret.to_string()});
        self.emulator
            .aws("secretsmanager", "put_secret_value", &put)?;
        // MiniStack 1.5.33 keeps the number as text when CloudFormation sets it, and its poller then fails.
        let mappings = json!({});
        let mappings = self
            .emulator
            .aws("lambda", "list_event_source_mappings", &mappings)?;
        for mapping in mappings["EventSourceMappings"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let most = &mapping["ScalingConfig"]["MaximumConcurrency"];
            let most = most.as_u64().or_else(|| most.as_str()?.parse().ok());
            if let Some(most) = most {
                let again =
                    json!({"UUID": mapping["UUID"], "ScalingConfig": {"MaximumConcurrency": most}});
                self.emulator
                    .aws("lambda", "update_event_source_mapping", &again)?;
            }
        }
        // As Meta does: 80 a second, or 1,000 after an upgrade.
        let throughput = if tps <= 80 { 80 } else { 1000 };
        let webhook = format!("{}/webhook", self.api);
        self.simulator
            .set(&json!({"webhook_url": webhook, "throughput": throughput}))
    }
}

/// `sam build`, without the link-time optimisation that only a release is worth.
pub(crate) fn build() -> Result<()> {
    build_into(&infra().join(".aws-sam/build"), false)
}

/// `sam build` into a folder; `release` with the real profile.
pub(crate) fn build_into(folder: &Path, release: bool) -> Result<()> {
    BUILD.ready()?;
    let mut sam = Command::new(BUILD.bin("sam"));
    sam.current_dir(infra())
        .env("PATH", BUILD.path())
        .envs([("SAM_CLI_TELEMETRY", "0"), ("AWS_DEFAULT_REGION", REGION)])
        .arg("build")
        .arg("--build-dir")
        .arg(folder)
        .args([
            "--parameter-overrides",
            &format!("Architecture={}", architecture()),
        ]);
    if !release {
        sam.envs([
            ("CARGO_PROFILE_RELEASE_LTO", "off"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
        ]);
    }
    fs::create_dir_all(dev().join("logs"))?;
    quietly(
        "build the functions (sam build)",
        &mut sam,
        &dev().join("logs/sam-build.log"),
    )
}

fn deploy(
    emulator: &Emulator,
    simulator: &Simulator,
    tps: u32,
    forwards: Forwards,
    logs: &Path,
) -> Result<()> {
    let mut parameters = vec![
        format!("Architecture={}", architecture()),
        format!("TpsBudget={tps}"),
        format!("PhoneNumberId={PHONE_NUMBER_ID}"),
        format!("WabaId={WABA_ID}"),
        format!("GraphApiUrl={}", simulator.url),
        "TlsOnly=false".to_owned(),
    ];
    if forwards == Forwards::ToSimulator {
        let url = format!("ForwardUrl={}/_control/forwarded", simulator.url);
        parameters.extend([url, "ForwardBus=default".to_owned()]);
    }
    let mut sam = Command::new(BUILD.bin("sam"));
    aws_environment(&mut sam, &emulator.url)
        .current_dir(infra())
        .env("PATH", BUILD.path())
        .args(["deploy", "--no-progressbar", "--parameter-overrides"])
        .args(parameters);
    quietly(
        "deploy (sam deploy)",
        &mut sam,
        &logs.join("sam-deploy.log"),
    )
}

fn outputs(emulator: &Emulator) -> Result<BTreeMap<String, String>> {
    let stacks = emulator.aws(
        "cloudformation",
        "describe_stacks",
        &json!({"StackName": "crier"}),
    )?;
    let listed = stacks["Stacks"][0]["Outputs"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(listed
        .iter()
        .map(|output| (text(&output["OutputKey"]), text(&output["OutputValue"])))
        .collect())
}

fn output<'o>(outputs: &'o BTreeMap<String, String>, name: &str) -> Result<&'o str> {
    outputs
        .get(name)
        .map(String::as_str)
        .with_context(|| format!("the stack has no output {name}"))
}

/// This machine's, as Lambda calls it.
fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x86_64"
    }
}

fn infra() -> PathBuf {
    root().join("infra")
}
