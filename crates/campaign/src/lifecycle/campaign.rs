//! The campaign itself, as the campaigns table and the API have it.

use serde::{Deserialize, Serialize};

use crate::delivery::outcome::Millis;
use crate::id::CampaignId;
use crate::import::row::ImportCounts;
use crate::import::value::OnBadValue;
use crate::message::Message;

/// Who reads a campaign's files gives a sign of life every few seconds; one that gave none for this long has died.
pub const IMPORT_LEASE_MS: Millis = 60_000;

/// A campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// What people call it.
    pub name: String,
    /// What is sent.
    pub message: Message,
    /// What is sent in its place to people outside the 24-hour window, where it is free-form: a template.
    #[serde(default)]
    pub fallback: Option<Message>,
    /// What becomes of people outside that window, where there is no fallback.
    #[serde(default)]
    pub outside_service_window: OutsideServiceWindow,
    /// How the file is read.
    #[serde(default)]
    pub options: ImportOptions,
    /// Its files, in the order they were announced; all but the last are read.
    pub files: Vec<CampaignFile>,
    /// The list of people to leave out, where one was announced.
    #[serde(default)]
    pub exclude: Option<FileInfo>,
    /// Whether it waits for somebody to look at the preview and start it.
    #[serde(default)]
    pub manual_start: bool,
    /// When it may be sent.
    #[serde(default)]
    pub schedule: Schedule,
    /// What the operator chose for doubts and failures.
    #[serde(default)]
    pub policy: Policy,
    /// Rows that go first, and whether the rest may follow.
    #[serde(default)]
    pub canary: Option<Canary>,
    /// Until when nobody calls, because the API asked for it.
    #[serde(default)]
    pub cooldown: Option<Cooldown>,
    /// The last sign of life of who reads its files.
    #[serde(default)]
    pub lease_renewed_at: Option<Millis>,
    /// When its rows were last put into the queue.
    #[serde(default)]
    pub enqueued_at: Option<Millis>,
    /// When the sweep last read its ledger.
    #[serde(default)]
    pub reconciled_at: Option<Millis>,
    /// What the account's template says, where the message is one and it was looked up.
    #[serde(default)]
    pub template: Option<TemplateFacts>,
    /// Where it stands.
    pub state: CampaignState,
    /// Why it is `failed` or `paused`, as a sentence with what to do.
    #[serde(default)]
    pub reason: Option<String>,
    /// When it was created.
    pub created_at: Millis,
    /// Whether any row was accepted.
    #[serde(default)]
    pub has_acceptance: bool,
    /// There while something may be left to do about it; `cloud::campaigns` alone writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<String>,
}

impl Campaign {
    /// A campaign that waits for its file.
    pub fn new(
        id: CampaignId,
        name: String,
        message: Message,
        file: FileInfo,
        now: Millis,
    ) -> Self {
        Self {
            id,
            name,
            message,
            fallback: None,
            outside_service_window: OutsideServiceWindow::default(),
            options: ImportOptions::default(),
            files: vec![CampaignFile::pending(file)],
            exclude: None,
            manual_start: false,
            schedule: Schedule::default(),
            policy: Policy::default(),
            canary: None,
            cooldown: None,
            lease_renewed_at: None,
            enqueued_at: None,
            reconciled_at: None,
            template: None,
            state: CampaignState::AwaitingUpload,
            reason: None,
            created_at: now,
            has_acceptance: false,
            open: None,
        }
    }

    /// A campaign of one row without a file, which sends at once: a test, an answer.
    pub fn single_row(id: CampaignId, name: String, message: Message, now: Millis) -> Self {
        let info = FileInfo {
            name: "none".into(),
            size: 0,
        };
        let mut campaign = Self::new(id, name, message, info, now);
        campaign.state = CampaignState::Sending;
        campaign.files[0].stage = FileStage::Enqueued;
        campaign.files[0].counts = ImportCounts {
            rows: 1,
            enqueued: 1,
            ..ImportCounts::default()
        };
        campaign
    }

    /// The message and its fallback, with columns in common: the values of a row serve both.
    pub fn messages(&self) -> (Message, Option<Message>) {
        let Some(fallback) = &self.fallback else {
            return (self.message.clone(), None);
        };
        let message = self.message.clone().merge_columns(fallback);
        let fallback = fallback.clone().merge_columns(&message);
        (message, Some(fallback))
    }

    /// What somebody is sent who may be sent free-form messages, or may not.
    pub fn message_choice(&self, in_service_window: bool) -> MessageChoice {
        if in_service_window || self.message.is_template() {
            return MessageChoice::Message;
        }
        match (&self.fallback, self.outside_service_window) {
            (Some(_), _) => MessageChoice::Fallback,
            (None, OutsideServiceWindow::Send) => MessageChoice::Message,
            (None, OutsideServiceWindow::Skip) => MessageChoice::Nothing,
        }
    }

