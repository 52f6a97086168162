//! The report: one file per uploaded file, and a summary of the campaign.

use campaign::import::row::RowVerdict;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use campaign::lifecycle::summary::{DeliveryRecord, Summary};
use cloud::files::{Upload, input_key, report_key, summary_key};
use cloud::multipart::MultipartWriter;
use recipients::files::{OpenedFile, open_file};
use recipients::ledger_reader::LedgerReader;

use crate::Reporter;
use crate::job::{JobError, JobRun};
use crate::lines::{LineWriter, RowOutcome};

impl Reporter {
    /// Writes the report of every file that was read, then the summary. Returns what was written, as a sentence.
    pub(crate) async fn write_report(
        &self,
        campaign: &Campaign,
        bom: bool,
        run: &mut JobRun<'_>,
    ) -> Result<String, JobError> {
        let mut summary = Summary::default();
        let mut files = 0;
        for (index, file) in campaign.files.iter().enumerate() {
            if matches!(file.stage, FileStage::Validated | FileStage::Enqueued) {
                self.write_file_report(campaign, index, bom, &mut summary, run)
                    .await?;
                files += 1;
            }
        }
        if files == 0 {
            let problem =
                "No file of this campaign is validated yet. Ask for the report again when one is.";
            return Err(JobError::Permanent(problem.into()));
        }
        let mut output = MultipartWriter::new(&self.files, summary_key(&campaign.id));
        output.write(&serde_json::to_vec(&summary)?).await?;
        output.finish().await?;
        let rows = summary.rows;
        tracing::info!(campaign.id = %campaign.id, files, rows, "report written");
        Ok(format!("{rows} rows in {files} file(s)."))
    }

    /// Writes the report of one file, and adds its rows to the summary.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign.id, file = index + 1))]
    async fn write_file_report(
        &self,
        campaign: &Campaign,
        index: usize,
        bom: bool,
        summary: &mut Summary,
        run: &mut JobRun<'_>,
    ) -> Result<(), JobError> {
        let id = &campaign.id;
        self.check_upload_exists(campaign, index).await?;
        let between_records = async || run.heartbeat().await;
        let OpenedFile { mut recipients, .. } =
            open_file(&self.files, campaign, index, between_records).await?;
        let suppressed = self.imports.get_suppressed_rows(id, index).await?;
        let mut ledger = LedgerReader::new(&self.ledger, campaign, index);
        let lines = LineWriter::new(&recipients);
        let mut output = MultipartWriter::new(&self.files, report_key(id, index));
        output.write(&lines.header_line(&recipients, bom)).await?;
        let mut number = u32::try_from(campaign.rows_before(index)).unwrap_or(u32::MAX);
        while let Some(verdict) = recipients.next_verdict().await? {
            number += 1;
            let outcome = match verdict {
                RowVerdict::Usable(row) if !suppressed.contains(&row.row) => {
                    let entry = ledger.take_row(row.row).await?;
                    let record = entry.as_ref().map(DeliveryRecord::from);
                    summary.add_recipient(row.to, record.as_ref());
                    RowOutcome::from_ledger(entry, record)
                }
                verdict => {
                    let outcome = RowOutcome::dropped_at_import(&verdict);
                    summary.add_not_enqueued(outcome.status);
                    outcome
                }
            };
            let line = lines.row_line(&recipients, number, &outcome);
            output.write(&line).await?;
            run.count_row().await?;
        }
        Ok(output.finish().await?)
    }

    async fn check_upload_exists(&self, campaign: &Campaign, index: usize) -> Result<(), JobError> {
        let key = input_key(&campaign.id, Upload::File(index));
        if self.files.latest_version(&key).await?.is_none() {
            let problem = "An uploaded file has expired: files are kept for as many days as the parameter FileRetentionDays says.";
            return Err(JobError::Permanent(problem.into()));
        }
        Ok(())
    }
}
