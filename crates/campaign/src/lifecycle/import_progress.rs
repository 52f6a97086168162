//! What an import reports about a file, and what that does to the campaign.

use crate::import::row::ImportCounts;
use crate::lifecycle::campaign::{Campaign, CampaignFile, CampaignState, FileStage};
use crate::lifecycle::event::{Conflict, FileChange};
use crate::time::Millis;

/// Stores how an import got further with the file at `index`, unless that file has changed since the import read the
/// campaign.
pub(super) fn change_file(
    campaign: &mut Campaign,
    index: usize,
    revision: u64,
    change: &FileChange,
    now: Millis,
) -> Result<(), Conflict> {
    if campaign.files.get(index).map(|file| file.revision) != Some(revision) {
        return Err(Conflict::Superseded);
    }
    let is_cancelled = campaign.state(now) == CampaignState::Cancelled;
    if is_cancelled && *change == FileChange::Reading {
        return Err("the campaign was cancelled".into());
    }
    let file = &mut campaign.files[index];
    if *change == FileChange::Reading && file.stage == FileStage::Reading {
        return Ok(());
    }
    advance(file, change)?;
    file.revision += 1;
    follow(campaign, change, now);
    Ok(())
}

/// What happens to the file itself.
fn advance(file: &mut CampaignFile, change: &FileChange) -> Result<(), Conflict> {
    match (change, file.stage) {
        (FileChange::Reading, FileStage::Pending) => file.stage = FileStage::Reading,
        (
            FileChange::Validated {
                counts,
                content_hash,
                chunk_set,
            },
            FileStage::Reading,
        ) => {
            file.stage = FileStage::Validated;
            file.chunk_set = Some(*chunk_set);
            // A file without recipients is no repetition of another.
            file.content_hash = Some(content_hash.clone()).filter(|_| counts.enqueued > 0);
            (file.counts, file.usable, file.problem) = (*counts, counts.enqueued, None);
        }
        (FileChange::CanaryEnqueued { counts, .. }, FileStage::Validated) => file.counts = *counts,
        (FileChange::Enqueued { counts }, FileStage::Validated) => {
            (file.stage, file.counts) = (FileStage::Enqueued, *counts);
        }
        (FileChange::Failed { problem }, FileStage::Reading)
        | (FileChange::Refused { problem }, FileStage::Validated) => fail(file, problem),
        (FileChange::Lost { problem }, FileStage::Validated | FileStage::Enqueued) => {
            file.stage = FileStage::Enqueued;
            (file.problem, file.is_lost) = (Some(problem.clone()), true);
        }
        _ => return Err(Conflict::Superseded),
    }
    Ok(())
}

/// What follows for the campaign.
fn follow(campaign: &mut Campaign, change: &FileChange, now: Millis) {
    match change {
        FileChange::CanaryEnqueued { rows, .. } => {
            campaign.enqueued_at = Some(now);
            if let Some(canary) = &mut campaign.canary {
                canary.enqueued = Some(*rows);
            }
        }
        FileChange::Enqueued { .. } => campaign.enqueued_at = Some(now),
        // What replaces it is sent when the operator starts it.
        FileChange::Refused { .. } if !campaign.has_file_in(FileStage::Enqueued) => {
            campaign.started_at = None;
        }
        FileChange::Validated { .. } => campaign.stored_columns = campaign.columns(),
        FileChange::Reading
        | FileChange::Refused { .. }
        | FileChange::Failed { .. }
        | FileChange::Lost { .. } => {}
    }
    campaign.closed_at = None;
}

/// Nothing of the file is sent, so nothing of it counts.
fn fail(file: &mut CampaignFile, problem: &str) {
    file.stage = FileStage::Failed;
    file.problem = Some(problem.to_owned());
    (file.counts, file.usable) = (ImportCounts::default(), 0);
}
