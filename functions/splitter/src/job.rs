//! One event: it becomes an import job, which runs under the campaign's lease.

use aws_lambda_events::s3::S3EventRecord;
use aws_lambda_events::sqs::SqsMessage;
use campaign::lifecycle::campaign::IMPORT_LEASE_MS;
use cloud::campaigns::Lease;
use cloud::files::parse_upload_key;
use cloud::import_queue::ImportJob;
use cloud::waiting_jobs::WaitingJob;
use lambda_runtime::{Context, Error};
use percent_encoding::percent_decode_str;

use crate::Splitter;
use crate::run::{ImportRun, Remaining};

/// Stored beside an upload to a campaign that does not exist.
const REFUSAL: &str = "No campaign has this id. Create one with POST /v1/campaigns and upload to the URL it returns.\n";

impl Splitter {
    pub(crate) async fn handle_upload(
        &self,
        record: &S3EventRecord,
        context: &Context,
    ) -> Result<(), Error> {
        let key = decode_key(record.s3.object.key.as_deref().unwrap_or_default());
        let Some((campaign, _)) = parse_upload_key(&key) else {
            tracing::warn!("ignores an upload outside the campaigns' folders");
            return Ok(());
        };
        let job = ImportJob::resume(campaign);
        if !self.run_job(&job, context).await? {
            tracing::warn!(campaign.id = %job.campaign, "refuses an upload to an unknown campaign");
            self.files.write_refusal(&key, REFUSAL).await?;
        }
        Ok(())
    }

    pub(crate) async fn handle_message(
        &self,
        message: &SqsMessage,
        context: &Context,
    ) -> Result<(), Error> {
        let job: ImportJob =
            cloud::message_body::decode(message.body.as_deref().unwrap_or_default())?;
        if !self.run_job(&job, context).await? {
            tracing::warn!(campaign.id = %job.campaign, "ignores an import job of an unknown campaign");
        }
        Ok(())
    }

    /// Runs a job under the campaign's lease, and hands over what is left when time runs out. Returns `false` if there is
    /// no such campaign.
    #[tracing::instrument(skip_all, fields(campaign.id = %job.campaign, hops = job.hops))]
    async fn run_job(&self, job: &ImportJob, context: &Context) -> Result<bool, Error> {
        let (id, owner) = (&job.campaign, context.request_id.as_str());
        let campaign = match self.acquire_or_wait(job, owner).await? {
            Lease::Acquired(campaign) => campaign,
            Lease::HeldByOther => {
                cloud::sometimes!("an import job waits for the import at work");
                tracing::info!("another invocation reads the campaign's files: the job waits");
                return Ok(true);
            }
            Lease::UnknownCampaign => return Ok(false),
        };
        let mut run = ImportRun::new(owner, context.deadline, job);
        let result = self.import(*campaign, job, &mut run).await;
        self.campaigns.release_lease(id, owner).await?;
        self.wake_next(job).await?;
        let mut next = match result? {
            Remaining::Nothing => return Ok(true),
            Remaining::Import => ImportJob::resume(id.clone()),
            Remaining::Requeue(position) => ImportJob {
                window_opened_at: job.window_opened_at,
                ..ImportJob::requeue(id.clone(), position)
            },
        };
        cloud::sometimes!("an import is handed over to the next invocation");
        next.hops = run.message_hops();
        tracing::info!("time runs out: handed over to the next invocation");
        self.import_queue.enqueue(&next).await?;
        Ok(true)
    }

    /// Acquires the lease. If another invocation has it, the job waits in the table, and that invocation wakes it.
    async fn acquire_or_wait(&self, job: &ImportJob, owner: &str) -> Result<Lease, Error> {
        let lease = self.acquire_lease(job, owner).await?;
        if lease != Lease::HeldByOther {
            return Ok(lease);
        }
        let waiting = WaitingJob::Import(job.clone());
        let stored = self
            .waiting_jobs
            .store(&job.campaign, owner, waiting)
            .await?;
        // If the lease was released before the job was stored, nobody wakes it.
        let lease = self.acquire_lease(job, owner).await?;
        if lease != Lease::HeldByOther {
            self.waiting_jobs.remove(&stored).await?;
        }
        Ok(lease)
    }

    async fn acquire_lease(&self, job: &ImportJob, owner: &str) -> Result<Lease, cloud::Error> {
        let now = cloud::now();
        let expired_before = now.saturating_sub(IMPORT_LEASE_MS);
        self.campaigns
            .acquire_lease(&job.campaign, owner, now, expired_before)
            .await
    }

    /// Wakes one of the jobs that wait for the campaign's lease, which `job` has released. The others wait for that one.
    async fn wake_next(&self, job: &ImportJob) -> Result<(), cloud::Error> {
        for stored in self.waiting_jobs.list(&job.campaign).await? {
            if let WaitingJob::Import(waiting) = &stored.job {
                cloud::sometimes!("an import wakes the job that waits for it");
                let hops = 1 + waiting.hops.max(job.hops);
                let woken = ImportJob {
                    hops,
                    ..waiting.clone()
                };
                self.import_queue.enqueue(&woken).await?;
                return self.waiting_jobs.remove(&stored).await;
            }
        }
        Ok(())
    }
}

/// Decodes a key of an S3 event. S3 encodes keys as in a query string: `+` stands for a space, the rest is percent-encoded.
fn decode_key(key: &str) -> String {
    percent_decode_str(&key.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_plus_first_and_percent_only_once() {
        assert_eq!(
            decode_key("uploads/a+b%2Bc/input.csv"),
            "uploads/a b+c/input.csv"
        );
        assert_eq!(
            decode_key("uploads/%2541/input.csv"),
            "uploads/%41/input.csv"
        );
    }
}
