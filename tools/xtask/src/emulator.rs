//! The embedded stack, MiniStack, and LocalStack: AWS on one machine, each on a free port.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{PATIENCE, Running, free_port, wait_for};
use crate::setup::{BUILD, EMULATOR, LOCALSTACK};

/// The region everything runs in.
pub(crate) const REGION: &str = "us-east-1";

/// An emulator that runs.
pub(crate) struct Emulator {
    /// Its endpoint.
    pub(crate) url: String,
    /// The process.
    pub(crate) process: Running,
}

/// `MiniStack` writes the head and the body of its runtime API's answers apart; with Nagle's algorithm and delayed
/// acknowledgements each invocation then waits 40 ms, twice.
const NO_NAGLE: &str =
    "import socketserver\nsocketserver.StreamRequestHandler.disable_nagle_algorithm = True\n";

impl Emulator {
    /// Starts MiniStack with IAM enforced: each function runs under its own role and may do nothing else.
    pub(crate) fn ministack(logs: &Path) -> Result<Self> {
        EMULATOR.ready()?;
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let scratch = logs.join("scratch");
        fs::create_dir_all(&scratch)?;
        let patches = scratch.join("python");
        fs::create_dir_all(&patches)?;
        fs::write(patches.join("sitecustomize.py"), NO_NAGLE)?;
        let mut command = Command::new(EMULATOR.bin("ministack"));
        aws_environment(&mut command, &url)
            .env("PYTHONPATH", &patches)
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("AUTH", "true")
            // Room for as many concurrent functions as the largest demo wants.
            .env("MINISTACK_WORKER_THREADS", "256")
            .env("TMPDIR", &scratch);
        let process = Running::start(&mut command, &logs.join("emulator.log"))?;
        Self { url, process }.ready("/_ministack/health")
    }

    /// Starts LocalStack in host mode, checking signatures of presigned URLs as AWS does.
    pub(crate) fn localstack(logs: &Path) -> Result<Self> {
        LOCALSTACK.ready()?;
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(LOCALSTACK.bin("python"));
        command
            .args(["-m", "localstack.runtime.main"])
            .env("GATEWAY_LISTEN", format!("127.0.0.1:{port}"))
            .env("LOCALSTACK_VOLUME_DIR", logs.join("localstack"))
            .envs([
                ("DISABLE_EVENTS", "1"),
                ("SKIP_SSL_CERT_DOWNLOAD", "1"),
                ("S3_SKIP_SIGNATURE_VALIDATION", "0"),
            ]);
        let process = Running::start(&mut command, &logs.join("localstack.log"))?;
        Self { url, process }.ready("/_localstack/health")
    }

    fn ready(mut self, health: &str) -> Result<Self> {
        let url = format!("{}{health}", self.url);
        wait_for("the emulator comes up (see .dev/logs)", PATIENCE, || {
            if self.process.ended() {
                return Some(false);
            }
            ureq::get(&url).call().is_ok().then_some(true)
        })?
        .then_some(())
        .context("the emulator ended by itself; see its log under .dev/logs")?;
        Ok(self)
    }

    /// One call of an AWS API, by the SAM CLI's own SDK.
    pub(crate) fn aws(&self, service: &str, operation: &str, input: &Value) -> Result<Value> {
        aws(&self.url, service, operation, input)
    }
}

/// One call of an AWS API at `url`, all of its pages, such as `("sqs", "list_queues", {})`.
pub(crate) fn aws(url: &str, service: &str, operation: &str, input: &Value) -> Result<Value> {
    const CALL: &str = "import boto3, json, sys\n\
        client = boto3.client(sys.argv[1])\n\
        operation, given = sys.argv[2], json.loads(sys.argv[3])\n\
        if client.can_paginate(operation):\n    \
            answer = client.get_paginator(operation).paginate(**given).build_full_result()\n\
        else:\n    \
            answer = getattr(client, operation)(**given)\n\
        print(json.dumps(answer, default=str))";
    let output = python(url, CALL, &[service, operation, &input.to_string()])
        .with_context(|| format!("{service} {operation}"))?;
    Ok(serde_json::from_str(&output)?)
}

/// Runs a script against an emulator, with the SAM CLI's own SDK; gives what it prints.
pub(crate) fn python(url: &str, script: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(BUILD.bin("python"));
    let output = aws_environment(&mut command, url)
        .args(["-c", script])
        .args(arguments)
        .output()
        .context("start Python")?;
    let told = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "{}",
        told.lines().last().unwrap_or_default()
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// The environment in which AWS tools find an emulator and nothing else.
pub(crate) fn aws_environment<'c>(command: &'c mut Command, url: &str) -> &'c mut Command {
    command.envs([
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("SAM_CLI_TELEMETRY", "0"),
    ])
}