    /// Whether its files will not be read again to be sent. (A resume of a paused one would.)
    pub fn is_over(&self) -> bool {
        match self.state {
            CampaignState::Cancelled | CampaignState::Failed | CampaignState::Sending => {
                self.open.is_none()
            }
            CampaignState::AwaitingUpload
            | CampaignState::Validating
            | CampaignState::Ready
            | CampaignState::Scheduled
            | CampaignState::Enqueuing
            | CampaignState::Canary
            | CampaignState::Paused => false,
        }
    }

    /// What became of the rows of every file.
    pub fn import_counts(&self) -> ImportCounts {
        self.files
            .iter()
            .map(|file| file.counts)
            .fold(ImportCounts::default(), |sum, counts| sum + counts)
    }

    /// Whether every file that was uploaded is in the queue.
    pub fn is_enqueued(&self) -> bool {
        self.files
            .iter()
            .all(|file| file.stage != FileStage::Validated)
            && self
                .files
                .iter()
                .any(|file| file.stage == FileStage::Enqueued)
    }

    /// Rows of the files before the one at `index`: where its own numbers begin.
    pub fn rows_before(&self, index: usize) -> u64 {
        self.files
            .iter()
            .take(index)
            .map(|file| file.counts.rows)
            .sum()
    }

    /// Whether calls may start now.
    pub fn sendability(&self, now: Millis) -> Sendability {
        if !self.state.may_send() {
            return Sendability::Stopped;
        }
        if self.schedule.has_ended(now) {
            return Sendability::Expired;
        }
        let rest = self.cooldown.as_ref().map(|rest| rest.until);
        match rest.max(self.schedule.not_before) {
            Some(until) if until > now => Sendability::NotBefore(until),
            Some(_) | None => Sendability::Now,
        }
    }

    /// The canary rows of the file at `index`, while the others wait: those of the first file that can be used.
    pub fn canary_for_file(&self, index: usize) -> Option<Canary> {
        let first = self
            .files
            .iter()
            .take(index)
            .all(|file| file.stage == FileStage::Failed);
        self.canary.filter(|_| first)
    }

    /// The file that is to be uploaded or read next.
    pub fn next_file_index(&self) -> Option<usize> {
        self.files
            .iter()
            .position(|file| matches!(file.stage, FileStage::Pending | FileStage::Validated))
    }
}

/// What becomes of people outside the 24-hour window in a free-form campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsideServiceWindow {
    /// They are skipped.
    #[default]
    Skip,
    /// They are sent to all the same: for those whose callbacks go elsewhere, so that Crier does not know the window.
    Send,
}

/// What somebody is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageChoice {
    /// The message.
    Message,
    /// Its fallback.
    Fallback,
    /// Nothing.
    Nothing,
}

/// One of a campaign's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignFile {
    /// What was announced.
    #[serde(flatten)]
    pub info: FileInfo,
    /// How far it is.
    pub stage: FileStage,
    /// The object's version, so that every pass reads the same bytes.
    #[serde(default)]
    pub version: Option<String>,
    /// What became of its rows; exact once it is examined, but for people suppressed while it is sent.
    #[serde(default)]
    pub counts: ImportCounts,
    /// Rows that could be sent when it was examined; canary rows are picked among them.
    #[serde(default)]
    pub usable: u64,
    /// Why none of it can be used.
    #[serde(default)]
    pub problem: Option<String>,
}

impl CampaignFile {
    /// A file that is to be uploaded.
    pub fn pending(info: FileInfo) -> Self {
        Self {
            info,
            stage: FileStage::Pending,
            version: None,
            counts: ImportCounts::default(),
            usable: 0,
            problem: None,
        }
    }
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileStage {
    /// An upload was signed for it.
    Pending,
    /// It was read to its end, and nothing of it was sent.
    Validated,
    /// All of it is in the queue.
    Enqueued,
    /// It could not be used.
    Failed,
}

/// Whether calls of a campaign may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sendability {
    /// They may.
    Now,
    /// Not before this time: the API asked for a rest, or its own time has not come.
    NotBefore(Millis),
    /// Its time has run out: rows that were not called are skipped.
    Expired,
    /// It is stopped, or not started.
    Stopped,
}

/// When a campaign may be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// No call starts before.
    #[serde(default)]
    pub not_before: Option<Millis>,
    /// No call starts from then on; what is left is skipped as expired.
    #[serde(default)]
    pub not_after: Option<Millis>,
}

impl Schedule {
    /// Whether it has begun.
    pub fn has_begun(self, now: Millis) -> bool {
        self.not_before.is_none_or(|not_before| not_before <= now)
    }

    /// Whether it has ended.
    pub fn has_ended(self, now: Millis) -> bool {
        self.not_after.is_some_and(|not_after| not_after <= now)
    }
}

/// What the operator chose for doubts and failures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// What becomes of rows that may have been sent.
    pub on_unconfirmed: OnUnconfirmed,
    /// How long a doubt waits for a callback before that, in seconds.
    pub unconfirmed_timeout_seconds: u32,
    /// Whether messages that were accepted and then not delivered, but may be later, are tried again.
    pub retry_undelivered: bool,
    /// The campaign stops when more than this share of the latest rows failed; 1 for never.
    pub max_failure_ratio: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            on_unconfirmed: OnUnconfirmed::Leave,
            unconfirmed_timeout_seconds: 900,
            retry_undelivered: false,
            max_failure_ratio: 0.2,
        }
    }
}

