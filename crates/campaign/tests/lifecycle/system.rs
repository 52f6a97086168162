//! The state that is explored, and what the operator, the senders and the reconciler do to it.

use std::hash::{Hash, Hasher};

use campaign::delivery::number_suspension::NumberSuspensions;
use campaign::id::CampaignId;
use campaign::lifecycle::apply;
use campaign::lifecycle::campaign::{
    AfterCanary, Campaign, CampaignState, Canary, FileInfo, ImportOptions, PausedBy, Sendability,
};
use campaign::lifecycle::counters::Counters;
use campaign::lifecycle::event::{Event, Job};
use campaign::lifecycle::progress::{Progress, compute_progress};
use campaign::lifecycle::repair::{RepairAction, Snapshot};
use campaign::message::Message;
use campaign::time::Millis;
use serde_json::json;

use crate::import::Import;

const HOUR: Millis = 3_600_000;

/// The moments at which something happens: before the schedule begins, after that, after the last upload may come, after
/// the campaign's end.
pub(crate) const MOMENTS: [Millis; 4] = [0, HOUR, 4 * HOUR, 100 * HOUR];

/// A reconciler sees that nothing has happened for so long.
const IDLE: Millis = HOUR / 2 + 60_000;

/// The rows of the two files; the first one is the canary row.
pub(crate) const ROWS: [&[usize]; 2] = [&[0, 1], &[2]];

/// What became of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    /// It was put into the queue once.
    pub(crate) enqueued: bool,
    /// A message of it is in the queue.
    pub(crate) in_queue: bool,
    /// A sender has put it back, because the campaign was paused.
    pub(crate) held: bool,
    pub(crate) outcome: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Accepted,
    Skipped,
}

/// The commands that were allowed, recorded apart from the campaign so that the check does not share its rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Commands {
    pub(crate) started: bool,
    pub(crate) paused: bool,
    pub(crate) cancelled: bool,
    pub(crate) continued: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct System {
    pub(crate) campaign: Campaign,
    pub(crate) moment: usize,
    pub(crate) uploaded: [bool; 2],
    pub(crate) rows: [Row; 3],
    /// Jobs for the splitter that are in its queue: an import, a requeue.
    pub(crate) jobs: [bool; 2],
    pub(crate) import: Option<Import>,
    pub(crate) commands: Commands,
    /// A row was sent that must not be sent.
    pub(crate) is_broken: bool,
    pub(crate) faults: u8,
    pub(crate) option_changes: u8,
    pub(crate) added_files: u8,
}

impl Eq for System {}

impl Hash for System {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hash_campaign(&self.campaign, hasher);
        if let Some(import) = &self.import {
            hash_campaign(&import.known, hasher);
            import.step.hash(hasher);
        }
        (self.moment, self.uploaded, self.rows, self.jobs).hash(hasher);
        (self.commands, self.is_broken, self.faults).hash(hasher);
        (self.option_changes, self.added_files).hash(hasher);
    }
}

fn hash_campaign<H: Hasher>(campaign: &Campaign, hasher: &mut H) {
    for file in &campaign.files {
        (file.stage as u8, file.revision, file.added_at).hash(hasher);
        file.counts.enqueued.hash(hasher);
    }
    let canary = campaign
        .canary
        .map(|canary| (canary.released, canary.enqueued));
    let flags = [
        campaign.manual_start,
        campaign.started_at.is_some(),
        campaign.paused.is_some(),
        campaign.cancelled_at.is_some(),
        campaign.closed_at.is_some(),
    ];
    (
        canary,
        flags,
        campaign.schedule.not_before,
        campaign.reopened_at,
    )
        .hash(hasher);
}

impl System {
    pub(crate) fn new(faults: u8, has_canary: bool, manual_start: bool, scheduled: bool) -> Self {
        let id: CampaignId = "c1".parse().expect("id");
        let message = Message::new(json!({})).expect("message");
        let mut campaign = Campaign::new(id, "Test".into(), message, file_info(), 0);
        campaign.canary = has_canary.then_some(Canary {
            rows: 1,
            after: AfterCanary::Wait,
            released: false,
            enqueued: None,
        });
        campaign.manual_start = manual_start;
        campaign.schedule.not_before = scheduled.then_some(MOMENTS[1]);
        campaign.sendable_until = MOMENTS[3];
        Self {
            campaign,
            moment: 0,
            uploaded: [false; 2],
            rows: [Row::default(); 3],
            jobs: [false; 2],
            import: None,
            commands: Commands::default(),
            is_broken: false,
            faults,
            option_changes: 0,
            added_files: 0,
        }
    }

    pub(crate) fn now(&self) -> Millis {
        MOMENTS[self.moment]
    }

    /// Applies an event; returns whether it was allowed.
    pub(crate) fn apply(&mut self, event: &Event) -> bool {
        let Ok(effects) = apply(&self.campaign, event, self.now()) else {
            return false;
        };
        self.campaign = normalized(effects.campaign);
        match effects.job {
            Some(Job::Import) => self.jobs[0] = true,
            Some(Job::Requeue) => self.jobs[1] = true,
            None => {}
        }
        true
    }

