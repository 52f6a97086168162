//! An invocation: batch after batch, row by row, each call on its tick, overlapping; what must wait goes back to the
//! queue.
//!
//! It begins with the batch that Lambda brought and takes further ones from the queue itself, as long as its time allows:
//! answers are waited for at its end only, so a slot idles once in a quarter of an hour and not once a batch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use campaign::batch::{Batch, Row};
use campaign::id::CampaignId;
use campaign::ledger::{self, Move};
use campaign::offer::Skipped;
use campaign::outcome::{Fault, Millis};
use campaign::pacing::Slot;
use cloud::Error;
use cloud::ledger::{Claim, Taken};
use cloud::queue::MAX_DELAY;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::desk::{Attempt, Desk, Echo, Ended, Look, Pulled};
use crate::known::{BEFORE_CALL, BEFORE_CLAIM};

/// What an invocation needs after its last call: the answer, its record, the rows to put back.
const WIND_UP_MS: Millis = whatsapp::client::ANSWER.as_millis() as Millis + 10_000;

/// No further batch is taken where less time than this is left for it.
const WORTH_MS: Millis = 10_000;

/// How often the runtime must turn until a request is on its way: the call's own task, the connection, the connection's
/// task; twice that, since nothing is lost by turning idle.
const STEPS_OUT: usize = 8;

/// Rows that are due within this time of each other go back in one message.
const TOGETHER_MS: Millis = 2_000;

/// What became of an invocation's rows, for the log.
#[derive(Debug, Default)]
pub struct Summary {
    /// Batches, the first included.
    pub batches: usize,
    /// Their rows.
    pub rows: usize,
    /// Calls.
    pub calls: usize,
    /// Rows put back into the queue.
    pub put_back: usize,
    /// Rows of campaigns that do not send.
    pub dropped: usize,
    /// Rows that are not sent.
    pub skipped: usize,
}

/// What an invocation may do: who it is, and until when.
#[derive(Clone, Debug)]
pub struct Term {
    /// Its request id.
    pub owner: String,
    /// When it is killed.
    pub deadline: Millis,
}

/// One at work.
#[derive(Debug)]
pub struct Invocation<'a, D> {
    desk: &'a Arc<D>,
    slot: &'a mut Slot,
    /// When the slot's process began: its times count from here.
    began: Instant,
    term: Term,
    claims: usize,
    calls: JoinSet<Called>,
    put_back: Vec<(CampaignId, Millis, Row)>,
    /// Calls under way, by the number of their batch in this invocation.
    under_way: BTreeMap<usize, usize>,
    /// Batches whose rows were all offered, and with what they are deleted.
    offered: Vec<(usize, String)>,
    summary: Summary,
}

/// A call that is over.
#[derive(Debug)]
struct Called {
    started: Duration,
    /// The number of its batch in this invocation.
    batch: usize,
    campaign: CampaignId,
    ended: Ended,
}

/// How an invocation ended.
#[derive(Debug)]
pub struct Served {
    /// What became of its rows.
    pub summary: Summary,
    /// Why the first batch must come again, where it must.
    pub first: Result<(), Error>,
}

impl<'a, D: Desk> Invocation<'a, D> {
    /// Begins; the slot must not be at work elsewhere.
    pub fn new(desk: &'a Arc<D>, slot: &'a mut Slot, began: Instant, term: Term) -> Self {
        slot.enter(began.elapsed());
        Self {
            desk,
            slot,
            began,
            term,
            claims: 0,
            calls: JoinSet::new(),
            put_back: Vec::new(),
            under_way: BTreeMap::new(),
            offered: Vec::new(),
            summary: Summary::default(),
        }
    }

    /// Serves the first batch and those that follow.
    pub async fn serve(mut self, first: Pulled) -> Served {
        let mut served = self.pulled(first).await;
        if served.is_ok()
            && let Err(error) = self.follow().await
        {
            // The batch that was at work comes again.
            lambda_runtime::tracing::error!("no further batches: {error}");
        }
        if let Err(error) = self.finish().await {
            served = served.and(Err(error));
        }
        Served {
            summary: self.summary,
            first: served,
        }
    }

    /// Batches from the queue, until there is none or no time for one.
    async fn follow(&mut self) -> Result<(), Error> {
        while self.has_time(WORTH_MS) {
            let Some(pulled) = self.desk.next().await? else {
                return Ok(());
            };
            self.pulled(pulled).await?;
        }
        Ok(())
    }

    /// One batch. It is deleted as soon as its calls are over, the first one, too: an invocation lasts longer than batches
    /// stay hidden.
    async fn pulled(&mut self, pulled: Pulled) -> Result<(), Error> {
        let Pulled {
            batch,
            receipt,
            times,
        } = pulled;
        if let Err(error) = self.batch(batch).await {
            self.desk.release(&receipt, times).await?;
            return Err(error);
        }
        self.offered.push((self.summary.batches, receipt));
        self.give_back().await?;
        self.delete().await
    }