/// What becomes of a row that may have been sent, once its grace time is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnconfirmed {
    /// It stays in doubt, for everybody to see.
    #[default]
    Leave,
    /// It is sent again: the person may get it twice.
    Resend,
}

/// Rows that are sent before the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// How many, evenly over the file.
    pub rows: u32,
    /// What the others wait for.
    pub after: AfterCanary,
    /// Whether the others may follow.
    #[serde(default)]
    pub released: bool,
    /// How many are in the queue; known once all of them are.
    #[serde(default)]
    pub enqueued: u64,
}

impl Canary {
    /// Whether the usable row at `index` (from 0) of `usable` ones is one of them.
    pub fn includes(self, index: u64, usable: u64) -> bool {
        let rows = u64::from(self.rows);
        rows >= usable || (index + 1) * rows / usable > index * rows / usable
    }
}

/// What the rest of a campaign waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterCanary {
    /// `POST /v1/campaigns/{id}/continue`.
    #[default]
    Wait,
    /// A clean result.
    ContinueIfClean,
}

/// A rest that the API asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    /// Its end.
    pub until: Millis,
    /// Why, as a sentence.
    pub reason: String,
}

/// What a template needs beyond the message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateFacts {
    /// `MARKETING`, `UTILITY` or `AUTHENTICATION`.
    pub category: String,
    /// Characters of its body that do not depend on parameters.
    pub body_chars: usize,
    /// Those of its header.
    pub header_chars: usize,
}

/// How a file is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOptions {
    /// The phone column, where it has none of the usual names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_column: Option<String>,
    /// Region (ISO 3166-1 alpha-2) of numbers written without a country code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_region: Option<String>,
    /// The delimiter, where detection is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// The encoding, where detection is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// What is done about white space that WhatsApp refuses.
    #[serde(default)]
    pub on_bad_value: OnBadValue,
}

/// The file an upload was signed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Its name on the operator's machine.
    pub name: String,
    /// Its exact size in bytes.
    pub size: u64,
}

/// Where a campaign stands. `finished` is not stored: it follows from the counters ([`crate::lifecycle::progress`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    /// Created; the file is not there yet.
    AwaitingUpload,
    /// The file is being read to its end; nothing is sent.
    Validating,
    /// The file was read; it is sent when somebody starts it.
    Ready,
    /// The file was read; it is sent when its time has come.
    Scheduled,
    /// The file's rows are being put into the queue; the first may be under way.
    Enqueuing,
    /// The canary rows are in the queue; the others wait.
    Canary,
    /// The whole file is in the queue.
    Sending,
    /// Stopped; no new call starts.
    Paused,
    /// Given up by the operator.
    Cancelled,
    /// The file could not be used.
    Failed,
}

impl CampaignState {
    /// The name in the table.
    pub fn name(self) -> &'static str {
        match self {
            CampaignState::AwaitingUpload => "awaiting_upload",
            CampaignState::Validating => "validating",
            CampaignState::Ready => "ready",
            CampaignState::Scheduled => "scheduled",
            CampaignState::Enqueuing => "enqueuing",
            CampaignState::Canary => "canary",
            CampaignState::Sending => "sending",
            CampaignState::Paused => "paused",
            CampaignState::Cancelled => "cancelled",
            CampaignState::Failed => "failed",
        }
    }

    /// Whether calls may start.
    pub fn may_send(self) -> bool {
        match self {
            CampaignState::Enqueuing | CampaignState::Canary | CampaignState::Sending => true,
            CampaignState::AwaitingUpload
            | CampaignState::Validating
            | CampaignState::Ready
            | CampaignState::Scheduled
            | CampaignState::Paused
            | CampaignState::Cancelled
            | CampaignState::Failed => false,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A campaign whose file, of a hundred rows, ninety of them usable, is in the queue.
    pub(crate) fn sample(state: CampaignState) -> Campaign {
        let file = FileInfo {
            name: "a.csv".into(),
            size: 1,
        };
        let message = Message::new(serde_json::json!({})).expect("message");
        let id = "c1".parse().expect("id");
        let mut campaign = Campaign::new(id, "Test".into(), message, file, 0);
        campaign.state = state;
        campaign.files[0].stage = FileStage::Enqueued;
        campaign.files[0].counts = ImportCounts {
            rows: 100,
            rejected: 5,
            duplicates: 3,
            suppressed: 2,
            enqueued: 90,
        };
        campaign
    }

    proptest! {
        #[test]
        fn canary_has_requested_size_and_even_spread(rows in 1u32..300, usable in 1u64..3000) {
            let canary = Canary { rows, after: AfterCanary::Wait, released: false, enqueued: 0 };
            let picked: Vec<u64> = (0..usable).filter(|&index| canary.includes(index, usable)).collect();
            prop_assert_eq!(picked.len() as u64, u64::from(rows).min(usable));
            let widest = picked.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
            prop_assert!(widest <= usable.div_ceil(u64::from(rows)) + 1);
        }
    }
}
