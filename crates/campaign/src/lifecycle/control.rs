//! Commands of the operator: start, pause, resume, cancel, continue, further files, other options, retries; and in which
//! states each one is allowed.

use crate::import::row::ImportCounts;
use crate::lifecycle::campaign::{
    Campaign, CampaignFile, CampaignState, FileInfo, FileStage, ImportOptions, Pause, PausedBy,
};
use crate::lifecycle::event::{Conflict, Job};
use crate::lifecycle::retry::RetryLink;
use crate::time::{CLOCK_MARGIN_MS, Millis};

/// An import acts on a campaign that it read up to 15 minutes ago (the longest invocation), by a clock that may be ahead: so
/// long before the campaign's end it may settle rows as expired.
const SETTLEMENT_MARGIN_MS: Millis = 15 * 60_000 + CLOCK_MARGIN_MS;

/// A campaign that enqueues already has its job again, since that of the first start may have been lost.
pub(super) fn start(campaign: &mut Campaign, now: Millis) -> Result<Job, Conflict> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Enqueuing, Failed, Paused, Ready, Scheduled, Sending,
        Validating,
    };
    match campaign.state(now) {
        Ready => {
            campaign.started_at = Some(now);
            Ok(Job::Import)
        }
        Scheduled | Enqueuing | Canary | Sending => Ok(Job::Import),
        AwaitingUpload | Validating => Err(
            "the file has not been read yet; POST /v1/campaigns/{id}/preview shows how far it is"
                .into(),
        ),
        Paused | Cancelled | Failed => {
            let reason = campaign.reason(now).unwrap_or_default().to_owned();
            Err(Conflict::NotAllowed(reason.into()))
        }
    }
}

pub(super) fn pause(campaign: &mut Campaign, reason: &str, now: Millis) -> Result<(), Conflict> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Enqueuing, Failed, Paused, Ready, Scheduled, Sending,
        Validating,
    };
    refuse_if_final(campaign, now)?;
    match campaign.state(now) {
        Paused => Ok(()),
        Validating | Scheduled | Enqueuing | Canary | Sending => {
            campaign.paused = Some(Pause {
                reason: reason.to_owned(),
                by: PausedBy::Operator,
                at: now,
                is_pausing_others: false,
            });
            Ok(())
        }
        AwaitingUpload => {
            Err("its file is not uploaded yet, so nothing is sent; cancel it instead".into())
        }
        Ready => Err("it waits for POST /v1/campaigns/{id}/start, so nothing is sent".into()),
        Cancelled | Failed => Err("it is over".into()),
    }
}

/// What follows is what would have followed without the pause: a campaign that waits for its start still waits for it.
pub(super) fn resume(campaign: &mut Campaign, now: Millis) -> Result<Job, Conflict> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Enqueuing, Failed, Paused, Ready, Scheduled, Sending,
        Validating,
    };
    refuse_if_final(campaign, now)?;
    match campaign.state(now) {
        Paused => {
            campaign.paused = None;
            campaign.resumed_at = Some(now);
            Ok(Job::Requeue)
        }
        Validating | Scheduled | Enqueuing | Canary | Sending => Ok(Job::Requeue),
        AwaitingUpload => Err("its file is not uploaded yet".into()),
        Ready => Err("it was not started yet: use POST /v1/campaigns/{id}/start".into()),
        Cancelled | Failed => Err("it is over".into()),
    }
}

pub(super) fn cancel(campaign: &mut Campaign, now: Millis) -> Result<Job, Conflict> {
    if campaign.state(now) != CampaignState::Cancelled {
        refuse_if_final(campaign, now)?;
        campaign.cancelled_at = Some(now);
        campaign.paused = None;
        campaign.closed_at = None;
    }
    Ok(Job::Requeue)
}

pub(super) fn continue_after_canary(campaign: &mut Campaign, now: Millis) -> Result<Job, Conflict> {
    refuse_if_final(campaign, now)?;
    let state = campaign.state(now);
    match (&mut campaign.canary, state) {
        (None, _) => Err("it has no canary: all of its rows are sent".into()),
        (Some(canary), _) if canary.released => Ok(Job::Import),
        (Some(canary), CampaignState::Canary) => {
            canary.released = true;
            Ok(Job::Import)
        }
        (Some(_), CampaignState::Paused) => {
            Err("it is paused: use POST /v1/campaigns/{id}/resume, then continue".into())
        }
        (Some(_), _) => Err("its canary rows are not in the queue yet".into()),
    }
}

