//! The campaigns that operators create.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::Operator;
use crate::clock;
use crate::meta::{PHONE_NUMBER_ID, SECOND_NUMBER_ID};
use crate::random::Random;
use crate::record::{CampaignNotes, Canary, File};
use crate::window::Window;

impl Operator {
    /// Creates a campaign for a file; its id and the upload of the file. `None` if that was not answered, or refused.
    pub(super) async fn create(&self, first: u32, file: &File) -> Option<(String, Value)> {
        let mut notes = draw_campaign(&self.random);
        let mut body = self.body(&notes, file);
        notes.messages = json!([body["message"], body["fallback"]]);
        let exclude = self.random.chance(0.1);
        let exclude = exclude.then(|| exclude_list(&self.random, first));
        if let Some((phones, text)) = &exclude {
            body["exclude"] = json!({"name": "out.csv", "size": text.len()});
            notes.excluded.clone_from(phones);
        }
        let answer = self.persist("POST", "/v1/campaigns", &body).await;
        self.note_step(&format!("create {body}"), answer.as_ref());
        let answer = answer.filter(|answer| answer.status == 201)?;
        let id = answer.body["id"].as_str()?.to_owned();
        self.record.update(&id, |campaign| *campaign = notes);
        if let Some((_, text)) = exclude {
            let (operator, upload) = (self.clone(), answer.body["exclude_upload"].clone());
            let campaign = id.clone();
            let delay = self.random.millis(100..60_000);
            spawn_local(async move {
                sleep(delay).await;
                let now = Some(clock::now_ms());
                operator
                    .record
                    .update(&campaign, |notes| notes.excluded_ms = now);
                operator.put(&upload, text.as_bytes());
            });
        }
        Some((id, answer.body["upload"].clone()))
    }

    /// The request for a campaign.
    fn body(&self, notes: &CampaignNotes, file: &File) -> Value {
        let random = &self.random;
        let mut body = json!({
            "name": "Order updates", "message": message(),
            "file": {"name": file.name, "size": file.bytes.len()},
            "manual_start": notes.manual_start,
            "allow_repeat": notes.allows_repeat,
            "on_unconfirmed": if notes.resends { "resend" } else { "leave" },
            "unconfirmed_timeout_seconds": random.range(30..1_200),
            "retry_undelivered": notes.retries_undelivered,
            "check_template": random.chance(0.3),
            "max_failure_ratio": *random.pick(&[1.0, 1.0, 1.0, 1.0, 0.4, 0.05]),
        });
        if let Some(at) = notes.not_before {
            body["not_before"] = timestamp(at).into();
        }
        if let Some(at) = notes.not_after {
            body["not_after"] = timestamp(at).into();
        }
        if let Some(every) = notes.delivery_reports_every {
            body["delivery_reports_every"] = every.into();
        }
        if !notes.numbers.is_empty() {
            body["numbers"] = json!(notes.numbers);
        }
        if let Some(window) = notes.window {
            body["window"] = window.body();
        }
        if let Some(canary) = notes.canary {
            body["canary"] = canary.rows.into();
            body["after_canary"] = match canary.waits {
                true => "wait".into(),
                false => "continue_if_clean".into(),
            };
        }
        if random.chance(0.1) {
            body["message"] = json!({"type": "text", "text": {"body": "Hello {{Name}}"}});
            body["fallback"] = message();
        }
        body
    }
}

fn draw_campaign(random: &Random) -> CampaignNotes {
    let now = clock::now_ms();
    let resends = random.chance(0.25);
    CampaignNotes {
        manual_start: random.chance(0.4),
        resends,
        // Where rows are sent again, each report counts.
        delivery_reports_every: (!resends && random.chance(0.25)).then(|| *random.pick(&[0, 2, 3])),
        allows_repeat: random.chance(0.4),
        retries_undelivered: random.chance(0.15),
        not_before: random
            .chance(0.2)
            .then(|| whole(now + random.range(60_000..900_000))),
        not_after: random
            .chance(0.1)
            .then(|| whole(now + random.range(900_000..7_200_000))),
        numbers: random
            .pick(&[
                vec![],
                vec![],
                vec![PHONE_NUMBER_ID],
                vec![SECOND_NUMBER_ID],
                vec![PHONE_NUMBER_ID, SECOND_NUMBER_ID],
                vec![SECOND_NUMBER_ID, PHONE_NUMBER_ID],
            ])
            .clone(),
        window: random.chance(0.2).then(|| Window::draw(random, now)),
        canary: random.chance(0.2).then(|| Canary {
            rows: random.range(1..6) as usize,
            waits: random.chance(0.5),
        }),
        ..CampaignNotes::default()
    }
}

/// The message of every campaign: a template with values of the row.
pub(crate) fn message() -> Value {
    json!({"type": "template", "template": {
        "name": "order_update", "language": {"code": "en"},
        "components": [
            {"type": "body", "parameters": [
                {"type": "text", "text": "{{Name}}"}, {"type": "text", "text": "{{Amount}}"}]},
            {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "{{Name}}"}]},
        ],
    }})
}

/// Some of the recipients, and a list of them.
fn exclude_list(random: &Random, first: u32) -> (BTreeSet<String>, String) {
    let count = random.range(1..5);
    let phones: BTreeSet<String> = (0..count)
        .map(|_| format!("+34610{:06}", first + random.range(1..12) as u32))
        .collect();
    let lines: Vec<&str> = phones.iter().map(String::as_str).collect();
    (phones.clone(), format!("Phone\n{}\n", lines.join("\n")))
}

/// Whole seconds, as the API shows times.
fn whole(at_ms: u64) -> u64 {
    at_ms / 1_000 * 1_000
}

fn timestamp(at_ms: u64) -> String {
    let time = jiff::Timestamp::from_millisecond(at_ms as i64);
    time.map(|time| time.to_string()).unwrap_or_default()
}
