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
    let is_cancelled = campaign.state(now) == CampaignState::Cancelled;
    let file = campaign.files.get_mut(index).ok_or(Conflict::Superseded)?;
    if file.revision != revision {
        return Err(Conflict::Superseded);
    }
    match (change, file.stage) {
        (FileChange::Reading, _) if is_cancelled => {
            return Err("the campaign was cancelled".into());
        }
        (FileChange::Reading, FileStage::Reading) => return Ok(()),
        (FileChange::Reading, FileStage::Pending) => file.stage = FileStage::Reading,
        (
            FileChange::Validated {
                counts,
                version,
                content_hash,
            },
            FileStage::Reading,
        ) => {
            file.stage = FileStage::Validated;
            file.version.clone_from(version);
            file.content_hash = Some(content_hash.clone());
            (file.counts, file.usable, file.problem) = (*counts, counts.enqueued, None);
        }
        (FileChange::CanaryEnqueued { counts, rows }, FileStage::Validated) => {
            file.counts = *counts;
            campaign.enqueued_at = Some(now);
            if let Some(canary) = &mut campaign.canary {
                canary.enqueued = Some(*rows);
            }
        }
        (FileChange::Enqueued { counts }, FileStage::Validated) => {
            (file.stage, file.counts) = (FileStage::Enqueued, *counts);
            campaign.enqueued_at = Some(now);
        }
        (FileChange::Failed { problem }, FileStage::Reading) => fail(file, problem),
        (FileChange::Refused { problem }, FileStage::Validated) => {
            fail(file, problem);
            // What replaces it is sent when the operator starts it.
            if !campaign.has_file_in(FileStage::Enqueued) {
                campaign.started_at = None;
            }
        }
        (FileChange::Lost { problem }, FileStage::Validated | FileStage::Enqueued) => {
            file.stage = FileStage::Enqueued;
            (file.problem, file.is_lost) = (Some(problem.clone()), true);
        }
        (FileChange::Rewritten { version }, _) => {
            file.version.clone_from(version);
            file.options.encoding = None;
            file.revision += 1;
            // No row is sent because of it, so a closed campaign stays closed.
            return Ok(());
        }
        _ => return Err(Conflict::Superseded),
    }
    campaign.files[index].revision += 1;
    campaign.closed_at = None;
    Ok(())
}

/// Nothing of the file is sent, so nothing of it counts.
fn fail(file: &mut CampaignFile, problem: &str) {
    file.stage = FileStage::Failed;
    file.problem = Some(problem.to_owned());
    (file.counts, file.usable) = (ImportCounts::default(), 0);
}
