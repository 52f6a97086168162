//! The reconciler: every five minutes it checks each campaign that is not closed, and repairs what a dead invocation, a
//! lost message or a passed time left undone.
//!
//! | it finds | and does |
//! |---|---|
//! | a row `claimed` by a sender that is dead | marks it `unconfirmed` |
//! | an unconfirmed row after its timeout, where the operator chose `resend` | sets it to `retry` |
//! | an overdue retry, `held` rows of a campaign that sends again, rows that are in no queue, rows of a number that was resumed since | has the splitter requeue them |
//! | a splitter that died, a schedule that did not start | has the splitter resume the import |
//! | a campaign that expired or was cancelled | has the splitter settle its rows as skipped |
//! | canary rows that succeeded, or failed | releases the other rows, or pauses the campaign |
//! | a campaign that an error of the account has paused, by a process that died before it paused the others | pauses them |
//! | a file whose upload's event may have been lost | has the splitter look for it, until two hours after its URL was signed |
//! | a reply or a test whose message was lost | has the splitter enqueue its row again; after 24 hours it is settled as expired |
//! | jobs that wait in the table, for a lease that is free or a campaign that is over | puts them into their queues |
//! | dead letters | records them and puts them back into the queue; the third time it pauses their campaign |
//! | a campaign without unsettled rows | closes it |
//! | a number whose stack was deployed, changed or deleted | registers it, publishes its budget, or removes it |
//!
//! Every step may be repeated without harm, and a run stops when its time is over. Campaigns are checked in random order,
//! so the next run begins with others.
//!
//! | the process dies … | the campaign is | repaired by |
//! |---|---|---|
//! | before a repair | as before | the next run |
//! | after a waiting job is enqueued, before it is removed | in the queue, and waiting | the next run: the job runs twice, which is harmless |
//! | after a requeue is noted, before its job is enqueued | noted as requeued | a run half an hour later |
//! | while it pauses the others because of an error of the account | marked as before | the next run |
//! | after a dead letter is recorded, before it is deleted | recorded; its batch may be in the queue again | the next run, which sees the same message: it counts once, and a second batch does no harm |
//!
//! - `repair`: what is done about a campaign
//! - `ledger`: repairs of rows
//! - `waiting_jobs`: jobs whose time has come
//! - `dead_letters`: batches that failed too often
//! - `run`: the time and the results of a run

mod dead_letters;
mod ledger;
mod repair;
mod run;
mod waiting_jobs;

use campaign::time::Millis;
use cloud::batch_queue::BatchQueue;
use cloud::campaigns::Campaigns;
use cloud::counters::CounterTable;
use cloud::dead_letters::DeadLetters;
use cloud::erasure_queue::ErasureQueue;
use cloud::import_queue::ImportQueue;
use cloud::ledger::Ledger;
use cloud::numbers::Numbers;
use cloud::waiting_jobs::WaitingJobs;
use lambda_runtime::{Context, Error};
use rand::seq::SliceRandom;

pub use crate::run::ReconcileStats;
use crate::run::Run;

/// What the reconciler needs, made once per process.
#[derive(Debug)]
pub struct Reconciler {
    /// The campaigns table.
    pub campaigns: Campaigns,
    /// The campaigns' counters.
    pub counters: CounterTable,
    /// The ledger of rows.
    pub ledger: Ledger,
    /// The numbers, with the queues from which their senders take batches.
    pub numbers: Numbers,
    /// The name of the main stack, by which further numbers are found.
    pub installation: String,
    /// Batches that failed too often.
    pub dead_letter_queue: BatchQueue,
    /// Records of such batches.
    pub dead_letters: DeadLetters,
    /// The queue of jobs for the splitter.
    pub import_queue: ImportQueue,
    /// The queue of erasures.
    pub erasure_queue: ErasureQueue,
    /// Jobs that wait for a campaign.
    pub waiting_jobs: WaitingJobs,
}

impl Reconciler {
    /// Reads the environment; fails where a variable is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::load_config();
        let (dynamodb, sqs) = (aws::dynamodb(&config), aws::sqs(&config));
        let (table, retention) = (
            env::required("CAMPAIGNS_TABLE")?,
            env::parsed("RETENTION_DAYS")?,
        );
        Ok(Self {
            campaigns: Campaigns::new(dynamodb.clone(), table.clone(), retention),
            counters: CounterTable::new(dynamodb.clone(), table.clone(), retention),
            dead_letters: DeadLetters::new(dynamodb.clone(), table.clone(), retention),
            waiting_jobs: WaitingJobs::new(dynamodb.clone(), table),
            ledger: Ledger::new(
                dynamodb.clone(),
                env::required("MESSAGES_TABLE")?,
                retention,
            ),
            numbers: Numbers::from_env(&sqs, &dynamodb)?,
            installation: env::required("INSTALLATION")?,
            dead_letter_queue: BatchQueue::new(
                sqs.clone(),
                env::required("SENDS_DEAD_LETTERS_URL")?,
            ),
            import_queue: ImportQueue::new(sqs.clone(), env::required("IMPORT_QUEUE_URL")?),
            erasure_queue: ErasureQueue::new(sqs, env::required("ERASURE_QUEUE_URL")?),
        })
    }

    /// Reconciles as many campaigns as the invocation's time allows.
    pub async fn handle(&self, context: Context) -> Result<(), Error> {
        // On the heap: the compiler gives up on the layout of such a deep future.
        let stats = Box::pin(self.run(cloud::now(), context.deadline)).await?;
        stats.emit();
        Ok(())
    }

    /// Reconciles as of `now` until shortly before `deadline`. An error in one campaign does not stop the others.
    pub async fn run(&self, now: Millis, deadline: Millis) -> Result<ReconcileStats, Error> {
        let mut run = Run::new(now, deadline);
        if let Err(error) = self.numbers.refresh(&self.installation).await {
            tracing::error!("it is not known whether the numbers have changed: {error}");
        }
        self.wake_all_jobs(&mut run).await?;
        self.drain_dead_letters(&mut run).await?;
        run.number_records = self.numbers.records().all().await?;
        let mut campaigns = self.campaigns.list_open_ids().await?;
        campaigns.shuffle(&mut rand::rng());
        for id in campaigns {
            if run.is_over() {
                break;
            }
            run.stats.campaigns += 1;
            if let Err(error) = self.reconcile_campaign(&id, &mut run).await {
                tracing::error!(campaign.id = %id, "could not reconcile the campaign: {error}");
            }
        }
        Ok(run.stats)
    }
}
