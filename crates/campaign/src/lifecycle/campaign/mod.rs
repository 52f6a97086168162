//! The campaign itself, as the campaigns table and the API have it.
//!
//! - [`Campaign`]: its fields, and what follows from them
//! - `file`: its files, how they are read and how far each one is
//! - `messages`: what each recipient is sent: its message, the fallback or nothing
//! - `state`: its states, and how they follow from what was decided and what has happened
//! - `pause`: who or what paused it
//! - `policy`: what the operator chose for unconfirmed sends, for failures and outside the service window
//! - `schedule`: when it may send
//! - `canary`: the rows that are sent before the others
//! - `edit`: what can be changed before the start
//! - `approval`: who asked for the approval of a second person, and who gave it

mod approval;
mod canary;
mod edit;
mod file;
mod messages;
mod pause;
mod policy;
mod schedule;
mod state;

use serde::{Deserialize, Serialize};

pub use self::approval::{Approval, ApprovalRequest, GivenApproval};
pub use self::canary::{AfterCanary, Canary};
pub use self::edit::CampaignEdit;
pub use self::file::{CampaignFile, FileInfo, FileStage, ImportOptions};
pub use self::messages::MessageChoice;
pub use self::pause::{Pause, PausedBy};
pub use self::policy::{OnUnconfirmed, OutsideServiceWindow, Policy};
pub use self::schedule::{Cooldown, Schedule, Sendability, sendable_for};
pub use self::state::CampaignState;
use crate::delivery::batch::{Batch, Row};
use crate::delivery::number_choice::CampaignNumber;
use crate::id::{CampaignId, RowNumber};
use crate::import::row::ImportCounts;
use crate::lifecycle::retry::RetryLink;
use crate::message::Message;
use crate::time::Millis;

/// An invocation that reads a campaign's files renews its lease every few seconds. A lease that was not renewed for this
/// long has expired: the invocation died.
pub const IMPORT_LEASE_MS: Millis = 60_000;

/// How many changes are remembered: more than can overtake a request while the SDK repeats it.
const REMEMBERED_CHANGES: usize = 8;

/// Without another `sendable_until`, a campaign sends for 90 days. The API sets one by [`sendable_for`].
const DEFAULT_LIFETIME_MS: Millis = 90 * 24 * 3_600_000;

/// A reply or a test is sent for this long at most: the time of a service window.
const SINGLE_ROW_LIFETIME_MS: Millis = 24 * 3_600_000;