    /// Offers each row of a batch; returns early where the campaign does not send or time runs out.
    async fn batch(&mut self, batch: Batch) -> Result<(), Error> {
        let campaign = batch.campaign;
        self.summary.batches += 1;
        self.summary.rows += batch.rows.len();
        let mut rows = batch.rows.into_iter();
        while let Some(row) = rows.next() {
            self.absorb();
            let wait = self.slot.prepare_at().saturating_sub(self.began.elapsed());
            if !self.has_time(wait.as_millis() as Millis) {
                self.again(&campaign, 0, row);
                rows.for_each(|row| self.again(&campaign, 0, row));
                return Ok(());
            }
            tokio::time::sleep(wait).await;
            let age = BEFORE_CLAIM.min(self.slot.interval());
            // Side by side: before the first call of an invocation every round trip is a tick lost. The splitter looked
            // at the standing list, too; somebody may have said stop since.
            let (look, suppressed) = tokio::join!(
                self.desk.look(&campaign, age),
                self.desk.is_suppressed(&row)
            );
            match look? {
                Look::On(..) if suppressed? => {
                    self.skip(&campaign, &row, Skipped::Suppressed).await?
                }
                Look::On(..) => self.offer(&campaign, row).await?,
                Look::Expired => self.skip(&campaign, &row, Skipped::Expired).await?,
                Look::Resting(until) => {
                    let longest = self.desk.now() + MAX_DELAY.as_millis() as Millis;
                    let due = until.min(longest);
                    self.again(&campaign, due, row);
                    rows.for_each(|row| self.again(&campaign, due, row));
                    return Ok(());
                }
                Look::Stopped => {
                    self.summary.dropped += 1 + rows.len();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Claims the row and calls on the next tick. A claim comes before the wait, so a tick never waits for a claim.
    async fn offer(&mut self, campaign: &CampaignId, row: Row) -> Result<(), Error> {
        // A name for each claim: the same row may come twice in one invocation, and its second claim is not the first.
        self.claims += 1;
        let owner = format!("{}/{}", self.term.owner, self.claims);
        match self.desk.claim(campaign, &row, &owner).await? {
            Claim::Won(attempt) => self.call(campaign, row, attempt).await?,
            Claim::Settled => {}
            Claim::NotBefore(due) => self.again(campaign, due, row),
            Claim::Taken(Taken {
                claimed_at,
                attempt,
            }) => {
                if ledger::owner_is_dead(claimed_at, self.desk.now()) {
                    let fault = Fault::on_the_way(ledger::OWNER_DIED);
                    self.desk
                        .settle(campaign, &row, attempt, Move::Doubt, &fault)
                        .await?;
                } else {
                    // Still at it, or dead too recently to tell: looked at again when it can be told.
                    self.again(campaign, claimed_at + ledger::CLAIM_MS, row);
                }
            }
        }
        Ok(())
    }

    async fn skip(&mut self, campaign: &CampaignId, row: &Row, why: Skipped) -> Result<(), Error> {
        let skipped = self.desk.skip(campaign, row, &self.term.owner, why).await?;
        self.summary.skipped += usize::from(skipped);
        Ok(())
    }

    async fn call(&mut self, id: &CampaignId, row: Row, number: u32) -> Result<(), Error> {
        self.tick().await;
        let Look::On(campaign, token) = self.desk.look(id, BEFORE_CALL).await? else {
            let fault = Fault::on_the_way("the campaign stopped before the call");
            return self.desk.settle(id, &row, number, Move::Hold, &fault).await;
        };
        self.summary.calls += 1;
        let started = self.began.elapsed();
        let call = Arc::clone(self.desk).call(Attempt {
            campaign,
            row,
            number,
            token,
        });
        let (batch, campaign) = (self.summary.batches, id.clone());
        *self.under_way.entry(batch).or_default() += 1;
        self.calls.spawn(async move {
            Called {
                started,
                batch,
                campaign,
                ended: call.await,
            }
        });
        // The next tick counts from when the request is out, not from when it was thought of: what happens between,
        // a busy machine above all, would else bring two calls closer than an interval.
        for _ in 0..STEPS_OUT {
            tokio::task::yield_now().await;
        }
        self.slot.started(self.began.elapsed());
        Ok(())
    }

    /// Waits for the next tick, which an answer that comes meanwhile may put off.
    async fn tick(&mut self) {
        loop {
            let next = self.slot.next_start();
            tokio::time::sleep_until(self.began + next).await;
            self.absorb();
            if self.slot.next_start() <= next {
                return;
            }
        }
    }

    /// Takes in what calls that ended meanwhile left.
    fn absorb(&mut self) {
        while let Some(ended) = self.calls.try_join_next() {
            self.take_in(ended);
        }
    }

    fn take_in(&mut self, called: Result<Called, JoinError>) {
        let Called {
            started,
            batch,
            campaign,
            ended: Ended { echo, again },
        } = match called {
            Ok(called) => called,
            // Its batch is not deleted before the end of the invocation, then.
            Err(panic) => {
                lambda_runtime::tracing::error!(
                    "a call's task ended early, its row stays claimed: {panic}"
                );
                return;
            }
        };
        if let Some(under_way) = self.under_way.get_mut(&batch) {
            *under_way -= 1;
        }
        match echo {
            Echo::None => {}
            Echo::Fine => self.slot.recover(),
            Echo::TooMuch => self.slot.slow(started, self.began.elapsed()),
        }
        if let Some((due, row)) = again {
            self.again(&campaign, due, row);
        }
    }

    /// Waits for the calls under way, gives back what is to be offered again, and deletes the batches that are done.
    async fn finish(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.calls.join_next().await {
            self.take_in(ended);
        }
        self.give_back().await?;
        self.under_way.clear();
        self.delete().await
    }

    /// Deletes the batches of which no call is under way any more; what was to be put back of them is.
    async fn delete(&mut self) -> Result<(), Error> {
        let is_over = |(batch, _): &&(usize, String)| self.under_way.get(batch).unwrap_or(&0) == &0;
        let over: Vec<String> = self
            .offered
            .iter()
            .filter(is_over)
            .map(|(_, receipt)| receipt.clone())
            .collect();
        self.desk.delete(&over).await?;
        self.offered.retain(|(_, receipt)| !over.contains(receipt));
        Ok(())
    }

    /// Puts what is to be offered again back into the queue. Where that fails, nothing is forgotten.
    async fn give_back(&mut self) -> Result<(), Error> {
        let now = self.desk.now();
        for (campaign, delay, rows) in delayed(self.put_back.clone(), now) {
            self.desk.put_back(Batch { campaign, rows }, delay).await?;
        }
        self.summary.put_back += self.put_back.len();
        self.put_back.clear();
        Ok(())
    }

    /// Notes that a row goes back into the queue; later than the queue can delay it, the ledger keeps it, and the sweep
    /// brings it back.
    fn again(&mut self, campaign: &CampaignId, due: Millis, row: Row) {
        if due <= self.desk.now() + MAX_DELAY.as_millis() as Millis {
            self.put_back.push((campaign.clone(), due, row));
        }
    }

    /// Whether something of that length still fits before the end is prepared.
    fn has_time(&self, ms: Millis) -> bool {
        self.desk.now() + ms + WIND_UP_MS <= self.term.deadline
    }
}

/// Rows to put back as few messages, each with the delay after which all of its rows are due.
fn delayed(
    rows: Vec<(CampaignId, Millis, Row)>,
    now: Millis,
) -> Vec<(CampaignId, Duration, Vec<Row>)> {
    let mut by_campaign: BTreeMap<CampaignId, Vec<(Millis, Row)>> = BTreeMap::new();
    for (campaign, due, row) in rows {
        by_campaign.entry(campaign).or_default().push((due, row));
    }
    let mut messages = Vec::new();
    for (campaign, rows) in by_campaign {
        for (last, rows) in together(rows) {
            let delay = Duration::from_millis(last.saturating_sub(now));
            messages.push((campaign.clone(), delay, rows));
        }
    }
    messages
}

/// Rows that are due at about the same time, as many as a batch holds.
fn together(mut rows: Vec<(Millis, Row)>) -> Vec<(Millis, Vec<Row>)> {
    rows.sort_by_key(|(due, row)| (*due, row.row));
    let mut groups: Vec<(Millis, Millis, Vec<Row>)> = Vec::new();
    for (due, row) in rows {
        match groups.last_mut() {
            Some((first, last, group))
                if due <= *first + TOGETHER_MS && group.len() < campaign::batch::MAX_ROWS =>
            {
                *last = due;
                group.push(row);
            }
            _ => groups.push((due, due, vec![row])),
        }
    }
    groups
        .into_iter()
        .map(|(_, last, group)| (last, group))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use campaign::phone;

    #[test]
    fn rows_go_back_together_but_never_early() {
        let to = phone::read("+5511987654321", None).unwrap();
        let row = |campaign: &str, due, row| {
            let values = Vec::new();
            (campaign.parse().unwrap(), due, Row { row, to, values })
        };
        let mut rows = vec![
            row("c1", 9_000, 4),
            row("c1", 1_500, 1),
            row("c2", 1_500, 1),
            row("c1", 2_000, 2),
            row("c1", 0, 3),
        ];
        rows.extend((0..60).map(|number| row("c3", 0, number)));
        let seen: Vec<(String, u64, Vec<u32>)> = delayed(rows, 1_000)
            .into_iter()
            .map(|(campaign, delay, rows)| {
                let rows = rows.iter().map(|row| row.row).collect();
                (campaign.to_string(), delay.as_millis() as u64, rows)
            })
            .collect();
        let expected = [
            ("c1".to_owned(), 1_000, vec![3, 1, 2]),
            ("c1".to_owned(), 8_000, vec![4]),
            ("c2".to_owned(), 500, vec![1]),
            ("c3".to_owned(), 0, (0..50).collect()),
            ("c3".to_owned(), 0, (50..60).collect()),
        ];
        assert_eq!(seen, expected);
    }
}
