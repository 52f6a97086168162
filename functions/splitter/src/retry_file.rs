//! The file of a retry: the chosen rows of another campaign, written as an upload of this one. It is then imported like any
//! other, so that its preview, its report and its erasure are those of every campaign.

use campaign::lifecycle::campaign::{Campaign, FileStage};
use campaign::lifecycle::retry::{RETRY_PHONE_COLUMN, RetryLink};
use campaign::lifecycle::summary::DeliveryRecord;
use cloud::files::{Upload, input_key};
use cloud::multipart::MultipartWriter;
use recipients::chunks::{Verdict, open_rows};
use recipients::ledger_reader::LedgerReader;

use crate::Splitter;
use crate::run::{ImportError, ImportRun};

impl Splitter {
    /// Writes the rows that `retry` chooses: phone numbers and the values of the message's columns. Fails if there are none,
    /// or if the other campaign cannot be read any more.
    pub(crate) async fn write_retry_file(
        &self,
        campaign: &Campaign,
        retry: &RetryLink,
        run: &mut ImportRun<'_>,
    ) -> Result<(), ImportError> {
        let original = self.campaigns.get(&retry.campaign).await?;
        let original = original.ok_or_else(|| gone(retry))?;
        let (message, _) = original.messages();
        let mut output =
            MultipartWriter::new(&self.files, input_key(&campaign.id, Upload::File(0)));
        let columns = message.columns().iter().map(String::as_str);
        output
            .write(&line(std::iter::once(RETRY_PHONE_COLUMN).chain(columns)))
            .await?;
        let mut rows = 0_u64;
        for index in 0..original.files.len() {
            if original.files[index].stage == FileStage::Enqueued {
                rows += self
                    .write_chosen_rows(&original, index, retry, &mut output, (campaign, run))
                    .await?;
            }
        }
        if rows == 0 {
            let problem = format!(
                "no row of campaign {} is in one of the chosen states",
                retry.campaign
            );
            return Err(ImportError::File(problem));
        }
        cloud::sometimes!("rows of a campaign are retried");
        tracing::info!(campaign.id = %campaign.id, original = %retry.campaign, rows, "retry written");
        output.finish().await?;
        Ok(())
    }

    /// Returns how many rows of the file are chosen.
    async fn write_chosen_rows(
        &self,
        original: &Campaign,
        index: usize,
        retry: &RetryLink,
        output: &mut MultipartWriter,
        (campaign, run): (&Campaign, &mut ImportRun<'_>),
    ) -> Result<u64, ImportError> {
        let (_, mut imported) = open_rows(&self.files, original, index, 0).await?;
        let mut ledger = LedgerReader::new(&self.ledger, original, index);
        let mut rows = 0;
        while let Some(imported_row) = imported.next_row().await? {
            self.read_heartbeat(campaign, run).await?;
            let Verdict::Usable(row) = imported_row.verdict else {
                continue;
            };
            let entry = ledger.take_row(row.row).await?;
            let record = entry.as_ref().map(DeliveryRecord::from);
            if retry.selection.includes(record.as_ref()) {
                let phone = row.to.to_string();
                let values = row.values.iter().map(String::as_str);
                output
                    .write(&line(std::iter::once(phone.as_str()).chain(values)))
                    .await?;
                rows += 1;
            }
        }
        Ok(rows)
    }
}

/// A line in which every cell is quoted, so that a value stays what it is.
fn line<'c>(cells: impl Iterator<Item = &'c str>) -> Vec<u8> {
    let cells: Vec<String> = cells
        .map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")))
        .collect();
    format!("{}\r\n", cells.join(",")).into_bytes()
}

fn gone(retry: &RetryLink) -> ImportError {
    ImportError::File(format!("campaign {} is not kept any more", retry.campaign))
}
