//! What follows for a campaign when a file is enqueued or turns out to be unusable.

use campaign::import::row::ImportCounts;
use campaign::lifecycle::campaign::{Campaign, CampaignState, Canary, FileStage};
use cloud::metrics::Metrics;
use lambda_runtime::Error;

use crate::Splitter;
use crate::run::ImportError;

impl Splitter {
    /// The canary rows are in the queue; the remainder waits.
    pub(crate) async fn finish_canary(
        &self,
        campaign: &mut Campaign,
        index: usize,
        counts: ImportCounts,
        canary: Canary,
    ) -> Result<(), Error> {
        use CampaignState::{Canary as CanaryState, Enqueuing};
        campaign.files[index].counts = counts;
        self.campaigns.update_file(campaign, index).await?;
        let id = &campaign.id;
        self.campaigns.set_canary(id, canary).await?;
        self.campaigns.mark_enqueued(id, cloud::now()).await?;
        self.campaigns
            .transition(id, CanaryState, &[Enqueuing], None)
            .await?;
        tracing::info!(campaign.id = %id, rows = canary.enqueued, "canary rows enqueued");
        Ok(())
    }

    /// Every row of the file is in the queue.
    pub(crate) async fn finish_file(
        &self,
        campaign: &mut Campaign,
        index: usize,
        counts: ImportCounts,
    ) -> Result<(), Error> {
        use CampaignState::{Enqueuing, Sending};
        let file = &mut campaign.files[index];
        (file.stage, file.counts) = (FileStage::Enqueued, counts);
        self.campaigns.update_file(campaign, index).await?;
        let id = &campaign.id;
        self.campaigns.mark_enqueued(id, cloud::now()).await?;
        // A campaign that was paused or cancelled meanwhile stays so.
        self.campaigns
            .transition(id, Sending, &[Enqueuing], None)
            .await?;
        let ImportCounts {
            rows,
            rejected,
            duplicates,
            suppressed,
            enqueued,
        } = counts;
        tracing::info!(campaign.id = %id, file = index + 1, rows, rejected, duplicates, suppressed, enqueued, "file enqueued");
        Metrics::for_function("splitter")
            .add_count("Files", 1)
            .add_count("Rows", rows as usize)
            .add_count("Rejected", rejected as usize)
            .add_count("Enqueued", enqueued as usize)
            .emit();
        Ok(())
    }

    /// No file is left to import. This repeats the last transition, because an invocation may have died before it.
    pub(crate) async fn finish_import(&self, campaign: &Campaign) -> Result<(), Error> {
        use CampaignState::{Enqueuing, Failed, Sending, Validating};
        let (id, files) = (&campaign.id, &campaign.files);
        let has_changed = if files.iter().all(|file| file.stage == FileStage::Failed) {
            let problem = files.last().and_then(|file| file.problem.as_deref());
            self.campaigns
                .transition(id, Failed, &[Validating, Enqueuing], problem)
                .await?
        } else {
            self.campaigns
                .transition(id, Sending, &[Enqueuing], None)
                .await?
        };
        tracing::info!(campaign.id = %id, has_changed, "every file is imported");
        Ok(())
    }

    /// If a campaign is resumed while a further file of it is not uploaded, it goes on without that file.
    pub(crate) async fn finish_resumed(&self, campaign: &Campaign) -> Result<(), Error> {
        if campaign.state == CampaignState::Enqueuing && has_enqueued_file(campaign) {
            self.finish_import(campaign).await?;
        }
        Ok(())
    }

    /// Stores what is wrong with an unusable file. Any other error is returned, so that the event comes again.
    pub(crate) async fn fail_file(
        &self,
        campaign: &mut Campaign,
        index: usize,
        error: ImportError,
    ) -> Result<(), Error> {
        use CampaignState::{Enqueuing, Failed, Validating};
        let problem = match error {
            ImportError::File(problem) => to_sentence(&problem),
            ImportError::Io(error) => return Err(error),
        };
        tracing::warn!(campaign.id = %campaign.id, file = index + 1, "the file is unusable: {problem}");
        let file = &mut campaign.files[index];
        (file.stage, file.problem) = (FileStage::Failed, Some(problem.clone()));
        self.campaigns.update_file(campaign, index).await?;
        let id = &campaign.id;
        let mut files = campaign.files.iter();
        if files.all(|file| file.stage == FileStage::Failed) {
            self.campaigns
                .transition(id, Failed, &[Validating, Enqueuing], Some(&problem))
                .await?;
        }
        Ok(())
    }
}

/// Whether a file of the campaign was enqueued to its end.
pub(crate) fn has_enqueued_file(campaign: &Campaign) -> bool {
    campaign
        .files
        .iter()
        .any(|file| file.stage == FileStage::Enqueued)
}

/// Makes a sentence of an error text: a capital first and a full stop last.
fn to_sentence(problem: &str) -> String {
    let mut letters = problem.chars();
    let first = letters
        .next()
        .map(|first| first.to_uppercase().to_string())
        .unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_text_becomes_a_sentence() {
        assert_eq!(to_sentence("the file is empty"), "The file is empty.");
    }
}
