//! The first pass: reads a file to its end and sends nothing. It finds what is wrong with the file as a whole, and stores what
//! it found of each row in chunks, which are all that later passes read.

use campaign::import::header::FileProblem;
use campaign::import::phone::CanonicalPhone;
use campaign::import::preview::{FileFormat, Preview, PreviewBuilder};
use campaign::import::row::{ImportCounts, RowVerdict};
use campaign::lifecycle::campaign::{Campaign, FileStage};
use cloud::files::{ChunkSet, rejects_key};
use cloud::multipart::MultipartWriter;
use cloud::numbers::CampaignSenders;
use lambda_runtime::Error;
use recipients::RecipientReader;
use recipients::chunks::{ChunkEncoder, ChunkWriter};
use recipients::content_hash::ContentHasher;
use recipients::files::{OpenedFile, open_file};

use crate::Splitter;
use crate::rejects::LineWriter;
use crate::run::{ImportError, ImportRun};

/// Recipients per lookup in the contacts table.
const RECIPIENTS_PER_LOOKUP: usize = 4000;

/// How much of a header the preview shows.
const MAX_PREVIEW_COLUMNS: usize = 200;
const MAX_COLUMN_NAME_CHARS: usize = 100;

/// A file that can be enqueued.
pub(crate) struct ValidatedFile {
    pub(crate) counts: ImportCounts,
    /// A hash of what the file would send.
    pub(crate) content_hash: String,
    /// The epoch of the lease under which its rows were stored.
    pub(crate) chunk_set: u64,
}

impl Splitter {
    /// Reads a file to its end. Stores a preview and, if rows were rejected, a rejects file.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign.id, file = index + 1))]
    pub(crate) async fn validate(
        &self,
        campaign: &Campaign,
        index: usize,
        run: &mut ImportRun<'_>,
    ) -> Result<ValidatedFile, ImportError> {
        let OpenedFile {
            mut recipients,
            excluded_numbers,
            unreadable_lines,
        } = {
            let between = async || self.read_heartbeat(campaign, run).await;
            open_file(&self.files, campaign, index, between).await?
        };
        let mut contacts = ContactCounts::begin(self, campaign).await?;
        let mut content = ContentHasher::new(campaign);
        let mut preview = PreviewBuilder::default();
        let mut rejects = RejectsFile::create(self, campaign, index, &recipients).await?;
        let mut chunks = self.begin_chunks(campaign, index, &recipients);
        while let Some(verdict) = recipients.next_verdict().await? {
            preview.add_verdict(&verdict);
            chunks.push(&recipients, &verdict).await?;
            match &verdict {
                RowVerdict::Rejected(reject) => {
                    let line = rejects
                        .lines
                        .reject_line(recipients.current_record(), reject);
                    rejects.output.write(line.as_bytes()).await?;
                }
                RowVerdict::Usable(row) => {
                    content.add_row(row);
                    contacts.add(self, row.to.canonical()).await?;
                }
                RowVerdict::Duplicate | RowVerdict::Excluded => {}
            }
            self.read_heartbeat(campaign, run).await?;
        }
        let counts = recipients.counts();
        // An earlier validation may have left a rejects file; it is overwritten even if there is no reject now.
        if counts.rejected > 0 || campaign.files[index].stage != FileStage::Pending {
            rejects.output.finish().await?;
        }
        check_usable(counts)?;
        chunks.finish(&recipients).await?;
        contacts.look_up_pending(self).await?;
        let preview = preview.finish(Preview {
            excluded: excluded_numbers,
            excluded_unreadable: unreadable_lines,
            counts: counts.with_suppressed(contacts.suppressed),
            in_service_window: contacts.in_service_window,
            ..describe_file(&recipients, campaign)
        });
        self.imports.write_preview(campaign, &preview).await?;
        Ok(ValidatedFile {
            counts,
            content_hash: content.finish(),
            chunk_set: campaign.lease_epoch,
        })
    }

