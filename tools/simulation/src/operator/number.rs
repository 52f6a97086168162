//! Pauses of numbers.

use serde_json::Value;
use tokio::time::sleep;

use super::Operator;
use crate::clock;
use crate::meta::{PHONE_NUMBER_ID, SECOND_NUMBER_ID};
use crate::record::Command;

const NUMBERS: [&str; 2] = [PHONE_NUMBER_ID, SECOND_NUMBER_ID];

impl Operator {
    /// Pauses or resumes a number, or pauses it for a while.
    pub(super) async fn pause_some_number(&self) {
        let number = *self.random.pick(&NUMBERS);
        match self.random.range(0..3) {
            0 => self.command_number(number, "pause").await,
            1 => self.command_number(number, "resume").await,
            _ => {
                self.command_number(number, "pause").await;
                sleep(self.random.millis(1_000..600_000)).await;
                self.command_number(number, "resume").await;
            }
        }
    }

    /// Resumes the numbers that are paused. Returns whether none was.
    pub(crate) async fn resume_numbers(&self) -> bool {
        let Some(answer) = self.read("/v1/numbers").await else {
            return false;
        };
        let mut none = true;
        for number in answer["numbers"].as_array().into_iter().flatten() {
            let id = NUMBERS.into_iter().find(|id| number["id"] == *id);
            if let Some(id) = id.filter(|_| !number["paused"].is_null()) {
                self.command_number(id, "resume").await;
                none = false;
            }
        }
        none
    }

    /// Sends a command, repeats it until it is answered, and notes when what was known.
    async fn command_number(&self, number: &'static str, name: &'static str) {
        let command = Command {
            name,
            asked_ms: clock::now_ms(),
            answered_ms: None,
            succeeded: false,
        };
        let index = {
            let mut notes = self.record.write();
            let commands = notes.number_commands.entry(number).or_default();
            commands.push(command);
            commands.len() - 1
        };
        let path = format!("/v1/numbers/{number}/{name}");
        let answer = self.persist("POST", &path, &Value::Null).await;
        if let Some(answer) = &answer {
            let mut notes = self.record.write();
            let commands = notes.number_commands.entry(number).or_default();
            commands[index].answered_ms = Some(clock::now_ms());
            commands[index].succeeded = answer.status == 200;
        }
        self.note_step(&format!("{name} {number}"), answer.as_ref());
    }
}
