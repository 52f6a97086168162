//! What to do about a campaign's files: requeue if the job says so, then validate and enqueue the next file.

use campaign::delivery::requeue::{Disposition, disposition};
use campaign::lifecycle::campaign::{Campaign, CampaignState, FileStage};
use campaign::lifecycle::event::FileChange;
use cloud::files::Upload;
use cloud::import_queue::{ImportJob, Position};
use cloud::imports::RowSet;
use lambda_runtime::Error;
use recipients::ReadError;

use crate::Splitter;
use crate::enqueue::EnqueueOutcome;
use crate::finish::{report_enqueued, to_sentence};
use crate::requeue::RequeueOutcome;
use crate::run::{ImportError, ImportRun, Remaining};
use crate::validate::ValidatedFile;

impl Splitter {
    /// Does what the job asks for, then imports the next file.
    pub(crate) async fn import(
        &self,
        mut campaign: Campaign,
        job: &ImportJob,
        run: &mut ImportRun<'_>,
    ) -> Result<Remaining, Error> {
        if let Some(from) = job.requeue
            && let Some(remaining) = self.requeue_from(&mut campaign, from, run).await?
        {
            return Ok(remaining);
        }
        self.import_next_file(campaign, run).await
    }

    /// Requeues rows. Returns `None` if the import may go on.
    async fn requeue_from(
        &self,
        campaign: &mut Campaign,
        from: Position,
        run: &mut ImportRun<'_>,
    ) -> Result<Option<Remaining>, Error> {
        match self.requeue(campaign, from, run).await {
            Ok(RequeueOutcome::Complete) if run.is_out_of_time() => Ok(Some(Remaining::Import)),
            Ok(RequeueOutcome::Complete) => Ok(None),
            Ok(RequeueOutcome::Partial(position)) => Ok(Some(Remaining::Requeue(position))),
            Err(ImportError::Io(error)) => Err(error),
            Err(ImportError::File(problem)) => {
                self.give_up_reading(campaign, &problem).await?;
                Ok(Some(Remaining::Nothing))
            }
        }
    }

    /// Reads the next file unless that is done already, then enqueues its rows if they may be sent.
    async fn import_next_file(
        &self,
        mut campaign: Campaign,
        run: &mut ImportRun<'_>,
    ) -> Result<Remaining, Error> {
        let Some(index) = campaign.next_file_index() else {
            tracing::info!(campaign.id = %campaign.id, "every file is imported");
            return Ok(Remaining::Nothing);
        };
        if campaign.files[index].stage != FileStage::Validated {
            let remaining = self.validate_file(&mut campaign, index, run).await?;
            if let Some(remaining) = remaining {
                return Ok(remaining);
            }
            if run.is_out_of_time() {
                return Ok(Remaining::Import);
            }
        }
        if campaign.state(cloud::now()) != CampaignState::Enqueuing {
            return Ok(Remaining::Nothing);
        }
        self.enqueue_or_settle(campaign, index, run).await
    }

    /// Enqueues the rows of a validated file, unless none of the campaign's rows is sent any more. An invocation that settled
    /// them may have died: what it skipped would be counted again as suppressed.
    async fn enqueue_or_settle(
        &self,
        mut campaign: Campaign,
        index: usize,
        run: &mut ImportRun<'_>,
    ) -> Result<Remaining, Error> {
        if let Disposition::Skip(_) = disposition(&campaign, cloud::now()) {
            cloud::sometimes!("an import settles the rows of a campaign that has expired");
            let start = Position::default();
            let remaining = self.requeue_from(&mut campaign, start, run).await?;
            return Ok(remaining.unwrap_or(Remaining::Import));
        }
        self.enqueue_file(&mut campaign, index, run).await
    }

