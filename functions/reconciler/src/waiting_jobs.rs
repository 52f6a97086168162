//! Jobs that wait in the campaigns table ([`cloud::waiting_jobs`]) and can run now.

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::Campaign;
use cloud::erasure_queue::ErasureJob;
use cloud::import_queue::ImportJob;
use cloud::waiting_jobs::WaitingJob;

use crate::Reconciler;
use crate::run::Run;

impl Reconciler {
    /// Wakes the jobs of every campaign that some job waits for. An error in one campaign does not stop the others.
    pub(crate) async fn wake_all_jobs(&self, run: &mut Run) -> Result<(), cloud::Error> {
        for id in self.campaigns.list_awaited_ids().await? {
            if run.is_over() {
                break;
            }
            if let Err(error) = self.wake_jobs(&id, run).await {
                tracing::error!(campaign.id = %id, "could not wake the jobs that wait for the campaign: {error}");
            }
        }
        Ok(())
    }

    /// Wakes the erasures that wait for the campaign, if it is over, and one import, if none is at work: each import wakes
    /// the next one. A timer begins a new chain of messages.
    #[tracing::instrument(skip_all, fields(campaign.id = %id))]
    pub(crate) async fn wake_jobs(
        &self,
        id: &CampaignId,
        run: &mut Run,
    ) -> Result<(), cloud::Error> {
        let campaign = self.campaigns.get(id).await?;
        let is_over = campaign.as_ref().is_none_or(Campaign::is_closed);
        let is_importing = |campaign: &Campaign| campaign.is_importing(run.now);
        let mut may_import = !campaign.as_ref().is_some_and(is_importing);
        for stored in self.waiting_jobs.list(id).await? {
            if run.is_over() {
                break;
            }
            match stored.job.clone() {
                WaitingJob::Import(job) if may_import => {
                    cloud::sometimes!("the reconciler wakes an import");
                    may_import = false;
                    let job = ImportJob { hops: 0, ..job };
                    self.import_queue.enqueue(&job).await?;
                }
                WaitingJob::Erasure(job) if is_over => {
                    cloud::sometimes!("the reconciler wakes an erasure");
                    let job = ErasureJob { hops: 0, ..job };
                    self.erasure_queue.enqueue(&job).await?;
                }
                WaitingJob::Import(_) | WaitingJob::Erasure(_) => continue,
            }
            self.waiting_jobs.remove(&stored).await?;
            run.stats.jobs_woken += 1;
        }
        Ok(())
    }
}
