//! Offering again: rows that were in the queue before and are not settled go into it once more; those of a campaign that
//! will not go on are settled here. The ledger says which are which, page by page, so a settled row costs no message.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use campaign::batch::{Batch, Cutter, Row};
use campaign::id::{RowNumber, page};
use campaign::import::{ImportCounts, Verdict};
use campaign::offer::{Fate, Offer, Skipped, fate, offer};
use campaign::record::{Campaign, FileStage};
use cloud::imports::Share;
use cloud::ledger::LedgerRow;
use cloud::splits::Position;
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda_runtime::{Error, tracing};
use people::files::Opened;

use crate::enqueue::Shares;
use crate::{SplitError, Splitter, Turn};

/// Rows looked up in the ledger together: some thirty pages.
const TOGETHER: usize = 2_000;

/// Requests to the ledger under way at once.
const IN_FLIGHT: usize = 16;

/// Where offering ended.
pub(crate) enum Offered {
    /// At the end of the last file.
    All,
    /// Time runs out; the next invocation goes on from here.
    Part(Position),
}

/// What was done about rows, for the log.
#[derive(Debug, Default)]
struct Tally {
    enqueued: u64,
    skipped: u64,
    given_up: u64,
}

impl Splitter {
    /// Offers what is open of every file, from the position on.
    pub(crate) async fn offer(
        &self,
        campaign: &mut Campaign,
        from: Position,
        turn: &mut Turn<'_>,
    ) -> Result<Offered, SplitError> {
        let fate = fate(campaign, cloud::now());
        if fate == Fate::Wait {
            return Ok(Offered::All);
        }
        turn.read_by = turn.deadline;
        for file in from.file..campaign.files.len() {
            let after = if file == from.file { from.after } else { 0 };
            let stage = campaign.files[file].stage;
            if !matches!(stage, FileStage::Examined | FileStage::Split) {
                continue;
            }
            match self.offer_file(campaign, file, after, fate, turn).await? {
                Ended::Early(after) => return Ok(Offered::Part(Position { file, after })),
                Ended::Whole(counts) => self.conclude(campaign, file, fate, counts).await?,
            }
        }
        self.campaigns.offered(&campaign.id, cloud::now()).await?;
        Ok(Offered::All)
    }

    /// Where nothing more of a file will be sent, it counts as split: nobody in it waits any more.
    async fn conclude(
        &self,
        campaign: &mut Campaign,
        index: usize,
        fate: Fate,
        counts: ImportCounts,
    ) -> Result<(), Error> {
        let file = &mut campaign.files[index];
        if matches!(fate, Fate::Skipped(_)) && file.stage == FileStage::Examined {
            let kept_back = self.imports.kept_back(&campaign.id, index).await?;
            file.counts = counts.suppress(kept_back.len() as u64);
            file.stage = FileStage::Split;
            self.campaigns.write_file(&campaign.id, index, file).await?;
        }
        Ok(())
    }

    async fn offer_file(
        &self,
        campaign: &Campaign,
        index: usize,
        after: RowNumber,
        fate: Fate,
        turn: &mut Turn<'_>,
    ) -> Result<Ended, SplitError> {
        let Opened { mut people, .. } = self.open(campaign, index, turn).await?;
        let before = self.before(campaign, index, fate).await?;
        let mut cutter = Cutter::new(self.rate);
        let (mut rows, mut usable, mut tally) = (Vec::new(), 0, Tally::default());
        while let Some(verdict) = people.next().await? {
            self.go_on(campaign, turn).await?;
            let Verdict::Usable(row) = verdict else {
                continue;
            };
            usable += 1;
            let last = row.row;
            if last > after && before.contains(usable - 1, last) {
                rows.push(row);
            }
            if rows.len() == TOGETHER {
                let rows = std::mem::take(&mut rows);
                self.offer_rows(campaign, rows, fate, &mut cutter, &mut tally)
                    .await?;
                if turn.is_over() {
                    self.enqueue_again(campaign, cutter.finish()).await?;
                    return Ok(Ended::Early(last));
                }
            }
        }
        self.offer_rows(campaign, rows, fate, &mut cutter, &mut tally)
            .await?;
        self.enqueue_again(campaign, cutter.finish()).await?;
        let Tally {
            enqueued,
            skipped,
            given_up,
        } = tally;
        tracing::info!(campaign.id = %campaign.id, file = index + 1, enqueued, skipped, given_up, "rows offered again");
        Ok(Ended::Whole(people.counts()))
    }

