//! The campaign itself, as the campaigns table and the API have it.

use serde::{Deserialize, Serialize};

use crate::id::CampaignId;
use crate::import::ImportCounts;
use crate::message::Message;
use crate::outcome::Millis;
use crate::value::OnBadValue;

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
    /// Its files, in the order they were announced; all but the last are read.
    pub files: Vec<CampaignFile>,
    /// The list of people to leave out, where one was announced.
    #[serde(default)]
    pub exclude: Option<FileInfo>,
    /// Whether it waits for somebody to look at the preview and start it.
    #[serde(default)]
    pub hold: bool,
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
            files: vec![CampaignFile::announced(file)],
            exclude: None,
            hold: false,
            template: None,
            state: CampaignState::AwaitingUpload,
            reason: None,
            created_at: now,
            proven: false,
        }
    }

    /// What became of the rows of every file.
    pub fn counts(&self) -> ImportCounts {
        self.files
            .iter()
            .map(|file| file.counts)
            .fold(ImportCounts::default(), |sum, counts| sum + counts)
    }

    /// Whether every file that was uploaded is in the queue.
    pub fn split_done(&self) -> bool {
        self.files
            .iter()
            .all(|file| file.stage != FileStage::Examined)
            && self.files.iter().any(|file| file.stage == FileStage::Split)
    }

    /// Rows of the files before the one at `index`: where its own numbers begin.
    pub fn rows_before(&self, index: usize) -> u64 {
        self.files
            .iter()
            .take(index)
            .map(|file| file.counts.rows)
            .sum()
    }

    /// The file that is to be uploaded or read next.
    pub fn open_file(&self) -> Option<usize> {
        self.files
            .iter()
            .position(|file| matches!(file.stage, FileStage::Announced | FileStage::Examined))
    }
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
    /// Why none of it can be used.
    #[serde(default)]
    pub problem: Option<String>,
}

impl CampaignFile {
    /// A file that is to be uploaded.
    pub fn announced(info: FileInfo) -> Self {
        Self {
            info,
            stage: FileStage::Announced,
            version: None,
            counts: ImportCounts::default(),
            problem: None,
        }
    }
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileStage {
    /// An upload was signed for it.
    Announced,
    /// It was read to its end, and nothing of it was sent.
    Examined,
    /// All of it is in the queue.
    Split,
    /// It could not be used.
    Failed,
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
pub struct Options {
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

/// Where a campaign stands. `finished` is not stored: it follows from the counters ([`crate::progress`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    /// Created; the file is not there yet.
    AwaitingUpload,
    /// The file is being read to its end; nothing is sent.
    Examining,
    /// The file was read; it is sent when somebody starts it.
    Ready,
    /// The file's rows are being put into the queue; the first may be under way.
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
            CampaignState::Examining => "examining",
            CampaignState::Ready => "ready",
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
            | CampaignState::Examining
            | CampaignState::Ready
            | CampaignState::Paused
            | CampaignState::Cancelled
            | CampaignState::Failed => false,
        }
    }
}
