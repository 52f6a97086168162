//! The sweep: every five minutes it looks at each campaign that is not closed, and repairs what an invocation that died,
//! a lost message or the time left undone.
//!
//! | it finds | and does |
//! |---|---|
//! | a row `claimed` by a sender that is dead | `unconfirmed`: a visible doubt |
//! | a doubt past its grace time, where the operator chose `resend` | `retry` |
//! | a retry that is due, `held` rows of a campaign that goes on, rows that are nowhere | the splitter offers them again |
//! | a splitter that died, a schedule that did not fire | the splitter goes on |
//! | a campaign whose time is over, or that was cancelled | the splitter settles its rows as skipped |
//! | canary rows that went well, or did not | the rest follows, or the campaign stops |
//! | dead letters | noted, and back into the queue; the third time their campaign stops |
//! | nothing left to do | the campaign is closed |
//!
//! Every step may be repeated without harm, and each looks at the clock: a sweep may end anywhere, and the next one begins
//! with other campaigns, since their order is random.
//!
//! - `ledger`: rows that stand still
//! - `dead_letters`: batches that failed for good

mod dead_letters;
mod ledger;

use std::time::Duration;

use campaign::id::CampaignId;
use campaign::outcome::Millis;
use campaign::progress::progress;
use campaign::record::{Campaign, CampaignState};
use campaign::sweep::{Duty, Seen};
use cloud::campaigns::Campaigns;
use cloud::counters::CounterTable;
use cloud::dead_letters::DeadLetters;
use cloud::ledger::Ledger;
use cloud::metrics::Metrics;
use cloud::queue::Queue;
use cloud::splits::{Position, SplitOrder, Splits};
use lambda_runtime::{Context, Error, tracing};
use rand::seq::SliceRandom;

/// What is left for the last step.
const WIND_UP_MS: Millis = 15_000;

/// What a sweep needs, made once per process.
#[derive(Debug)]
pub struct Sweep {
    /// The campaigns table.
    pub campaigns: Campaigns,
    /// Counters.
    pub counters: CounterTable,
    /// Rows.
    pub ledger: Ledger,
    /// The sends queue.
    pub sends: Queue,
    /// Batches that failed for good.
    pub dead: Queue,
    /// Notes on them.
    pub notes: DeadLetters,
    /// Where the splitter is told to go on.
    pub splits: Splits,
}

/// What a sweep did, as it is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Campaigns looked at.
    pub campaigns: usize,
    /// Claims of dead senders that became doubts.
    pub doubts: usize,
    /// Doubts that are sent again.
    pub resent: usize,
    /// Campaigns whose rows are offered again, or settled.
    pub offered: usize,
    /// Campaigns whose files are read on.
    pub continued: usize,
    /// Campaigns that were closed.
    pub closed: usize,
    /// Batches brought back from the dead-letter queue.
    pub dead_letters: usize,
    /// Campaigns that ought to send and do not.
    pub standing_still: usize,
    /// Calls that may or may not have been sent, of a million; where they are most.
    pub doubts_per_million: usize,
}

