//! A campaign's files: how they are read, and how far each one is.

use serde::{Deserialize, Serialize};

use crate::import::row::ImportCounts;
use crate::import::value::OnBadValue;
use crate::time::Millis;

/// One of a campaign's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignFile {
    /// Name and size, as the upload was signed for.
    #[serde(flatten)]
    pub info: FileInfo,
    /// When its upload was signed.
    #[serde(default)]
    pub added_at: Millis,
    /// How it is read. Whatever changes them has it read again from the start.
    #[serde(default)]
    pub options: ImportOptions,
    /// How far it is.
    pub stage: FileStage,
    /// What happened to its rows. Exact once it is validated, except for recipients suppressed during enqueuing.
    #[serde(default)]
    pub counts: ImportCounts,
    /// Rows that could be sent when it was validated; canary rows are chosen among them.
    #[serde(default)]
    pub usable: u64,
    /// A hash of what it would send, once it is validated; none where it would send nothing.
    #[serde(default)]
    pub content_hash: Option<String>,
    /// What the import has stored of its rows, once it is validated: the epoch of the lease under which it did.
    #[serde(default)]
    pub chunk_set: Option<u64>,
    /// Why the whole file cannot be used.
    #[serde(default)]
    pub problem: Option<String>,
    /// Whether it can be read no more, although not all of its rows are settled: those that were never sent stay `waiting`.
    #[serde(default)]
    pub is_lost: bool,
    /// How often this was changed. What an import has found of the file is stored only if nothing has changed it meanwhile.
    #[serde(default)]
    pub revision: u64,
}

impl CampaignFile {
    /// A file whose upload is signed at `now`.
    pub fn pending(info: FileInfo, options: ImportOptions, now: Millis) -> Self {
        Self {
            info,
            added_at: now,
            options,
            stage: FileStage::Pending,
            counts: ImportCounts::default(),
            usable: 0,
            content_hash: None,
            chunk_set: None,
            problem: None,
            is_lost: false,
            revision: 0,
        }
    }
}

/// The file that an upload was signed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Its name on the operator's machine.
    pub name: String,
    /// Its exact size in bytes.
    pub size: u64,
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileStage {
    /// An upload was signed for it.
    Pending,
    /// It is uploaded and being read.
    Reading,
    /// It was read to its end; not all of its rows are in the queue yet.
    Validated,
    /// Each of its rows is in the queue or settled.
    Enqueued,
    /// It cannot be used, or was sent already by another campaign.
    Failed,
}

/// How a file is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOptions {
    /// The phone columns, if the choice by content is wrong: a row's number is in the first of them that is not empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phone_columns: Vec<String>,
    /// Whether the first line names the columns, where the lines do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Region (ISO 3166-1 alpha-2) of numbers written without a country code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_region: Option<String>,
    /// The delimiter, where detection is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// The encoding, where detection is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// What happens to values with white space that WhatsApp refuses.
    #[serde(default)]
    pub on_bad_value: OnBadValue,
}
