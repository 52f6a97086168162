//! The first pass: a file is read to its end, and nothing is sent. What is wrong with it as a whole is found here.

use std::collections::HashSet;

use campaign::header::FileProblem;
use campaign::import::{ImportCounts, Verdict};
use campaign::phone::PhoneKey;
use campaign::preview::{Format, Preview, Survey};
use campaign::record::{Campaign, FileStage};
use cloud::files::rejects_key;
use cloud::output::Output;
use lambda_runtime::Error;
use people::People;
use people::files::Opened;

use crate::rejects::Lines;
use crate::{SplitError, Splitter, Turn};

/// Recipients looked up on the standing list together.
const TOGETHER: usize = 4000;

/// The most of a header that a preview keeps.
const SHOWN_COLUMNS: usize = 200;
const SHOWN_NAME: usize = 100;

/// What the first pass found.
pub(crate) struct Examined {
    pub(crate) counts: ImportCounts,
    pub(crate) version: Option<String>,
}

impl Splitter {
    /// Reads a file to its end; leaves a preview and, where there is something in it, a rejects file.
    pub(crate) async fn examine(
        &self,
        campaign: &Campaign,
        index: usize,
        turn: &mut Turn<'_>,
    ) -> Result<Examined, SplitError> {
        let now = cloud::now();
        turn.read_by = now + turn.deadline.saturating_sub(now) / 2;
        let Opened {
            mut people,
            version,
            excluded,
            unreadable,
        } = self.open(campaign, index, turn).await?;
        let header = people.header();
        let lines = Lines::new(&header, people.found().delimiter);
        let mut rejects = Output::new(&self.files, rejects_key(&campaign.id, index));
        rejects.write(lines.header(&header).as_bytes()).await?;
        let mut standing = Standing::new(campaign.hold);
        let mut survey = Survey::default();
        while let Some(verdict) = people.next().await? {
            survey.take(&verdict);
            match &verdict {
                Verdict::Rejected(reject) => {
                    rejects
                        .write(lines.reject(people.record(), reject).as_bytes())
                        .await?
                }
                Verdict::Usable(row) => standing.take(self, row.to.key()).await?,
                Verdict::Duplicate | Verdict::Suppressed => {}
            }
            self.go_on(campaign, turn).await?;
        }
        let counts = people.counts();
        // An examination before this one may have left a file.
        if counts.rejected > 0 || campaign.files[index].stage != FileStage::Announced {
            rejects.finish().await?;
        }
        match counts {
            ImportCounts { rows: 0, .. } => return Err(FileProblem::NoRows.into()),
            ImportCounts { rows, rejected, .. } if rows == rejected => {
                return Err(FileProblem::NothingUsable { rows }.into());
            }
            _ => {}
        }
        let suppressed = standing.finish(self).await?;
        let preview = Preview {
            excluded,
            excluded_unreadable: unreadable,
            counts: counts.suppress(suppressed),
            ..describe(&people, campaign)
        };
        self.imports
            .write_preview(&campaign.id, &survey.finish(preview))
            .await?;
        Ok(Examined { counts, version })
    }

    /// Opens the file at `index` for an import that knows the exclude list, and the numbers of the files before.
    pub(crate) async fn open(
        &self,
        campaign: &Campaign,
        index: usize,
        turn: &mut Turn<'_>,
    ) -> Result<Opened, SplitError> {
        let between = async || self.go_on(campaign, turn).await;
        people::files::open(&self.files, campaign, index, between).await
    }
}

/// What a file is.
fn describe(people: &People, campaign: &Campaign) -> Preview {
    let found = people.found();
    let columns = people.columns();
    let short = |name: &String| name.trim().chars().take(SHOWN_NAME).collect::<String>();
    let (message, _) = campaign.messages();
    let needed = message.columns().iter().cloned();
    Preview {
        format: Format {
            kind: found.kind.into(),
            gzip: found.gzip,
            encoding: found.encoding.into(),
            delimiter: char::from(found.delimiter).to_string(),
        },
        header: people
            .header()
            .iter()
            .take(SHOWN_COLUMNS)
            .map(short)
            .collect(),
        phone_column: columns.phone_name.clone(),
        columns: needed.zip(columns.value_names.iter().cloned()).collect(),
        repeated: columns.repeated.clone(),
        ..Preview::default()
    }
}

/// Counts recipients who are on the standing list, where somebody is going to look at the number.
struct Standing {
    wanted: bool,
    people: Vec<PhoneKey>,
    suppressed: u64,
}

impl Standing {
    fn new(wanted: bool) -> Self {
        Self {
            wanted,
            people: Vec::new(),
            suppressed: 0,
        }
    }

    async fn take(&mut self, splitter: &Splitter, person: PhoneKey) -> Result<(), Error> {
        if self.wanted {
            self.people.push(person);
            if self.people.len() >= TOGETHER {
                self.look_up(splitter).await?;
            }
        }
        Ok(())
    }

    async fn look_up(&mut self, splitter: &Splitter) -> Result<(), Error> {
        let found: HashSet<PhoneKey> = splitter.contacts.suppressed(&self.people).await?;
        self.suppressed += found.len() as u64;
        self.people.clear();
        Ok(())
    }

    async fn finish(mut self, splitter: &Splitter) -> Result<u64, Error> {
        self.look_up(splitter).await?;
        Ok(self.suppressed)
    }
}
