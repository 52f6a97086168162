//! One batch: row by row, each call on its tick, overlapping; what must wait goes back to the queue.

use std::time::Duration;

use campaign::batch::{Batch, Row};
use campaign::id::CampaignId;
use campaign::ledger::{self, Move};
use campaign::outcome::{Fault, Millis};
use campaign::pacing::Slot;
use cloud::ledger::{Claim, Taken};
use lambda_runtime::{Context, Error};
use secrecy::SecretString;
use tokio::task::JoinSet;

use crate::Sender;
use crate::attempt::{self, Attempt, Ended};
use crate::known::{BEFORE_CALL, BEFORE_CLAIM};

/// What an invocation needs after its last call: the answer, its record, the rows to put back.
const WIND_UP_MS: Millis = whatsapp::client::ANSWER.as_millis() as Millis + 10_000;

/// How often the runtime must turn until a request is on its way: the call's own task, the connection, the connection's
/// task; twice that, since nothing is lost by turning idle.
const STEPS_OUT: usize = 8;

/// Rows that are due within this time of each other go back in one message.
const TOGETHER_MS: Millis = 2_000;

/// What became of a batch, for the log.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) rows: usize,
    pub(crate) calls: usize,
    pub(crate) put_back: usize,
    pub(crate) dropped: usize,
    pub(crate) skipped: usize,
}

pub(crate) struct Invocation<'a> {
    sender: &'a Sender,
    campaign: CampaignId,
    rows: std::vec::IntoIter<Row>,
    owner: String,
    deadline: Millis,
    lifetime: Millis,
    calls: JoinSet<Ended>,
    put_back: Vec<(Millis, Row)>,
    summary: Summary,
}

impl<'a> Invocation<'a> {
    pub(crate) fn new(sender: &'a Sender, batch: Batch, context: &Context) -> Self {
        Self {
            sender,
            campaign: batch.campaign,
            summary: Summary {
                rows: batch.rows.len(),
                ..Summary::default()
            },
            rows: batch.rows.into_iter(),
            owner: context.request_id.clone(),
            deadline: context.deadline,
            lifetime: context.deadline.saturating_sub(cloud::now()),
            calls: JoinSet::new(),
            put_back: Vec::new(),
        }
    }

    /// Offers each row; returns early where the campaign does not send or time runs out.
    pub(crate) async fn run(&mut self, slot: &mut Slot) -> Result<(), Error> {
        while let Some(row) = self.rows.next() {
            if cloud::now() + WIND_UP_MS > self.deadline {
                self.put_back.push((0, row));
                self.put_back.extend(self.rows.by_ref().map(|row| (0, row)));
                return Ok(());
            }
            let shared = &self.sender.shared;
            // Side by side: before the first call of an invocation every round trip is a tick lost. The splitter looked
            // at the standing list, too; somebody may have said stop since.
            let (campaign, suppressed) = tokio::join!(
                shared.known.sending(&self.campaign, BEFORE_CLAIM),
                shared.contacts.is_suppressed(row.to.key()),
            );
            if campaign?.is_none() {
                self.summary.dropped = 1 + self.rows.len();
                return Ok(());
            }
            if suppressed? {
                self.skip(&row).await?;
                continue;
            }
            let token = shared.secrets.get().await?.access_token.clone();
            self.offer(row, token, slot).await?;
        }
        Ok(())
    }

    /// Waits for the calls under way, then gives back what is to be offered again.
    pub(crate) async fn finish(mut self) -> Result<Summary, Error> {
        while let Some(ended) = self.calls.join_next().await {
            match ended {
                Ok(Ended::Again { due, row }) => self.put_back.push((due, row)),
                Ok(Ended::Done) => {}
                Err(panic) => lambda_runtime::tracing::error!(
                    "a call's task ended early, its row stays claimed: {panic}"
                ),
            }
        }
        self.summary.put_back = self.put_back.len();
        for (delay, rows) in delayed(self.put_back, cloud::now()) {
            let batch = Batch {
                campaign: self.campaign.clone(),
                rows,
            };
            self.sender.queue.send(&[batch], delay).await?;
        }
        Ok(self.summary)
    }

