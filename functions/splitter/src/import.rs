//! What to do about a campaign's files: requeue if the job says so, then validate and enqueue the next file.

use campaign::delivery::requeue::{Disposition, disposition};
use campaign::lifecycle::campaign::{Campaign, CampaignState, Canary, FileStage};
use campaign::time::Millis;
use cloud::files::Upload;
use cloud::import_queue::{ImportJob, Position};
use cloud::imports::RowSet;
use lambda_runtime::Error;

use crate::Splitter;
use crate::enqueue::EnqueueOutcome;
use crate::finish::has_enqueued_file;
use crate::requeue::RequeueOutcome;
use crate::run::{ImportError, ImportRun};
use crate::validate::ValidatedFile;

/// What is left to do when an invocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remaining {
    /// Nothing.
    Nothing,
    /// Files are still to be validated or enqueued.
    Import,
    /// Rows are still to be requeued, from this position on.
    Requeue(Position),
}

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
        if campaign.state == CampaignState::Scheduled && !self.start_if_due(&mut campaign).await? {
            return Ok(Remaining::Nothing);
        }
        if campaign.state == CampaignState::Canary {
            return Ok(Remaining::Nothing);
        }
        self.import_next_file(campaign, job.validate, run).await
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
            // The file was usable before, so the object is gone or was replaced.
            Err(ImportError::File(problem)) => {
                tracing::error!(campaign.id = %campaign.id, "the file cannot be read again: {problem}");
                Ok(Some(Remaining::Nothing))
            }
        }
    }

    /// Starts a scheduled campaign if its time has come. Returns whether it is started.
    async fn start_if_due(&self, campaign: &mut Campaign) -> Result<bool, Error> {
        use CampaignState::{Enqueuing, Scheduled};
        if !campaign.schedule.has_begun(cloud::now()) {
            return Ok(false);
        }
        campaign.state = Enqueuing;
        Ok(self
            .campaigns
            .transition(&campaign.id, Enqueuing, &[Scheduled], None)
            .await?)
    }

    /// Validates the next file unless it is validated already, then enqueues its rows if they may be sent.
    async fn import_next_file(
        &self,
        mut campaign: Campaign,
        revalidate: bool,
        run: &mut ImportRun<'_>,
    ) -> Result<Remaining, Error> {
        let Some(index) = next_file(&campaign, revalidate) else {
            self.finish_import(&campaign).await?;
            return Ok(Remaining::Nothing);
        };
        // In the state `validating`, an invocation may have died after the first pass and before the transition.
        let is_unvalidated = campaign.files[index].stage == FileStage::Pending
            || campaign.state == CampaignState::Validating;
        if revalidate || is_unvalidated {
            if !self.validate_file(&mut campaign, index, run).await? {
                self.finish_resumed(&campaign).await?;
                return Ok(Remaining::Nothing);
            }
            // The second pass reads the file from the start, so it needs most of an invocation to make progress.
            if run.is_out_of_time() {
                return Ok(Remaining::Import);
            }
        }
        if !campaign.state.may_send() {
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

    /// The first pass and what follows from it. Returns whether the file's rows may be sent now.
    async fn validate_file(
        &self,
        campaign: &mut Campaign,
        index: usize,
        run: &mut ImportRun<'_>,
    ) -> Result<bool, Error> {
        if !self.are_uploads_complete(campaign, index).await? {
            tracing::info!(campaign.id = %campaign.id, "waits for another upload");
            return Ok(false);
        }
        // While a further file is validated, the campaign goes on sending the files before.
        let is_first = !has_enqueued_file(campaign);
        if is_first && !self.start_validating(campaign).await? {
            return Ok(false);
        }
        let ValidatedFile { counts, version } = match self.validate(campaign, index, run).await {
            Ok(validated) => validated,
            Err(error) => {
                self.fail_file(campaign, index, error).await?;
                return Ok(false);
            }
        };
        let file = &mut campaign.files[index];
        (file.stage, file.counts, file.version, file.problem) =
            (FileStage::Validated, counts, version, None);
        file.usable = counts.enqueued;
        self.campaigns.update_file(campaign, index).await?;
        tracing::info!(campaign.id = %campaign.id, file = index + 1, rows = counts.rows, rejected = counts.rejected, "file validated");
        let (from, to) = transition_after_validation(campaign, is_first, cloud::now());
        campaign.state = to;
        let has_changed = self
            .campaigns
            .transition(&campaign.id, to, from, None)
            .await?;
        Ok(has_changed && to.may_send())
    }

    /// Whether the file, and the exclude list if there is to be one, are uploaded.
    async fn are_uploads_complete(&self, campaign: &Campaign, index: usize) -> Result<bool, Error> {
        let (id, files) = (&campaign.id, &self.files);
        if campaign.exclude.is_some() && !files.upload_exists(id, Upload::Exclusions).await? {
            return Ok(false);
        }
        Ok(files.upload_exists(id, Upload::File(index)).await?)
    }

    /// Returns `false` if the campaign's state forbids it.
    async fn start_validating(&self, campaign: &mut Campaign) -> Result<bool, Error> {
        use CampaignState::{AwaitingUpload, Failed, Ready, Validating};
        let from = [AwaitingUpload, Validating, Failed, Ready];
        let has_changed = self
            .campaigns
            .transition(&campaign.id, Validating, &from, None)
            .await?;
        if has_changed {
            campaign.state = Validating;
        }
        Ok(has_changed)
    }

    /// The second pass and what follows from it.
    async fn enqueue_file(
        &self,
        campaign: &mut Campaign,
        index: usize,
        run: &mut ImportRun<'_>,
    ) -> Result<Remaining, Error> {
        let canary = campaign
            .canary_for_file(index)
            .filter(|canary| !canary.released);
        let row_set = canary.map_or(RowSet::Remainder, |_| RowSet::Canary);
        let enqueued = match self.enqueue(campaign, index, row_set, run).await {
            Ok(EnqueueOutcome::Partial) => return Ok(Remaining::Import),
            Ok(EnqueueOutcome::Complete(enqueued)) => enqueued,
            Err(error) => {
                self.fail_file(campaign, index, error).await?;
                return Ok(Remaining::Nothing);
            }
        };
        match canary {
            Some(canary) => {
                let canary = Canary {
                    enqueued: enqueued.rows.saturating_sub(enqueued.suppressed),
                    ..canary
                };
                self.finish_canary(campaign, index, enqueued.counts, canary)
                    .await?;
            }
            None => self.finish_file(campaign, index, enqueued.counts).await?,
        }
        Ok(Remaining::Nothing)
    }
}

/// The file to import: the next one that is not enqueued. Or, if the last one is to be validated again, that one, even if
/// it failed before.
fn next_file(campaign: &Campaign, revalidate: bool) -> Option<usize> {
    let last = campaign.files.len().checked_sub(1)?;
    let is_last_open = campaign.files[last].stage != FileStage::Enqueued;
    campaign
        .next_file_index()
        .or((revalidate && is_last_open).then_some(last))
}

/// The states to leave and to enter once a file is validated, the first of the campaign or a further one.
fn transition_after_validation(
    campaign: &Campaign,
    is_first: bool,
    now: Millis,
) -> (&'static [CampaignState], CampaignState) {
    use CampaignState::{Enqueuing, Ready, Scheduled, Sending, Validating};
    if !is_first {
        return (&[Sending, Enqueuing], Enqueuing);
    }
    let to = if campaign.manual_start {
        Ready
    } else if campaign.schedule.has_begun(now) {
        Enqueuing
    } else {
        Scheduled
    };
    (&[Validating], to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use campaign::lifecycle::campaign::{CampaignFile, FileInfo, Schedule};
    use campaign::message::Message;

    fn campaign(stages: &[FileStage]) -> Campaign {
        let message = Message::new(serde_json::json!({})).expect("message");
        let info = FileInfo {
            name: "a.csv".into(),
            size: 1,
        };
        let id = "c1".parse().expect("id");
        let mut campaign = Campaign::new(id, "Test".into(), message, info.clone(), 0);
        campaign.files = stages
            .iter()
            .map(|&stage| CampaignFile {
                stage,
                ..CampaignFile::pending(info.clone())
            })
            .collect();
        campaign
    }

    #[test]
    fn next_file_is_first_open_one_or_last_one_to_revalidate() {
        use FileStage::{Enqueued, Failed, Pending, Validated};
        for (stages, revalidate, expected) in [
            (&[] as &[FileStage], true, None),
            (&[Pending], false, Some(0)),
            (&[Enqueued, Validated], false, Some(1)),
            (&[Enqueued, Failed], false, None),
            (&[Enqueued, Failed], true, Some(1)),
            (&[Failed, Enqueued], true, None),
        ] {
            let file = next_file(&campaign(stages), revalidate);
            assert_eq!(file, expected, "{stages:?}");
        }
    }

    #[test]
    fn validated_campaign_waits_for_its_operator_or_its_schedule() {
        use CampaignState::{Enqueuing, Ready, Scheduled};
        let mut campaign = campaign(&[FileStage::Validated]);
        let state = |campaign: &Campaign, is_first| {
            let (_, to) = transition_after_validation(campaign, is_first, 1000);
            to
        };
        assert_eq!(state(&campaign, true), Enqueuing);
        campaign.schedule = Schedule {
            not_before: Some(1001),
            ..Schedule::default()
        };
        assert_eq!(state(&campaign, true), Scheduled);
        campaign.manual_start = true;
        assert_eq!(state(&campaign, true), Ready);
        assert_eq!(state(&campaign, false), Enqueuing);
    }
}
