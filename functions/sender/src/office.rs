//! The world around an invocation as it is: the tables, the queue, the Cloud API.

use std::sync::Arc;
use std::time::Duration;

use campaign::batch::{Batch, Row};
use campaign::id::CampaignId;
use campaign::ledger::Move;
use campaign::offer::Skipped;
use campaign::outcome::{Fault, Millis};
use campaign::record::Going;
use cloud::Error;
use cloud::contacts::Contacts;
use cloud::known::Known;
use cloud::ledger::{Claim, Ledger};
use cloud::metrics::Metrics;
use cloud::queue::Queue;
use cloud::secrets::Secrets;
use whatsapp::client::Client;

use crate::attempt;
use crate::desk::{Attempt, Desk, Ended, Handle, Lane, Look, Permission, Pulled};
use crate::invocation::Figures;

/// All of SQS' servers are asked; where nothing comes within this time, nothing is there.
const WAIT: Duration = Duration::from_secs(1);

/// A batch is hidden for as long as it may take: fifty rows at a quarter of the pace, and an answer. One whose sender died
/// comes again then; one that takes even longer comes to somebody else, too, who finds its rows claimed or settled.
pub(crate) const HIDDEN: Duration = Duration::from_secs(240);

#[derive(Debug)]
pub(crate) struct Office {
    pub(crate) known: Known,
    pub(crate) contacts: Contacts,
    pub(crate) ledger: Ledger,
    pub(crate) queue: Queue,
    pub(crate) urgent: Queue,
    pub(crate) secrets: Secrets,
    pub(crate) client: Client,
}

impl Desk for Office {
    fn now(&self) -> Millis {
        cloud::now()
    }

    async fn look(&self, campaign: &CampaignId, age: Duration) -> Result<Look, Error> {
        let (campaign, secret) =
            tokio::join!(self.known.younger_than(campaign, age), self.secrets.get());
        let Some(campaign) = campaign? else {
            return Ok(Look::Stopped);
        };
        Ok(match campaign.going(cloud::now()) {
            Going::On => Look::On(campaign, secret?.access_token.clone()),
            Going::Resting(until) => Look::Resting(until),
            Going::Expired => Look::Expired,
            Going::Stopped => Look::Stopped,
        })
    }

    async fn may_call(
        &self,
        campaign: &CampaignId,
        row: &Row,
    ) -> Result<Option<Permission>, Error> {
        let now = cloud::now();
        let contact = self
            .contacts
            .may_call(row.to, campaign, row.row, now)
            .await?;
        Ok(contact.map(|contact| Permission {
            in_window: contact.window(now).is_some(),
            user_id: contact.user_id,
        }))
    }

    async fn claim(&self, campaign: &CampaignId, row: &Row, owner: &str) -> Result<Claim, Error> {
        self.ledger
            .claim(campaign, row.row, owner, cloud::now())
            .await
    }

    async fn settle(
        &self,
        campaign: &CampaignId,
        row: &Row,
        attempt: u32,
        step: Move,
        fault: &Fault,
    ) -> Result<(), Error> {
        self.ledger
            .settle(campaign, row.row, attempt, step, fault)
            .await
            .map(drop)
    }

    async fn skip(
        &self,
        campaign: &CampaignId,
        row: &Row,
        owner: &str,
        why: Skipped,
    ) -> Result<bool, Error> {
        self.ledger
            .leave_out(campaign, row.row, owner, why, cloud::now())
            .await
    }

    async fn call(self: Arc<Self>, attempt: Attempt) -> Ended {
        attempt::run(&self, attempt).await
    }

    async fn put_back(&self, lane: Lane, batch: Batch, delay: Duration) -> Result<(), Error> {
        match lane {
            Lane::Bulk => self.queue.send(&[batch], delay).await,
            Lane::Urgent => self.urgent.send_urgent(batch, delay, &self.queue).await,
        }
    }

    async fn urgent(&self) -> Result<Option<Pulled>, Error> {
        self.pull(Lane::Urgent, Duration::ZERO).await
    }

    async fn next(&self) -> Result<Option<Pulled>, Error> {
        self.pull(Lane::Bulk, WAIT).await
    }

    async fn release(
        &self,
        Handle {
            lane,
            receipt,
            times,
        }: &Handle,
    ) -> Result<(), Error> {
        let seconds = 5 * 3u64.pow((*times).clamp(1, 6) - 1);
        let queue = self.lane(*lane);
        queue.hide(receipt, Duration::from_secs(seconds)).await
    }

    fn tell(&self, figures: &Figures) {
        let Figures {
            batches,
            rows,
            calls,
            put_back,
            dropped,
            skipped,
            settled: [accepted, rejected, retried, held, doubts],
            busiest,
        } = *figures;
        Metrics::of("sender")
            .count("Batches", batches)
            .count("Rows", rows)
            .count("Calls", calls)
            .count("PutBack", put_back)
            .count("Dropped", dropped)
            .count("Skipped", skipped)
            .count("Accepted", accepted)
            .count("Rejected", rejected)
            .count("Retried", retried)
            .count("Held", held)
            .count("Doubts", doubts)
            .count("BusiestSecond", busiest)
            .write();
    }

    async fn delete(&self, lane: Lane, receipts: &[String]) -> Result<(), Error> {
        self.lane(lane).delete(receipts).await
    }
}

impl Office {
    fn lane(&self, lane: Lane) -> &Queue {
        match lane {
            Lane::Bulk => &self.queue,
            Lane::Urgent => &self.urgent,
        }
    }

    async fn pull(&self, lane: Lane, wait: Duration) -> Result<Option<Pulled>, Error> {
        loop {
            let Some(message) = self.lane(lane).receive(1, HIDDEN, wait).await?.pop() else {
                return Ok(None);
            };
            match message.batch() {
                Ok(batch) => {
                    let (receipt, times) = (message.receipt, message.times);
                    let handle = Handle {
                        lane,
                        receipt,
                        times,
                    };
                    return Ok(Some(Pulled { batch, handle }));
                }
                // Left in the queue: it ends in the dead-letter queue, where somebody looks.
                Err(error) => {
                    lambda_runtime::tracing::error!(message.id = message.id, "no batch: {error}");
                }
            }
        }
    }
}