    /// Which rows of a file were in the queue before.
    async fn before(&self, campaign: &Campaign, index: usize, fate: Fate) -> Result<Before, Error> {
        let (id, file) = (&campaign.id, &campaign.files[index]);
        // Nothing comes behind them: all rows are settled, those that never were in the queue, too.
        let all = file.stage == FileStage::Split || matches!(fate, Fate::Skipped(_));
        let up_to = async |share| -> Result<RowNumber, Error> {
            if all {
                return Ok(RowNumber::MAX);
            }
            let checkpoint = self.imports.checkpoint(id, index, share).await?;
            Ok(checkpoint.map_or(0, |checkpoint| checkpoint.done))
        };
        Ok(Before {
            shares: Shares::of_file(campaign, index),
            canary_up_to: up_to(Share::Canary).await?,
            rest_up_to: up_to(Share::Rest).await?,
            kept_back: self.imports.kept_back(id, index).await?,
        })
    }

    /// Looks rows up in the ledger, and does what is to be done about each.
    async fn offer_rows(
        &self,
        campaign: &Campaign,
        rows: Vec<Row>,
        fate: Fate,
        cutter: &mut Cutter,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        let known = self.known(campaign, &rows).await?;
        let now = cloud::now();
        let (mut batches, mut settle) = (Vec::new(), Vec::new());
        for row in rows {
            let entry = known.get(&row.row);
            let standing = entry.map(LedgerRow::standing);
            let due = entry.and_then(|entry| entry.not_before);
            match (offer(standing, due, fate, now), fate) {
                (Offer::Enqueue, _) => {
                    tally.enqueued += 1;
                    batches.extend(cutter.push(row));
                }
                (Offer::Skip(why), _) => {
                    tally.skipped += 1;
                    settle.push((row.row, why));
                }
                (Offer::GiveUp, Fate::Skipped(why)) => {
                    tally.given_up += 1;
                    settle.push((row.row, why));
                }
                (Offer::GiveUp | Offer::Leave, _) => {}
            }
        }
        self.enqueue_again(campaign, batches).await?;
        stream::iter(settle)
            .map(|(row, why)| self.leave_out(campaign, row, why))
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<()>()
            .await
    }

    async fn known(
        &self,
        campaign: &Campaign,
        rows: &[Row],
    ) -> Result<HashMap<RowNumber, LedgerRow>, Error> {
        let pages: BTreeSet<RowNumber> = rows.iter().map(|row| page(row.row)).collect();
        let reads = stream::iter(pages).map(|page| self.ledger.page(&campaign.id, page));
        let pages: Vec<Vec<LedgerRow>> = reads.buffer_unordered(IN_FLIGHT).try_collect().await?;
        let rows = pages.into_iter().flatten();
        Ok(rows.filter_map(|row| Some((row.number()?, row))).collect())
    }

    async fn leave_out(
        &self,
        campaign: &Campaign,
        row: RowNumber,
        why: Skipped,
    ) -> Result<(), Error> {
        let now = cloud::now();
        self.ledger
            .leave_out(&campaign.id, row, "splitter", why, now)
            .await?;
        Ok(())
    }

    async fn enqueue_again(
        &self,
        campaign: &Campaign,
        batches: Vec<Vec<Row>>,
    ) -> Result<(), Error> {
        let batches: Vec<Batch> = batches
            .into_iter()
            .map(|rows| Batch {
                campaign: campaign.id.clone(),
                rows,
            })
            .collect();
        Ok(self.queue.send(&batches, Duration::ZERO).await?)
    }
}

/// How a file's offering ended.
enum Ended {
    Whole(ImportCounts),
    Early(RowNumber),
}

/// Rows that were in the queue before.
struct Before {
    shares: Shares,
    canary_up_to: RowNumber,
    rest_up_to: RowNumber,
    kept_back: HashSet<RowNumber>,
}

impl Before {
    /// Whether the row was, the usable one at `index`.
    fn contains(&self, index: u64, row: RowNumber) -> bool {
        let up_to = match self.shares.of(index) {
            Share::Canary => self.canary_up_to,
            Share::Rest => self.rest_up_to,
        };
        row <= up_to && !self.kept_back.contains(&row)
    }
}
