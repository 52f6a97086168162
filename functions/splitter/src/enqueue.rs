//! The second pass: usable rows go into the queue, in batches. It may end anywhere and be taken up again: the same file
//! gives the same batches, and the checkpoint tells which are in the queue.

use std::collections::HashSet;
use std::time::Duration;

use campaign::batch::{Batch, Cutter, Row};
use campaign::id::RowNumber;
use campaign::import::{ImportCounts, Verdict};
use campaign::phone::PhoneKey;
use campaign::record::Campaign;
use cloud::imports::Checkpoint;
use lambda_runtime::Error;

use crate::examine::Opened;
use crate::{SplitError, Splitter, Turn};

/// Batches enqueued together: eight requests of ten.
const TOGETHER: usize = 80;

/// How the second pass ended.
pub(crate) enum Enqueued {
    /// The whole file is in the queue.
    All(ImportCounts),
    /// Time runs out; the next invocation goes on.
    Part,
}

impl Splitter {
    /// Puts what is not there yet of the file at `index` into the queue.
    pub(crate) async fn enqueue(
        &self,
        campaign: &Campaign,
        index: usize,
        turn: &mut Turn<'_>,
    ) -> Result<Enqueued, SplitError> {
        turn.read_by = turn.deadline;
        let Opened { mut people, .. } = self.open(campaign, index, turn).await?;
        let before = self
            .imports
            .checkpoint(&campaign.id, index)
            .await?
            .unwrap_or_default();
        let mut out = Output::new(self, campaign, index, before);
        while let Some(verdict) = people.next().await? {
            if let Verdict::Usable(row) = verdict
                && out.take(row).await?
                && turn.is_over()
            {
                out.hand_over().await?;
                return Ok(Enqueued::Part);
            }
            self.go_on(campaign, turn).await?;
        }
        let suppressed = out.finish().await?;
        Ok(Enqueued::All(people.counts().suppress(suppressed)))
    }
}

/// Where usable rows go.
struct Output<'a> {
    splitter: &'a Splitter,
    campaign: &'a Campaign,
    index: usize,
    cutter: Cutter,
    ready: Vec<Vec<Row>>,
    /// Everything up to here is in the queue.
    done: RowNumber,
    suppressed: u64,
    /// What an earlier invocation had begun when it ended: up to this row, without those.
    begun: RowNumber,
    kept_back: HashSet<RowNumber>,
}

impl<'a> Output<'a> {
    fn new(
        splitter: &'a Splitter,
        campaign: &'a Campaign,
        index: usize,
        before: Checkpoint,
    ) -> Self {
        Self {
            splitter,
            campaign,
            index,
            cutter: Cutter::new(splitter.rate),
            ready: Vec::new(),
            done: before.done,
            suppressed: before.suppressed,
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

    /// Sends the tail; gives the number of rows that were suppressed, in this invocation and before.
    async fn finish(mut self) -> Result<u64, Error> {
        let cutter = std::mem::replace(&mut self.cutter, Cutter::new(self.splitter.rate));
        let mut tail = cutter.finish().into_iter().peekable();
        while tail.peek().is_some() {
            self.ready.extend(tail.by_ref().take(TOGETHER));
            self.flush().await?;
        }
        self.flush().await?;
        Ok(self.suppressed)
    }

    /// Writes down that what was begun is done: the next invocation begins behind it.
    async fn hand_over(&self) -> Result<(), Error> {
        let checkpoint = Checkpoint {
            done: self.done,
            suppressed: self.suppressed,
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
            .write_checkpoint(&self.campaign.id, self.index, &checkpoint)
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
            suppressed: self.suppressed,
            begun: last.max(self.begun),
            kept_back: kept_back
                .iter()
                .copied()
                .chain(self.kept_back.iter().copied().filter(|&row| row > last))
                .collect(),
        };
        let Splitter { imports, queue, .. } = self.splitter;
        imports
            .write_checkpoint(&self.campaign.id, self.index, &checkpoint)
            .await?;
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
        self.suppressed += kept_back.len() as u64;
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
