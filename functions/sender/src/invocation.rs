//! An invocation: batch after batch, row by row, each call on its tick, overlapping; what must wait goes back to the
//! queue.
//!
//! It begins with the batch that Lambda brought and takes further ones from the queue itself, as long as its time allows:
//! answers are waited for at its end only, so a slot idles once in a quarter of an hour and not once a batch.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use campaign::batch::{Batch, Row};
use campaign::contact::CALL_WITHIN_MS;
use campaign::id::CampaignId;
use campaign::ledger::{self, Move};
use campaign::offer::Skipped;
use campaign::outcome::{Fault, Millis};
use campaign::pacing::Slot;
use campaign::record::{Campaign, Way};
use cloud::Error;
use cloud::ledger::{Claim, Taken};
use cloud::queue::MAX_DELAY;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::desk::{Attempt, Desk, Echo, Ended, Handle, Lane, Look, Pulled};

/// What an invocation needs after its last call: the answer, its record, the rows to put back.
const WIND_UP_MS: Millis = whatsapp::client::ANSWER.as_millis() as Millis + 10_000;

/// No further batch is taken where less time than this is left for it.
const WORTH_MS: Millis = 10_000;

/// Before a claim. The wait for the tick that follows is an interval at most.
pub(crate) const BEFORE_CLAIM: Duration = Duration::from_secs(1);

/// When a call starts, with what the request needs to be out within the two seconds. Nothing is read then, as a rule: a
/// read would delay the tick.
pub(crate) const BEFORE_CALL: Duration = Duration::from_millis(1_800);

/// How often the metrics are told.
const TOLD: Duration = Duration::from_secs(60);

/// How old the permission to call somebody may be.
const ASKED: Duration = Duration::from_millis(CALL_WITHIN_MS);

/// How often the runtime must turn until a request is on its way: the call's own task, the connection, the connection's
/// task; twice that, since nothing is lost by turning idle.
const STEPS_OUT: usize = 8;

/// Rows that are due within this time of each other go back in one message.
const TOGETHER_MS: Millis = 2_000;

/// What became of rows, for the log and the metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
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
    /// Calls that ended, in the order of [`Settled`].
    pub settled: [usize; 5],
    /// The most calls of this slot within any second.
    pub busiest: usize,
}

impl Figures {
    fn add(&mut self, more: &Figures) {
        self.batches += more.batches;
        self.rows += more.rows;
        self.calls += more.calls;
        self.put_back += more.put_back;
        self.dropped += more.dropped;
        self.skipped += more.skipped;
        for (count, more) in self.settled.iter_mut().zip(more.settled) {
            *count += more;
        }
        self.busiest = self.busiest.max(more.busiest);
    }
}

/// What an invocation may do: who it is, and until when.
#[derive(Clone, Debug)]
pub struct Term {
    /// Its request id.
    pub owner: String,
    /// When it is killed.
    pub deadline: Millis,
    /// How often it looks into the urgent lane.
    pub look_around: Duration,
    /// 0 to 1, drawn anew each time: so that slots that begin together do not look together.
    pub phase: f64,
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
    put_back: Vec<(Lane, CampaignId, Millis, Row)>,
    /// When to look into the urgent lane next, since `began`.
    look_around_at: Duration,
    /// Calls under way, by the number of their batch in this invocation.
    under_way: BTreeMap<usize, usize>,
    /// Batches whose rows were all offered, and their messages.
    offered: Vec<(usize, Handle)>,
    /// What became of rows since the metrics were told.
    figures: Figures,
    /// What became of all of them.
    summary: Figures,
    told_at: Duration,
    /// Calls of the last second.
    recent: VecDeque<Duration>,
}

/// The batch that a row is of.
#[derive(Clone, Copy, Debug)]
struct Of {
    lane: Lane,
    /// Its number in this invocation.
    batch: usize,
}

/// A row that waits for its tick.
#[derive(Debug)]
struct Claimed {
    row: Row,
    number: u32,
    of: Of,
    way: Way,
    user_id: Option<String>,
    /// When it was asked whether the person may be called.
    asked: Instant,
}

/// A call that is over.
#[derive(Debug)]
struct Called {
    started: Duration,
    of: Of,
    campaign: CampaignId,
    ended: Ended,
}

/// How an invocation ended.
#[derive(Debug)]
pub struct Served {
    /// What became of its rows.
    pub summary: Figures,
    /// Why the first batch must come again, where it must.
    pub first: Result<(), Error>,
}

