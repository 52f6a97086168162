//! Which steps are possible, and what must hold in every state.

use campaign::lifecycle::campaign::FileStage;
use campaign::lifecycle::event::Event;
use stateright::{Model, Property};

use crate::import::Step;
use crate::system::{MOMENTS, ROWS, System, file_info, other_options, pause};

/// A campaign's life with so many faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifecycle {
    pub(crate) faults: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Start,
    Pause,
    Resume,
    Cancel,
    Continue,
    AddFile,
    SetOptions,
    Upload(usize),
    BeginImport(usize),
    StepImport { usable: bool },
    Send(usize),
    Reconcile,
    PassTime,
    LoseJob(usize),
    LoseMessage(usize),
    KillImport,
}

impl Model for Lifecycle {
    type State = System;
    type Action = Action;

    fn init_states(&self) -> Vec<System> {
        let both = [false, true];
        let choices = both
            .iter()
            .flat_map(|&canary| both.iter().map(move |&manual| (canary, manual)));
        choices
            .flat_map(|(canary, manual)| {
                both.iter()
                    .map(move |&scheduled| System::new(self.faults, canary, manual, scheduled))
            })
            .collect()
    }

    fn actions(&self, system: &System, actions: &mut Vec<Action>) {
        actions.extend([
            Action::Start,
            Action::Pause,
            Action::Resume,
            Action::Cancel,
            Action::Continue,
            Action::Reconcile,
        ]);
        // A canary needs two rows of the first file, a further file one of the second: not both at once.
        if system.added_files == 0 && system.campaign.canary.is_none() {
            actions.push(Action::AddFile);
        }
        if system.option_changes == 0 {
            actions.push(Action::SetOptions);
        }
        // An import lives for a quarter of an hour, and jobs do not wait for hours.
        if system.moment + 1 < MOMENTS.len() && !system.is_importing() {
            actions.push(Action::PassTime);
        }
        actions.extend((0..system.campaign.files.len()).map(Action::Upload));
        let queued = (0..system.rows.len()).filter(|&row| system.rows[row].in_queue);
        let queued: Vec<usize> = queued.collect();
        actions.extend(queued.iter().map(|&row| Action::Send(row)));
        let jobs = (0..2).filter(|&job| system.jobs[job]);
        let jobs: Vec<usize> = jobs.collect();
        match &system.import {
            None => actions.extend(jobs.iter().map(|&job| Action::BeginImport(job))),
            Some(import) => {
                actions.push(Action::StepImport { usable: true });
                // A file that could be used once can be used again, unless it is read in another way.
                if matches!(import.step, Step::Read(_)) {
                    actions.push(Action::StepImport { usable: false });
                }
            }
        }
        if system.faults > 0 {
            actions.extend(jobs.into_iter().map(Action::LoseJob));
            actions.extend(queued.into_iter().map(Action::LoseMessage));
            if system.import.is_some() {
                actions.push(Action::KillImport);
            }
        }
    }

    fn next_state(&self, before: &System, action: Action) -> Option<System> {
        let mut system = before.clone();
        match action {
            Action::Start => system.command(&Event::Start),
            Action::Pause => system.command(&pause()),
            Action::Resume => system.command(&Event::Resume),
            Action::Cancel => system.command(&Event::Cancel),
            Action::Continue => system.command(&Event::Continue),
            Action::AddFile => {
                system.added_files += 1;
                system.command(&Event::AddFile(file_info()));
            }
            Action::SetOptions => {
                system.option_changes += 1;
                system.command(&other_options());
            }
            Action::Upload(file) => upload(&mut system, file),
            Action::BeginImport(job) => system.begin_import(job),
            Action::StepImport { usable } => system.step_import(usable),
            Action::Send(row) => system.send(row),
            Action::Reconcile => system.reconcile(),
            Action::PassTime => {
                // It runs every five minutes.
                system.reconcile();
                system.moment += 1;
            }
            Action::LoseJob(job) => system.jobs[job] = false,
            Action::LoseMessage(row) => system.rows[row].in_queue = false,
            Action::KillImport => system.import = None,
        }
        let is_fault = matches!(
            action,
            Action::LoseJob(_) | Action::LoseMessage(_) | Action::KillImport
        );
        if is_fault {
            system.faults -= 1;
        }
        (system != *before).then_some(system)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "no row is sent before the start, in a pause, after a cancellation or the end",
                |_, system: &System| !system.is_broken,
            ),
            Property::always(
                "a campaign with unsettled rows is visited",
                |_, system: &System| system.campaign.closed_at.is_none() || !system.has_unsettled(),
            ),
            Property::always(
                "finished means that nothing is pending",
                |_, system: &System| !system.progress(system.now()).finished || !is_pending(system),
            ),
            Property::always("the sums are balanced", |_, system: &System| {
                system.progress(system.now()).balanced
            }),
            Property::always("everything ends", |_, system: &System| ends(system.clone())),
            Property::sometimes(
                "a campaign of two files is settled",
                |_, system: &System| {
                    let is_sent =
                        |rows: &[usize]| rows.iter().all(|&row| system.rows[row].outcome.is_some());
                    system.campaign.closed_at.is_some() && ROWS.iter().all(|rows| is_sent(rows))
                },
            ),
            Property::sometimes("a file fails and is replaced", |_, system: &System| {
                let stages: Vec<_> = system
                    .campaign
                    .files
                    .iter()
                    .map(|file| file.stage)
                    .collect();
                stages == [FileStage::Failed, FileStage::Enqueued]
            }),
        ]
    }
}

/// An upload's URL is valid for an hour. Its event is a job.
fn upload(system: &mut System, file: usize) {
    if system.campaign.files[file].added_at == system.now() && !system.uploaded[file] {
        system.uploaded[file] = true;
        system.jobs[0] = true;
    }
}

/// Whether a row that was or will be put into the queue has no outcome.
fn is_pending(system: &System) -> bool {
    let files = system.campaign.files.iter().enumerate();
    let mut files = files.filter(|(_, file)| file.stage != FileStage::Failed);
    files.any(|(index, file)| {
        let open = ROWS[index]
            .iter()
            .any(|&row| system.rows[row].outcome.is_none());
        match file.stage {
            FileStage::Reading | FileStage::Validated => true,
            FileStage::Enqueued => open,
            FileStage::Pending | FileStage::Failed => false,
        }
    })
}

/// Without further faults, and without anything that an operator does, the campaign is over soon after its end: every row
/// of a usable file has an outcome, and the reconciler has closed it.
fn ends(mut system: System) -> bool {
    system.faults = 0;
    for _ in 0..20 {
        if !system.work() {
            system.reconcile();
        }
    }
    system.moment = MOMENTS.len() - 1;
    for _ in 0..40 {
        if system.campaign.closed_at.is_some() && !system.is_importing() {
            break;
        }
        if !system.work() {
            system.reconcile();
        }
    }
    system.campaign.closed_at.is_some() && !system.has_unsettled()
}
