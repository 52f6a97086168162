//! The deployed stack: the template, deployed by the SAM CLI as it would be on AWS.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::build::{
    NUMBER_TEMPLATE, architecture, build_programs, build_release, package_programs,
};
use crate::console;
use crate::emulator::{Emulator, aws_environment};
use crate::paths::{dev, root};
use crate::process::run_logged;
use crate::setup::DEPLOY;
use crate::simulator::{ACCESS_TOKEN, APP_SECRET, PHONE_NUMBER_ID, Simulator, WABA_ID};

/// The name of the main stack, as `infra/samconfig.toml` has it.
const STACK_NAME: &str = "crier";

/// The API token of a local stack, and its SHA-256.
pub(crate) const API_TOKEN: &str = "local-operator";
const API_TOKEN_SHA256: &str = "e89ea0f9ebb9513d9e60a9155fcd81ba6704ff8a473b65257f36a28b6785f472";

/// Signs callbacks that are forwarded.
const FORWARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The id that an identity provider of a local stack knows Crier by.
pub(crate) const OIDC_CLIENT_ID: &str = "crier-console";

/// The handshake's token of a local stack.
pub(crate) const VERIFY_TOKEN: &str = "local-verify";

/// Where callbacks are forwarded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForwardTo {
    /// To the simulator, which counts them, and to the default bus.
    Simulator,
    Nowhere,
}

/// What is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Programs {
    /// This machine's, in the development profile.
    Development,
    /// What `sam build` makes for AWS.
    Release,
}

/// What to deploy.
#[derive(Clone, Debug)]
pub(crate) struct StackOptions<'a> {
    /// Logs go to `.dev/logs/{name}`.
    pub(crate) name: &'a str,
    /// The budget in messages per second.
    pub(crate) tps: u32,
    /// Concurrent senders; 0 means one for each message per second.
    pub(crate) slots: u32,
    pub(crate) forward_to: ForwardTo,
    pub(crate) programs: Programs,
    /// Whether the functions reach the simulated Cloud API over TLS.
    pub(crate) tls: bool,
    /// The identity provider with which people sign in to the console: an origin on this machine.
    pub(crate) oidc_issuer: Option<&'a str>,
    /// Numbers with a stack of their own, beside the first.
    pub(crate) further_numbers: &'a [FurtherNumber],
}

/// A number with a stack of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FurtherNumber {
    pub(crate) id: &'static str,
    /// Its budget in messages per second.
    pub(crate) tps: u32,
    /// Its concurrent senders.
    pub(crate) slots: u32,
}

impl<'a> StackOptions<'a> {
    /// This machine's programs, over plain HTTP.
    pub(crate) fn new(name: &'a str, tps: u32) -> Self {
        Self {
            name,
            tps,
            slots: 0,
            forward_to: ForwardTo::Nowhere,
            programs: Programs::Development,
            tls: false,
            oidc_issuer: None,
            further_numbers: &[],
        }
    }
}

/// A deployed stack with everything it needs; dropping it stops all of it.
pub(crate) struct Stack {
    /// Base URL of the API, without a slash at the end.
    pub(crate) api: String,
    /// The template's outputs.
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) simulator: Simulator,
    pub(crate) emulator: Emulator,
    template: PathBuf,
    logs: PathBuf,
}