    /// What the operator does; noted if it is allowed.
    pub(crate) fn command(&mut self, event: &Event) {
        if !self.apply(event) {
            return;
        }
        match event {
            Event::Start => self.commands.started = true,
            Event::Pause { .. } => self.commands.paused = true,
            Event::Resume => self.commands.paused = false,
            Event::Cancel => self.commands.cancelled = true,
            Event::Continue => self.commands.continued = true,
            _ => {}
        }
    }

    /// A sender takes a row from the queue.
    pub(crate) fn send(&mut self, row: usize) {
        let sendability = self.campaign.sendability(self.now());
        let entry = &mut self.rows[row];
        if entry.outcome.is_some() {
            entry.in_queue = false;
            return;
        }
        match sendability {
            Sendability::Now => {
                *entry = Row {
                    outcome: Some(Outcome::Accepted),
                    ..Row::default()
                };
                self.is_broken |= !self.may_be_sent(row);
            }
            Sendability::NotBefore(_) => {}
            Sendability::Expired => self.settle_row(row),
            Sendability::Stopped => (entry.in_queue, entry.held) = (false, true),
        }
    }

    pub(crate) fn settle_row(&mut self, row: usize) {
        self.rows[row] = Row {
            outcome: self.rows[row].outcome.or(Some(Outcome::Skipped)),
            ..Row::default()
        };
    }

    /// By what the operator wanted.
    fn may_be_sent(&self, row: usize) -> bool {
        let Commands {
            started,
            paused,
            cancelled,
            continued,
        } = self.commands;
        let is_started = started || !self.campaign.manual_start;
        let is_released = row != 1 || continued || self.campaign.canary.is_none();
        let scheduled = self.campaign.schedule.not_before.unwrap_or(0);
        let is_time = (scheduled..MOMENTS[3]).contains(&self.now());
        is_started && !paused && !cancelled && is_released && is_time
    }

    pub(crate) fn progress(&self, now: Millis) -> Progress {
        let count = |outcome| {
            let rows = self.rows.iter().filter(|row| row.outcome == Some(outcome));
            rows.count() as i64
        };
        let counters = Counters {
            accepted: count(Outcome::Accepted),
            skipped: count(Outcome::Skipped),
            held: self.rows.iter().filter(|row| row.held).count() as i64,
            ..Counters::default()
        };
        compute_progress(&self.campaign, counters, 1, now)
    }

    /// The reconciler visits the campaign, where it is in its index.
    pub(crate) fn reconcile(&mut self) {
        if self.campaign.closed_at.is_some() {
            return;
        }
        let now = self.now() + IDLE;
        let progress = self.progress(now);
        let mut seen = self.campaign.clone();
        seen.lease_renewed_at = self.import.as_ref().map(|_| now);
        let snapshot = Snapshot {
            campaign: &seen,
            progress: &progress,
            queue_is_empty: self.rows.iter().all(|row| !row.in_queue),
            suspensions: NumberSuspensions::default(),
            now,
        };
        match snapshot.repair_action(0) {
            Some(RepairAction::Close) => {
                if let Ok(effects) = apply(&self.campaign, &Event::Close, now) {
                    self.campaign = normalized(effects.campaign);
                }
            }
            Some(RepairAction::ResumeImport) => self.jobs[0] = true,
            Some(RepairAction::Requeue) => self.jobs[1] = true,
            Some(RepairAction::ReleaseCanary | RepairAction::Pause(_)) | None => {}
        }
    }

    /// Senders and imports do what is in their queues; `false` where no import has anything to do.
    pub(crate) fn work(&mut self) -> bool {
        for row in 0..self.rows.len() {
            if self.rows[row].in_queue {
                self.send(row);
            }
        }
        match (&self.import, self.jobs) {
            (Some(_), _) => self.step_import(true),
            (None, [true, _]) => self.begin_import(0),
            (None, [_, true]) => self.begin_import(1),
            (None, [false, false]) => return false,
        }
        true
    }

    /// Whether something of the campaign may still be sent, or is still to be told.
    pub(crate) fn has_unsettled(&self) -> bool {
        self.campaign.files.iter().enumerate().any(|(index, file)| {
            use campaign::lifecycle::campaign::FileStage::{
                Enqueued, Failed, Pending, Reading, Validated,
            };
            let has_open_row = ROWS[index]
                .iter()
                .any(|&row| self.rows[row].outcome.is_none());
            match file.stage {
                // Its event, or the import that reads it, has the campaign visited again.
                Pending => self.uploaded[index] && !self.is_cancelled() && !self.is_importing(),
                Reading => !self.is_cancelled(),
                Validated => !self.is_cancelled() || has_open_row,
                Enqueued => has_open_row,
                Failed => false,
            }
        })
    }

    pub(crate) fn is_importing(&self) -> bool {
        self.import.is_some() || self.jobs.contains(&true)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.campaign.state(self.now()) == CampaignState::Cancelled
    }
}

/// What does not matter is left out, so that there are finitely many states.
pub(crate) fn normalized(mut campaign: Campaign) -> Campaign {
    campaign.version = 0;
    campaign.recent_changes.clear();
    campaign.enqueued_at = None;
    campaign
}

pub(crate) fn pause() -> Event {
    Event::Pause {
        reason: "A test.".into(),
        by: PausedBy::Operator,
        caused_at: None,
    }
}

pub(crate) fn file_info() -> FileInfo {
    FileInfo {
        name: "a.csv".into(),
        size: 1,
    }
}

pub(crate) fn other_options() -> Event {
    Event::SetOptions(ImportOptions::default())
}
