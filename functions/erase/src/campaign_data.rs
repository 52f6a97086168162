//! What is stored about one campaign: its files, and the files and the preview made of them.

use campaign::lifecycle::campaign::Campaign;
use cloud::files::{rejects_key, report_key, summary_key};
use lambda_runtime::Error;

use crate::Eraser;
use crate::subject::DataSubject;

/// The result for one campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CampaignErasure {
    /// The campaign has nothing about the recipient.
    NotFound,
    /// The recipient was erased.
    Erased,
    /// The recipient is in a file whose campaign is not over.
    Deferred,
}

impl Eraser {
    /// Erases the recipient from a campaign. The uploads come last: if an invocation dies, the next one finds the recipient
    /// in them and starts over.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign.id))]
    pub(crate) async fn erase_from_campaign(
        &self,
        campaign: &Campaign,
        subject: &DataSubject,
    ) -> Result<CampaignErasure, Error> {
        let mut uploads = Vec::new();
        for index in 0..campaign.files.len() {
            if self.upload_contains(campaign, index, subject).await? {
                uploads.push(index);
            }
        }
        if !uploads.is_empty() && !campaign.is_over() {
            cloud::sometimes!("an erasure waits for the end of a campaign");
            return Ok(CampaignErasure::Deferred);
        }
        let exclude_list = self.exclude_list_without(campaign, subject).await?;
        if uploads.is_empty() && exclude_list.is_none() {
            return Ok(CampaignErasure::NotFound);
        }
        for &index in &uploads {
            let rejects = rejects_key(&campaign.id, index);
            self.files.delete_versions(&rejects, None).await?;
        }
        self.delete_reports(campaign).await?;
        self.erase_from_preview(campaign, subject).await?;
        for index in uploads {
            self.rewrite_upload(campaign, index, subject).await?;
        }
        if let Some(content) = exclude_list {
            self.replace_exclude_list(campaign, &content).await?;
        }
        Ok(CampaignErasure::Erased)
    }

    async fn delete_reports(&self, campaign: &Campaign) -> Result<(), Error> {
        let id = &campaign.id;
        for index in 0..campaign.files.len() {
            let report = report_key(id, index);
            self.files.delete_versions(&report, None).await?;
        }
        Ok(self.files.delete_versions(&summary_key(id), None).await?)
    }

    async fn erase_from_preview(
        &self,
        campaign: &Campaign,
        subject: &DataSubject,
    ) -> Result<(), Error> {
        let id = &campaign.id;
        let Some(mut preview) = self.imports.get_preview(id).await? else {
            return Ok(());
        };
        let rows = preview.sample.len();
        preview
            .sample
            .retain(|row| row.to.canonical() != subject.phone);
        if preview.sample.len() < rows {
            self.imports.write_preview(id, &preview).await?;
        }
        Ok(())
    }
}
