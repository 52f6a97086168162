//! The embedded stack, MiniStack, and LocalStack: AWS on one machine, each on a free port.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{RunningProcess, TIMEOUT, free_port, wait_for};
use crate::progress::Step;
use crate::setup::{DEPLOY, EMULATOR, LOCALSTACK};

/// The region everything runs in.
pub(crate) const REGION: &str = "us-east-1";

/// An emulator that runs.
pub(crate) struct Emulator {
    /// Its endpoint.
    pub(crate) url: String,
    /// The process.
    pub(crate) process: RunningProcess,
}

/// What Python loads before `MiniStack` starts, and where.
const PATCHES: &str = include_str!("ministack_patches.py");
const PATCHES_FOLDER: &str = "scratch/python";

impl Emulator {
    /// Starts MiniStack with IAM enforced: each function runs under its own role and may do nothing else.
    pub(crate) fn start_ministack(logs: &Path) -> Result<Self> {
        EMULATOR.install()?;
        let step = Step::begin("start the emulated AWS (MiniStack, IAM enforced)");
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let scratch = logs.join("scratch");
        fs::create_dir_all(&scratch)?;
        let patches = logs.join(PATCHES_FOLDER);
        fs::create_dir_all(&patches)?;
        fs::write(patches.join("sitecustomize.py"), PATCHES)?;
        let mut command = Command::new(EMULATOR.program("ministack"));
        aws_environment(&mut command, &url)
            .env("PYTHONPATH", &patches)
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("AUTH", "true")
            // Room for as many concurrent functions as the largest demo wants.
            .env("MINISTACK_WORKER_THREADS", "256")
            .env("TMPDIR", &scratch);
        let process = RunningProcess::start(&mut command, &logs.join("emulator.log"))?;
        let emulator = Self { url, process }.wait_until_ready("/_ministack/health")?;
        step.finish();
        Ok(emulator)
    }

    /// Starts LocalStack in host mode, checking signatures of presigned URLs as AWS does.
    pub(crate) fn start_localstack(logs: &Path) -> Result<Self> {
        LOCALSTACK.install()?;
        let step = Step::begin("start the emulated AWS (LocalStack)");
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(LOCALSTACK.program("python"));
        command
            .args(["-m", "localstack.runtime.main"])
            .env("GATEWAY_LISTEN", format!("127.0.0.1:{port}"))
            .env("LOCALSTACK_VOLUME_DIR", logs.join("localstack"))
            .envs([
                ("DISABLE_EVENTS", "1"),
                ("SKIP_SSL_CERT_DOWNLOAD", "1"),
                ("S3_SKIP_SIGNATURE_VALIDATION", "0"),
            ]);
        let process = RunningProcess::start(&mut command, &logs.join("localstack.log"))?;
        let emulator = Self { url, process }.wait_until_ready("/_localstack/health")?;
        step.finish();
        Ok(emulator)
    }

    fn wait_until_ready(mut self, health: &str) -> Result<Self> {
        let url = format!("{}{health}", self.url);
        wait_for("the emulator comes up (see .dev/logs)", TIMEOUT, || {
            if self.process.has_ended() {
                return Some(false);
            }
            ureq::get(&url).call().is_ok().then_some(true)
        })?
        .then_some(())
        .context("the emulator ended by itself; see its log under .dev/logs")?;
        Ok(self)
    }

    /// One call of an AWS API, by the SAM CLI's own SDK.
    pub(crate) fn call_aws(&self, service: &str, operation: &str, input: &Value) -> Result<Value> {
        call_aws(&self.url, service, operation, input)
    }
}

/// Lets the DynamoDB of a `MiniStack` refuse writes as throttled, until this is dropped.
pub(crate) struct WriteThrottle {
    folder: PathBuf,
}

impl WriteThrottle {
    /// Refuses this share of writes, from 0 to 1; `logs` is where the emulator was started with.
    pub(crate) fn start(logs: &Path, share: f64) -> Result<Self> {
        let folder = logs.join(PATCHES_FOLDER);
        let prepared = folder.join("throttled-share.new");
        fs::write(&prepared, share.to_string())?;
        fs::rename(prepared, folder.join("throttled-share"))?;
        Ok(Self { folder })
    }

    /// How many writes were refused so far.
    pub(crate) fn refused_writes(&self) -> u64 {
        fs::metadata(self.folder.join("throttled-writes")).map_or(0, |file| file.len())
    }
}

impl Drop for WriteThrottle {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.folder.join("throttled-share"));
    }
}

/// One call of an AWS API at `url`, all of its pages, such as `("sqs", "list_queues", {})`.
pub(crate) fn call_aws(url: &str, service: &str, operation: &str, input: &Value) -> Result<Value> {
    const SCRIPT: &str = "import boto3, json, sys\n\
        client = boto3.client(sys.argv[1])\n\
        operation, arguments = sys.argv[2], json.loads(sys.argv[3])\n\
        if client.can_paginate(operation):\n    \
            answer = client.get_paginator(operation).paginate(**arguments).build_full_result()\n\
        else:\n    \
            answer = getattr(client, operation)(**arguments)\n\
        print(json.dumps(answer, default=str))";
    let output = run_python(url, SCRIPT, &[service, operation, &input.to_string()])
        .with_context(|| format!("{service} {operation}"))?;
    Ok(serde_json::from_str(&output)?)
}

/// Runs a script against an emulator, with the SAM CLI's own SDK; gives its output.
pub(crate) fn run_python(url: &str, script: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(DEPLOY.program("python"));
    let output = aws_environment(&mut command, url)
        .args(["-c", script])
        .args(arguments)
        .output()
        .context("start Python")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "{}",
        errors.lines().last().unwrap_or_default()
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