impl Sweep {
    /// Reads the environment; fails where anything is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::config().await;
        let (dynamodb, sqs) = (aws::dynamodb(&config), aws::sqs(&config));
        let (table, retention) = (
            env::required("CAMPAIGNS_TABLE")?,
            env::parsed("RETENTION_DAYS")?,
        );
        Ok(Self {
            campaigns: Campaigns::new(dynamodb.clone(), table.clone(), retention),
            counters: CounterTable::new(dynamodb.clone(), table.clone(), retention),
            notes: DeadLetters::new(dynamodb.clone(), table, retention),
            ledger: Ledger::new(dynamodb, env::required("MESSAGES_TABLE")?, retention),
            sends: Queue::new(sqs.clone(), env::required("SENDS_QUEUE_URL")?),
            dead: Queue::new(sqs.clone(), env::required("SENDS_DEAD_LETTERS_URL")?),
            splits: Splits::new(sqs, env::required("SPLITS_QUEUE_URL")?),
        })
    }

    /// Sweeps as far as the invocation's time allows.
    pub async fn handle(&self, context: Context) -> Result<(), Error> {
        let swept = self.run(cloud::now(), context.deadline).await?;
        tracing::info!(?swept, "swept");
        Metrics::of("sweep")
            .count("Campaigns", swept.campaigns)
            .count("Doubts", swept.doubts)
            .count("Resent", swept.resent)
            .count("Offered", swept.offered)
            .count("Continued", swept.continued)
            .count("Closed", swept.closed)
            .count("DeadLetters", swept.dead_letters)
            .count("StandingStill", swept.standing_still)
            .count("DoubtsPerMillion", swept.doubts_per_million)
            .write();
        Ok(())
    }

    /// Sweeps as of `now`, until `deadline`. What fails for one campaign does not keep the others waiting.
    pub async fn run(&self, now: Millis, deadline: Millis) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        self.dead_letters(now, deadline, &mut swept).await?;
        let mut open = self.campaigns.open().await?;
        open.shuffle(&mut rand::rng());
        for id in open {
            if cloud::now() + WIND_UP_MS > deadline {
                break;
            }
            swept.campaigns += 1;
            if let Err(error) = self.campaign(&id, now, deadline, &mut swept).await {
                tracing::error!(campaign.id = %id, "not swept: {error}");
            }
        }
        Ok(swept)
    }

    async fn campaign(
        &self,
        id: &CampaignId,
        now: Millis,
        deadline: Millis,
        swept: &mut Swept,
    ) -> Result<(), cloud::Error> {
        let Some(campaign) = self.campaigns.get(id).await? else {
            return Ok(());
        };
        let counters = self.counters.total(id).await?;
        // The budget only matters for the estimated end.
        let progress = progress(&campaign, counters, 1, now);
        let seen = Seen {
            campaign: &campaign,
            progress: &progress,
            queue_is_empty: self.sends.is_empty().await?,
            now,
        };
        let doubts = usize::try_from(seen.doubts_per_million()).unwrap_or(usize::MAX);
        swept.doubts_per_million = swept.doubts_per_million.max(doubts);
        swept.standing_still += usize::from(seen.is_stuck());
        let mut overdue = 0;
        if seen.reads_ledger() {
            overdue = self.repair(&campaign, now, deadline, swept).await?;
        }
        match seen.duty(overdue) {
            Some(duty) => self.fulfil(&campaign, duty, now, swept).await,
            None => Ok(()),
        }
    }

    async fn fulfil(
        &self,
        campaign: &Campaign,
        duty: Duty,
        now: Millis,
        swept: &mut Swept,
    ) -> Result<(), cloud::Error> {
        let id = &campaign.id;
        tracing::info!(campaign.id = %id, ?duty, "something is to be done");
        match duty {
            Duty::Close => swept.closed += usize::from(self.campaigns.close(campaign, now).await?),
            Duty::GoOn => {
                swept.continued += 1;
                self.order(SplitOrder::go_on(id.clone())).await?;
            }
            Duty::Offer => self.offer(id, now, swept).await?,
            Duty::Expire => {
                let from = [campaign.state];
                let why = Some("Its time (not_after) ran out.");
                let entered = self
                    .campaigns
                    .enter(id, CampaignState::Splitting, &from, why);
                if entered.await? {
                    self.offer(id, now, swept).await?;
                }
            }
            Duty::Release => {
                self.campaigns.release(id).await?;
                swept.continued += 1;
                self.order(SplitOrder::go_on(id.clone())).await?;
            }
            Duty::Stop(reason) => {
                self.campaigns.pause(id, &reason).await?;
            }
        }
        Ok(())
    }

    /// Noted first: an order that is lost then is given again half an hour later, and not every five minutes until then.
    async fn offer(
        &self,
        id: &CampaignId,
        now: Millis,
        swept: &mut Swept,
    ) -> Result<(), cloud::Error> {
        swept.offered += 1;
        self.campaigns.offered(id, now).await?;
        self.order(SplitOrder::offer(id.clone(), Position::default()))
            .await
    }

    async fn order(&self, order: SplitOrder) -> Result<(), cloud::Error> {
        self.splits.order(&order, Duration::ZERO).await
    }
}