/// Announces a file behind the last one, or in the place of one that was never uploaded.
pub(super) fn add_file(
    campaign: &mut Campaign,
    info: &FileInfo,
    now: Millis,
) -> Result<(), Conflict> {
    let index = index_of_added_file(campaign, now)?;
    let options = campaign.files.last().map(|file| file.options.clone());
    let mut file = CampaignFile::pending(info.clone(), options.unwrap_or_default(), now);
    match campaign.files.get_mut(index) {
        Some(never_uploaded) => {
            file.revision = never_uploaded.revision + 1;
            *never_uploaded = file;
        }
        None => campaign.files.push(file),
    }
    campaign.closed_at = None;
    Ok(())
}

fn index_of_added_file(campaign: &Campaign, now: Millis) -> Result<usize, Conflict> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Enqueuing, Failed, Paused, Ready, Scheduled, Sending,
        Validating,
    };
    match campaign.state(now) {
        Cancelled => {
            return Err("the campaign is cancelled; create a new one for this file".into());
        }
        _ if campaign.has_ended(now) => {
            return Err(
                "the time for its sends has ended; create a new campaign for this file".into(),
            );
        }
        AwaitingUpload | Failed | Ready | Paused | Sending => {}
        Canary | Scheduled => {
            return Err(
                "the rows of the campaign's file wait to be sent; add another file once they are being sent".into(),
            );
        }
        Validating | Enqueuing => {
            return Err(
                "a file of this campaign is being read; try again when it has been read".into(),
            );
        }
    }
    let Some(index) = campaign.next_file_index() else {
        return Ok(campaign.files.len());
    };
    match campaign.files[index].stage {
        FileStage::Pending => Ok(index),
        FileStage::Reading => {
            Err("a file of this campaign is being read; try again when it has been read".into())
        }
        FileStage::Validated | FileStage::Enqueued | FileStage::Failed => Err(
            "the previous file has been read and waits for its start; POST /v1/campaigns/{id}/start first".into(),
        ),
    }
}

/// Has the last file read again from the start. What an import at work has found of it is of no use any more.
pub(super) fn set_options(
    campaign: &mut Campaign,
    options: &ImportOptions,
    now: Millis,
) -> Result<Job, Conflict> {
    use CampaignState::{Failed, Ready, Validating};
    // An import that has read the campaign before may be settling its rows by now.
    let is_unsent = matches!(campaign.state(now), Ready | Failed | Validating)
        && !campaign.has_ended(now + SETTLEMENT_MARGIN_MS);
    if campaign.retry_of.is_some() {
        return Err("it sends rows of another campaign, whose file Crier has written".into());
    }
    let file = campaign.files.last_mut();
    match file.filter(|_| is_unsent) {
        Some(file) if file.stage != FileStage::Enqueued => {
            file.options = options.clone();
            file.stage = FileStage::Reading;
            (file.counts, file.usable) = (ImportCounts::default(), 0);
            (file.content_hash, file.chunk_set) = (None, None);
            file.revision += 1;
            campaign.closed_at = None;
            Ok(Job::Import)
        }
        _ => Err(
            "options can be changed only before the start, and until 20 minutes before its end (not_after); GET the campaign for its state and reason".into(),
        ),
    }
}

/// Links a retry to the campaign. Rows that an earlier retry may include are refused, unless `allow_repeat` is set.
pub(super) fn retry(
    campaign: &mut Campaign,
    link: &RetryLink,
    allow_repeat: bool,
    now: Millis,
) -> Result<(), Conflict> {
    use CampaignState::{Cancelled, Sending};
    if campaign.retries.contains(link) {
        return Ok(());
    }
    if !matches!(campaign.state(now), Cancelled | Sending) {
        return Err("only rows of a finished or cancelled campaign can be sent again".into());
    }
    let mut earlier = campaign.retries.iter();
    let overlapping = earlier.find(|earlier| earlier.selection.overlaps(&link.selection));
    if let Some(earlier) = overlapping.filter(|_| !allow_repeat) {
        let text = format!(
            "campaign {} already sends some of these rows again; to send them once more, set allow_repeat",
            earlier.campaign
        );
        return Err(Conflict::NotAllowed(text.into()));
    }
    campaign.retries.push(link.clone());
    Ok(())
}

/// Refuses commands for a campaign that has no row left to send.
fn refuse_if_final(campaign: &Campaign, now: Millis) -> Result<(), Conflict> {
    match campaign.state(now) {
        CampaignState::Failed => Err(
            "its file cannot be used, so nothing is sent; upload another one with POST /v1/campaigns/{id}/files".into(),
        ),
        CampaignState::Cancelled => {
            Err("it was cancelled and cannot be resumed; POST /v1/campaigns/{id}/retries with the state skipped sends the rows that were not sent".into())
        }
        CampaignState::Sending if campaign.closed_at.is_some() => {
            Err("it is finished: no row is left to send".into())
        }
        _ => Ok(()),
    }
}
