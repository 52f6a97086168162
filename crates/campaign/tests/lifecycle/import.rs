//! An import, step by step. It acts on the campaign as it has read it; only what it stores is decided on what is stored.

use campaign::delivery::requeue::{Disposition, disposition};
use campaign::import::row::ImportCounts;
use campaign::lifecycle::apply;
use campaign::lifecycle::campaign::{Campaign, CampaignState, FileStage};
use campaign::lifecycle::event::{Event, FileChange};

use crate::system::{ROWS, System, normalized};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Import {
    /// The campaign as the import knows it.
    pub(crate) known: Campaign,
    pub(crate) step: Step,
}

/// What it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Puts rows into the queue again, or settles them.
    Requeue,
    /// Looks at the next file.
    Next,
    /// Has read the file to its end.
    Read(usize),
    /// Has put the file's rows, or its canary rows, into the queue.
    Enqueued(usize),
}

impl System {
    /// An import begins with a job.
    pub(crate) fn begin_import(&mut self, job: usize) {
        self.jobs[job] = false;
        self.import = Some(Import {
            known: self.campaign.clone(),
            step: if job == 1 { Step::Requeue } else { Step::Next },
        });
    }

    /// The import does its next step; `usable` says whether the file that it reads can be used.
    pub(crate) fn step_import(&mut self, usable: bool) {
        let Some(import) = self.import.clone() else {
            return;
        };
        let next = match import.step {
            Step::Requeue => self.requeue(&import.known),
            Step::Next => self.next_file(&import.known),
            Step::Read(file) => {
                let counts = counts(file);
                let change = match usable {
                    true => FileChange::Validated {
                        counts,
                        content_hash: String::new(),
                        chunk_set: 1,
                    },
                    false => FileChange::Failed {
                        problem: "It is empty.".into(),
                    },
                };
                self.change_file(file, change).then_some(Step::Next)
            }
            Step::Enqueued(file) => {
                let counts = counts(file);
                let is_canary = waits_for_canary(&import.known, file);
                let change = match is_canary {
                    true => FileChange::CanaryEnqueued { counts, rows: 1 },
                    false => FileChange::Enqueued { counts },
                };
                self.change_file(file, change);
                None
            }
        };
        match (next, &mut self.import) {
            (Some(step), Some(import)) => import.step = step,
            _ => self.import = None,
        }
    }

    /// Stores how the import got further. If that is of no use, the import begins again.
    fn change_file(&mut self, index: usize, change: FileChange) -> bool {
        let now = self.now();
        let Some(import) = &mut self.import else {
            return false;
        };
        let event = Event::File {
            index,
            revision: import.known.files[index].revision,
            change,
        };
        let Ok(effects) = apply(&self.campaign, &event, now) else {
            self.jobs[0] |= self.campaign.cancelled_at.is_none();
            return false;
        };
        self.campaign = normalized(effects.campaign);
        import.known = self.campaign.clone();
        true
    }

    fn next_file(&mut self, known: &Campaign) -> Option<Step> {
        let index = known.next_file_index()?;
        if known.files[index].stage != FileStage::Validated {
            let reads = self.uploaded[index] && self.change_file(index, FileChange::Reading);
            return reads.then_some(Step::Read(index));
        }
        if known.state(self.now()) != CampaignState::Enqueuing {
            return None;
        }
        if let Disposition::Skip(_) = disposition(known, self.now()) {
            self.settle(known);
            return Some(Step::Next);
        }
        let canary = waits_for_canary(known, index);
        for &row in ROWS[index] {
            if !canary || row == 0 {
                self.put_into_queue(row);
            }
        }
        Some(Step::Enqueued(index))
    }

    fn requeue(&mut self, known: &Campaign) -> Option<Step> {
        match disposition(known, self.now()) {
            Disposition::Wait => {}
            Disposition::Skip(_) => self.settle(known),
            Disposition::Send => {
                for row in 0..self.rows.len() {
                    if self.rows[row].enqueued || self.rows[row].held {
                        self.put_into_queue(row);
                    }
                }
            }
        }
        Some(Step::Next)
    }

    fn put_into_queue(&mut self, row: usize) {
        let row = &mut self.rows[row];
        if row.outcome.is_none() {
            (row.enqueued, row.in_queue, row.held) = (true, true, false);
        }
    }

    /// No row of the files that were read is going to be sent.
    fn settle(&mut self, known: &Campaign) {
        for (index, file) in known.files.iter().enumerate() {
            if matches!(file.stage, FileStage::Validated | FileStage::Enqueued) {
                ROWS[index].iter().for_each(|&row| self.settle_row(row));
            }
            if file.stage == FileStage::Validated {
                let counts = counts(index);
                self.change_file(index, FileChange::Enqueued { counts });
            }
        }
    }
}

/// Whether only the canary rows of the file go into the queue now.
fn waits_for_canary(campaign: &Campaign, index: usize) -> bool {
    let canary = campaign.canary_for_file(index);
    canary.is_some_and(|canary| !canary.released)
}

fn counts(file: usize) -> ImportCounts {
    let rows = ROWS[file].len() as u64;
    ImportCounts {
        rows,
        enqueued: rows,
        ..ImportCounts::default()
    }
}
