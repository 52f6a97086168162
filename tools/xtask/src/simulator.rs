//! The simulated Cloud API as a process of its own, and its books.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{PATIENCE, Running, free_port, wait_for};
use crate::setup;

/// The access token that the simulator believes in by default.
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
    /// The process.
    pub(crate) process: Running,
}

impl Simulator {
    /// Builds and starts it.
    pub(crate) fn start(logs: &Path) -> Result<Self> {
        let folder = setup::build(&["simulator"])?;
        let port = free_port()?;
        let mut command = Command::new(folder.join("simulator"));
        command.args(["--port", &port.to_string()]);
        let process = Running::start(&mut command, &logs.join("simulator.log"))?;
        let simulator = Self {
            url: format!("http://127.0.0.1:{port}"),
            process,
        };
        let health = format!("{}/_control/health", simulator.url);
        wait_for("the simulator comes up", PATIENCE, || {
            ureq::get(&health).call().ok()
        })?;
        Ok(simulator)
    }

    /// Changes its settings.
    pub(crate) fn set(&self, settings: &Value) -> Result<()> {
        let url = format!("{}/_control/settings", self.url);
        ureq::put(&url)
            .send_json(settings)
            .context("set up the simulator")?;
        Ok(())
    }

    /// Reports single statuses at an even pace; gives the median and p99 of the webhook's answer times.
    pub(crate) fn pace(&self, count: u32, per_second: u32) -> Result<Value> {
        let url = format!("{}/_control/pace", self.url);
        let pace = serde_json::json!({"count": count, "per_second": per_second});
        let mut answer = ureq::post(&url)
            .send_json(pace)
            .context("report at an even pace")?;
        Ok(answer.body_mut().read_json()?)
    }

    /// Begins new books.
    pub(crate) fn forget(&self) -> Result<()> {
        let url = format!("{}/_control/call-log", self.url);
        ureq::delete(&url).call().context("begin new books")?;
        Ok(())
    }

    /// Every call in its books.
    pub(crate) fn calls(&self) -> Result<Vec<Value>> {
        let url = format!("{}/_control/call-log", self.url);
        let mut answer = ureq::get(&url).call().context("read the calls")?;
        let body = answer.body_mut().with_config().limit(100_000_000);
        Ok(body.read_json()?)
    }

    /// Its books in figures.
    pub(crate) fn books(&self) -> Result<Value> {
        let url = format!("{}/_control/stats", self.url);
        Ok(ureq::get(&url)
            .call()
            .context("read the simulator's books")?
            .body_mut()
            .read_json()?)
    }
}
