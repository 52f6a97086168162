//! What is stored about one campaign: its files, and the files and the preview made of them.

use std::time::Duration;

use campaign::delivery::batch::Row;
use campaign::id::{CampaignId, RowNumber};
use campaign::lifecycle::campaign::{Campaign, FileStage, IMPORT_LEASE_MS};
use cloud::campaigns::Lease;
use cloud::files::{
    ChunkSet, ObjectVersion, Upload, input_key, recipients_prefix, rejects_key, report_key,
    summary_key,
};
use lambda_runtime::Error;
use recipients::chunks::{erase_rows, find_rows, forget_phone};

use crate::Eraser;
use crate::subject::DataSubject;

/// How often an erasure renews its lease on a campaign's files.
const RENEWAL_INTERVAL: Duration = Duration::from_millis(IMPORT_LEASE_MS / 3);

/// The result for one campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CampaignErasure {
    /// The campaign has nothing about the recipient.
    NotFound,
    /// The recipient was erased.
    Erased,
    /// The recipient is, or may be, in a file or the single row of a campaign that is not closed; or another invocation works on
    /// its files.
    Deferred,
}

/// A file that has the recipient.
struct FoundFile {
    index: usize,
    /// The rows with the recipient's number; none where only the upload is kept.
    rows: Vec<RowNumber>,
}

impl Eraser {
    /// Erases the recipient from a campaign. If it is over, this takes the lease on its files: of two erasures that rewrite
    /// the same file at the same time, one would bring back the recipient of the other.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign.id))]
    pub(crate) async fn erase_from_campaign(
        &self,
        campaign: &Campaign,
        subject: &DataSubject,
        owner: &str,
    ) -> Result<CampaignErasure, Error> {
        if !campaign.is_closed() {
            return self.erase_from_files(campaign, subject).await;
        }
        let (id, now) = (&campaign.id, cloud::now());
        let expired_before = now.saturating_sub(IMPORT_LEASE_MS);
        let lease = self
            .campaigns
            .acquire_lease(id, owner, now, expired_before)
            .await?;
        let campaign = match lease {
            Lease::Acquired(campaign) => campaign,
            Lease::HeldByOther => {
                cloud::sometimes!("an erasure waits for another one");
                return Ok(CampaignErasure::Deferred);
            }
            Lease::UnknownCampaign => return Ok(CampaignErasure::NotFound),
        };
        let result = tokio::select! {
            result = self.erase_from_files(&campaign, subject) => result,
            error = self.keep_lease(id, owner) => Err(error),
        };
        self.campaigns.release_lease(id, owner).await?;
        result
    }

    /// Renews the lease until that fails.
    async fn keep_lease(&self, id: &CampaignId, owner: &str) -> Error {
        loop {
            tokio::time::sleep(RENEWAL_INTERVAL).await;
            match self.campaigns.renew_lease(id, owner, cloud::now()).await {
                Ok(true) => {}
                Ok(false) => return "another invocation took the lease".into(),
                Err(error) => return error.into(),
            }
        }
    }

    /// The chunks come last, and of those what finds the recipient in them: if an invocation dies, the next one starts over.
    async fn erase_from_files(
        &self,
        campaign: &Campaign,
        subject: &DataSubject,
    ) -> Result<CampaignErasure, Error> {
        let is_theirs = |row: &Row| row.to.canonical() == subject.phone;
        if campaign.single_row.as_ref().is_some_and(is_theirs) {
            cloud::sometimes!("an erasure waits for the end of a reply");
            return Ok(CampaignErasure::Deferred);
        }
        let found = self.find_files(campaign, subject).await?;
        let is_excluded = self.exclude_list_mentions(campaign, subject).await?;
        let is_found = is_excluded || !found.is_empty();
        if !campaign.is_closed() && (is_found || self.has_unread_upload(campaign).await?) {
            cloud::sometimes!("an erasure waits for the end of a campaign");
            return Ok(CampaignErasure::Deferred);
        }
        if campaign.is_closed() {
            self.delete_leftovers(campaign).await?;
        }
        if !is_found {
            return Ok(CampaignErasure::NotFound);
        }
        self.erase_from_preview(campaign, subject, &found).await?;
        if is_excluded {
            self.rewrite_exclude_list(campaign, subject).await?;
        }
        for FoundFile { index, .. } in found {
            let rejects = rejects_key(&campaign.id, index);
            self.files.delete_versions(&rejects).await?;
            self.delete_upload(campaign, index).await?;
            if let Some(set) = ChunkSet::of(campaign, index) {
                erase_rows(&self.files, &set, subject.phone).await?;
                // A report that has read the rows before is there by now, or begins again because of the lease.
                self.delete_reports(campaign).await?;
                forget_phone(&self.files, &set, subject.phone).await?;
            }
        }
        Ok(CampaignErasure::Erased)
    }

