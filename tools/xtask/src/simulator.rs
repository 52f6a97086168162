//! The simulated Cloud API as a process of its own, and its call log.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::build::programs;
use crate::process::{RunningProcess, TIMEOUT, free_port, wait_for};

/// The access token that the simulator accepts by default.
pub(crate) const ACCESS_TOKEN: &str = "simulated-access-token";
/// Signs its callbacks.
pub(crate) const APP_SECRET: &str = "simulated-app-secret";
/// Its WhatsApp Business account.
pub(crate) const WABA_ID: &str = "200000000000001";
/// Its phone number.
pub(crate) const PHONE_NUMBER_ID: &str = "100000000000001";

/// A simulator that runs.
pub(crate) struct Simulator {
    /// Its base URL.
    pub(crate) url: String,
    /// The same with TLS.
    pub(crate) tls_url: String,
    /// The certificate that a client of the latter must trust.
    pub(crate) authority: PathBuf,
    /// The process.
    pub(crate) process: RunningProcess,
}

impl Simulator {
    /// Starts the simulator, which `build` has built.
    pub(crate) fn start(logs: &Path) -> Result<Self> {
        let (port, tls_port) = (free_port()?, free_port()?);
        let authority = logs.join("authority.pem");
        let mut command = Command::new(programs().join("simulator"));
        command
            .args(["--port", &port.to_string()])
            .args(["--tls-port", &tls_port.to_string(), "--tls-authority"])
            .arg(&authority);
        let process = RunningProcess::start(&mut command, &logs.join("simulator.log"))?;
        let simulator = Self {
            url: format!("http://127.0.0.1:{port}"),
            tls_url: format!("https://127.0.0.1:{tls_port}"),
            authority,
            process,
        };
        let health = format!("{}/_control/health", simulator.url);
        wait_for("the simulator comes up", TIMEOUT, || {
            ureq::get(&health).call().ok()
        })?;
        Ok(simulator)
    }

    /// Changes its settings.
    pub(crate) fn change_settings(&self, settings: &Value) -> Result<()> {
        let url = format!("{}/_control/settings", self.url);
        ureq::put(&url)
            .send_json(settings)
            .context("set up the simulator")?;
        Ok(())
    }

    /// Sends single statuses at an even pace; gives the median and p99 of the webhook's answer times.
    pub(crate) fn send_statuses_paced(&self, count: u32, per_second: u32) -> Result<Value> {
        let url = format!("{}/_control/pace", self.url);
        let pace = serde_json::json!({"count": count, "per_second": per_second});
        let mut answer = ureq::post(&url)
            .send_json(pace)
            .context("report at an even pace")?;
        Ok(answer.body_mut().read_json()?)
    }

    /// Empties the call log.
    pub(crate) fn clear_call_log(&self) -> Result<()> {
        let url = format!("{}/_control/call-log", self.url);
        ureq::delete(&url).call().context("empty the call log")?;
        Ok(())
    }

    /// Every call it received.
    pub(crate) fn calls(&self) -> Result<Vec<Value>> {
        let url = format!("{}/_control/call-log", self.url);
        let mut answer = ureq::get(&url).call().context("read the calls")?;
        let body = answer.body_mut().with_config().limit(100_000_000);
        Ok(body.read_json()?)
    }

    /// Statistics of its call log.
    pub(crate) fn stats(&self) -> Result<Value> {
        let url = format!("{}/_control/stats", self.url);
        Ok(ureq::get(&url)
            .call()
            .context("read the simulator's statistics")?
            .body_mut()
            .read_json()?)
    }
}