impl<'a, D: Desk> Invocation<'a, D> {
    /// Begins; the slot must not be at work elsewhere.
    pub fn new(desk: &'a Arc<D>, slot: &'a mut Slot, began: Instant, term: Term) -> Self {
        slot.enter(began.elapsed());
        let look_around_at = began.elapsed() + term.look_around.mul_f64(term.phase);
        Self {
            desk,
            slot,
            began,
            term,
            claims: 0,
            calls: JoinSet::new(),
            put_back: Vec::new(),
            look_around_at,
            under_way: BTreeMap::new(),
            offered: Vec::new(),
            figures: Figures::default(),
            summary: Figures::default(),
            told_at: began.elapsed(),
            recent: VecDeque::new(),
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
        self.tell();
        Served {
            summary: self.summary,
            first: served,
        }
    }

    /// Batches from the queues, until there is none or no time for one.
    async fn follow(&mut self) -> Result<(), Error> {
        while self.has_time(WORTH_MS) {
            let pulled = match self.desk.urgent().await? {
                Some(urgent) => urgent,
                None => match self.desk.next().await? {
                    Some(next) => next,
                    None => return Ok(()),
                },
            };
            self.pulled(pulled).await?;
        }
        Ok(())
    }

    /// One batch. It is deleted as soon as its calls are over, the first one, too: an invocation lasts longer than batches
    /// stay hidden.
    async fn pulled(&mut self, pulled: Pulled) -> Result<(), Error> {
        let Pulled { batch, handle } = pulled;
        self.figures.batches += 1;
        let of = Of {
            lane: handle.lane,
            batch: self.summary.batches + self.figures.batches,
        };
        if let Err(error) = self.batch(batch, of).await {
            self.desk.release(&handle).await?;
            return Err(error);
        }
        self.offered.push((of.batch, handle));
        self.give_back().await?;
        self.delete().await?;
        if self.began.elapsed() > self.told_at + TOLD {
            self.tell();
        }
        Ok(())
    }

    /// Tells the metrics what became of rows since the last time.
    fn tell(&mut self) {
        let figures = std::mem::take(&mut self.figures);
        self.desk.tell(&figures);
        self.summary.add(&figures);
        self.told_at = self.began.elapsed();
    }

    /// Between two rows of a campaign, now and then: whoever waits for an answer goes first.
    async fn look_around(&mut self) -> Result<(), Error> {
        let now = self.began.elapsed();
        if now < self.look_around_at {
            return Ok(());
        }
        self.look_around_at = now + self.term.look_around;
        while let Some(urgent) = self.desk.urgent().await? {
            // It comes again; the batch that is at work need not.
            if let Err(error) = Box::pin(self.pulled(urgent)).await {
                lambda_runtime::tracing::error!("an urgent batch comes again: {error}");
                return Ok(());
            }
        }
        Ok(())
    }

    /// Offers each row of a batch; returns early where the campaign does not send or time runs out.
    async fn batch(&mut self, batch: Batch, of: Of) -> Result<(), Error> {
        let campaign = batch.campaign;
        self.figures.rows += batch.rows.len();
        let mut rows = batch.rows.into_iter();
        while let Some(row) = rows.next() {
            self.absorb();
            if of.lane == Lane::Bulk {
                self.look_around().await?;
            }
            let wait = self.slot.prepare_at().saturating_sub(self.began.elapsed());
            if !self.has_time(wait.as_millis() as Millis) {
                self.again(of.lane, &campaign, 0, row);
                rows.for_each(|row| self.again(of.lane, &campaign, 0, row));
                return Ok(());
            }
            tokio::time::sleep(wait).await;
            let age = BEFORE_CLAIM.min(self.slot.interval());
            match self.desk.look(&campaign, age).await? {
                Look::On(known, _) => self.offer(&known, row, of).await?,
                Look::Expired => self.skip(&campaign, &row, Skipped::Expired).await?,
                Look::Resting(until) => {
                    let longest = self.desk.now() + MAX_DELAY.as_millis() as Millis;
                    let due = until.min(longest);
                    self.again(of.lane, &campaign, due, row);
                    rows.for_each(|row| self.again(of.lane, &campaign, due, row));
                    return Ok(());
                }
                Look::Stopped => {
                    self.figures.dropped += 1 + rows.len();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Asks whether the person may be called, claims the row and calls on the next tick. Both come before the wait, so a
    /// tick never waits for them. The splitter looked at the standing list, too; somebody may have said stop since.
    async fn offer(&mut self, known: &Campaign, row: Row, of: Of) -> Result<(), Error> {
        let campaign = &known.id;
        let asked = Instant::now();
        let Some(permission) = self.desk.may_call(campaign, &row).await? else {
            return self.skip(campaign, &row, Skipped::Suppressed).await;
        };
        let way = known.way(permission.in_window);
        if way == Way::Nothing {
            return self.skip(campaign, &row, Skipped::OutsideWindow).await;
        }
        // A name for each claim: the same row may come twice in one invocation, and its second claim is not the first.
        self.claims += 1;
        let owner = format!("{}/{}", self.term.owner, self.claims);
        match self.desk.claim(campaign, &row, &owner).await? {
            Claim::Won(number) => {
                let claimed = Claimed {
                    row,
                    number,
                    of,
                    way,
                    user_id: permission.user_id,
                    asked,
                };
                self.call(campaign, claimed).await?;
            }
            Claim::Settled => {}
            Claim::NotBefore(due) => self.again(of.lane, campaign, due, row),
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
                    self.again(of.lane, campaign, claimed_at + ledger::CLAIM_MS, row);
                }
            }
        }
        Ok(())
    }

    async fn skip(&mut self, campaign: &CampaignId, row: &Row, why: Skipped) -> Result<(), Error> {
        let skipped = self.desk.skip(campaign, row, &self.term.owner, why).await?;
        self.figures.skipped += usize::from(skipped);
        Ok(())
    }

    async fn call(&mut self, id: &CampaignId, claimed: Claimed) -> Result<(), Error> {
        let Claimed {
            row,
            number,
            of,
            way,
            user_id,
            mut asked,
        } = claimed;
        let (campaign, token) = loop {
            self.tick().await;
            let Look::On(campaign, token) = self.desk.look(id, BEFORE_CALL).await? else {
                let fault = Fault::on_the_way("the campaign stopped before the call");
                return self.desk.settle(id, &row, number, Move::Hold, &fault).await;
            };
            if asked.elapsed() <= ASKED {
                break (campaign, token);
            }
            // The tick was put off, or the claim took its time: they may have said stop meanwhile.
            asked = Instant::now();
            if self.desk.may_call(id, &row).await?.is_none() {
                let fault = Fault::on_the_way(Skipped::Suppressed.text());
                let hold = self.desk.settle(id, &row, number, Move::Hold, &fault);
                hold.await?;
                return self.skip(id, &row, Skipped::Suppressed).await;
            }
        };
        self.figures.calls += 1;
        let started = self.began.elapsed();
        self.note_start(started);
        let call = Arc::clone(self.desk).call(Attempt {
            campaign,
            row,
            number,
            way,
            user_id,
            token,
        });
        let campaign = id.clone();
        *self.under_way.entry(of.batch).or_default() += 1;
        self.calls.spawn(async move {
            Called {
                started,
                of,
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

    fn note_start(&mut self, started: Duration) {
        const SECOND: Duration = Duration::from_secs(1);
        self.recent.push_back(started);
        while self
            .recent
            .front()
            .is_some_and(|first| *first + SECOND <= started)
        {
            self.recent.pop_front();
        }
        self.figures.busiest = self.figures.busiest.max(self.recent.len());
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
            of,
            campaign,
            ended:
                Ended {
                    echo,
                    again,
                    settled,
                },
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
        if let Some(under_way) = self.under_way.get_mut(&of.batch) {
            *under_way -= 1;
        }
        if let Some(settled) = settled {
            self.figures.settled[settled as usize] += 1;
        }
        match echo {
            Echo::None => {}
            Echo::Fine => self.slot.recover(),
            Echo::TooMuch => self.slot.slow(started, self.began.elapsed()),
        }
        if let Some((due, row)) = again {
            self.again(of.lane, &campaign, due, row);
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
        for lane in [Lane::Bulk, Lane::Urgent] {
            let is_over = |(batch, handle): &&(usize, Handle)| {
                handle.lane == lane && self.under_way.get(batch).unwrap_or(&0) == &0
            };
            let over = self.offered.iter().filter(is_over);
            let over: Vec<String> = over.map(|(_, handle)| handle.receipt.clone()).collect();
            self.desk.delete(lane, &over).await?;
            self.offered
                .retain(|(_, handle)| !over.contains(&handle.receipt));
        }
        Ok(())
    }

    /// Puts what is to be offered again back into the queue. Where that fails, nothing is forgotten.
    async fn give_back(&mut self) -> Result<(), Error> {
        let now = self.desk.now();
        for (lane, campaign, delay, rows) in delayed(self.put_back.clone(), now) {
            let batch = Batch { campaign, rows };
            self.desk.put_back(lane, batch, delay).await?;
        }
        self.figures.put_back += self.put_back.len();
        self.put_back.clear();
        Ok(())
    }

    /// Notes that a row goes back into the queue; later than the queue can delay it, the ledger keeps it, and the sweep
    /// brings it back.
    fn again(&mut self, lane: Lane, campaign: &CampaignId, due: Millis, row: Row) {
        if due <= self.desk.now() + MAX_DELAY.as_millis() as Millis {
            self.put_back.push((lane, campaign.clone(), due, row));
        }
    }

    /// Whether something of that length still fits before the end is prepared.
    fn has_time(&self, ms: Millis) -> bool {
        self.desk.now() + ms + WIND_UP_MS <= self.term.deadline
    }
}

/// Rows to put back as few messages, each with the delay after which all of its rows are due.
fn delayed(
    rows: Vec<(Lane, CampaignId, Millis, Row)>,
    now: Millis,
) -> Vec<(Lane, CampaignId, Duration, Vec<Row>)> {
    let mut by_campaign: BTreeMap<(Lane, CampaignId), Vec<(Millis, Row)>> = BTreeMap::new();
    for (lane, campaign, due, row) in rows {
        by_campaign
            .entry((lane, campaign))
            .or_default()
            .push((due, row));
    }
    let mut messages = Vec::new();
    for ((lane, campaign), rows) in by_campaign {
        for (last, rows) in together(rows) {
            let delay = Duration::from_millis(last.saturating_sub(now));
            messages.push((lane, campaign.clone(), delay, rows));
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
            (
                Lane::Bulk,
                campaign.parse().unwrap(),
                due,
                Row { row, to, values },
            )
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
            .map(|(_, campaign, delay, rows)| {
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