    /// The campaign's files that have the recipient.
    async fn find_files(
        &self,
        campaign: &Campaign,
        subject: &DataSubject,
    ) -> Result<Vec<FoundFile>, Error> {
        let mut found = Vec::new();
        for index in 0..campaign.files.len() {
            let (is_found, rows) = match ChunkSet::of(campaign, index) {
                Some(set) => {
                    let rows = find_rows(&self.files, &set, subject.phone).await?;
                    (!rows.is_empty(), rows)
                }
                None => {
                    let upload = Upload::File(index);
                    let is_found = self.upload_mentions(campaign, upload, subject).await?;
                    (is_found, Vec::new())
                }
            };
            if is_found {
                found.push(FoundFile { index, rows });
            }
        }
        Ok(found)
    }

    /// Deletes what imports wrote that ended early, or whose file was read in another way afterwards, and what an erasure that
    /// died has replaced.
    async fn delete_leftovers(&self, campaign: &Campaign) -> Result<(), Error> {
        let sets = (0..campaign.files.len()).filter_map(|index| ChunkSet::of(campaign, index));
        let sets: Vec<ChunkSet> = sets.collect();
        let is_left = |version: &ObjectVersion| {
            !version.is_latest || !sets.iter().any(|set| set.has_key(&version.key))
        };
        let prefix = recipients_prefix(&campaign.id);
        self.files.delete_matching(&prefix, is_left).await?;
        let prefix = input_key(&campaign.id, Upload::Exclusions);
        let is_replaced = |version: &ObjectVersion| !version.is_latest;
        Ok(self.files.delete_matching(&prefix, is_replaced).await?)
    }

    /// Whether a file was uploaded that no import has read: nobody knows yet whether the recipient is in it.
    async fn has_unread_upload(&self, campaign: &Campaign) -> Result<bool, Error> {
        for (index, file) in campaign.files.iter().enumerate() {
            let upload = Upload::File(index);
            let is_unread = matches!(file.stage, FileStage::Pending | FileStage::Reading);
            if is_unread
                && (campaign.retry_of.is_some()
                    || self.files.upload_exists(&campaign.id, upload).await?)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn delete_reports(&self, campaign: &Campaign) -> Result<(), Error> {
        let id = &campaign.id;
        for index in 0..campaign.files.len() {
            let report = report_key(id, index);
            self.files.delete_versions(&report).await?;
        }
        Ok(self.files.delete_versions(&summary_key(id)).await?)
    }

    async fn erase_from_preview(
        &self,
        campaign: &Campaign,
        subject: &DataSubject,
        found: &[FoundFile],
    ) -> Result<(), Error> {
        let id = &campaign.id;
        let Some(mut preview) = self.imports.get_preview(id).await? else {
            return Ok(());
        };
        let rows = preview.sample.len();
        // It may show an earlier reading of a file that can be read no more. That file goes as a whole, and nothing finds the
        // others in it any more.
        let goes_as_a_whole = found.iter().any(|file| file.rows.is_empty());
        // The number may be in a column that no message goes to.
        let is_found = |row: &Row| found.iter().any(|file| file.rows.contains(&row.row));
        let is_theirs = |row: &Row| row.to.canonical() == subject.phone || is_found(row);
        preview
            .sample
            .retain(|row| !goes_as_a_whole && !is_theirs(row));
        if preview.sample.len() < rows {
            self.imports.write_preview(campaign, &preview).await?;
        }
        Ok(())
    }
}