    /// Claims the row and calls on the next tick. A claim comes before the wait, so a tick never waits for a claim.
    async fn offer(&mut self, row: Row, token: SecretString, slot: &mut Slot) -> Result<(), Error> {
        let now = cloud::now();
        let ledger = &self.sender.shared.ledger;
        match ledger
            .claim(&self.campaign, row.row, &self.owner, now)
            .await?
        {
            Claim::Won(attempt) => self.call(row, attempt, token, slot).await,
            Claim::Settled => Ok(()),
            Claim::NotBefore(due) => {
                self.put_back.push((due, row));
                Ok(())
            }
            Claim::Taken(taken) if ledger::owner_is_dead(taken.claimed_at, now, self.lifetime) => {
                self.doubt(row, taken).await
            }
            // Still at it, or dead too recently to tell: looked at again when it can be told.
            Claim::Taken(taken) => {
                self.put_back
                    .push((taken.claimed_at + self.lifetime + 60_000, row));
                Ok(())
            }
        }
    }

    async fn skip(&mut self, row: &Row) -> Result<(), Error> {
        let fault =
            Fault::on_the_way("suppressed: on the standing list of people who are not messaged");
        let ledger = &self.sender.shared.ledger;
        let skipped = ledger
            .skip(&self.campaign, row.row, &self.owner, &fault, cloud::now())
            .await?;
        self.summary.skipped += usize::from(skipped);
        Ok(())
    }

    async fn call(
        &mut self,
        row: Row,
        number: u32,
        token: SecretString,
        slot: &mut Slot,
    ) -> Result<(), Error> {
        tokio::time::sleep_until(self.sender.began + slot.next_start()).await;
        let shared = &self.sender.shared;
        let Some(campaign) = shared.known.sending(&self.campaign, BEFORE_CALL).await? else {
            let fault = Fault::on_the_way("the campaign stopped before the call");
            shared
                .ledger
                .settle(&self.campaign, row.row, number, Move::Hold, &fault)
                .await?;
            return Ok(());
        };
        self.summary.calls += 1;
        self.calls.spawn(attempt::run(
            shared.clone(),
            Attempt {
                campaign,
                row,
                number,
                token,
            },
        ));
        // The next tick counts from when the request is out, not from when it was thought of: what happens between,
        // a busy machine above all, would else bring two calls closer than an interval.
        for _ in 0..STEPS_OUT {
            tokio::task::yield_now().await;
        }
        slot.started(self.sender.began.elapsed());
        Ok(())
    }

    async fn doubt(&mut self, row: Row, taken: Taken) -> Result<(), Error> {
        let fault = Fault::on_the_way("the sender died between claim and answer");
        let ledger = &self.sender.shared.ledger;
        ledger
            .settle(&self.campaign, row.row, taken.attempt, Move::Doubt, &fault)
            .await?;
        Ok(())
    }
}

/// Rows to put back as few messages, each with the delay after which all of its rows are due.
fn delayed(mut rows: Vec<(Millis, Row)>, now: Millis) -> Vec<(Duration, Vec<Row>)> {
    rows.sort_by_key(|(due, row)| (*due, row.row));
    let mut groups: Vec<(Millis, Millis, Vec<Row>)> = Vec::new();
    for (due, row) in rows {
        match groups.last_mut() {
            Some((first, last, group)) if due <= *first + TOGETHER_MS => {
                *last = due;
                group.push(row);
            }
            _ => groups.push((due, due, vec![row])),
        }
    }
    let delay = |due: Millis| Duration::from_millis(due.saturating_sub(now));
    groups
        .into_iter()
        .map(|(_, last, group)| (delay(last), group))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use campaign::phone;

    #[test]
    fn rows_go_back_together_but_never_early() {
        let to = phone::read("+5511987654321", None).unwrap();
        let row = |number| Row {
            row: number,
            to,
            values: Vec::new(),
        };
        let rows = vec![
            (9_000, row(4)),
            (1_500, row(1)),
            (2_000, row(2)),
            (0, row(3)),
        ];
        let groups = delayed(rows, 1_000);
        let seen: Vec<(u64, Vec<u32>)> = groups
            .into_iter()
            .map(|(delay, rows)| {
                (
                    delay.as_millis() as u64,
                    rows.iter().map(|row| row.row).collect(),
                )
            })
            .collect();
        assert_eq!(seen, [(1_000, vec![3, 1, 2]), (8_000, vec![4])]);
    }
}