/// A campaign: what the operator decided and what has happened, each stored once. Its state follows from that
/// ([`Campaign::state`]). Only [`crate::lifecycle::apply()`] changes it. Written beside it, without a version: `has_acceptance`,
/// `cooldown`, `enqueued_at` (which `apply` writes, too), `requeue_began_at`, `window_opens_at`, `reconciled_at` and the lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// How often `apply` changed it. A change is stored only on the version on which it was decided.
    #[serde(default)]
    pub version: u64,
    /// The ids of the latest changes: one whose response was lost is recognised by it.
    #[serde(default)]
    pub recent_changes: Vec<String>,
    /// Its name, for operators.
    pub name: String,
    /// The message that is sent.
    pub message: Message,
    /// A template that recipients outside the 24-hour service window get in its place, where the message is free-form.
    #[serde(default)]
    pub fallback: Option<Message>,
    /// The columns of message and fallback in the order of a row's values, fixed once a file is validated: rows in chunks and
    /// queues keep that order, whatever code reads them.
    #[serde(default)]
    pub stored_columns: Vec<String>,
    /// What happens to recipients outside that window, where there is no fallback.
    #[serde(default)]
    pub outside_service_window: OutsideServiceWindow,
    /// Its files, in the order in which their uploads were signed. Only the last one may be unread.
    pub files: Vec<CampaignFile>,
    /// Its only row, where it has no file: until that row is settled.
    #[serde(default)]
    pub single_row: Option<Row>,
    /// A hash of the request that made a single message, by which the request is recognised when it is repeated.
    #[serde(default)]
    pub request_hash: Option<String>,
    /// The campaign of which it sends chosen rows again. Its file is then written by the import.
    #[serde(default)]
    pub retry_of: Option<RetryLink>,
    /// The campaigns that send chosen rows of this one again.
    #[serde(default)]
    pub retries: Vec<RetryLink>,
    /// Whether a file may be sent that another campaign sent with the same message within 24 hours.
    #[serde(default)]
    pub allow_repeat: bool,
    /// A file of recipients who are not messaged, where there is one.
    #[serde(default)]
    pub exclude: Option<FileInfo>,
    /// Whether it waits for the operator to check the preview and start it.
    #[serde(default)]
    pub manual_start: bool,
    /// When the operator started it.
    #[serde(default)]
    pub started_at: Option<Millis>,
    /// Who or what paused it, and why.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// When the operator cancelled it.
    #[serde(default)]
    pub cancelled_at: Option<Millis>,
    /// When the reconciler closed it: no row is left to send. It is visited until then, and does not expire before.
    #[serde(default)]
    pub closed_at: Option<Millis>,
    /// When a settled row was last to be sent again.
    #[serde(default)]
    pub reopened_at: Option<Millis>,
    /// When the operator last resumed it.
    #[serde(default)]
    pub resumed_at: Option<Millis>,
    /// When it may be sent.
    #[serde(default)]
    pub schedule: Schedule,
    /// No send starts from this time on, whatever the schedule says: later, what is stored of it may expire.
    pub sendable_until: Millis,
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
    /// When the latest requeue of its rows began, and looked which of its numbers are paused.
    #[serde(default)]
    pub requeue_began_at: Option<Millis>,
    /// When the window of its schedule next opens for one of its rows, as far as they were put into the queue or left to
    /// wait: then they are requeued.
    #[serde(default)]
    pub window_opens_at: Option<Millis>,
    /// When the reconciler last read its ledger to the end.
    #[serde(default)]
    pub reconciled_at: Option<Millis>,
    /// The numbers from which it is sent; with none, the installation's first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<CampaignNumber>,
    /// Facts about the account's template, where the message is one and it was looked up.
    #[serde(default)]
    pub template: Option<TemplateFacts>,
    /// When it was created.
    pub created_at: Millis,
    /// Who created it: the name of a token.
    #[serde(default)]
    pub created_by: Option<String>,
    /// Who changed last what it sends.
    #[serde(default)]
    pub changed_by: Option<String>,
    /// Who started it.
    #[serde(default)]
    pub started_by: Option<String>,
    /// The approval of a second person.
    #[serde(default)]
    pub approval: Approval,
    /// Whether any row was accepted.
    #[serde(default)]
    pub has_acceptance: bool,
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
            version: 0,
            recent_changes: Vec::new(),
            name,
            message,
            fallback: None,
            stored_columns: Vec::new(),
            outside_service_window: OutsideServiceWindow::default(),
            files: vec![CampaignFile::pending(file, ImportOptions::default(), now)],
            single_row: None,
            request_hash: None,
            retry_of: None,
            retries: Vec::new(),
            allow_repeat: false,
            exclude: None,
            manual_start: false,
            started_at: None,
            paused: None,
            resumed_at: None,
            cancelled_at: None,
            closed_at: None,
            reopened_at: None,
            schedule: Schedule::default(),
            sendable_until: now.saturating_add(DEFAULT_LIFETIME_MS),
            policy: Policy::default(),
            canary: None,
            cooldown: None,
            lease_renewed_at: None,
            lease_epoch: 0,
            enqueued_at: None,
            requeue_began_at: None,
            window_opens_at: None,
            reconciled_at: None,
            numbers: Vec::new(),
            template: None,
            created_at: now,
            created_by: None,
            changed_by: None,
            started_by: None,
            approval: Approval::default(),
            has_acceptance: false,
        }
    }

    /// A campaign of one row without a file, which sends at once: a test send or a reply. No send of it starts 24 hours
    /// after `now`.
    pub fn single_row(
        id: CampaignId,
        name: String,
        message: Message,
        row: Row,
        now: Millis,
    ) -> Self {
        let info = FileInfo {
            name: "none".into(),
            size: 0,
        };
        let mut campaign = Self::new(id, name, message, info, now);
        campaign.files[0].stage = FileStage::Enqueued;
        campaign.files[0].counts = ImportCounts {
            rows: 1,
            enqueued: 1,
            ..ImportCounts::default()
        };
        campaign.single_row = Some(row);
        campaign.sendable_until = now + SINGLE_ROW_LIFETIME_MS;
        campaign
    }

    /// The queue message of its only row, of a campaign that has no file; without a row once that is settled.
    pub fn single_row_batch(&self) -> Batch {
        Batch {
            campaign: self.id.clone(),
            rows: self.single_row.iter().cloned().collect(),
            hops: 0,
        }
    }

    /// Notes the id of a change that is about to be stored.
    pub fn remember_change(&mut self, id: &str) {
        let surplus = (self.recent_changes.len() + 1).saturating_sub(REMEMBERED_CHANGES);
        self.recent_changes.drain(..surplus);
        self.recent_changes.push(id.to_owned());
    }

    /// The sends per second of its numbers together, where the installation's first has `first`.
    pub fn budget(&self, first: u32) -> u32 {
        match self.numbers.is_empty() {
            true => first,
            false => self.numbers.iter().map(|number| number.budget).sum(),
        }
    }

    /// Whether nothing of it is sent any more, unless a file is added or a row reopened.
    pub fn is_closed(&self) -> bool {
        self.closed_at.is_some()
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
        !self.has_file_in(FileStage::Reading)
            && !self.has_file_in(FileStage::Validated)
            && self.has_file_in(FileStage::Enqueued)
    }

    /// Whether rows of it stay `waiting` for ever, because their file can be read no more.
    pub fn has_lost_file(&self) -> bool {
        self.files.iter().any(|file| file.is_lost)
    }

    /// Whether one of its files is in that stage.
    pub fn has_file_in(&self, stage: FileStage) -> bool {
        self.files.iter().any(|file| file.stage == stage)
    }

    /// The number of its last row; 0 until a file was read.
    pub fn last_row(&self) -> RowNumber {
        RowNumber::try_from(self.import_counts().rows).unwrap_or(RowNumber::MAX)
    }

    /// The number of rows in the files before the one at `index`: its own row numbers begin after it.
    pub fn rows_before(&self, index: usize) -> u64 {
        self.files
            .iter()
            .take(index)
            .map(|file| file.counts.rows)
            .sum()
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

    /// The index of the file that is to be uploaded or read next.
    pub fn next_file_index(&self) -> Option<usize> {
        self.files.iter().position(|file| {
            matches!(
                file.stage,
                FileStage::Pending | FileStage::Reading | FileStage::Validated
            )
        })
    }
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

    /// A campaign in that state with one file of 100 rows, of which 90 are usable.
    pub(crate) fn sample(state: CampaignState) -> Campaign {
        let info = FileInfo {
            name: "a.csv".into(),
            size: 1,
        };
        let message = Message::new(serde_json::json!({})).expect("message");
        let id = "c1".parse().expect("id");
        let mut campaign = Campaign::new(id, "Test".into(), message, info, 0);
        let file = &mut campaign.files[0];
        file.stage = match state {
            CampaignState::AwaitingUpload => FileStage::Pending,
            CampaignState::Validating => FileStage::Reading,
            CampaignState::Ready
            | CampaignState::Scheduled
            | CampaignState::Enqueuing
            | CampaignState::Canary => FileStage::Validated,
            CampaignState::Sending | CampaignState::Paused | CampaignState::Cancelled => {
                FileStage::Enqueued
            }
            CampaignState::Failed => FileStage::Failed,
        };
        if matches!(file.stage, FileStage::Validated | FileStage::Enqueued) {
            file.counts = ImportCounts {
                rows: 100,
                rejected: 5,
                duplicates: 3,
                suppressed: 2,
                enqueued: 90,
            };
        }
        match state {
            CampaignState::Ready => campaign.manual_start = true,
            CampaignState::Scheduled => campaign.schedule.not_before = Some(FAR),
            CampaignState::Canary => campaign.canary = Some(canary(Some(5))),
            CampaignState::Paused => campaign.paused = Some(pause(PausedBy::Operator)),
            CampaignState::Cancelled => campaign.cancelled_at = Some(0),
            CampaignState::Failed => campaign.files[0].problem = Some("It is empty.".into()),
            CampaignState::AwaitingUpload
            | CampaignState::Validating
            | CampaignState::Enqueuing
            | CampaignState::Sending => {}
        }
        campaign
    }

    /// A time after every other in the tests.
    pub(crate) const FAR: Millis = 1_000_000_000_000;

    /// Five canary rows that wait for the operator.
    pub(crate) fn canary(enqueued: Option<u64>) -> Canary {
        Canary {
            rows: 5,
            after: AfterCanary::Wait,
            released: false,
            enqueued,
        }
    }

    /// A pause.
    pub(crate) fn pause(by: PausedBy) -> Pause {
        Pause {
            reason: "Why.".into(),
            by,
            at: 0,
            is_pausing_others: by == PausedBy::AccountError,
        }
    }
}
