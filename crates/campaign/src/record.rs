//! The campaign itself, as the campaigns table and the API have it.

use serde::{Deserialize, Serialize};

use crate::id::CampaignId;
use crate::import::ImportCounts;
use crate::message::Message;
use crate::outcome::Millis;

/// A campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// What people call it.
    pub name: String,
    /// What is sent.
    pub message: Message,
    /// How the file is read.
    #[serde(default)]
    pub options: Options,
    /// The announced file.
    pub file: FileInfo,
    /// Where it stands.
    pub state: CampaignState,
    /// Why it is `failed` or `paused`, as a sentence with what to do.
    #[serde(default)]
    pub reason: Option<String>,
    /// When it was created.
    pub created_at: Millis,
    /// What became of the file's rows; grows while it is split.
    #[serde(default)]
    pub counts: ImportCounts,
    /// Whether the whole file was read.
    #[serde(default)]
    pub split_done: bool,
    /// Whether any row was accepted.
    #[serde(default)]
    pub proven: bool,
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
            options: Options::default(),
            file,
            state: CampaignState::AwaitingUpload,
            reason: None,
            created_at: now,
            counts: ImportCounts::default(),
            split_done: false,
            proven: false,
        }
    }
}

/// How a file is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The phone column, where it has none of the usual names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_column: Option<String>,
    /// Region (ISO 3166-1 alpha-2) of numbers written without a country code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_region: Option<String>,
}

/// The file an upload was signed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Its name on the operator's machine.
    pub name: String,
    /// Its exact size in bytes.
    pub size: u64,
}

/// Where a campaign stands. `finished` is not stored: it follows from the counters ([`crate::progress`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    /// Created; the file is not there yet.
    AwaitingUpload,
    /// The file is being read; the first rows may be under way.
    Splitting,
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
            CampaignState::Splitting => "splitting",
            CampaignState::Sending => "sending",
            CampaignState::Paused => "paused",
            CampaignState::Cancelled => "cancelled",
            CampaignState::Failed => "failed",
        }
    }

    /// Whether calls may start.
    pub fn may_send(self) -> bool {
        match self {
            CampaignState::Splitting | CampaignState::Sending => true,
            CampaignState::AwaitingUpload
            | CampaignState::Paused
            | CampaignState::Cancelled
            | CampaignState::Failed => false,
        }
    }
}
