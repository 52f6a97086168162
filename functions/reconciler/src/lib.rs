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

use campaign::delivery::outcome::Millis;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, CampaignState};
use campaign::lifecycle::progress::compute_progress;
use campaign::lifecycle::repair::{RepairAction, Snapshot};
use cloud::batch_queue::BatchQueue;
use cloud::campaigns::Campaigns;
use cloud::counters::CounterTable;
use cloud::dead_letters::DeadLetters;
use cloud::import_queue::{ImportJob, ImportQueue, Position};
use cloud::ledger::Ledger;
use cloud::metrics::Metrics;
use lambda_runtime::{Context, Error, tracing};
use rand::seq::SliceRandom;

/// What is left for the last step.
const SHUTDOWN_RESERVE_MS: Millis = 15_000;

/// What a sweep needs, made once per process.
#[derive(Debug)]
pub struct Reconciler {
    /// The campaigns table.
    pub campaigns: Campaigns,
    /// Counters.
    pub counters: CounterTable,
    /// Rows.
    pub ledger: Ledger,
    /// The sends queue.
    pub send_queue: BatchQueue,
    /// Batches that failed for good.
    pub dead_letter_queue: BatchQueue,
    /// Notes on them.
    pub dead_letters: DeadLetters,
    /// Where the splitter is told to go on.
    pub import_queue: ImportQueue,
}

/// What a sweep did, as it is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReconcileStats {
    /// Campaigns looked at.
    pub campaigns: usize,
    /// Claims of dead senders that became doubts.
    pub unconfirmed: usize,
    /// Doubts that are sent again.
    pub resent: usize,
    /// Campaigns whose rows are offered again, or settled.
    pub requeued: usize,
    /// Campaigns whose files are read on.
    pub imports_resumed: usize,
    /// Campaigns that were closed.
    pub closed: usize,
    /// Batches brought back from the dead-letter queue.
    pub dead_letters: usize,
    /// Campaigns that ought to send and do not.
    pub stalled: usize,
    /// Calls that may or may not have been sent, of a million; where they are most.
    pub unconfirmed_per_million: usize,
}

