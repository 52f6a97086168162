//! What is to be done about a campaign's files, and what follows for the campaign.

use campaign::import::row::ImportCounts;
use campaign::lifecycle::campaign::{Campaign, CampaignState, Canary, FileStage};
use cloud::files::Upload;
use lambda_runtime::{Error, tracing};

use cloud::import_queue::{ImportJob, Position};
use cloud::imports::RowSet;
use cloud::metrics::Metrics;

use crate::enqueue::EnqueueOutcome;
use crate::requeue::RequeueOutcome;
use crate::validate::ValidatedFile;
use crate::{ImportError, ImportRun, Splitter};

/// Whether anything is left to do about a campaign's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remaining {
    Nothing,
    Import,
    /// Rows are still to be offered again, from here on.
    Requeue(Position),
}

impl Splitter {
    /// Does what an order asks for, then what is to be done about the file that is open.
    pub(crate) async fn import(
        &self,
        mut campaign: Campaign,
        order: &ImportJob,
        turn: &mut ImportRun<'_>,
    ) -> Result<Remaining, Error> {
        if let Some(from) = order.requeue {
            match self.requeue(&mut campaign, from, turn).await {
                Ok(RequeueOutcome::Complete) if turn.is_out_of_time() => {
                    return Ok(Remaining::Import);
                }
                Ok(RequeueOutcome::Complete) => {}
                Ok(RequeueOutcome::Partial(position)) => return Ok(Remaining::Requeue(position)),
                Err(ImportError::Io(error)) => return Err(error),
                // It was read before, so it can be read: the object is gone, or has changed behind our back.
                Err(ImportError::File(problem)) => {
                    tracing::error!(campaign.id = %campaign.id, "the file cannot be read again: {problem}");
                    return Ok(Remaining::Nothing);
                }
            }
        }
        if campaign.state == CampaignState::Scheduled && !self.start_if_due(&mut campaign).await? {
            return Ok(Remaining::Nothing);
        }
        if campaign.state == CampaignState::Canary {
            return Ok(Remaining::Nothing);
        }
        self.import_open_file(campaign, order.validate, turn).await
    }

    /// Lets a campaign begin whose time has come.
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

    /// Reads the file that is open, and puts its rows into the queue.
    async fn import_open_file(
        &self,
        mut campaign: Campaign,
        again: bool,
        turn: &mut ImportRun<'_>,
    ) -> Result<Remaining, Error> {
        let last = campaign.files.len().saturating_sub(1);
        let unread = again
            && campaign
                .files
                .get(last)
                .is_some_and(|file| file.stage != FileStage::Enqueued);
        let Some(index) = campaign.next_file_index().or(unread.then_some(last)) else {
            return self.finish_import(&campaign).await;
        };
        // Also where an invocation died between the end of the first pass and what follows from it.
        let unexamined = campaign.files[index].stage == FileStage::Pending
            || campaign.state == CampaignState::Validating;
        if again || unexamined {
            if !self.validate_file(&mut campaign, index, turn).await? {
                return self.conclude_resumed(&campaign).await;
            }
            // The second pass must come further than the first file it reads: it wants the greater part of a turn.
            if turn.is_out_of_time() {
                return Ok(Remaining::Import);
            }
        }
        if !campaign.state.may_send() {
            return Ok(Remaining::Nothing);
        }
        let canary = campaign
            .canary_for_file(index)
            .filter(|canary| !canary.released);
        let share = canary.map_or(RowSet::Remainder, |_| RowSet::Canary);
        match self.enqueue(&campaign, index, share, turn).await {
            Ok(EnqueueOutcome::Partial) => Ok(Remaining::Import),
            Ok(EnqueueOutcome::Complete {
                counts,
                rows,
                suppressed: kept_back,
            }) => match canary {
                Some(canary) => {
                    let enqueued = rows.saturating_sub(kept_back);
                    let canary = Canary { enqueued, ..canary };
                    self.finish_canary(&mut campaign, index, counts, canary)
                        .await
                }
                None => self.finish_file(&mut campaign, index, counts).await,
            },
            Err(error) => self
                .fail_file(&mut campaign, index, error)
                .await
                .map(|()| Remaining::Nothing),
        }
    }

    /// A campaign that was resumed while a further file of it was only announced goes on without that file.
    async fn conclude_resumed(&self, campaign: &Campaign) -> Result<Remaining, Error> {
        let some_split = campaign
            .files
            .iter()
            .any(|file| file.stage == FileStage::Enqueued);
        match campaign.state {
            CampaignState::Enqueuing if some_split => self.finish_import(campaign).await,
            _ => Ok(Remaining::Nothing),
        }
    }

    /// The canary rows are in the queue; the others wait.
    async fn finish_canary(
        &self,
        campaign: &mut Campaign,
        index: usize,
        counts: ImportCounts,
        canary: Canary,
    ) -> Result<Remaining, Error> {
        let id = &campaign.id;
        let file = &mut campaign.files[index];
        file.counts = counts;
        self.campaigns.update_file(id, index, file).await?;
        self.campaigns.set_canary(id, canary).await?;
        self.campaigns.mark_enqueued(id, cloud::now()).await?;
        use CampaignState::{Canary as Waiting, Enqueuing};
        self.campaigns
            .transition(id, Waiting, &[Enqueuing], None)
            .await?;
        tracing::info!(campaign.id = %id, rows = canary.enqueued, "canary rows are out");
        Ok(Remaining::Nothing)
    }

