//! An operator has chosen rows of a campaign sent again.

use serde_json::{Value, json};

use super::Operator;
use crate::record::Retry;

/// The states that an operator chooses; none for those that the API chooses.
const CHOICES: [&[&str]; 5] = [
    &[],
    &[],
    &["rejected"],
    &["undelivered", "unconfirmed"],
    &["skipped", "rejected"],
];

impl Operator {
    /// Has rows sent again, where the campaign is over.
    pub(super) async fn retry(&self, id: &str) {
        let states = *self.random.pick(&CHOICES);
        let mut body = json!({"manual_start": self.random.chance(0.2)});
        if !states.is_empty() {
            body["states"] = states.into();
        }
        if self.random.chance(0.3) {
            body["allow_repeat"] = true.into();
        }
        let path = format!("/v1/campaigns/{id}/retries");
        let answer = self.persist("POST", &path, &body).await;
        self.note_step(&format!("retry {states:?} of {id}"), answer.as_ref());
        let created = answer.filter(|answer| answer.status == 201);
        if let Some(retry) = created.and_then(|answer| id_of(&answer.body)) {
            self.record.write().retries.push(Retry {
                id: retry,
                of: id.to_owned(),
                chooses_reached: states.contains(&"unconfirmed"),
                chooses_skipped: states.contains(&"skipped"),
            });
        }
    }

    /// Brings a retry to its end. Returns whether it is over, or is not kept any more.
    pub async fn bring_retry_to_end(&self, id: &str) -> bool {
        let Some(campaign) = self.observe(id).await else {
            return true;
        };
        let command = match campaign["state"].as_str().unwrap_or_default() {
            "ready" => "start",
            "paused" => "resume",
            "finished" | "cancelled" | "failed" => return true,
            _ => return false,
        };
        let path = format!("/v1/campaigns/{id}/{command}");
        self.persist("POST", &path, &Value::Null).await;
        false
    }
}

fn id_of(body: &Value) -> Option<String> {
    body["id"].as_str().map(str::to_owned)
}
