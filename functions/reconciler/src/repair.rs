//! What is done about a campaign.

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::Campaign;
use campaign::lifecycle::event::Event;
use campaign::lifecycle::progress::compute_progress;
use campaign::lifecycle::repair::{RepairAction, Snapshot};
use campaign::time::Millis;
use cloud::ErrorKind;
use cloud::import_queue::{ImportJob, Position};

use crate::Reconciler;
use crate::run::Run;

/// Progress is only needed for its counts here; the send budget matters for the estimated end alone.
const ANY_BUDGET: u32 = 1;

/// A window that opened within this time did so since the last run or the one before.
const OPENED_JUST_NOW_MS: Millis = 15 * 60_000;

impl Reconciler {
    /// Takes a snapshot of a campaign, repairs its rows where needed, and does what is left to do.
    #[tracing::instrument(skip_all, fields(campaign.id = %id))]
    pub(crate) async fn reconcile_campaign(
        &self,
        id: &CampaignId,
        run: &mut Run,
    ) -> Result<(), cloud::Error> {
        // Counters first: rows that are counted must be among those that the campaign has enqueued.
        let counters = self.counters.sum(id).await?;
        let Some(campaign) = self.campaigns.get(id).await? else {
            return Ok(());
        };
        if let Some(pause) = campaign
            .paused
            .as_ref()
            .filter(|pause| pause.is_pausing_others)
        {
            cloud::sometimes!("the reconciler pauses the campaigns that a dead process did not");
            self.campaigns.pause_others(id, &pause.reason).await?;
        }
        let progress = compute_progress(&campaign, counters, ANY_BUDGET, run.now);
        let snapshot = Snapshot {
            campaign: &campaign,
            progress: &progress,
            queue_is_empty: self.queues_are_empty(&campaign).await?,
            suspensions: self.numbers.suspensions_of(&campaign, &run.number_records),
            now: run.now,
        };
        run.stats.add_snapshot(&snapshot);
        let overdue = if snapshot.needs_ledger_scan() {
            self.repair_ledger(&campaign, run).await?
        } else {
            0
        };
        match snapshot.repair_action(overdue) {
            Some(action) => {
                if action == RepairAction::Requeue && !snapshot.queue_is_empty {
                    cloud::sometimes!("a campaign is requeued although the queue is not empty");
                }
                self.execute(&snapshot, action, run).await
            }
            None => Ok(()),
        }
    }

    /// Whether no batch waits in the queues of its numbers; of those of one that is not registered any more, none does.
    async fn queues_are_empty(&self, campaign: &Campaign) -> Result<bool, cloud::Error> {
        match self.numbers.of_campaign(campaign).await {
            Ok(senders) => senders.queues_are_empty().await,
            Err(error) if error.kind == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn execute(
        &self,
        snapshot: &Snapshot<'_>,
        action: RepairAction,
        run: &mut Run,
    ) -> Result<(), cloud::Error> {
        let campaign = snapshot.campaign;
        let id = &campaign.id;
        tracing::info!(?action, "repair of a campaign");
        match action {
            RepairAction::Close => {
                let settle = self
                    .campaigns
                    .apply_if_unchanged(campaign, &Event::Close, run.now);
                let is_closed = settle.await?;
                run.stats.closed += usize::from(is_closed);
                if is_closed {
                    self.wake_jobs(id, run).await?;
                }
            }
            RepairAction::ResumeImport => {
                cloud::sometimes!("the reconciler resumes an import");
                self.resume_import(id, run).await?;
            }
            RepairAction::Requeue => {
                cloud::sometimes!("the reconciler requeues the rows of an idle campaign");
                self.requeue(snapshot, run).await?;
            }
            RepairAction::ReleaseCanary => {
                cloud::sometimes!("the reconciler releases the rows behind the canary");
                self.campaigns
                    .apply_if_unchanged(campaign, &Event::Continue, run.now)
                    .await?;
                self.resume_import(id, run).await?;
            }
            RepairAction::Pause(reason) => {
                self.campaigns.pause(id, &reason).await?;
            }
        }
        Ok(())
    }

    async fn resume_import(&self, id: &CampaignId, run: &mut Run) -> Result<(), cloud::Error> {
        run.stats.imports_resumed += 1;
        self.enqueue_job(ImportJob::resume(id.clone())).await
    }

    /// The time is noted first. If the job is then lost, the campaign is requeued half an hour later, ten to fifteen minutes after
    /// a resume of its number; the other way
    /// round, every run until then would requeue it.
    async fn requeue(&self, snapshot: &Snapshot<'_>, run: &mut Run) -> Result<(), cloud::Error> {
        run.stats.requeued += 1;
        let Campaign {
            id,
            window_opens_at,
            ..
        } = snapshot.campaign;
        // Rows of a number that was paused are not in the queue, however long their window has been open.
        let is_all = snapshot.must_requeue_resumed();
        let opened_at = window_opens_at.filter(|&at| at <= run.now && !is_all);
        if opened_at.is_some() {
            cloud::sometimes!("rows are requeued because their window has opened");
        }
        self.campaigns.mark_enqueued(id, run.now).await?;
        self.enqueue_job(ImportJob {
            // Much later, others may have waited, too.
            window_opened_at: opened_at.filter(|&at| at + OPENED_JUST_NOW_MS > run.now),
            ..ImportJob::requeue(id.clone(), Position::default())
        })
        .await
    }

    async fn enqueue_job(&self, job: ImportJob) -> Result<(), cloud::Error> {
        self.import_queue.enqueue(&job).await
    }
}
