//! One campaign from its creation to its end.

use serde_json::{Value, json};
use tokio::time::sleep;

use super::file::{self, File, OTHER_COLUMN};
use super::{Answer, Operator};
use crate::clock;
use crate::record::{CampaignNotes, Command};

/// Commands that end in `POST …/{name}`.
const COMMANDS: [&str; 5] = ["start", "pause", "resume", "continue", "cancel"];

impl Operator {
    /// Creates a campaign, uploads its file, and does what comes to mind. `first` is the first number of its recipients.
    pub async fn run_campaign(&self, first: u32, steps: u64) {
        sleep(self.random.millis(0..120_000)).await;
        let file = file::draw(&self.random, first, false);
        let Some((id, upload)) = self.create(&file).await else {
            return;
        };
        // Somebody else is at work on the same campaign, perhaps before its file is there.
        let colleague = Operator {
            random: self.random.fork("colleague"),
            ..self.clone()
        };
        let (work, pace) = (colleague.work(&id, first, steps / 2, 20_000), 240_000);
        tokio::join!(work, async {
            self.upload(&id, &upload, &file).await;
            self.work(&id, first, steps - steps / 2, pace).await;
        });
    }

    /// Takes steps, each after a pause of at most `pace` milliseconds.
    async fn work(&self, id: &str, first: u32, steps: u64, pace: u64) {
        for _ in 0..steps {
            sleep(self.random.millis(0..self.random.range(500..pace))).await;
            self.step(id, first).await;
        }
    }

    async fn create(&self, file: &File) -> Option<(String, Value)> {
        let random = &self.random;
        let now = clock::now_ms();
        let notes = CampaignNotes {
            manual_start: random.chance(0.4),
            resends: random.chance(0.25),
            retries_undelivered: random.chance(0.15),
            not_before: random
                .chance(0.2)
                .then(|| whole(now + random.range(60_000..900_000))),
            not_after: random
                .chance(0.1)
                .then(|| whole(now + random.range(900_000..7_200_000))),
            ..CampaignNotes::default()
        };
        let mut body = json!({
            "name": "Order updates", "message": message(),
            "file": {"name": file.name, "size": file.bytes.len()},
            "manual_start": notes.manual_start,
            "on_unconfirmed": if notes.resends { "resend" } else { "leave" },
            "unconfirmed_timeout_seconds": random.range(30..1_200),
            "retry_undelivered": notes.retries_undelivered,
            "check_template": random.chance(0.3),
            "max_failure_ratio": 1,
        });
        if let Some(at) = notes.not_before {
            body["not_before"] = timestamp(at).into();
        }
        if let Some(at) = notes.not_after {
            body["not_after"] = timestamp(at).into();
        }
        if random.chance(0.2) {
            body["canary"] = random.range(1..6).into();
            body["after_canary"] = (*random.pick(&["wait", "continue_if_clean"])).into();
        }
        let answer = self.persist("POST", "/v1/campaigns", &body).await;
        self.note_step(&format!("create {body}"), answer.as_ref());
        let answer = answer.filter(|answer| answer.status == 201)?;
        let id = answer.body["id"].as_str()?.to_owned();
        self.record.update(&id, |campaign| *campaign = notes);
        Some((id, answer.body["upload"].clone()))
    }

