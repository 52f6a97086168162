//! What the routes and tests ask the simulator and tell it. One lock guards everything.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;

use crate::account::Account;
use crate::arrival::now_us;
use crate::call_log::{Call, CallLog, Stats};
use crate::callback_queue::{CallbackQueue, StatusPost};
use crate::model::Model;
use crate::post_stats::{PostStats, PostSummary};
use crate::send::{SendRequest, SendResponse};
use crate::settings::Settings;

/// The state of the simulator. Shared by its routes, its callback task and tests.
#[derive(Debug)]
pub struct State {
    started_at_us: u64,
    model: Mutex<Model>,
    /// Wakes the callback task.
    pub callbacks_scheduled: Notify,
}

impl State {
    /// A simulator to which nothing has happened yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            started_at_us: now_us(),
            model: Mutex::new(Model::new(settings)),
            callbacks_scheduled: Notify::new(),
        }
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.since_start(now_us())
    }

    /// Converts microseconds since the Unix epoch to the time since the start.
    pub fn since_start(&self, at_us: u64) -> Duration {
        Duration::from_micros(at_us.saturating_sub(self.started_at_us))
    }

    /// The start, in milliseconds since the Unix epoch.
    fn started_at_ms(&self) -> u64 {
        self.started_at_us / 1000
    }

    /// Seconds since the Unix epoch.
    pub fn now_seconds(&self) -> u64 {
        now_us() / 1_000_000
    }

    /// Decides a send and records it in the call log.
    pub fn handle_send(&self, request: SendRequest<'_>, latency: Duration) -> SendResponse {
        let response = self
            .lock()
            .handle_send(&request, latency, self.started_at_ms());
        self.callbacks_scheduled.notify_one();
        response
    }

    /// Reads or changes the account. `None` if the token is wrong.
    pub fn with_account<T>(
        &self,
        authorization: Option<&str>,
        work: impl FnOnce(&mut Account) -> T,
    ) -> Option<T> {
        let mut model = self.lock();
        let expected = format!("Bearer {}", model.settings.access_token);
        (authorization == Some(expected.as_str())).then(|| work(&mut model.account))
    }

    /// Replaces the account's templates. Items as Meta lists them.
    pub fn set_templates(&self, templates: Vec<Value>) {
        self.lock().account.templates = templates;
    }

    /// Management calls so far.
    pub fn management_call_count(&self) -> u64 {
        self.lock().account.call_count
    }

    /// A new id for an inbound message.
    pub fn next_inbound_wamid(&self) -> String {
        let mut model = self.lock();
        model.inbound_messages += 1;
        format!(
            "wamid.IN{:010}{:08}",
            self.started_at_us / 1_000_000,
            model.inbound_messages
        )
    }

    /// Records a forwarded callback under its id.
    pub fn record_forwarded(&self, id: &str) {
        self.lock().forwarded.insert(id.to_owned());
    }

    /// How many different callbacks were forwarded.
    pub fn forwarded_count(&self) -> usize {
        self.lock().forwarded.len()
    }

    /// The current settings.
    pub fn settings(&self) -> Settings {
        self.lock().settings.clone()
    }

    /// Changes the settings named in `changes`. The others stay.
    pub fn update_settings(&self, changes: &Value) -> Result<Settings, serde_json::Error> {
        let mut model = self.lock();
        let mut settings = serde_json::to_value(&model.settings)?;
        if let (Some(settings), Some(changes)) = (settings.as_object_mut(), changes.as_object()) {
            settings.extend(changes.clone());
        }
        model.settings = serde_json::from_value(settings)?;
        Ok(model.settings.clone())
    }

    /// The call log in numbers.
    pub fn stats(&self) -> Stats {
        self.lock().call_log.stats(self.started_at_ms())
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().call_log.calls().to_vec()
    }

    /// Whether the latest call was accepted.
    pub fn accepted_last_call(&self) -> bool {
        let model = self.lock();
        model
            .call_log
            .calls()
            .last()
            .is_some_and(|call| call.accepted)
    }

    /// The callback POSTs in numbers.
    pub fn post_summary(&self) -> PostSummary {
        let model = self.lock();
        model.post_stats.summary(model.callback_queue.pending())
    }

    /// Starts an empty call log and drops pending callbacks. Settings stay.
    pub fn clear_call_log(&self) {
        let mut model = self.lock();
        model.call_log = CallLog::default();
        model.callback_queue = CallbackQueue::default();
        model.post_stats = PostStats::default();
    }

    /// Takes the statuses that are due, for each POST with the number that its messages were sent from; for those who post them
    /// themselves.
    pub fn take_due_posts(&self) -> Vec<StatusPost> {
        let now = self.elapsed();
        self.with_callbacks(|queue, _, settings| queue.take_due(now, settings))
    }

    /// Whether no status is waiting to be posted.
    pub fn has_no_statuses(&self) -> bool {
        self.with_callbacks(|queue, _, _| queue.is_idle())
    }

    /// Works on the callback queue and the record of POSTs.
    pub(crate) fn with_callbacks<T>(
        &self,
        work: impl FnOnce(&mut CallbackQueue, &mut PostStats, &Settings) -> T,
    ) -> T {
        let Model {
            callback_queue,
            post_stats,
            settings,
            ..
        } = &mut *self.lock();
        work(callback_queue, post_stats, settings)
    }

    fn lock(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::{ResponseBody, SLOW_RESPONSE_DELAY};
    use serde_json::json;

    fn send(state: &State, to: &str, row: u32) -> SendResponse {
        send_from(state, &state.settings().phone_number_id, to, row)
    }

    fn send_from(state: &State, number: &str, to: &str, row: u32) -> SendResponse {
        let settings = state.settings();
        let authorization = format!("Bearer {}", settings.access_token);
        let body = json!({"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "x"},
            "biz_opaque_callback_data": format!("c1:{row}:1")});
        let request = SendRequest {
            at: state.elapsed(),
            phone_number_id: number,
            authorization: Some(&authorization),
            body,
        };
        state.handle_send(request, Duration::ZERO)
    }

    #[test]
    fn call_log_records_acceptance_whatever_the_response() {
        let state = State::new(Settings::default());
        assert_eq!(send(&state, "+5511987654321", 1).status, 200);
        assert_eq!(
            send(&state, "+12025550101", 2).body,
            ResponseBody::Truncated
        );
        assert_eq!(
            send(&state, "+12025550102", 3).body,
            ResponseBody::Truncated
        );
        assert_eq!(send(&state, "+12025550104", 4).status, 500);
        assert_eq!(send(&state, "+12025550150", 5).status, 401);
        let accepted: Vec<bool> = state.calls().iter().map(|call| call.accepted).collect();
        assert_eq!(accepted, [true, true, false, true, false]);
        assert_eq!(state.stats().refused, [(190, 1)].into());
    }

    #[test]
    fn number_that_refuses_twice_accepts_third_send() {
        let state = State::new(Settings::default());
        let statuses: Vec<u16> = (0..3)
            .map(|_| send(&state, "+12025550112", 1).status)
            .collect();
        assert_eq!(statuses, [429, 429, 200]);
        let stats = state.stats();
        assert_eq!((stats.retries, stats.repeats), (2, 0));
    }

    #[test]
    fn error_comes_with_its_documented_status_or_with_the_status_of_its_number() {
        let state = State::new(Settings::default());
        let cases = [
            // 2 and 131016, as a client error, so that Crier retries them.
            ("+12025550110", 400),
            ("+12025550111", 400),
            ("+12025550118", 500),
            ("+12025550170", 500),
            ("+12025550172", 503),
            ("+12025550173", 503),
            ("+12025550180", 500),
            ("+12025550184", 500),
        ];
        for (row, (number, expected)) in (1..).zip(cases) {
            assert_eq!(send(&state, number, row).status, expected, "{number}");
        }
        let accepted = state.calls().iter().filter(|call| call.accepted).count();
        assert_eq!(accepted, 1, "0173 is accepted in spite of the answer");
    }

    #[test]
    fn setting_refuse_refuses_every_call() {
        let state = State::new(Settings {
            refuse: Some(131042),
            ..Settings::default()
        });
        assert_eq!(send(&state, "+5511987654321", 1).status, 400);
        state
            .update_settings(&json!({"refuse": null}))
            .expect("a setting");
        assert_eq!(send(&state, "+5511987654321", 1).status, 200);
        assert_eq!(state.stats().refused, [(131042, 1)].into());
    }

    #[test]
    fn faults_hit_the_configured_share_of_calls() {
        let state = State::new(Settings {
            fault_share: 0.5,
            throughput: 100_000,
            ..Settings::default()
        });
        let is_normal = |row| {
            let response = send(&state, &format!("+55119{row:08}"), row);
            response.status == 200
                && matches!(response.body, ResponseBody::Json(_))
                && response.delay < SLOW_RESPONSE_DELAY
        };
        let faults = (0..2000).filter(|&row| !is_normal(row)).count();
        assert!((800..1200).contains(&faults), "{faults}");
    }

    #[test]
    fn throughput_is_enforced() {
        let state = State::new(Settings {
            throughput: 3,
            ..Settings::default()
        });
        let statuses: Vec<u16> = (1..=5)
            .map(|row| send(&state, &format!("+551198765432{row}"), row).status)
            .collect();
        assert_eq!(statuses, [200, 200, 200, 429, 429]);
    }

    #[test]
    fn sends_from_each_known_number_are_accepted_limited_and_logged_apart() {
        let state = State::new(Settings {
            throughput: 2,
            ..Settings::default()
        });
        let status_from = |number: &str| {
            let row = state.calls().len() as u32;
            send_from(&state, number, &format!("+5511987654{row:03}"), row).status
        };
        assert_eq!(status_from("7"), 400);
        state
            .update_settings(&json!({"further_numbers": ["7"]}))
            .expect("a setting");
        let first = &*state.settings().phone_number_id;
        let statuses = [first, first, first, "7", "7", "7"].map(status_from);
        assert_eq!(statuses, [200, 200, 429, 200, 200, 429]);
        let stats = serde_json::to_value(state.stats()).expect("JSON");
        assert_eq!(stats["refused"], json!({"33": 1, "130429": 2}));
        let expected = json!({first: {"calls": 3, "busiest_second": 3},
            "7": {"calls": 4, "busiest_second": 4}});
        assert_eq!(stats["by_number"], expected);
        let calls = serde_json::to_value(state.calls()).expect("JSON");
        assert_eq!(
            (&calls[0]["number"], &calls[1]["number"]),
            (&json!("7"), &json!(first))
        );
    }

    #[test]
    fn recipient_has_one_pair_limit_for_all_numbers() {
        let state = State::new(Settings {
            further_numbers: vec!["7".into()],
            ..Settings::default()
        });
        let numbers = [&*state.settings().phone_number_id, "7"];
        let accepted = (0..60)
            .map(|row| send_from(&state, numbers[row as usize % 2], "+5511987654321", row))
            .filter(|response| response.status == 200)
            .count();
        assert_eq!(accepted, 45);
    }

    #[test]
    fn update_settings_changes_only_named_fields_and_rejects_unknown_ones() {
        let state = State::new(Settings::default());
        assert!(
            state
                .update_settings(&json!({"batch_size": 7}))
                .is_ok_and(|settings| settings.batch_size == 7)
        );
        assert!(state.update_settings(&json!({"batch_sise": 7})).is_err());
        assert_eq!(state.settings().batch_size, 7);
    }
}
