//! The report: one file per uploaded file, and a summary of the campaign.

use campaign::delivery::ledger::LedgerRow;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use campaign::lifecycle::summary::{DeliveryRecord, Summary};
use cloud::files::{report_key, summary_key};
use cloud::multipart::MultipartWriter;
use recipients::ReadError;
use recipients::chunks::{Verdict, open_rows};
use recipients::ledger_reader::LedgerReader;

use crate::Reporter;
use crate::job::{JobError, JobRun};
use crate::lines::{LineWriter, RowOutcome};

/// What the operator reads where what was stored of the files is not kept any more.
const EXPIRED: &str = "An uploaded file has expired: files are kept for as many days as the parameter FileRetentionDays says.";

/// How often a report is begun before its job is delivered again.
const MAX_WRITES: usize = 5;

impl Reporter {
    /// Writes the report of every file that was read, then the summary. Returns what was written, as a sentence. Begins again
    /// if another invocation changed what is stored of the files meanwhile: an erasure may have taken rows out of them.
    pub(crate) async fn write_report(
        &self,
        campaign: &Campaign,
        bom: bool,
        run: &mut JobRun<'_>,
    ) -> Result<String, JobError> {
        let mut campaign = campaign.clone();
        for _ in 0..MAX_WRITES {
            run.reset_rows();
            let written = self.write_once(&campaign, bom, run).await?;
            let now = self.campaigns.get(&campaign.id).await?;
            match now.filter(|now| now.lease_epoch != campaign.lease_epoch) {
                None => return Ok(written),
                Some(changed) => campaign = changed,
            }
        }
        Err(JobError::Io(
            "the campaign's files are changed again and again".into(),
        ))
    }

    async fn write_once(
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
        let opened = open_rows(&self.files, campaign, index, 0).await;
        let (file, mut imported) = opened.map_err(expired)?;
        let suppressed = self.imports.get_suppressed_rows(id, index).await?;
        let mut ledger = LedgerReader::new(&self.ledger, campaign, index);
        let lines = LineWriter::new(&file);
        let mut output = MultipartWriter::new(&self.files, report_key(id, index));
        output.write(&lines.header_line(bom)).await?;
        while let Some(row) = imported.next_row().await.map_err(expired)? {
            let is_enqueued = matches!(row.verdict, Verdict::Usable(_) | Verdict::Erased)
                && !suppressed.contains(&row.number);
            let entry = match is_enqueued {
                true => ledger.take_row(row.number).await?,
                false => None,
            };
            let outcome = outcome_of(&row.verdict, is_enqueued, entry, summary);
            let line = lines.row_line(&row.line, row.number, &outcome);
            output.write(&line).await?;
            run.count_row().await?;
        }
        output.finish().await?;
        Ok(())
    }
}

/// The outcome of a row, which is added to the summary.
fn outcome_of(
    verdict: &Verdict,
    is_enqueued: bool,
    entry: Option<LedgerRow>,
    summary: &mut Summary,
) -> RowOutcome {
    let record = entry.as_ref().map(DeliveryRecord::from);
    let outcome = match verdict {
        Verdict::Usable(row) if is_enqueued => {
            summary.add_recipient(row.to, record.as_ref());
            return RowOutcome::from_ledger(entry, record);
        }
        Verdict::Erased if entry.is_some() => {
            RowOutcome::from_ledger(entry, record).without_wamid()
        }
        verdict => RowOutcome::dropped_at_import(verdict),
    };
    summary.add_not_enqueued(outcome.status);
    outcome
}

fn expired(error: ReadError) -> JobError {
    match error {
        ReadError::ChunksGone => JobError::Permanent(EXPIRED.into()),
        error => error.into(),
    }
}