    /// The first pass and what follows from it. Returns what is left to do if the file cannot be enqueued now.
    async fn validate_file(
        &self,
        campaign: &mut Campaign,
        index: usize,
        run: &mut ImportRun<'_>,
    ) -> Result<Option<Remaining>, Error> {
        let is_complete = self.are_uploads_complete(campaign, index).await?;
        let retry = campaign
            .retry_of
            .clone()
            .filter(|_| index == 0 && !is_complete);
        if !is_complete && retry.is_none() {
            return self.miss_upload(campaign, index).await.map(Some);
        }
        if let Some(remaining) = self
            .change_file(campaign, index, FileChange::Reading)
            .await?
        {
            return Ok(Some(remaining));
        }
        let validated = match &retry {
            // The next invocation has all of its time to read what this one writes.
            Some(retry) => match self.write_retry_file(campaign, retry, run).await {
                Ok(()) => return Ok(Some(Remaining::Import)),
                Err(error) => Err(error),
            },
            None => self.validate(campaign, index, run).await,
        };
        let change = match validated {
            Ok(ValidatedFile {
                counts,
                content_hash,
                chunk_set,
            }) => FileChange::Validated {
                counts,
                content_hash,
                chunk_set,
            },
            Err(ImportError::File(problem)) => {
                let problem = to_sentence(&problem);
                tracing::warn!(campaign.id = %campaign.id, file = index + 1, "the file is unusable: {problem}");
                FileChange::Failed { problem }
            }
            Err(ImportError::Io(error)) => return Err(error),
        };
        let is_usable = matches!(change, FileChange::Validated { .. });
        if let Some(remaining) = self.change_file(campaign, index, change).await? {
            return Ok(Some(remaining));
        }
        if is_usable && let Some(remaining) = self.refuse_repeat(campaign, index).await? {
            return Ok(Some(remaining));
        }
        let counts = campaign.files[index].counts;
        tracing::info!(campaign.id = %campaign.id, file = index + 1, rows = counts.rows, rejected = counts.rejected, "file validated");
        Ok((!is_usable).then_some(Remaining::Nothing))
    }

    /// An upload is not there: it is still to come, or was there when the file was read before. An erasure deletes files of
    /// campaigns that are over.
    async fn miss_upload(&self, campaign: &mut Campaign, index: usize) -> Result<Remaining, Error> {
        if campaign.files[index].stage != FileStage::Reading {
            tracing::info!(campaign.id = %campaign.id, "waits for another upload");
            return Ok(Remaining::Nothing);
        }
        let problem = to_sentence(&ReadError::Gone.to_string());
        let change = FileChange::Failed { problem };
        let remaining = self.change_file(campaign, index, change).await?;
        Ok(remaining.unwrap_or(Remaining::Nothing))
    }

    /// Refuses a file that another campaign has sent: early, so that the preview says so. Returns what is left to do then.
    async fn refuse_repeat(
        &self,
        campaign: &mut Campaign,
        index: usize,
    ) -> Result<Option<Remaining>, Error> {
        let Some(problem) = self.find_repeat(campaign, index).await? else {
            return Ok(None);
        };
        self.refuse(campaign, index, &problem).await.map(Some)
    }

    async fn refuse(
        &self,
        campaign: &mut Campaign,
        index: usize,
        problem: &str,
    ) -> Result<Remaining, Error> {
        let problem = to_sentence(problem);
        tracing::warn!(campaign.id = %campaign.id, file = index + 1, "the file is refused: {problem}");
        let change = FileChange::Refused { problem };
        let remaining = self.change_file(campaign, index, change).await?;
        Ok(remaining.unwrap_or(Remaining::Nothing))
    }

    /// Whether the file, and the exclude list if there is to be one, are uploaded.
    async fn are_uploads_complete(&self, campaign: &Campaign, index: usize) -> Result<bool, Error> {
        let (id, files) = (&campaign.id, &self.files);
        if campaign.exclude.is_some() && !files.upload_exists(id, Upload::Exclusions).await? {
            return Ok(false);
        }
        Ok(files.upload_exists(id, Upload::File(index)).await?)
    }

    /// The second pass and what follows from it.
    async fn enqueue_file(
        &self,
        campaign: &mut Campaign,
        index: usize,
        run: &mut ImportRun<'_>,
    ) -> Result<Remaining, Error> {
        if let Some(problem) = self.claim_content(campaign, index).await? {
            return self.refuse(campaign, index, &problem).await;
        }
        let canary = campaign
            .canary_for_file(index)
            .filter(|canary| !canary.released);
        let row_set = canary.map_or(RowSet::Remainder, |_| RowSet::Canary);
        let enqueued = match self.enqueue(campaign, index, row_set, run).await {
            Ok(EnqueueOutcome::Partial) => return Ok(Remaining::Import),
            Ok(EnqueueOutcome::Complete(enqueued)) => enqueued,
            Err(ImportError::File(problem)) => {
                self.give_up_reading(campaign, &problem).await?;
                return Ok(Remaining::Nothing);
            }
            Err(ImportError::Io(error)) => return Err(error),
        };
        let (counts, is_canary) = (enqueued.counts, canary.is_some());
        let change = match is_canary {
            true => FileChange::CanaryEnqueued {
                counts,
                rows: enqueued.rows.saturating_sub(enqueued.suppressed),
            },
            false => FileChange::Enqueued { counts },
        };
        let remaining = self.change_file(campaign, index, change).await?;
        if remaining.is_none() {
            report_enqueued(campaign, index, is_canary, counts);
        }
        Ok(remaining.unwrap_or(Remaining::Nothing))
    }
}
