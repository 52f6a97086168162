//! The splitter: streams an uploaded file and enqueues its rows in batches.
//!
//! What may fail, and who repairs it. Lambda repeats a failed event twice under the same request id, which owns the
//! split; a second event of the same upload finds the split taken, unless it failed and was given back. A repeated
//! split enqueues the same rows again: harmless, for a row that was claimed is not claimed twice. Nothing about the
//! file is final before its end.
//!
//! - [`records`]: bytes → verdicts
//! - this file: verdicts → queue, rejects file, campaign record

pub mod records;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use aws_lambda_events::s3::{S3Event, S3EventRecord};
use campaign::batch::{Batch, Cutter, Row};
use campaign::header::FileProblem;
use campaign::import::{ImportCounts, Reject, Verdict};
use campaign::pacing::Rate;
use campaign::record::Campaign;
use cloud::campaigns::{Campaigns, Split};
use cloud::files::{Files, campaign_of};
use cloud::queue::Queue;
use cloud::rejects::RejectsFile;
use lambda_runtime::{Context, Error, tracing};
use percent_encoding::percent_decode_str;

use crate::records::{ReadError, Records};

/// Batches enqueued together: eight requests of ten.
const TOGETHER: usize = 80;

/// How often the campaign record shows how far the split is.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// An owner that began longer ago has run out of Lambda's 15 minutes.
const STALE_MS: u64 = 16 * 60 * 1000;

/// What a splitter needs, made once per process.
#[derive(Debug)]
pub struct Splitter {
    campaigns: Campaigns,
    files: Files,
    queue: Queue,
    rate: Rate,
}

impl Splitter {
    /// Reads the environment; fails where anything is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let rate = env::rate()?;
        let config = aws::config().await;
        let table = env::required("CAMPAIGNS_TABLE")?;
        let campaigns = Campaigns::new(
            aws::dynamodb(&config),
            table,
            env::parsed("RETENTION_DAYS")?,
        );
        let files = Files::new(aws::s3(&config), env::required("UPLOADS_BUCKET")?);
        let queue = Queue::new(aws::sqs(&config), env::required("SENDS_QUEUE_URL")?);
        Ok(Self::new(campaigns, files, queue, rate))
    }

    /// A splitter of these parts.
    pub fn new(campaigns: Campaigns, files: Files, queue: Queue, rate: Rate) -> Self {
        Self {
            campaigns,
            files,
            queue,
            rate,
        }
    }

    /// Splits the uploads of an event; S3 sends one.
    pub async fn handle(&self, event: S3Event, context: Context) -> Result<(), Error> {
        for record in event.records {
            self.uploaded(record, &context.request_id).await?;
        }
        Ok(())
    }

    async fn uploaded(&self, record: S3EventRecord, owner: &str) -> Result<(), Error> {
        let key = decoded(record.s3.object.key.as_deref().unwrap_or_default());
        let Some(id) = campaign_of(&key) else {
            tracing::warn!("an upload outside uploads/{{campaign}}/input.csv is left alone");
            return Ok(());
        };
        let now = cloud::now();
        match self
            .campaigns
            .begin_split(&id, owner, now, now.saturating_sub(STALE_MS))
            .await?
        {
            Split::Yours(campaign) => {
                let split = self
                    .split(&campaign, record.s3.object.version_id.as_deref())
                    .await;
                if split.is_err() {
                    self.campaigns.release_split(&id, owner).await?;
                }
                split
            }
            Split::NotYours(state) => {
                tracing::info!(campaign.id = %id, ?state, "a repeated event: the file is or was split elsewhere");
                Ok(())
            }
            Split::Unknown => {
                tracing::warn!(campaign.id = %id, "an upload without a campaign is refused");
                let why = "No campaign has this id. Create one with POST /campaigns and upload to the URL it returns.\n";
                Ok(self.files.refuse(&key, why).await?)
            }
        }
    }

    async fn split(&self, campaign: &Campaign, version: Option<&str>) -> Result<(), Error> {
        let id = &campaign.id;
        match self.read(campaign, version).await {
            Ok(counts) => {
                self.campaigns.end_split(id, counts).await?;
                let ImportCounts {
                    rows,
                    rejected,
                    duplicates,
                    enqueued,
                } = counts;
                tracing::info!(campaign.id = %id, rows, rejected, duplicates, enqueued, "file split");
                Ok(())
            }
            Err(SplitError::File(problem)) => {
                tracing::warn!(campaign.id = %id, "the file cannot be used: {problem}");
                Ok(self.campaigns.fail(id, &sentence(&problem)).await?)
            }
            Err(SplitError::Way(error)) => Err(error),
        }
    }

    async fn read(
        &self,
        campaign: &Campaign,
        version: Option<&str>,
    ) -> Result<ImportCounts, SplitError> {
        let file = self.files.open(&campaign.id, version).await?;
        let mut records = Records::open(file, campaign).await?;
        let mut out = Output::new(self, campaign);
        let mut shown = Instant::now();
        while let Some(verdict) = records.next().await? {
            out.take(verdict).await?;
            if shown.elapsed() >= SHOW_EVERY {
                self.campaigns
                    .split_so_far(&campaign.id, records.counts())
                    .await?;
                shown = Instant::now();
            }
        }
        let counts = records.counts();
        // The counts first: the ledger must not show a row that was not counted yet.
        self.campaigns.split_so_far(&campaign.id, counts).await?;
        out.finish(counts.rejected > 0).await?;
        if counts.enqueued == 0 && counts.rejected > 0 {
            return Err(FileProblem::NothingUsable { rows: counts.rows }.into());
        }
        Ok(counts)
    }
}

