//! The second pass: usable rows go into the queue, in batches. It may end anywhere and be taken up again: the same file
//! gives the same batches, and the checkpoint tells which are in the queue.

use std::collections::HashSet;
use std::time::Duration;

use campaign::batch::{Batch, Cutter, Row};
use campaign::id::RowNumber;
use campaign::import::{ImportCounts, Verdict};
use campaign::phone::PhoneKey;
use campaign::record::{Campaign, Canary};
use cloud::imports::{Checkpoint, Share};
use lambda_runtime::Error;
use people::files::Opened;

use crate::{SplitError, Splitter, Turn};

/// Batches enqueued together: eight requests of ten.
const TOGETHER: usize = 80;

/// How the second pass ended.
pub(crate) enum Enqueued {
    /// The whole share is in the queue.
    All {
        /// What became of the file's rows, as far as it is known now.
        counts: ImportCounts,
        /// How many rows the share has.
        rows: u64,
        /// How many rows of the file were kept back, in this share and before.
        kept_back: u64,
    },
    /// Time runs out; the next invocation goes on.
    Part,
}

impl Splitter {
    /// Puts what is not there yet of a share of the file at `index` into the queue.
    pub(crate) async fn enqueue(
        &self,
        campaign: &Campaign,
        index: usize,
        share: Share,
        turn: &mut Turn<'_>,
    ) -> Result<Enqueued, SplitError> {
        turn.read_by = turn.deadline;
        let Opened { mut people, .. } = self.open(campaign, index, turn).await?;
        let before = self
            .imports
            .checkpoint(&campaign.id, index, share)
            .await?
            .unwrap_or_default();
        let shares = Shares::of_file(campaign, index);
        let mut out = Output::new(self, campaign, index, share, before);
        let (mut usable, mut taken) = (0, 0);
        while let Some(verdict) = people.next().await? {
            if let Verdict::Usable(row) = verdict {
                usable += 1;
                if shares.of(usable - 1) == share {
                    taken += 1;
                    if out.take(row).await? && turn.is_over() {
                        out.hand_over().await?;
                        return Ok(Enqueued::Part);
                    }
                }
            }
            self.go_on(campaign, turn).await?;
        }
        out.finish().await?;
        let kept_back = self.imports.kept_back(&campaign.id, index).await?.len() as u64;
        Ok(Enqueued::All {
            counts: people.counts().suppress(kept_back),
            rows: taken,
            kept_back,
        })
    }
}

/// Which rows go first.
pub(crate) struct Shares {
    canary: Option<Canary>,
    usable: u64,
}

impl Shares {
    /// Those of the file at `index`.
    pub(crate) fn of_file(campaign: &Campaign, index: usize) -> Self {
        Self {
            canary: campaign.canary_of(index),
            usable: campaign.files[index].usable,
        }
    }

    /// The share of the usable row at `index`.
    pub(crate) fn of(&self, index: u64) -> Share {
        match self.canary {
            Some(canary) if canary.picks(index, self.usable) => Share::Canary,
            Some(_) | None => Share::Rest,
        }
    }
}

/// Where usable rows go.
struct Output<'a> {
    splitter: &'a Splitter,
    campaign: &'a Campaign,
    index: usize,
    share: Share,
    cutter: Cutter,
    ready: Vec<Vec<Row>>,
    /// Everything up to here is in the queue.
    done: RowNumber,
    /// What an earlier invocation had begun when it ended: up to this row, without those.
    begun: RowNumber,
    kept_back: HashSet<RowNumber>,
}

impl<'a> Output<'a> {
    fn new(
        splitter: &'a Splitter,
        campaign: &'a Campaign,
        index: usize,
        share: Share,
        before: Checkpoint,
    ) -> Self {
        Self {
            splitter,
            campaign,
            index,
            share,
            cutter: Cutter::new(splitter.rate),
            ready: Vec::new(),
            done: before.done,
            begun: before.begun,
            kept_back: before.kept_back.into_iter().collect(),
        }
    }

    /// Takes a row; tells whether batches went out.
    async fn take(&mut self, row: Row) -> Result<bool, Error> {
        if row.row <= self.done {
            return Ok(false);
        }
        self.ready.extend(self.cutter.push(row));
        if self.ready.len() < TOGETHER {
            return Ok(false);
        }
        self.flush().await?;
        Ok(true)
    }

    /// Sends the tail, and writes down that all is done.
    async fn finish(mut self) -> Result<(), Error> {
        let cutter = std::mem::replace(&mut self.cutter, Cutter::new(self.splitter.rate));
        let mut tail = cutter.finish().into_iter().peekable();
        while tail.peek().is_some() {
            self.ready.extend(tail.by_ref().take(TOGETHER));
            self.flush().await?;
        }
        self.flush().await?;
        self.hand_over().await
    }

    /// Writes down that what was begun is done: the next invocation begins behind it.
    async fn hand_over(&self) -> Result<(), Error> {
        let checkpoint = Checkpoint {
            done: self.done,
            begun: self.begun.max(self.done),
            kept_back: self
                .kept_back
                .iter()
                .copied()
                .filter(|&row| row > self.done)
                .collect(),
        };
        let imports = &self.splitter.imports;
        Ok(imports
            .write_checkpoint(&self.campaign.id, self.index, self.share, &checkpoint)
            .await?)
    }

    /// Writes down what is about to go out, then sends it.
    async fn flush(&mut self) -> Result<(), Error> {
        let Some(last) = self.ready.iter().flatten().map(|row| row.row).max() else {
            return Ok(());
        };
        let kept_back = self.suppressed_rows().await?;
        let checkpoint = Checkpoint {
            done: self.done,
            begun: last.max(self.begun),
            kept_back: kept_back
                .iter()
                .copied()
                .chain(self.kept_back.iter().copied().filter(|&row| row > last))
                .collect(),
        };
        let Splitter { imports, queue, .. } = self.splitter;
        imports
            .write_checkpoint(&self.campaign.id, self.index, self.share, &checkpoint)
            .await?;
        if !kept_back.is_empty() {
            imports
                .keep_back(&self.campaign.id, self.index, self.share, last, &kept_back)
                .await?;
        }
        let batches: Vec<Batch> = std::mem::take(&mut self.ready)
            .into_iter()
            .map(|rows| {
                rows.into_iter()
                    .filter(|row| !kept_back.contains(&row.row))
                    .collect::<Vec<_>>()
            })
            .filter(|rows| !rows.is_empty())
            .map(|rows| Batch {
                campaign: self.campaign.id.clone(),
                rows,
            })
            .collect();
        queue.send(&batches, Duration::ZERO).await?;
        self.done = last;
        Ok(())
    }

    /// Rows whose people are on the standing list. For those that may be in the queue already it counts what was found
    /// then: the sender looks again, and a row must not be counted in two places.
    async fn suppressed_rows(&self) -> Result<HashSet<RowNumber>, Error> {
        let rows = || self.ready.iter().flatten();
        let people: Vec<PhoneKey> = rows()
            .filter(|row| row.row > self.begun)
            .map(|row| row.to.key())
            .collect();
        let listed = self.splitter.contacts.suppressed(&people).await?;
        let is_suppressed = |row: &&Row| match row.row > self.begun {
            true => listed.contains(&row.to.key()),
            false => self.kept_back.contains(&row.row),
        };
        Ok(rows().filter(is_suppressed).map(|row| row.row).collect())
    }
}