    fn begin_chunks(
        &self,
        campaign: &Campaign,
        index: usize,
        recipients: &RecipientReader,
    ) -> ChunkWriter {
        let set = ChunkSet::new(&campaign.id, index, campaign.lease_epoch);
        let rows_before = campaign.rows_before(index);
        let encoder = ChunkEncoder::new(recipients, rows_before, self.chunk_rows);
        ChunkWriter::new(&self.files, set, encoder)
    }
}

/// The rejects file while it is written.
struct RejectsFile {
    lines: LineWriter,
    output: MultipartWriter,
}

impl RejectsFile {
    async fn create(
        splitter: &Splitter,
        campaign: &Campaign,
        index: usize,
        recipients: &RecipientReader,
    ) -> Result<Self, Error> {
        let header = recipients.header();
        let lines = LineWriter::new(header, recipients.format().delimiter);
        let key = rejects_key(&campaign.id, index);
        let mut output = MultipartWriter::new(&splitter.files, key);
        output.write(lines.header_line(header).as_bytes()).await?;
        Ok(Self { lines, output })
    }
}

/// Fails if there is no row to send.
fn check_usable(counts: ImportCounts) -> Result<(), FileProblem> {
    match counts {
        ImportCounts { rows: 0, .. } => Err(FileProblem::NoRows),
        ImportCounts { rows, rejected, .. } if rows == rejected => {
            Err(FileProblem::NoUsableRows { rows })
        }
        _ => Ok(()),
    }
}

/// What the preview says about the file as a whole.
fn describe_file(recipients: &RecipientReader, campaign: &Campaign) -> Preview {
    let format = recipients.format();
    let columns = recipients.columns();
    let shorten =
        |name: &String| -> String { name.trim().chars().take(MAX_COLUMN_NAME_CHARS).collect() };
    let (message, _) = campaign.messages();
    let placeholders = message.columns().iter().cloned();
    Preview {
        format: FileFormat {
            kind: format.kind.into(),
            gzip: format.gzip,
            encoding: format.encoding.into(),
            delimiter: char::from(format.delimiter).to_string(),
        },
        header: recipients
            .header()
            .iter()
            .take(MAX_PREVIEW_COLUMNS)
            .map(shorten)
            .collect(),
        phone_columns: columns.phone_names.clone(),
        phone_choice: Some(recipients.choice().clone()),
        columns: placeholders
            .zip(columns.value_names.iter().cloned())
            .collect(),
        repeated: columns.repeated_names.clone(),
        ..Preview::default()
    }
}

/// Counts the recipients on the suppression list and inside their service window, if the operator is going to check the
/// preview before the start.
struct ContactCounts {
    is_enabled: bool,
    senders: CampaignSenders,
    pending: Vec<CanonicalPhone>,
    suppressed: u64,
    in_service_window: u64,
}

impl ContactCounts {
    async fn begin(splitter: &Splitter, campaign: &Campaign) -> Result<Self, Error> {
        Ok(Self {
            is_enabled: campaign.manual_start,
            senders: splitter.numbers.of_campaign(campaign).await?,
            pending: Vec::new(),
            suppressed: 0,
            in_service_window: 0,
        })
    }

    async fn add(&mut self, splitter: &Splitter, recipient: CanonicalPhone) -> Result<(), Error> {
        if self.is_enabled {
            self.pending.push(recipient);
            if self.pending.len() >= RECIPIENTS_PER_LOOKUP {
                // Boxed: the request would make the future large, and it is made for each row.
                Box::pin(self.look_up_pending(splitter)).await?;
            }
        }
        Ok(())
    }

    async fn look_up_pending(&mut self, splitter: &Splitter) -> Result<(), Error> {
        let states = splitter
            .contacts
            .find_states(
                &self.pending,
                |phone| &self.senders.for_recipient(phone).id,
                cloud::now(),
            )
            .await?;
        self.suppressed += states.suppressed.len() as u64;
        self.in_service_window += states.in_service_window;
        self.pending.clear();
        Ok(())
    }
}
