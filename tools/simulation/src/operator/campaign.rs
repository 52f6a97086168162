//! One campaign from its creation to its end.

use serde_json::{Value, json};
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::file::{self, OTHER_COLUMN};
use super::{Answer, Operator};
use crate::aws::PresignedAnswer;
use crate::clock;
use crate::record::{Command, File, UploadNotes};

/// Commands that end in `POST …/{name}`.
const COMMANDS: [&str; 5] = ["start", "pause", "resume", "continue", "cancel"];

impl Operator {
    /// Creates a campaign, uploads its file, and does what comes to mind. `first` is the first number of its recipients.
    pub async fn run_campaign(&self, first: u32, steps: u64) {
        sleep(self.random.millis(0..120_000)).await;
        let (first, file) = self.choose_file(first);
        let Some((id, upload)) = self.create(first, &file).await else {
            return;
        };
        // Somebody else is at work on the same campaign, perhaps before its file is there.
        let colleague = Operator {
            name: format!("{}'s colleague", self.name),
            random: self.random.fork("colleague"),
            ..self.clone()
        };
        let (work, pace) = (colleague.work(&id, first, steps / 2, 20_000), 240_000);
        tokio::join!(work, async {
            self.upload(&id, &upload, &file).await;
            self.work(&id, first, steps - steps / 2, pace).await;
        });
    }

    /// A new file, or by mistake one that is there already, with the first number of its recipients.
    fn choose_file(&self, first: u32) -> (u32, File) {
        let mut notes = self.record.write();
        if !notes.files.is_empty() && self.random.chance(0.2) {
            return self.random.pick(&notes.files).clone();
        }
        let file = file::draw(&self.random, first, false);
        notes.files.push((first, file.clone()));
        (first, file)
    }

    /// Takes steps, each after a pause of at most `pace` milliseconds.
    async fn work(&self, id: &str, first: u32, steps: u64, pace: u64) {
        for number in 1..=steps {
            let name = format!("step {number} of {}", self.name);
            // A step has chance of its own, so that it stays the same if others are left out.
            let at_work = Operator {
                random: self.random.fork(&name),
                ..self.clone()
            };
            let pause = at_work.random.range(500..pace);
            sleep(at_work.random.millis(0..pause)).await;
            if self.random.parts().has(name) {
                at_work.step(id, first).await;
            }
        }
    }

    /// Uploads a file, now and then twice.
    async fn upload(&self, id: &str, upload: &Value, file: &File) {
        sleep(self.random.millis(100..30_000)).await;
        for _ in 0..if self.random.chance(0.1) { 2 } else { 1 } {
            let answer = self.put(upload, &file.bytes);
            match answer.status {
                200 => {
                    let url = upload["url"].as_str().unwrap_or_default();
                    let notes = UploadNotes {
                        number: file_number(url),
                        at_ms: clock::now_ms(),
                        ..file.notes.clone()
                    };
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
            if self.random.chance(0.15) {
                // Somebody looks at the file while it is read.
                let looks = self.clone();
                let (id, delay) = (id.to_owned(), self.random.millis(100..2_000));
                spawn_local(async move {
                    sleep(delay).await;
                    looks.preview(&id).await;
                });
            }
            let what = format!("upload {id} {} bytes: {}", file.bytes.len(), answer.status);
            self.note_step(&what, None);
        }
    }

    /// Uploads something, as the API said.
    pub(crate) fn put(&self, upload: &Value, bytes: &[u8]) -> PresignedAnswer {
        let headers = upload["headers"].as_object().into_iter().flatten();
        let headers: Vec<(String, String)> = headers
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        let headers = headers.iter().map(|(name, value)| (name, value));
        let url = upload["url"].as_str().unwrap_or_default();
        self.aws.s3().send_presigned("PUT", url, headers, bytes)
    }

    /// Something that an operator may do at any time.
    async fn step(&self, id: &str, first: u32) {
        match self.random.range(0..28) {
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
                let path = format!("/v1/campaigns/{id}/{job}");
                let answer = self.persist("POST", &path, &json!({})).await;
                self.note_step(&format!("POST {path}"), answer.as_ref());
            }
            12 if self.random.chance(0.3) => self.erase(&self.some_recipient(first)).await,
            13 => self.opt_in_by_message(&self.some_recipient(first)).await,
            14 => self.lift(&self.some_recipient(first)).await,
            15..=17 => self.look(id, &self.some_recipient(first)).await,
            18 | 19 => self.mistake(id).await,
            20 => self.ask_as_stranger(id).await,
            23 => self.retry(id).await,
            21 | 22 => self.receive_something(&self.some_recipient(first)).await,
            26 => self.pause_some_number().await,
            24 | 25 => self.send_single_message(&self.some_recipient(first)).await,
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
            2 => {
                json!({"options": {"phone_columns": [*self.random.pick(&["Phone", OTHER_COLUMN])]}})
            }
            _ => json!({}),
        };
        if body["options"] != Value::Null {
            self.record
                .update(id, |campaign| campaign.changes_options = true);
        }
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
        let end_ms = is_over.then(clock::now_ms);
        self.record.update(id, |campaign| {
            campaign.end = is_over.then_some(state);
            campaign.end_ms = campaign.end_ms.or(end_ms);
        });
        is_over
    }
}

/// The number of the file that a URL uploads: the first one has no folder of its own.
fn file_number(url: &str) -> usize {
    let (_, folder) = url.split_once("/files/").unwrap_or_default();
    let number = folder.split('/').next();
    number.and_then(|number| number.parse().ok()).unwrap_or(1)
}