    /// The first pass and what follows from it; tells whether the file may be sent now.
    async fn validate_file(
        &self,
        campaign: &mut Campaign,
        index: usize,
        turn: &mut ImportRun<'_>,
    ) -> Result<bool, Error> {
        let id = campaign.id.clone();
        let list_is_there =
            campaign.exclude.is_none() || self.files.upload_exists(&id, Upload::Exclusions).await?;
        if !list_is_there || !self.files.upload_exists(&id, Upload::File(index)).await? {
            tracing::info!(campaign.id = %id, "waits for another upload");
            return Ok(false);
        }
        // A campaign that is sending goes on while another file of it is read.
        let first = campaign
            .files
            .iter()
            .all(|file| file.stage != FileStage::Enqueued);
        if first {
            use CampaignState::{AwaitingUpload, Failed, Ready, Validating};
            let from = [AwaitingUpload, Validating, Failed, Ready];
            if !self
                .campaigns
                .transition(&id, Validating, &from, None)
                .await?
            {
                return Ok(false);
            }
            campaign.state = Validating;
        }
        let ValidatedFile { counts, version } = match self.validate(campaign, index, turn).await {
            Ok(examined) => examined,
            Err(error) => {
                self.fail_file(campaign, index, error).await?;
                return Ok(false);
            }
        };
        let file = &mut campaign.files[index];
        (file.stage, file.counts, file.version, file.problem) =
            (FileStage::Validated, counts, version, None);
        file.usable = counts.enqueued;
        self.campaigns.update_file(&id, index, file).await?;
        tracing::info!(campaign.id = %id, file = index + 1, rows = counts.rows, rejected = counts.rejected, "file examined");
        let (from, to) = match (first, campaign.manual_start) {
            (true, true) => (vec![campaign.state], CampaignState::Ready),
            (true, false) if !campaign.schedule.has_begun(cloud::now()) => {
                (vec![campaign.state], CampaignState::Scheduled)
            }
            (true, false) => (vec![campaign.state], CampaignState::Enqueuing),
            (false, _) => (
                vec![CampaignState::Sending, CampaignState::Enqueuing],
                CampaignState::Enqueuing,
            ),
        };
        campaign.state = to;
        Ok(self.campaigns.transition(&id, to, &from, None).await? && to.may_send())
    }

    /// No file is open. An invocation may have died before it drew the conclusion.
    async fn finish_import(&self, campaign: &Campaign) -> Result<Remaining, Error> {
        use CampaignState::{Enqueuing, Failed, Sending, Validating};
        let (id, files) = (&campaign.id, &campaign.files);
        let concluded = if files.iter().all(|file| file.stage == FileStage::Failed) {
            let problem = files.last().and_then(|file| file.problem.as_deref());
            self.campaigns
                .transition(id, Failed, &[Validating, Enqueuing], problem)
                .await?
        } else {
            self.campaigns
                .transition(id, Sending, &[Enqueuing], None)
                .await?
        };
        tracing::info!(campaign.id = %id, concluded, "every file is read");
        Ok(Remaining::Nothing)
    }

    async fn finish_file(
        &self,
        campaign: &mut Campaign,
        index: usize,
        counts: ImportCounts,
    ) -> Result<Remaining, Error> {
        let (id, file) = (&campaign.id, &mut campaign.files[index]);
        (file.stage, file.counts) = (FileStage::Enqueued, counts);
        self.campaigns.update_file(id, index, file).await?;
        self.campaigns.mark_enqueued(id, cloud::now()).await?;
        // Not where the campaign was stopped meanwhile: then it stays so, though its file is read.
        self.campaigns
            .transition(
                id,
                CampaignState::Sending,
                &[CampaignState::Enqueuing],
                None,
            )
            .await?;
        let ImportCounts {
            rows,
            rejected,
            duplicates,
            suppressed,
            enqueued,
        } = counts;
        tracing::info!(campaign.id = %id, file = index + 1, rows, rejected, duplicates, suppressed, enqueued, "file split");
        Metrics::for_function("splitter")
            .add_count("Files", 1)
            .add_count("Rows", rows as usize)
            .add_count("Rejected", rejected as usize)
            .add_count("Enqueued", enqueued as usize)
            .emit();
        Ok(Remaining::Nothing)
    }

    /// Where the file is at fault, people are told; where the way to it is, the event comes again.
    async fn fail_file(
        &self,
        campaign: &mut Campaign,
        index: usize,
        error: ImportError,
    ) -> Result<(), Error> {
        let problem = match error {
            ImportError::File(problem) => to_sentence(&problem),
            ImportError::Io(error) => return Err(error),
        };
        let id = campaign.id.clone();
        tracing::warn!(campaign.id = %id, file = index + 1, "the file cannot be used: {problem}");
        let file = &mut campaign.files[index];
        (file.stage, file.problem) = (FileStage::Failed, Some(problem.clone()));
        self.campaigns.update_file(&id, index, file).await?;
        if campaign
            .files
            .iter()
            .all(|file| file.stage == FileStage::Failed)
        {
            let from = [CampaignState::Validating, CampaignState::Enqueuing];
            self.campaigns
                .transition(&id, CampaignState::Failed, &from, Some(&problem))
                .await?;
        }
        Ok(())
    }
}

/// As people read it: a capital first and a full stop last.
fn to_sentence(problem: &str) -> String {
    let mut letters = problem.chars();
    let first = letters
        .next()
        .map(|first| first.to_uppercase().to_string())
        .unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
