//! Functions in processes of their own, which can be killed at any moment.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use super::TestEnv;

impl TestEnv {
    /// Starts a test of this program in a process of its own, with this environment and `variables`.
    pub(crate) fn spawn_test_process(&self, test: &str, variables: &[(&str, &str)]) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", test])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .envs([
                ("CAMPAIGNS_TABLE", self.table("CampaignsTable")),
                ("MESSAGES_TABLE", self.table("MessagesTable")),
                ("CALLBACKS_TABLE", self.table("CallbacksTable")),
                ("CONTACTS_TABLE", self.table("ContactsTable")),
                ("INBOX_TABLE", self.table("InboxTable")),
                ("SENDS_QUEUE_URL", self.queue_urls.sends.clone()),
                ("URGENT_QUEUE_URL", self.queue_urls.urgent.clone()),
                (
                    "PHONE_NUMBER_ID",
                    self.simulator.state.settings().phone_number_id,
                ),
                ("TPS_BUDGET", "40".into()),
                ("SLOTS", "0".into()),
                ("SECRET_ARN", self.name.clone()),
                ("RETENTION_DAYS", "7".into()),
                ("FILE_RETENTION_DAYS", "7".into()),
                ("CALLBACK_RETENTION_DAYS", "7".into()),
                ("INBOX_RETENTION_DAYS", "7".into()),
            ])
            .envs(variables.iter().copied());
        command.spawn().unwrap()
    }
}

/// Starts a process again and again and kills it, `step` later each time, until it ends by itself. Gives how it ended, and
/// how often it was killed.
pub(crate) async fn kill_until_it_ends(
    start: impl Fn() -> Child,
    first: Duration,
    step: Duration,
) -> (ExitStatus, u32) {
    let (mut time, mut kills) = (first, 0);
    loop {
        let mut process = start();
        match tokio::time::timeout(time, process.wait()).await {
            Ok(ended) => return (ended.unwrap(), kills),
            Err(_) => {
                process.kill().await.unwrap();
                kills += 1;
                time += step;
            }
        }
    }
}