impl Stack {
    /// Builds, starts and deploys.
    pub(crate) fn start(options: &StackOptions<'_>) -> Result<Self> {
        let logs = dev().join("logs").join(options.name);
        let _ = fs::remove_dir_all(&logs);
        fs::create_dir_all(&logs)?;
        // Tools are installed and the emulator starts while Rust compiles.
        let (template, emulator) = thread::scope(|scope| {
            let deploy_tools = scope.spawn(|| DEPLOY.install());
            let emulator = scope.spawn(|| Emulator::start_ministack(&logs));
            let template = console::build().and_then(|()| build(options.programs));
            join(deploy_tools)?;
            anyhow::Ok((template?, join(emulator)?))
        })?;
        let simulator = Simulator::start(&logs)?;
        if options.tls {
            trust_authority(&template, &simulator.authority)?;
        }
        deploy(&template, &emulator, &simulator, options, &logs)?;
        let outputs = describe_outputs(&emulator)?;
        let api = format!(
            "{}/_aws/execute-api/{}/$default",
            emulator.url,
            find_output(&outputs, "ApiId")?
        );
        let stack = Self {
            api,
            outputs,
            simulator,
            emulator,
            template,
            logs,
        };
        for number in options.further_numbers {
            stack.deploy_number(number, graph_api_url(&stack.simulator, options))?;
        }
        stack.configure(options)?;
        if !options.further_numbers.is_empty() {
            // It registers them; its schedule is longer than the start.
            let reconciler = json!({"FunctionName": stack.output("ReconcilerFunction")?});
            stack.emulator.call_aws("lambda", "invoke", &reconciler)?;
        }
        Ok(stack)
    }

    /// Deploys the stack of a further number.
    fn deploy_number(&self, number: &FurtherNumber, graph_api: &str) -> Result<()> {
        let template = self.template.with_file_name(NUMBER_TEMPLATE);
        let mut sam = sam_deploy(&template, &self.emulator);
        sam.args(["--stack-name", &format!("{STACK_NAME}-{}", number.id)])
            .arg("--parameter-overrides")
            .arg(format!("Installation={STACK_NAME}"))
            .arg(format!("Architecture={}", architecture()))
            .arg(format!("GraphApiUrl={graph_api}"))
            .arg(format!("PhoneNumberId={}", number.id))
            .arg(format!("TpsBudget={}", number.tps))
            .arg(format!("Slots={}", number.slots));
        let log = format!("sam-deploy-{}.log", number.id);
        run_logged(
            "deploy a further number (sam deploy)",
            &mut sam,
            &self.logs.join(log),
        )
    }

    /// Deploys the stack again with other parameters, while it runs.
    pub(crate) fn redeploy(&self, options: &StackOptions<'_>) -> Result<()> {
        let Self {
            template,
            emulator,
            simulator,
            logs,
            ..
        } = self;
        deploy(template, emulator, simulator, options, logs)?;
        self.repair_concurrency()
    }

    /// An output of the template.
    pub(crate) fn output(&self, name: &str) -> Result<&str> {
        find_output(&self.outputs, name)
    }

    /// What follows a deployment on AWS too (the secret, Meta's dashboard), and one thing that does not.
    fn configure(&self, options: &StackOptions<'_>) -> Result<()> {
        let secret = json!({
            "access_token": ACCESS_TOKEN, "app_secrets": [APP_SECRET], "verify_token": VERIFY_TOKEN,
            "api_tokens": [{"name": "local", "sha256": API_TOKEN_SHA256}],
            "forward_secrets": [FORWARD_SECRET],
        });
        let put =
            json!({"SecretId": self.output("SecretArn")?, "SecretString": secret.to_string()});
        self.emulator
            .call_aws("secretsmanager", "put_secret_value", &put)?;
        self.repair_concurrency()?;
        // As Meta does: 80 a second, or 1,000 after an upgrade.
        let throughput = if options.tps <= 80 { 80 } else { 1000 };
        let further: Vec<&str> = options
            .further_numbers
            .iter()
            .map(|number| number.id)
            .collect();
        let settings = json!({"webhook_url": format!("{}/webhook", self.api), "throughput": throughput,
            "further_numbers": further});
        self.simulator.change_settings(&settings)
    }

    /// `MiniStack` 1.5.33 keeps the concurrency of an event source as text when CloudFormation sets it, and its poller
    /// then fails.
    fn repair_concurrency(&self) -> Result<()> {
        let mappings =
            self.emulator
                .call_aws("lambda", "list_event_source_mappings", &json!({}))?;
        let mappings = mappings["EventSourceMappings"].as_array();
        for mapping in mappings.into_iter().flatten() {
            let most = &mapping["ScalingConfig"]["MaximumConcurrency"];
            let most = most.as_u64().or_else(|| most.as_str()?.parse().ok());
            if let Some(most) = most {
                let update =
                    json!({"UUID": mapping["UUID"], "ScalingConfig": {"MaximumConcurrency": most}});
                self.emulator
                    .call_aws("lambda", "update_event_source_mapping", &update)?;
            }
        }
        Ok(())
    }
}

