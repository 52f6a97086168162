//! What is to be done about a campaign's files, and what follows for the campaign.

use campaign::import::ImportCounts;
use campaign::record::{Campaign, CampaignState, Canary, FileStage};
use cloud::files::Upload;
use lambda_runtime::{Error, tracing};

use cloud::imports::Share;
use cloud::metrics::Metrics;
use cloud::splits::{Position, SplitOrder};

use crate::enqueue::Enqueued;
use crate::examine::Examined;
use crate::offer::Offered;
use crate::{SplitError, Splitter, Turn};

/// Whether anything is left to do about a campaign's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    More,
    /// Rows are still to be offered again, from here on.
    Offers(Position),
}

impl Splitter {
    /// Does what an order asks for, then what is to be done about the file that is open.
    pub(crate) async fn work(
        &self,
        mut campaign: Campaign,
        order: &SplitOrder,
        turn: &mut Turn<'_>,
    ) -> Result<Left, Error> {
        if let Some(from) = order.offer {
            match self.offer(&mut campaign, from, turn).await {
                Ok(Offered::All) if turn.is_over() => return Ok(Left::More),
                Ok(Offered::All) => {}
                Ok(Offered::Part(position)) => return Ok(Left::Offers(position)),
                Err(SplitError::Way(error)) => return Err(error),
                // It was read before, so it can be read: the object is gone, or has changed behind our back.
                Err(SplitError::File(problem)) => {
                    tracing::error!(campaign.id = %campaign.id, "the file cannot be read again: {problem}");
                    return Ok(Left::Nothing);
                }
            }
        }
        if campaign.state == CampaignState::Scheduled && !self.has_begun(&mut campaign).await? {
            return Ok(Left::Nothing);
        }
        if campaign.state == CampaignState::Canary {
            return Ok(Left::Nothing);
        }
        self.read(campaign, order.examine, turn).await
    }

    /// Lets a campaign begin whose time has come.
    async fn has_begun(&self, campaign: &mut Campaign) -> Result<bool, Error> {
        use CampaignState::{Scheduled, Splitting};
        if !campaign.window.is_open(cloud::now()) {
            return Ok(false);
        }
        campaign.state = Splitting;
        Ok(self
            .campaigns
            .enter(&campaign.id, Splitting, &[Scheduled], None)
            .await?)
    }

    /// Reads the file that is open, and puts its rows into the queue.
    async fn read(
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
                return self.resumed(&campaign).await;
            }
            // The second pass must come further than the first file it reads: it wants the greater part of a turn.
            if turn.is_over() {
                return Ok(Left::More);
            }
        }
        if !campaign.state.may_send() {
            return Ok(Left::Nothing);
        }
        let canary = campaign.canary_of(index).filter(|canary| !canary.released);
        let share = canary.map_or(Share::Rest, |_| Share::Canary);
        match self.enqueue(&campaign, index, share, turn).await {
            Ok(Enqueued::Part) => Ok(Left::More),
            Ok(Enqueued::All {
                counts,
                rows,
                kept_back,
            }) => match canary {
                Some(canary) => {
                    let enqueued = rows.saturating_sub(kept_back);
                    let canary = Canary { enqueued, ..canary };
                    self.canary_is_out(&mut campaign, index, counts, canary)
                        .await
                }
                None => self.is_split(&mut campaign, index, counts).await,
            },
            Err(error) => self
                .unusable(&mut campaign, index, error)
                .await
                .map(|()| Left::Nothing),
        }
    }

    /// A campaign that was resumed while a further file of it was only announced goes on without that file.
    async fn resumed(&self, campaign: &Campaign) -> Result<Left, Error> {
        let some_split = campaign
            .files
            .iter()
            .any(|file| file.stage == FileStage::Split);
        match campaign.state {
            CampaignState::Splitting if some_split => self.all_read(campaign).await,
            _ => Ok(Left::Nothing),
        }
    }

    /// The canary rows are in the queue; the others wait.
    async fn canary_is_out(
        &self,
        campaign: &mut Campaign,
        index: usize,
        counts: ImportCounts,
        canary: Canary,
    ) -> Result<Left, Error> {
        let id = &campaign.id;
        let file = &mut campaign.files[index];
        file.counts = counts;
        self.campaigns.write_file(id, index, file).await?;
        self.campaigns.set_canary(id, canary).await?;
        self.campaigns.offered(id, cloud::now()).await?;
        use CampaignState::{Canary as Waiting, Splitting};
        self.campaigns
            .enter(id, Waiting, &[Splitting], None)
            .await?;
        tracing::info!(campaign.id = %id, rows = canary.enqueued, "canary rows are out");
        Ok(Left::Nothing)
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
        file.usable = counts.enqueued;
        self.campaigns.write_file(&id, index, file).await?;
        tracing::info!(campaign.id = %id, file = index + 1, rows = counts.rows, rejected = counts.rejected, "file examined");
        let (from, to) = match (first, campaign.hold) {
            (true, true) => (vec![campaign.state], CampaignState::Ready),
            (true, false) if !campaign.window.is_open(cloud::now()) => {
                (vec![campaign.state], CampaignState::Scheduled)
            }
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
        self.campaigns.offered(id, cloud::now()).await?;
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
        Metrics::of("splitter")
            .count("Files", 1)
            .count("Rows", rows as usize)
            .count("Rejected", rejected as usize)
            .count("Enqueued", enqueued as usize)
            .write();
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