impl Reconciler {
    /// Reads the environment; fails where anything is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::load_config().await;
        let (dynamodb, sqs) = (aws::dynamodb(&config), aws::sqs(&config));
        let (table, retention) = (
            env::required("CAMPAIGNS_TABLE")?,
            env::parsed("RETENTION_DAYS")?,
        );
        Ok(Self {
            campaigns: Campaigns::new(dynamodb.clone(), table.clone(), retention),
            counters: CounterTable::new(dynamodb.clone(), table.clone(), retention),
            dead_letters: DeadLetters::new(dynamodb.clone(), table, retention),
            ledger: Ledger::new(dynamodb, env::required("MESSAGES_TABLE")?, retention),
            send_queue: BatchQueue::new(sqs.clone(), env::required("SENDS_QUEUE_URL")?),
            dead_letter_queue: BatchQueue::new(
                sqs.clone(),
                env::required("SENDS_DEAD_LETTERS_URL")?,
            ),
            import_queue: ImportQueue::new(sqs, env::required("IMPORT_QUEUE_URL")?),
        })
    }

    /// Sweeps as far as the invocation's time allows.
    pub async fn handle(&self, context: Context) -> Result<(), Error> {
        let swept = self.run(cloud::now(), context.deadline).await?;
        tracing::info!(?swept, "swept");
        Metrics::for_function("reconciler")
            .add_count("Campaigns", swept.campaigns)
            .add_count("Unconfirmed", swept.unconfirmed)
            .add_count("Resent", swept.resent)
            .add_count("Requeued", swept.requeued)
            .add_count("ImportsResumed", swept.imports_resumed)
            .add_count("Closed", swept.closed)
            .add_count("DeadLetters", swept.dead_letters)
            .add_count("StalledCampaigns", swept.stalled)
            .add_count("UnconfirmedPerMillion", swept.unconfirmed_per_million)
            .emit();
        Ok(())
    }

    /// Sweeps as of `now`, until `deadline`. What fails for one campaign does not keep the others waiting.
    pub async fn run(&self, now: Millis, deadline: Millis) -> Result<ReconcileStats, Error> {
        let mut swept = ReconcileStats::default();
        self.drain_dead_letters(now, deadline, &mut swept).await?;
        let mut open = self.campaigns.list_open_ids().await?;
        open.shuffle(&mut rand::rng());
        for id in open {
            if cloud::now() + SHUTDOWN_RESERVE_MS > deadline {
                break;
            }
            swept.campaigns += 1;
            if let Err(error) = self
                .reconcile_campaign(&id, now, deadline, &mut swept)
                .await
            {
                tracing::error!(campaign.id = %id, "not swept: {error}");
            }
        }
        Ok(swept)
    }

    async fn reconcile_campaign(
        &self,
        id: &CampaignId,
        now: Millis,
        deadline: Millis,
        swept: &mut ReconcileStats,
    ) -> Result<(), cloud::Error> {
        let Some(campaign) = self.campaigns.get(id).await? else {
            return Ok(());
        };
        let counters = self.counters.sum(id).await?;
        // The budget only matters for the estimated end.
        let progress = compute_progress(&campaign, counters, 1, now);
        let seen = Snapshot {
            campaign: &campaign,
            progress: &progress,
            queue_is_empty: self.send_queue.is_empty().await?,
            now,
        };
        let doubts = usize::try_from(seen.unconfirmed_per_million()).unwrap_or(usize::MAX);
        swept.unconfirmed_per_million = swept.unconfirmed_per_million.max(doubts);
        swept.stalled += usize::from(seen.is_stalled());
        let mut overdue = 0;
        if seen.needs_ledger_scan() {
            overdue = self.repair_ledger(&campaign, now, deadline, swept).await?;
        }
        match seen.repair_action(overdue) {
            Some(duty) => self.execute(&campaign, duty, now, swept).await,
            None => Ok(()),
        }
    }

    async fn execute(
        &self,
        campaign: &Campaign,
        duty: RepairAction,
        now: Millis,
        swept: &mut ReconcileStats,
    ) -> Result<(), cloud::Error> {
        let id = &campaign.id;
        tracing::info!(campaign.id = %id, ?duty, "something is to be done");
        match duty {
            RepairAction::Close => {
                swept.closed += usize::from(self.campaigns.close(campaign, now).await?)
            }
            RepairAction::ResumeImport => {
                swept.imports_resumed += 1;
                self.send_import_job(ImportJob::resume(id.clone())).await?;
            }
            RepairAction::Requeue => self.requeue(id, now, swept).await?,
            RepairAction::Expire => {
                let from = [campaign.state];
                let why = Some("Its time (not_after) ran out.");
                let entered = self
                    .campaigns
                    .transition(id, CampaignState::Enqueuing, &from, why);
                if entered.await? {
                    self.requeue(id, now, swept).await?;
                }
            }
            RepairAction::ReleaseCanary => {
                self.campaigns.release_remainder(id).await?;
                swept.imports_resumed += 1;
                self.send_import_job(ImportJob::resume(id.clone())).await?;
            }
            RepairAction::Pause(reason) => {
                self.campaigns.pause(id, &reason).await?;
            }
        }
        Ok(())
    }

    /// Noted first: an order that is lost then is given again half an hour later, and not every five minutes until then.
    async fn requeue(
        &self,
        id: &CampaignId,
        now: Millis,
        swept: &mut ReconcileStats,
    ) -> Result<(), cloud::Error> {
        swept.requeued += 1;
        self.campaigns.mark_enqueued(id, now).await?;
        self.send_import_job(ImportJob::requeue(id.clone(), Position::default()))
            .await
    }

    async fn send_import_job(&self, order: ImportJob) -> Result<(), cloud::Error> {
        self.import_queue.enqueue(&order, Duration::ZERO).await
    }
}
