//! What is to be done about a campaign's files, and what follows for the campaign.

use campaign::import::ImportCounts;
use campaign::record::{Campaign, CampaignState, FileStage};
use cloud::files::Upload;
use lambda_runtime::{Error, tracing};

use crate::enqueue::Enqueued;
use crate::examine::Examined;
use crate::{SplitError, Splitter, Turn};

/// Whether anything is left to do about a campaign's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    More,
}

impl Splitter {
    /// Does what is to be done about the file that is open.
    pub(crate) async fn work(
        &self,
        mut campaign: Campaign,
        again: bool,
        turn: &mut Turn<'_>,
    ) -> Result<Left, Error> {
        let last = campaign.files.len().saturating_sub(1);
        let unread = again
            && campaign
                .files
                .get(last)
                .is_some_and(|file| file.stage != FileStage::Split);
        let Some(index) = campaign.open_file().or(unread.then_some(last)) else {
            return self.all_read(&campaign).await;
        };
        // Also where an invocation died between the end of the first pass and what follows from it.
        let unexamined = campaign.files[index].stage == FileStage::Announced
            || campaign.state == CampaignState::Examining;
        if again || unexamined {
            if !self.examined(&mut campaign, index, turn).await? {
                return Ok(Left::Nothing);
            }
            // The second pass must come further than the first file it reads: it wants the greater part of a turn.
            if turn.is_over() {
                return Ok(Left::More);
            }
        }
        if !campaign.state.may_send() {
            return Ok(Left::Nothing);
        }
        match self.enqueue(&campaign, index, turn).await {
            Ok(Enqueued::All(counts)) => self.is_split(&mut campaign, index, counts).await,
            Ok(Enqueued::Part) => Ok(Left::More),
            Err(error) => self
                .unusable(&mut campaign, index, error)
                .await
                .map(|()| Left::Nothing),
        }
    }

    /// The first pass and what follows from it; tells whether the file may be sent now.
    async fn examined(
        &self,
        campaign: &mut Campaign,
        index: usize,
        turn: &mut Turn<'_>,
    ) -> Result<bool, Error> {
        let id = campaign.id.clone();
        let list_is_there =
            campaign.exclude.is_none() || self.files.uploaded(&id, Upload::Exclude).await?;
        if !list_is_there || !self.files.uploaded(&id, Upload::File(index)).await? {
            tracing::info!(campaign.id = %id, "waits for another upload");
            return Ok(false);
        }
        // A campaign that is sending goes on while another file of it is read.
        let first = campaign
            .files
            .iter()
            .all(|file| file.stage != FileStage::Split);
        if first {
            use CampaignState::{AwaitingUpload, Examining, Failed, Ready};
            let from = [AwaitingUpload, Examining, Failed, Ready];
            if !self.campaigns.enter(&id, Examining, &from, None).await? {
                return Ok(false);
            }
            campaign.state = Examining;
        }
        let Examined { counts, version } = match self.examine(campaign, index, turn).await {
            Ok(examined) => examined,
            Err(error) => {
                self.unusable(campaign, index, error).await?;
                return Ok(false);
            }
        };
        let file = &mut campaign.files[index];
        (file.stage, file.counts, file.version, file.problem) =
            (FileStage::Examined, counts, version, None);
        self.campaigns.write_file(&id, index, file).await?;
        tracing::info!(campaign.id = %id, file = index + 1, rows = counts.rows, rejected = counts.rejected, "file examined");
        let (from, to) = match (first, campaign.hold) {
            (true, true) => (vec![campaign.state], CampaignState::Ready),
            (true, false) => (vec![campaign.state], CampaignState::Splitting),
            (false, _) => (
                vec![CampaignState::Sending, CampaignState::Splitting],
                CampaignState::Splitting,
            ),
        };
        campaign.state = to;
        Ok(self.campaigns.enter(&id, to, &from, None).await? && to.may_send())
    }

    /// No file is open. An invocation may have died before it drew the conclusion.
    async fn all_read(&self, campaign: &Campaign) -> Result<Left, Error> {
        use CampaignState::{Examining, Failed, Sending, Splitting};
        let (id, files) = (&campaign.id, &campaign.files);
        let concluded = if files.iter().all(|file| file.stage == FileStage::Failed) {
            let problem = files.last().and_then(|file| file.problem.as_deref());
            self.campaigns
                .enter(id, Failed, &[Examining, Splitting], problem)
                .await?
        } else {
            self.campaigns
                .enter(id, Sending, &[Splitting], None)
                .await?
        };
        tracing::info!(campaign.id = %id, concluded, "every file is read");
        Ok(Left::Nothing)
    }

    async fn is_split(
        &self,
        campaign: &mut Campaign,
        index: usize,
        counts: ImportCounts,
    ) -> Result<Left, Error> {
        let (id, file) = (&campaign.id, &mut campaign.files[index]);
        (file.stage, file.counts) = (FileStage::Split, counts);
        self.campaigns.write_file(id, index, file).await?;
        // Not where the campaign was stopped meanwhile: then it stays so, though its file is read.
        self.campaigns
            .enter(
                id,
                CampaignState::Sending,
                &[CampaignState::Splitting],
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
        Ok(Left::Nothing)
    }

    /// Where the file is at fault, people are told; where the way to it is, the event comes again.
    async fn unusable(
        &self,
        campaign: &mut Campaign,
        index: usize,
        error: SplitError,
    ) -> Result<(), Error> {
        let problem = match error {
            SplitError::File(problem) => sentence(&problem),
            SplitError::Way(error) => return Err(error),
        };
        let id = campaign.id.clone();
        tracing::warn!(campaign.id = %id, file = index + 1, "the file cannot be used: {problem}");
        let file = &mut campaign.files[index];
        (file.stage, file.problem) = (FileStage::Failed, Some(problem.clone()));
        self.campaigns.write_file(&id, index, file).await?;
        if campaign
            .files
            .iter()
            .all(|file| file.stage == FileStage::Failed)
        {
            let from = [CampaignState::Examining, CampaignState::Splitting];
            self.campaigns
                .enter(&id, CampaignState::Failed, &from, Some(&problem))
                .await?;
        }
        Ok(())
    }
}

/// As people read it: a capital first and a full stop last.
fn sentence(problem: &str) -> String {
    let mut letters = problem.chars();
    let first = letters
        .next()
        .map(|first| first.to_uppercase().to_string())
        .unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
