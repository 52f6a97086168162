//! The simulator of an environment.

use std::time::Duration;

use serde_json::Value;

use super::TestEnv;

impl TestEnv {
    /// Changes settings of the simulator.
    pub(crate) fn configure_simulator(&self, changes: Value) {
        self.simulator.state.update_settings(&changes).unwrap();
    }

    /// Waits until the simulator received this many calls.
    pub(crate) async fn wait_for_calls(&self, count: usize) {
        while self.simulator.state.stats().calls < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