/// Builds what is deployed; gives the template that names it.
fn build(programs: Programs) -> Result<PathBuf> {
    build_programs()?;
    match programs {
        Programs::Development => package_programs(),
        Programs::Release => build_release(),
    }
}

/// Lets the functions trust the simulator's certificate, as no template for AWS does.
fn trust_authority(template: &Path, authority: &Path) -> Result<()> {
    let text = fs::read_to_string(template)?;
    let first = "        RETENTION_DAYS: !Ref RetentionDays\n";
    if !text.contains(first) {
        bail!("the template sets no RETENTION_DAYS for all functions");
    }
    let trusted = format!("        SSL_CERT_FILE: {}\n{first}", authority.display());
    fs::write(template, text.replacen(first, &trusted, 1)).context("change the template")
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    match thread.join() {
        Ok(result) => result,
        Err(_) => bail!("a thread of the set-up panicked"),
    }
}

fn deploy(
    template: &Path,
    emulator: &Emulator,
    simulator: &Simulator,
    options: &StackOptions<'_>,
    logs: &Path,
) -> Result<()> {
    let graph_api = graph_api_url(simulator, options);
    let slots = match options.slots {
        0 => options.tps,
        slots => slots,
    };
    let mut parameters = vec![
        format!("Architecture={}", architecture()),
        format!("TpsBudget={}", options.tps),
        format!("Slots={slots}"),
        format!("PhoneNumberId={PHONE_NUMBER_ID}"),
        format!("WabaId={WABA_ID}"),
        format!("GraphApiUrl={graph_api}"),
        "Emulator=true".to_owned(),
    ];
    if options.forward_to == ForwardTo::Simulator {
        let url = format!("ForwardUrl={}/_control/forwarded", simulator.url);
        parameters.extend([url, "ForwardBus=default".to_owned()]);
    }
    if let Some(issuer) = options.oidc_issuer {
        parameters.extend([
            format!("OidcIssuer={issuer}"),
            format!("OidcClientId={OIDC_CLIENT_ID}"),
            "OidcRoleClaim=groups".to_owned(),
            format!("OidcOrigins={issuer}"),
        ]);
    }
    let mut sam = sam_deploy(template, emulator);
    sam.arg("--parameter-overrides").args(parameters);
    run_logged(
        "deploy (sam deploy)",
        &mut sam,
        &logs.join("sam-deploy.log"),
    )
}

/// Where the functions find the simulated Cloud API.
fn graph_api_url<'s>(simulator: &'s Simulator, options: &StackOptions<'_>) -> &'s str {
    match options.tls {
        true => &simulator.tls_url,
        false => &simulator.url,
    }
}

/// The deployment of a template, without its parameters.
fn sam_deploy(template: &Path, emulator: &Emulator) -> Command {
    let mut sam = Command::new(DEPLOY.program("sam"));
    aws_environment(&mut sam, &emulator.url)
        .current_dir(root().join("infra"))
        .args(["deploy", "--no-progressbar", "--template-file"])
        .arg(template)
        .arg("--config-file")
        .arg(root().join("infra/samconfig.toml"));
    sam
}

fn describe_outputs(emulator: &Emulator) -> Result<BTreeMap<String, String>> {
    let stacks = emulator.call_aws(
        "cloudformation",
        "describe_stacks",
        &json!({"StackName": STACK_NAME}),
    )?;
    let outputs = stacks["Stacks"][0]["Outputs"].as_array();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(outputs
        .into_iter()
        .flatten()
        .map(|output| (text(&output["OutputKey"]), text(&output["OutputValue"])))
        .collect())
}

fn find_output<'o>(outputs: &'o BTreeMap<String, String>, name: &str) -> Result<&'o str> {
    outputs
        .get(name)
        .map(String::as_str)
        .with_context(|| format!("the stack has no output {name}"))
}
