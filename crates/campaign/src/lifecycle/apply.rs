//! The only way to change a campaign.
//!
//! [`apply`] decides what an event does to a campaign. `cloud::campaigns` stores the result if the campaign still has the
//! version on which that was decided, and decides again where it has not. The operator's commands are in
//! [`super::control`], what imports report in [`super::import_progress`].

use crate::lifecycle::campaign::{Campaign, CampaignState, FileStage, Pause, PausedBy};
use crate::lifecycle::event::{Conflict, Effects, Event, Job};
use crate::lifecycle::{approval, control, edit, import_progress};
use crate::time::Millis;

/// The counters show a change of the ledger within this time.
const COUNTER_LAG_MS: Millis = 600_000;

/// `reopened_at` may be too old by this: [`reopen`] does not store every time, since many rows are reopened at once.
const REOPENED_PRECISION_MS: Millis = 60_000;

/// An upload may come for this long after its URL was signed: longer than the signature is valid.
pub(super) const UPLOAD_WATCH_MS: Millis = 2 * 3_600_000;

/// Decides what an event does at `now`. If anything changes, `version` grows by one. A repeated command changes nothing, but
/// returns its job again. The error says why the event is not allowed, or is of no use any more.
pub fn apply(campaign: &Campaign, event: &Event, now: Millis) -> Result<Effects, Conflict> {
    let mut next = campaign.clone();
    let job = change(&mut next, event, now)?;
    if next != *campaign {
        next.version += 1;
    }
    Ok(Effects {
        campaign: next,
        job,
    })
}

fn change(campaign: &mut Campaign, event: &Event, now: Millis) -> Result<Option<Job>, Conflict> {
    match event {
        Event::By { who, event } => change_by(campaign, who, event, now),
        Event::Start => {
            approval::check_start(campaign, now)?;
            control::start(campaign, now).map(Some)
        }
        Event::Pause {
            reason,
            by: PausedBy::Operator,
            ..
        } => control::pause(campaign, reason, now).map(|()| None),
        Event::Pause {
            reason,
            by,
            caused_at,
        } => {
            pause_unless_resumed(campaign, reason, *by, *caused_at, now);
            Ok(None)
        }
        Event::Resume => control::resume(campaign, now).map(Some),
        Event::Cancel => control::cancel(campaign, now).map(Some),
        Event::Continue => control::continue_after_canary(campaign, now).map(Some),
        Event::AddFile(info) => {
            approval::check_added_file(campaign)?;
            control::add_file(campaign, info, now)?;
            approval::wait_for_start(campaign);
            Ok(None)
        }
        Event::SetOptions(options) => {
            let job = control::set_options(campaign, options, now)?;
            approval::wait_for_start(campaign);
            Ok(Some(job))
        }
        Event::Edit(edit) => edit::edit(campaign, edit, now),
        Event::Approval(event) => approval::change(campaign, event, now).map(|()| None),
        Event::File {
            index,
            revision,
            change,
        } => import_progress::change_file(campaign, *index, *revision, change, now).map(|()| None),
        Event::OthersPaused => {
            if let Some(pause) = &mut campaign.paused {
                pause.is_pausing_others = false;
            }
            Ok(None)
        }
        Event::Retry { link, allow_repeat } => {
            control::retry(campaign, link, *allow_repeat, now).map(|()| None)
        }
        Event::Reopen => {
            reopen(campaign, now);
            Ok(None)
        }
        Event::Close => close(campaign, now).map(|()| None),
    }
}

/// Notes who did it, where that matters later.
fn change_by(
    campaign: &mut Campaign,
    who: &str,
    event: &Event,
    now: Millis,
) -> Result<Option<Job>, Conflict> {
    let before = campaign.clone();
    let job = change(campaign, event, now)?;
    if *campaign == before {
        return Ok(job);
    }
    let note = match event {
        Event::Start => &mut campaign.started_by,
        Event::AddFile(_) | Event::SetOptions(_) | Event::Edit(_) => &mut campaign.changed_by,
        _ => return Ok(job),
    };
    *note = Some(who.to_owned());
    Ok(job)
}

/// What the operator has resumed since the cause arose is not paused.
fn pause_unless_resumed(
    campaign: &mut Campaign,
    reason: &str,
    by: PausedBy,
    caused_at: Option<Millis>,
    now: Millis,
) {
    let resumed_since = |at: Millis| campaign.resumed_at.is_some_and(|resumed| resumed >= at);
    if !caused_at.is_some_and(resumed_since) {
        pause_automatically(campaign, reason, by, now);
    }
}

