//! The first pass: a file is read to its end, and nothing is sent. What is wrong with it as a whole is found here.

use std::collections::HashSet;

use campaign::import::header::FileProblem;
use campaign::import::phone::CanonicalPhone;
use campaign::import::preview::{FileFormat, Preview, PreviewBuilder};
use campaign::import::row::{ImportCounts, RowVerdict};
use campaign::lifecycle::campaign::{Campaign, FileStage};
use cloud::files::rejects_key;
use cloud::multipart::MultipartWriter;
use lambda_runtime::Error;
use recipients::RecipientReader;
use recipients::files::OpenedFile;

use crate::rejects::LineWriter;
use crate::{ImportError, ImportRun, Splitter};

/// Recipients looked up on the standing list together.
const RECIPIENTS_PER_LOOKUP: usize = 4000;

/// The most of a header that a preview keeps.
const MAX_PREVIEW_COLUMNS: usize = 200;
const MAX_COLUMN_NAME_CHARS: usize = 100;

/// What the first pass found.
pub(crate) struct ValidatedFile {
    pub(crate) counts: ImportCounts,
    pub(crate) version: Option<String>,
}

impl Splitter {
    /// Reads a file to its end; leaves a preview and, where there is something in it, a rejects file.
    pub(crate) async fn validate(
        &self,
        campaign: &Campaign,
        index: usize,
        turn: &mut ImportRun<'_>,
    ) -> Result<ValidatedFile, ImportError> {
        let now = cloud::now();
        turn.read_deadline = now + turn.deadline.saturating_sub(now) / 2;
        let OpenedFile {
            recipients: mut people,
            version,
            excluded_numbers: excluded,
            unreadable_lines: unreadable,
        } = self.open_file(campaign, index, turn).await?;
        let header = people.header();
        let lines = LineWriter::new(&header, people.format().delimiter);
        let mut rejects = MultipartWriter::new(&self.files, rejects_key(&campaign.id, index));
        rejects.write(lines.header_line(&header).as_bytes()).await?;
        let mut standing = SuppressionCount::new(campaign.manual_start);
        let mut survey = PreviewBuilder::default();
        while let Some(verdict) = people.next_verdict().await? {
            survey.add_verdict(&verdict);
            match &verdict {
                RowVerdict::Rejected(reject) => {
                    rejects
                        .write(
                            lines
                                .reject_line(people.current_record(), reject)
                                .as_bytes(),
                        )
                        .await?
                }
                RowVerdict::Usable(row) => standing.add(self, row.to.canonical()).await?,
                RowVerdict::Duplicate | RowVerdict::Suppressed => {}
            }
            self.heartbeat(campaign, turn).await?;
        }
        let counts = people.counts();
        // An examination before this one may have left a file.
        if counts.rejected > 0 || campaign.files[index].stage != FileStage::Pending {
            rejects.finish().await?;
        }
        match counts {
            ImportCounts { rows: 0, .. } => return Err(FileProblem::NoRows.into()),
            ImportCounts { rows, rejected, .. } if rows == rejected => {
                return Err(FileProblem::NoUsableRows { rows }.into());
            }
            _ => {}
        }
        let suppressed = standing.finish(self).await?;
        let preview = Preview {
            excluded,
            excluded_unreadable: unreadable,
            counts: counts.with_suppressed(suppressed),
            ..describe_file(&people, campaign)
        };
        self.imports
            .write_preview(&campaign.id, &survey.finish(preview))
            .await?;
        Ok(ValidatedFile { counts, version })
    }

    /// Opens the file at `index` for an import that knows the exclude list, and the numbers of the files before.
    pub(crate) async fn open_file(
        &self,
        campaign: &Campaign,
        index: usize,
        turn: &mut ImportRun<'_>,
    ) -> Result<OpenedFile, ImportError> {
        let between = async || self.heartbeat(campaign, turn).await;
        recipients::files::open_file(&self.files, campaign, index, between).await
    }
}

/// What a file is.
fn describe_file(people: &RecipientReader, campaign: &Campaign) -> Preview {
    let found = people.format();
    let columns = people.columns();
    let short = |name: &String| {
        name.trim()
            .chars()
            .take(MAX_COLUMN_NAME_CHARS)
            .collect::<String>()
    };
    let (message, _) = campaign.messages();
    let needed = message.columns().iter().cloned();
    Preview {
        format: FileFormat {
            kind: found.kind.into(),
            gzip: found.gzip,
            encoding: found.encoding.into(),
            delimiter: char::from(found.delimiter).to_string(),
        },
        header: people
            .header()
            .iter()
            .take(MAX_PREVIEW_COLUMNS)
            .map(short)
            .collect(),
        phone_column: columns.phone_name.clone(),
        columns: needed.zip(columns.value_names.iter().cloned()).collect(),
        repeated: columns.repeated_names.clone(),
        ..Preview::default()
    }
}

/// Counts recipients who are on the standing list, where somebody is going to look at the number.
struct SuppressionCount {
    is_enabled: bool,
    pending: Vec<CanonicalPhone>,
    suppressed: u64,
}

impl SuppressionCount {
    fn new(is_enabled: bool) -> Self {
        Self {
            is_enabled,
            pending: Vec::new(),
            suppressed: 0,
        }
    }

    async fn add(&mut self, splitter: &Splitter, person: CanonicalPhone) -> Result<(), Error> {
        if self.is_enabled {
            self.pending.push(person);
            if self.pending.len() >= RECIPIENTS_PER_LOOKUP {
                self.look_up_pending(splitter).await?;
            }
        }
        Ok(())
    }

    async fn look_up_pending(&mut self, splitter: &Splitter) -> Result<(), Error> {
        let found: HashSet<CanonicalPhone> =
            splitter.contacts.find_suppressed(&self.pending).await?;
        self.suppressed += found.len() as u64;
        self.pending.clear();
        Ok(())
    }

    async fn finish(mut self, splitter: &Splitter) -> Result<u64, Error> {
        self.look_up_pending(splitter).await?;
        Ok(self.suppressed)
    }
}
