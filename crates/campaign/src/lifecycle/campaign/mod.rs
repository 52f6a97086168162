//! The campaign itself, as the campaigns table and the API have it.
//!
//! - [`Campaign`]: its fields, and what follows from them
//! - `file`: its files, how they are read and how far each one is
//! - `state`: its states
//! - `policy`: what the operator chose for unconfirmed sends, for failures and outside the service window
//! - `schedule`: when it may send
//! - `canary`: the rows that are sent before the others

mod canary;
mod file;
mod policy;
mod schedule;
mod state;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::canary::{AfterCanary, Canary};
pub use self::file::{CampaignFile, FileInfo, FileStage, ImportOptions};
pub use self::policy::{OnUnconfirmed, OutsideServiceWindow, Policy};
pub use self::schedule::{Cooldown, Schedule, Sendability};
pub use self::state::CampaignState;
use crate::id::CampaignId;
use crate::import::row::ImportCounts;
use crate::message::Message;
use crate::time::Millis;

/// An invocation that reads a campaign's files renews its lease every few seconds. A lease that was not renewed for this
/// long has expired: the invocation died.
pub const IMPORT_LEASE_MS: Millis = 60_000;

/// A campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// Its name, for operators.
    pub name: String,
    /// The message that is sent.
    pub message: Message,
    /// A template that recipients outside the 24-hour service window get in its place, where the message is free-form.
    #[serde(default)]
    pub fallback: Option<Message>,
    /// What happens to recipients outside that window, where there is no fallback.
    #[serde(default)]
    pub outside_service_window: OutsideServiceWindow,
    /// How its files are read.
    #[serde(default)]
    pub options: ImportOptions,
    /// Its files, in the order in which their uploads were signed. Only the last one may be unread.
    pub files: Vec<CampaignFile>,
    /// A file of recipients who are not messaged, where there is one.
    #[serde(default)]
    pub exclude: Option<FileInfo>,
    /// Whether it waits for the operator to check the preview and start it.
    #[serde(default)]
    pub manual_start: bool,
    /// When it may be sent.
    #[serde(default)]
    pub schedule: Schedule,
    /// What the operator chose for unconfirmed sends and for failures.
    #[serde(default)]
    pub policy: Policy,
    /// The rows that are sent first, and whether the others may follow.
    #[serde(default)]
    pub canary: Option<Canary>,
    /// A pause in sending that the API asked for.
    #[serde(default)]
    pub cooldown: Option<Cooldown>,
    /// When the invocation that reads its files last renewed its lease.
    #[serde(default)]
    pub lease_renewed_at: Option<Millis>,
    /// How often that lease was acquired. What an invocation writes after it has lost the lease is refused.
    #[serde(default)]
    pub lease_epoch: u64,
    /// When its rows were last put into the queue.
    #[serde(default)]
    pub enqueued_at: Option<Millis>,
    /// When the reconciler last read its ledger to the end.
    #[serde(default)]
    pub reconciled_at: Option<Millis>,
    /// Facts about the account's template, where the message is one and it was looked up.
    #[serde(default)]
    pub template: Option<TemplateFacts>,
    /// Its state.
    pub state: CampaignState,
    /// Why it is `failed` or `paused`, as a sentence with what to do.
    #[serde(default)]
    pub reason: Option<String>,
    /// An error of the account has paused it, and the other campaigns are being paused. It stays if the process that does
    /// that dies, and the reconciler goes on.
    #[serde(default)]
    pub is_pausing_others: bool,
    /// When it was created.
    pub created_at: Millis,
    /// Whether any row was accepted.
    #[serde(default)]
    pub has_acceptance: bool,
    /// Present while the campaign is open, that is, while the reconciler visits it; only `cloud::campaigns` writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile_key: Option<String>,
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
            lease_epoch: 0,
            enqueued_at: None,
            reconciled_at: None,
            template: None,
            state: CampaignState::AwaitingUpload,
            reason: None,
            is_pausing_others: false,
            created_at: now,
            has_acceptance: false,
            reconcile_key: None,
        }
    }

    /// A campaign of one row without a file, which sends at once: a test send or a reply.
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

    /// The message and its fallback with the same columns, so that the values of a row fit both.
    pub fn messages(&self) -> (Message, Option<Message>) {
        let fallback = self.fallback.as_ref();
        let fallback = fallback.map(|fallback| self.with_every_column(fallback));
        (self.with_every_column(&self.message), fallback)
    }

    fn with_every_column(&self, message: &Message) -> Message {
        let message = message.clone().merge_columns(&self.message);
        match &self.fallback {
            Some(fallback) => message.merge_columns(fallback),
            None => message,
        }
    }

    /// The message of this choice, as the operator wrote it.
    pub fn chosen_message(&self, choice: MessageChoice) -> &Message {
        match (choice, &self.fallback) {
            (MessageChoice::Fallback, Some(fallback)) => fallback,
            (MessageChoice::Fallback, None)
            | (MessageChoice::Message | MessageChoice::Nothing, _) => &self.message,
        }
    }

    /// The message of this choice for one row. `values` are in the order of the columns of [`Campaign::messages`].
    pub fn fill_message(&self, choice: MessageChoice, values: &[String]) -> Value {
        self.with_every_column(self.chosen_message(choice))
            .fill(values)
    }

    /// What a recipient inside or outside the service window is sent.
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

    /// Whether its files will not be read again to be sent. Resuming a paused campaign reads them again.
    pub fn is_over(&self) -> bool {
        match self.state {
            CampaignState::Cancelled | CampaignState::Failed | CampaignState::Sending => {
                self.reconcile_key.is_none()
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

    /// Whether an invocation reads its files: one that has the lease and renewed it lately.
    pub fn is_importing(&self, now: Millis) -> bool {
        self.lease_renewed_at
            .is_some_and(|renewed| now.saturating_sub(renewed) < IMPORT_LEASE_MS)
    }

    /// The import counts of all files together.
    pub fn import_counts(&self) -> ImportCounts {
        self.files
            .iter()
            .map(|file| file.counts)
            .fold(ImportCounts::default(), |sum, counts| sum + counts)
    }

    /// Whether the rows of every uploaded file are in the queue.
    pub fn is_enqueued(&self) -> bool {
        self.files
            .iter()
            .all(|file| file.stage != FileStage::Validated)
            && self
                .files
                .iter()
                .any(|file| file.stage == FileStage::Enqueued)
    }

    /// The number of rows in the files before the one at `index`: its own row numbers begin after it.
    pub fn rows_before(&self, index: usize) -> u64 {
        self.files
            .iter()
            .take(index)
            .map(|file| file.counts.rows)
            .sum()
    }

    /// Whether sends may start now.
    pub fn sendability(&self, now: Millis) -> Sendability {
        if !self.state.may_send() {
            return Sendability::Stopped;
        }
        if self.schedule.has_ended(now) {
            return Sendability::Expired;
        }
        let cooldown_end = self.cooldown.as_ref().map(|cooldown| cooldown.until);
        match cooldown_end.max(self.schedule.not_before) {
            Some(until) if until > now => Sendability::NotBefore(until),
            Some(_) | None => Sendability::Now,
        }
    }

    /// The canary, if the file at `index` has its rows: the first file that can be used.
    pub fn canary_for_file(&self, index: usize) -> Option<Canary> {
        let is_first_usable = self
            .files
            .iter()
            .take(index)
            .all(|file| file.stage == FileStage::Failed);
        self.canary.filter(|_| is_first_usable)
    }

    /// The state in which it goes on once its rows may be sent or settled: a file that nobody has read is read first.
    pub fn state_to_go_on(&self) -> CampaignState {
        let is_read = |stage| matches!(stage, FileStage::Validated | FileStage::Enqueued);
        match self.files.iter().any(|file| is_read(file.stage)) {
            true => CampaignState::Enqueuing,
            false => CampaignState::Validating,
        }
    }

    /// The index of the file that is to be uploaded or read next.
    pub fn next_file_index(&self) -> Option<usize> {
        self.files
            .iter()
            .position(|file| matches!(file.stage, FileStage::Pending | FileStage::Validated))
    }
}

/// What a recipient is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageChoice {
    /// The message.
    Message,
    /// Its fallback.
    Fallback,
    /// Nothing.
    Nothing,
}

/// Facts about a template that the message does not contain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateFacts {
    /// `MARKETING`, `UTILITY` or `AUTHENTICATION`.
    pub category: String,
    /// Characters of its body without the parameters.
    pub body_chars: usize,
    /// Characters of its header without the parameters.
    pub header_chars: usize,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A campaign with one file of 100 rows; its 90 usable rows are in the queue.
    pub(crate) fn sample(state: CampaignState) -> Campaign {
        let info = FileInfo {
            name: "a.csv".into(),
            size: 1,
        };
        let message = Message::new(serde_json::json!({})).expect("message");
        let id = "c1".parse().expect("id");
        let mut campaign = Campaign::new(id, "Test".into(), message, info, 0);
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
}