/// Where verdicts go.
struct Output<'a> {
    splitter: &'a Splitter,
    campaign: &'a Campaign,
    cutter: Cutter,
    rejects: RejectsFile,
    ready: Vec<Batch>,
}

impl<'a> Output<'a> {
    fn new(splitter: &'a Splitter, campaign: &'a Campaign) -> Self {
        let rejects = RejectsFile::new(&splitter.files, &campaign.id, "row,column,reason\r\n");
        Self {
            splitter,
            campaign,
            cutter: Cutter::new(splitter.rate),
            rejects,
            ready: Vec::new(),
        }
    }

    async fn take(&mut self, verdict: Verdict) -> Result<(), Error> {
        match verdict {
            Verdict::Usable(row) => {
                if let Some(rows) = self.cutter.push(row) {
                    self.enqueue(rows).await?;
                }
            }
            Verdict::Duplicate => {}
            Verdict::Rejected(reject) => {
                self.rejects.write(line(&reject).as_bytes()).await?;
            }
        }
        Ok(())
    }

    async fn enqueue(&mut self, rows: Vec<Row>) -> Result<(), Error> {
        self.ready.push(Batch {
            campaign: self.campaign.id.clone(),
            rows,
        });
        if self.ready.len() >= TOGETHER {
            self.flush().await
        } else {
            Ok(())
        }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.splitter
            .queue
            .send(&self.ready, Duration::ZERO)
            .await?;
        self.ready.clear();
        Ok(())
    }

    /// The tail goes out, and the rejects file appears where there is something in it.
    async fn finish(mut self, any_rejects: bool) -> Result<(), Error> {
        if any_rejects {
            self.rejects.finish().await?;
        }
        let campaign = &self.campaign.id;
        let tail = self.cutter.finish().into_iter().map(|rows| Batch {
            campaign: campaign.clone(),
            rows,
        });
        self.ready.extend(tail);
        Ok(self
            .splitter
            .queue
            .send(&self.ready, Duration::ZERO)
            .await?)
    }
}

/// Why a split ended early.
enum SplitError {
    File(FileProblem),
    Way(Error),
}

impl From<ReadError> for SplitError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::File(problem) => SplitError::File(problem),
            way @ ReadError::Way(_) => SplitError::Way(way.into()),
        }
    }
}

impl From<FileProblem> for SplitError {
    fn from(problem: FileProblem) -> Self {
        SplitError::File(problem)
    }
}

impl From<Error> for SplitError {
    fn from(error: Error) -> Self {
        SplitError::Way(error)
    }
}

impl From<cloud::Error> for SplitError {
    fn from(error: cloud::Error) -> Self {
        SplitError::Way(error.into())
    }
}

/// S3 encodes keys in events as a query string does: `+` for a space, then percent.
fn decoded(key: &str) -> String {
    percent_decode_str(&key.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

/// A line of the rejects file.
fn line(reject: &Reject) -> String {
    let mut line = format!("{},", reject.row);
    let _ = write!(
        line,
        "\"{}\",\"{}\"\r\n",
        reject.column.replace('"', "\"\""),
        reject.reason
    );
    line
}

/// As people read it: a capital first and a full stop last.
fn sentence(problem: &FileProblem) -> String {
    let text = problem.to_string();
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|first| first.to_uppercase().to_string())
        .unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use campaign::import::RejectReason;

    #[test]
    fn keys_are_decoded_once_plus_first() {
        assert_eq!(
            decoded("uploads/a+b%2Bc/input.csv"),
            "uploads/a b+c/input.csv"
        );
        assert_eq!(decoded("uploads/%2541/input.csv"), "uploads/%41/input.csv");
    }

    #[test]
    fn a_reject_is_one_line_of_csv() {
        let reject = Reject {
            row: 7,
            column: "the \"phone\"".into(),
            reason: RejectReason::NotText,
        };
        assert_eq!(
            line(&reject),
            "7,\"the \"\"phone\"\"\",\"this cell is not UTF-8 text\"\r\n"
        );
    }
}