    /// Uploads a file, now and then twice.
    async fn upload(&self, id: &str, upload: &Value, file: &File) {
        sleep(self.random.millis(100..30_000)).await;
        let headers: Vec<(String, String)> = upload["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        let url = upload["url"].as_str().unwrap_or_default();
        for _ in 0..if self.random.chance(0.1) { 2 } else { 1 } {
            let headers = headers.iter().map(|(name, value)| (name, value));
            let answer = self
                .aws
                .s3()
                .send_presigned("PUT", url, headers, &file.bytes);
            match answer.status {
                200 => {
                    let notes = file.notes.clone();
                    self.record
                        .update(id, |campaign| campaign.uploads.push(notes));
                }
                // There is a file already: this one again, or a colleague's.
                412 => {}
                status => {
                    let text = String::from_utf8_lossy(&answer.body).into_owned();
                    self.record.violation(
                        "an upload works",
                        format!("an upload to {id} was refused: {status} {text}"),
                    );
                }
            }
            let what = format!("upload {id} {} bytes: {}", file.bytes.len(), answer.status);
            self.note_step(&what, None);
        }
    }

    /// Something that an operator may do at any time.
    async fn step(&self, id: &str, first: u32) {
        match self.random.range(0..14) {
            0..=4 => {
                let command = *self
                    .random
                    .pick(&COMMANDS[..if self.random.chance(0.15) { 5 } else { 4 }]);
                self.command(id, command).await;
            }
            5 => self.preview(id).await,
            6 => self.add_file(id, first).await,
            7 => self.test(id).await,
            8 => self.opt_out_by_message(&self.some_recipient(first)).await,
            9 => self.suppress(&self.some_recipient(first)).await,
            10 => self.write(&self.some_recipient(first)).await,
            11 => {
                let job = *self.random.pick(&["report", "recount"]);
                if job == "recount" {
                    self.record.write().recounts.insert(id.to_owned());
                }
                let path = format!("/v1/campaigns/{id}/{job}");
                let answer = self.persist("POST", &path, &json!({})).await;
                self.note_step(&format!("POST {path}"), answer.as_ref());
            }
            12 if self.random.chance(0.3) => self.erase(&self.some_recipient(first)).await,
            _ => drop(self.observe(id).await),
        }
    }

    fn some_recipient(&self, first: u32) -> String {
        format!("+34610{:06}", first + self.random.range(1..12) as u32)
    }

    /// Sends a command, repeats it until it is answered, and notes when what was known.
    pub async fn command(&self, id: &str, name: &'static str) -> Option<Answer> {
        let asked_ms = clock::now_ms();
        let index = {
            let mut index = 0;
            self.record.update(id, |campaign| {
                index = campaign.commands.len();
                campaign.commands.push(Command {
                    name,
                    asked_ms,
                    answered_ms: None,
                    succeeded: false,
                });
            });
            index
        };
        let path = format!("/v1/campaigns/{id}/{name}");
        let answer = self.persist("POST", &path, &Value::Null).await;
        if let Some(answer) = &answer {
            let (now, succeeded) = (clock::now_ms(), answer.status == 200);
            self.record.update(id, |campaign| {
                let command = &mut campaign.commands[index];
                (command.answered_ms, command.succeeded) = (Some(now), succeeded);
            });
        }
        self.note_step(&format!("{name} {id}"), answer.as_ref());
        answer
    }

    /// Looks at the preview, now and then with other options.
    async fn preview(&self, id: &str) {
        let body = match self.random.range(0..4) {
            0 => json!({"options": {"delimiter": ";"}}),
            1 => json!({"options": {"delimiter": ","}}),
            2 => json!({"options": {"phone_column": *self.random.pick(&["Phone", OTHER_COLUMN])}}),
            _ => json!({}),
        };
        let path = format!("/v1/campaigns/{id}/preview");
        let answer = self.persist("POST", &path, &body).await;
        self.note_step(&format!("preview {id} {body}"), answer.as_ref());
    }

    async fn add_file(&self, id: &str, first: u32) {
        let file = file::draw(&self.random, first, true);
        let path = format!("/v1/campaigns/{id}/files");
        let body = json!({"name": file.name, "size": file.bytes.len()});
        let answer = self.persist("POST", &path, &body).await;
        self.note_step(&format!("add a file to {id}"), answer.as_ref());
        if let Some(answer) = answer.filter(|answer| matches!(answer.status, 200 | 201)) {
            // The route answers with the campaign, or with the upload alone.
            let upload = match answer.body.get("upload") {
                Some(upload) => upload.clone(),
                None => answer.body.clone(),
            };
            self.upload(id, &upload, &file).await;
        }
    }

    async fn test(&self, id: &str) {
        let to = "+34699000001".to_owned();
        let path = format!("/v1/campaigns/{id}/test");
        let answer = self.persist("POST", &path, &json!({"to": to})).await;
        self.note_step(&format!("test {id}"), answer.as_ref());
        let test = answer.filter(|answer| answer.status == 202);
        let test = test.and_then(|answer| Some(answer.body["id"].as_str()?.to_owned()));
        self.record
            .update(id, |campaign| campaign.tests.extend(test));
    }

    /// Looks at a campaign; its numbers must add up whenever that is.
    pub async fn observe(&self, id: &str) -> Option<Value> {
        let campaign = self.read(&format!("/v1/campaigns/{id}")).await?;
        if campaign["rows"]["balanced"] != true {
            let rows = &campaign["rows"];
            self.record.violation(
                "numbers add up",
                format!("campaign {id} is not balanced: {rows}"),
            );
        }
        Some(campaign)
    }

    /// Whether a campaign is over.
    pub async fn is_over(&self, id: &str) -> bool {
        let campaign = self.observe(id).await;
        campaign.is_some_and(|campaign| {
            matches!(
                campaign["state"].as_str(),
                Some("finished" | "cancelled" | "failed")
            )
        })
    }

    /// Brings a campaign to its end: what an operator does who wants everybody messaged. Returns whether it is over.
    pub async fn bring_to_end(&self, id: &str) -> bool {
        let Some(campaign) = self.observe(id).await else {
            return false;
        };
        let state = campaign["state"].as_str().unwrap_or_default().to_owned();
        let is_over = match state.as_str() {
            "ready" => {
                self.command(id, "start").await;
                false
            }
            "paused" => {
                self.command(id, "resume").await;
                false
            }
            "canary" => {
                self.command(id, "continue").await;
                false
            }
            "finished" | "cancelled" | "failed" => true,
            _ => false,
        };
        self.record
            .update(id, |campaign| campaign.end = is_over.then_some(state));
        is_over
    }
}

fn message() -> Value {
    json!({"type": "template", "template": {
        "name": "order_update", "language": {"code": "en"},
        "components": [
            {"type": "body", "parameters": [
                {"type": "text", "text": "{{Name}}"}, {"type": "text", "text": "{{Amount}}"}]},
            {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "{{Name}}"}]},
        ],
    }})
}

/// Whole seconds, as the API shows times.
fn whole(at_ms: u64) -> u64 {
    at_ms / 1_000 * 1_000
}

fn timestamp(at_ms: u64) -> String {
    let time = jiff::Timestamp::from_millisecond(at_ms as i64);
    time.map(|time| time.to_string()).unwrap_or_default()
}