/// Pauses a campaign that cannot succeed until the operator acts. Without effect on one that does not send or is paused.
fn pause_automatically(campaign: &mut Campaign, reason: &str, by: PausedBy, now: Millis) {
    if campaign.closed_at.is_none() && campaign.state(now).may_send() && campaign.paused.is_none() {
        campaign.paused = Some(Pause {
            reason: reason.to_owned(),
            by,
            at: now,
            is_pausing_others: by == PausedBy::AccountError,
        });
    }
}

/// Has the reconciler visit the campaign.
fn reopen(campaign: &mut Campaign, now: Millis) {
    let is_recent = |at: Millis| at + REOPENED_PRECISION_MS > now;
    if campaign.closed_at.is_some() || !campaign.reopened_at.is_some_and(is_recent) {
        campaign.reopened_at = Some(now);
        campaign.closed_at = None;
    }
}

/// Closes the campaign, if no file is being read or may still be uploaded, and no reopened row may be missing from the
/// counters. The caller has checked by the counters that no row is left to send.
fn close(campaign: &mut Campaign, now: Millis) -> Result<(), Conflict> {
    if campaign.closed_at.is_some() {
        return Ok(());
    }
    let may_be_uploaded = campaign.files.iter().any(|file| {
        file.stage == FileStage::Pending && now.saturating_sub(file.added_at) < UPLOAD_WATCH_MS
    });
    let lags = campaign
        .reopened_at
        .is_some_and(|at| at + COUNTER_LAG_MS + REOPENED_PRECISION_MS > now);
    let is_over = match campaign.state(now) {
        CampaignState::Cancelled => !lags,
        CampaignState::AwaitingUpload | CampaignState::Failed => !may_be_uploaded,
        CampaignState::Sending => campaign.is_enqueued() && !may_be_uploaded && !lags,
        CampaignState::Validating
        | CampaignState::Ready
        | CampaignState::Scheduled
        | CampaignState::Enqueuing
        | CampaignState::Canary
        | CampaignState::Paused => false,
    };
    if !is_over {
        return Err(Conflict::StillOpen);
    }
    campaign.closed_at = Some(now);
    campaign.single_row = None;
    Ok(())
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;
    use crate::import::row::ImportCounts;
    use crate::lifecycle::campaign::tests::{FAR, canary, sample};
    use crate::lifecycle::campaign::{FileInfo, ImportOptions};
    use crate::lifecycle::event::FileChange;
    use crate::lifecycle::retry::{RetryLink, RetrySelection};

    const LATE: Millis = UPLOAD_WATCH_MS;

    fn info() -> FileInfo {
        FileInfo {
            name: "b.csv".into(),
            size: 2,
        }
    }

    fn pause_event(by: PausedBy) -> Event {
        let reason = "Because.".into();
        Event::Pause {
            reason,
            by,
            caused_at: None,
        }
    }

    fn validated(counts: ImportCounts) -> FileChange {
        FileChange::Validated {
            counts,
            content_hash: String::new(),
            chunk_set: 1,
        }
    }

    fn retry_event(child: &str, allow_repeat: bool) -> Event {
        let link = RetryLink {
            campaign: child.parse().expect("id"),
            selection: RetrySelection {
                states: RetrySelection::DEFAULT.to_vec(),
                codes: Vec::new(),
            },
        };
        Event::Retry { link, allow_repeat }
    }

    fn file_event(change: FileChange) -> Event {
        Event::File {
            index: 0,
            revision: 0,
            change,
        }
    }

    fn events() -> Vec<(&'static str, Event)> {
        let counts = ImportCounts::default();
        let problem = String::new();
        vec![
            ("start", Event::Start),
            ("pause by operator", pause_event(PausedBy::Operator)),
            ("pause by Crier", pause_event(PausedBy::Crier)),
            ("pause of account", pause_event(PausedBy::AccountError)),
            ("resume", Event::Resume),
            ("cancel", Event::Cancel),
            ("continue", Event::Continue),
            ("add file", Event::AddFile(info())),
            ("set options", Event::SetOptions(ImportOptions::default())),
            ("reading", file_event(FileChange::Reading)),
            ("validated", file_event(validated(counts))),
            (
                "refused",
                file_event(FileChange::Refused {
                    problem: String::new(),
                }),
            ),
            (
                "canary enqueued",
                file_event(FileChange::CanaryEnqueued { counts, rows: 1 }),
            ),
            ("enqueued", file_event(FileChange::Enqueued { counts })),
            ("failed", file_event(FileChange::Failed { problem })),
            ("others paused", Event::OthersPaused),
            ("retry", retry_event("c2", false)),
            ("reopen", Event::Reopen),
            ("close", Event::Close),
        ]
    }

    /// What an event does in each state, hours after the campaign's creation: the next state, `=` where only other facts
    /// change, `-` where nothing does, `!` for a conflict.
    fn row(event: &Event) -> String {
        let cell = |&state| match apply(&sample(state), event, LATE) {
            Err(_) => "!",
            Ok(effects) if effects.campaign == sample(state) => "-",
            Ok(effects) if effects.campaign.state(LATE) == state => "=",
            Ok(effects) => effects.campaign.state(LATE).name(),
        };
        let cells: Vec<_> = CampaignState::VARIANTS.iter().map(cell).collect();
        cells.join(" ")
    }

    #[test]
    fn every_event_has_defined_effect_in_every_state() {
        // awaiting_upload validating ready scheduled enqueuing canary sending paused cancelled failed
        let expected = [
            ("start", "! ! enqueuing - - - - ! ! !"),
            (
                "pause by operator",
                "! paused ! paused paused paused paused - ! !",
            ),
            ("pause by Crier", "- - - - paused paused paused - - -"),
            ("pause of account", "- - - - paused paused paused - - -"),
            ("resume", "! - ! - - - - sending ! !"),
            (
                "cancel",
                "cancelled cancelled cancelled cancelled cancelled cancelled cancelled cancelled - !",
            ),
            ("continue", "! ! ! ! ! enqueuing ! ! ! !"),
            ("add file", "= ! ! ! ! ! = = ! awaiting_upload"),
            ("set options", "! = validating ! ! ! ! ! ! validating"),
            ("reading", "validating - ! ! ! ! ! ! ! !"),
            ("validated", "! enqueuing ! ! ! ! ! ! ! !"),
            ("refused", "! ! failed failed failed failed ! ! ! !"),
            ("canary enqueued", "! ! = = = = ! ! ! !"),
            ("enqueued", "! ! = = sending sending ! ! ! !"),
            ("failed", "! failed ! ! ! ! ! ! ! !"),
            ("others paused", "- - - - - - - - - -"),
            ("retry", "! ! ! ! ! ! = ! = !"),
            ("reopen", "= = = = = = = = = ="),
            ("close", "= ! ! ! ! ! = ! = ="),
        ];
        let rows: Vec<_> = events()
            .iter()
            .map(|(name, event)| (*name, row(event)))
            .collect();
        let expected = expected.map(|(name, row)| (name, row.to_owned()));
        assert_eq!(rows, expected);
    }

    fn after(campaign: &Campaign, event: &Event) -> Campaign {
        apply(campaign, event, LATE).expect("allowed").campaign
    }

    #[test]
    fn whatever_may_be_sent_is_visited_again() {
        let finished = after(&sample(CampaignState::Sending), &Event::Close);
        assert!(finished.is_closed());
        for (name, event) in events() {
            let Ok(effects) = apply(&finished, &event, LATE) else {
                continue;
            };
            let may_send = effects.campaign.next_file_index().is_some()
                || effects.campaign.reopened_at.is_some();
            assert!(
                effects.campaign.is_closed() != may_send,
                "{name}: {:?}",
                effects.campaign
            );
        }
        let mut failed = after(&sample(CampaignState::Failed), &Event::Close);
        failed = after(&failed, &Event::SetOptions(ImportOptions::default()));
        assert!(!failed.is_closed(), "a file that failed is read again");
    }

    #[test]
    fn pause_and_resume_do_not_start_a_campaign() {
        let mut campaign = sample(CampaignState::Validating);
        campaign.manual_start = true;
        campaign = after(&campaign, &pause_event(PausedBy::Operator));
        let counts = ImportCounts {
            rows: 1,
            enqueued: 1,
            ..ImportCounts::default()
        };
        campaign = after(&campaign, &file_event(validated(counts)));
        assert_eq!(campaign.state(LATE), CampaignState::Paused);
        campaign = after(&campaign, &Event::Resume);
        assert_eq!(campaign.state(LATE), CampaignState::Ready);
        campaign.schedule.not_before = Some(FAR);
        campaign = after(&campaign, &Event::Start);
        assert_eq!(campaign.state(LATE), CampaignState::Scheduled);
    }

    #[test]
    fn pause_of_a_campaign_that_expires_at_once_is_noted() {
        let paused = after(
            &sample(CampaignState::Sending),
            &pause_event(PausedBy::AccountError),
        );
        assert!(
            paused
                .paused
                .as_ref()
                .is_some_and(|pause| pause.is_pausing_others)
        );
        let done = after(&paused, &Event::OthersPaused);
        assert!(
            done.paused
                .as_ref()
                .is_some_and(|pause| !pause.is_pausing_others)
        );
        let resumed = after(&paused, &Event::Resume);
        assert_eq!(resumed.paused, None, "the others are not paused any more");
        // The process that pauses the others is slow.
        for (caused_at, is_paused) in [(LATE - 1, false), (LATE + 1, true)] {
            let event = Event::Pause {
                reason: "Because.".into(),
                by: PausedBy::Crier,
                caused_at: Some(caused_at),
            };
            assert_eq!(after(&resumed, &event).paused.is_some(), is_paused);
        }
    }

    #[test]
    fn options_that_change_while_a_file_is_read_win() {
        let reading = sample(CampaignState::Validating);
        let options = ImportOptions {
            default_region: Some("BR".into()),
            ..ImportOptions::default()
        };
        let changed = after(&reading, &Event::SetOptions(options.clone()));
        let counts = ImportCounts::default();
        for change in [
            validated(counts),
            FileChange::Failed {
                problem: "It is empty.".into(),
            },
        ] {
            let stale = apply(&changed, &file_event(change), LATE);
            assert_eq!(stale, Err(Conflict::Superseded));
        }
        assert_eq!(changed.files[0].options, options);
    }

    #[test]
    fn nothing_of_a_file_that_failed_counts() {
        let mut ready = sample(CampaignState::Ready);
        ready.files[0].content_hash = Some("hash".into());
        let reading = after(&ready, &Event::SetOptions(ImportOptions::default()));
        assert_eq!(
            reading.files[0].content_hash, None,
            "nobody has read it in this way"
        );
        let change = FileChange::Failed {
            problem: "It is empty.".into(),
        };
        let event = Event::File {
            index: 0,
            revision: 1,
            change,
        };
        let failed = after(&reading, &event);
        assert_eq!(failed.import_counts(), ImportCounts::default());
        assert_eq!(failed.reason(LATE), Some("It is empty."));
    }

    #[test]
    fn canary_continues_once_and_expired_campaign_takes_no_file() {
        let mut campaign = sample(CampaignState::Enqueuing);
        campaign.canary = Some(canary(None));
        assert!(apply(&campaign, &Event::Continue, LATE).is_err());
        campaign.canary = Some(canary(Some(0)));
        assert_eq!(campaign.state(LATE), CampaignState::Canary);
        let released = after(&campaign, &Event::Continue);
        assert_eq!(released.state(LATE), CampaignState::Enqueuing);
        let again = apply(&released, &Event::Continue, LATE).expect("allowed");
        assert_eq!((again.campaign, again.job), (released, Some(Job::Import)));
        let mut ended = sample(CampaignState::Sending);
        ended.sendable_until = LATE;
        assert!(apply(&ended, &Event::AddFile(info()), LATE).is_err());
        assert!(apply(&ended, &Event::AddFile(info()), LATE - 1).is_ok());
    }

    #[test]
    fn rows_are_retried_once_unless_the_operator_insists() {
        let settled = after(&sample(CampaignState::Sending), &Event::Close);
        let retried = after(&settled, &retry_event("c2", false));
        assert!(retried.is_closed());
        assert!(apply(&retried, &retry_event("c3", false), LATE).is_err());
        let again = after(&retried, &retry_event("c2", false));
        assert_eq!(again, retried, "the same one");
        let repeated = after(&retried, &retry_event("c3", true));
        assert_eq!(repeated.retries.len(), 2);
    }

    #[test]
    fn reopened_campaign_settles_once_the_counters_show_its_row() {
        let mut campaign = sample(CampaignState::Sending);
        campaign = after(&campaign, &Event::Reopen);
        assert_eq!(
            apply(&campaign, &Event::Close, LATE + COUNTER_LAG_MS),
            Err(Conflict::StillOpen)
        );
        let settled = apply(&campaign, &Event::Close, LATE + 2 * COUNTER_LAG_MS);
        assert!(settled.is_ok_and(|effects| effects.campaign.is_closed()));
        let soon = apply(&campaign, &Event::Reopen, LATE + 1).expect("allowed");
        assert_eq!(soon.campaign, campaign, "no further write");
    }
}
