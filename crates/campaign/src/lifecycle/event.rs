//! What may happen to a campaign, and what follows from it.

use std::borrow::Cow;

use crate::import::row::ImportCounts;
use crate::lifecycle::campaign::CampaignEdit;
use crate::lifecycle::campaign::{Campaign, FileInfo, ImportOptions, PausedBy};
use crate::lifecycle::retry::RetryLink;
use crate::time::Millis;

/// A command of the operator, or something that happened to the campaign.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A command, and the name of whoever gave it.
    By {
        /// The name of their token.
        who: String,
        /// What they did.
        event: Box<Event>,
    },
    /// The operator starts a campaign that was created with `manual_start`.
    Start,
    /// No new send starts until the campaign is resumed.
    Pause {
        /// Why, as a sentence with what to do.
        reason: String,
        /// Who or what caused it.
        by: PausedBy,
        /// When the cause arose, if that is known: what the operator has resumed since is not paused.
        caused_at: Option<Millis>,
    },
    /// The campaign goes on after a pause.
    Resume,
    /// The rows that were not sent yet are never sent.
    Cancel,
    /// The other rows follow the canary rows.
    Continue,
    /// A further file is announced, or another one in place of one that was never uploaded.
    AddFile(FileInfo),
    /// The last file is read again in another way.
    SetOptions(ImportOptions),
    /// What it sends, or the rules by which, before its start.
    Edit(Box<CampaignEdit>),
    /// Something about the approval of a second person.
    Approval(ApprovalEvent),
    /// An import got further with a file.
    File {
        /// The file's index.
        index: usize,
        /// The file's `revision` when the import read the campaign.
        revision: u64,
        /// What happened.
        change: FileChange,
    },
    /// Every other campaign that sends was paused because of the same error of the account.
    OthersPaused,
    /// Chosen rows of it are sent again, as a campaign of their own.
    Retry {
        /// That campaign and the rows.
        link: RetryLink,
        /// Whether rows may be chosen that were chosen before.
        allow_repeat: bool,
    },
    /// A row that was settled is to be sent again.
    Reopen,
    /// No row is left to send.
    Close,
}

/// What may happen to the approval of a campaign.
#[derive(Clone, Debug, PartialEq)]
pub enum ApprovalEvent {
    /// A campaign that waits for its start needs one from now on.
    Require,
    /// Somebody asks for it.
    Request {
        /// Their name.
        by: String,
        /// What they want the other person to know.
        note: Option<String>,
    },
    /// Somebody gives it.
    Give {
        /// Their name.
        by: String,
        /// The hash of what they saw ([`crate::lifecycle::approval::approval_hash`]).
        hash: String,
    },
    /// The request and the approval are taken back.
    Withdraw,
}

/// How an import got further with a file.
#[derive(Clone, Debug, PartialEq)]
pub enum FileChange {
    /// It is uploaded, and the first pass begins.
    Reading,
    /// The first pass read it to its end.
    Validated {
        /// What the pass found.
        counts: ImportCounts,
        /// A hash of what the file would send.
        content_hash: String,
        /// The epoch of the lease under which its rows were stored.
        chunk_set: u64,
    },
    /// It is not sent after all, for this reason; none of its rows is in the queue.
    Refused {
        /// A sentence.
        problem: String,
    },
    /// The second pass put the canary rows into the queue.
    CanaryEnqueued {
        /// What is known of the file's rows now.
        counts: ImportCounts,
        /// How many canary rows are in the queue.
        rows: u64,
    },
    /// Every row of it is in the queue or settled.
    Enqueued {
        /// What happened to its rows.
        counts: ImportCounts,
    },
    /// It cannot be used, for this reason.
    Failed {
        /// A sentence.
        problem: String,
    },
    /// It was to be settled, since the campaign is cancelled or its time is over, and can be read no more.
    Lost {
        /// Why, as a sentence.
        problem: String,
    },
}

/// What follows from an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Effects {
    /// The campaign afterwards; as before, where nothing changes.
    pub campaign: Campaign,
    /// Work for the splitter, also where nothing changes: the job of the first time may have been lost.
    pub job: Option<Job>,
}

/// Work for the splitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// It imports the next file.
    Import,
    /// It puts every unsettled row into the queue again, or settles it.
    Requeue,
}

/// Why an event has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A command is not allowed in this state: a clause with what the operator can do instead.
    #[error("{0}")]
    NotAllowed(Cow<'static, str>),
    /// What an import found is out of date: the file has other options now, or was replaced.
    #[error("the file has changed since it was read")]
    Superseded,
    /// There is no such campaign, or no more.
    #[error("there is no such campaign")]
    Gone,
    /// Something of it may still be sent.
    #[error("something of the campaign may still be sent")]
    StillOpen,
}

impl From<&'static str> for Conflict {
    fn from(clause: &'static str) -> Self {
        Conflict::NotAllowed(clause.into())
    }
}
