//! A file's bytes → verdicts, one record at a time; memory does not grow with the file.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use campaign::header::{self, FileProblem};
use campaign::import::{ImportCounts, Importer, Verdict};
use campaign::phone;
use campaign::record::Campaign;
use csv_async::{AsyncReader, AsyncReaderBuilder, ByteRecord};
use tokio::io::{AsyncRead, ReadBuf};

/// The most bytes of one record: an open quotation mark must not take the rest of the file into memory.
pub const MAX_RECORD: u64 = 1024 * 1024;

/// Why reading ended before the file did.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is at fault: reading it again will not help.
    #[error(transparent)]
    File(#[from] FileProblem),
    /// The way to the file is.
    #[error("read the uploaded file: {0}")]
    Way(#[from] io::Error),
}

/// The records of one file.
pub struct Records<R> {
    reader: AsyncReader<Guard<R>>,
    since_record: Arc<AtomicU64>,
    record: ByteRecord,
    importer: Importer,
}

impl<R: AsyncRead + Unpin + Send> Records<R> {
    /// Reads the header and finds what `campaign` needs.
    pub async fn open(file: R, campaign: &Campaign) -> Result<Self, ReadError> {
        let since_record = Arc::new(AtomicU64::new(0));
        let guard = Guard {
            inner: file,
            since_record: Arc::clone(&since_record),
        };
        let mut reader = AsyncReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(64 * 1024)
            .create_reader(guard);
        let mut record = ByteRecord::new();
        if !reader
            .read_byte_record(&mut record)
            .await
            .map_err(|error| cause(error, 1))?
        {
            return Err(FileProblem::Empty.into());
        }
        let mut names = Vec::with_capacity(record.len());
        for field in &record {
            names.push(text(field).ok_or(FileProblem::NotText { line: 1 })?);
        }
        let Campaign {
            options, message, ..
        } = campaign;
        let columns = header::columns(&names, options.phone_column.as_deref(), message.columns())?;
        let region = options.default_region.as_deref().and_then(phone::region);
        let importer = Importer::new(columns, message.columns().to_vec(), region);
        Ok(Self {
            reader,
            since_record,
            record,
            importer,
        })
    }

    /// The next record's verdict; `None` at the end of the file.
    pub async fn next(&mut self) -> Result<Option<Verdict>, ReadError> {
        self.since_record.store(0, Ordering::Relaxed);
        let line = self.reader.position().line();
        if self
            .reader
            .read_byte_record(&mut self.record)
            .await
            .map_err(|error| cause(error, line))?
        {
            return Ok(Some(self.importer.judge(|index| self.record.get(index))));
        }
        match self.counts() {
            ImportCounts { rows: 0, .. } => Err(FileProblem::NoRows.into()),
            _ => Ok(None),
        }
    }

    /// What became of the records so far.
    pub fn counts(&self) -> ImportCounts {
        self.importer.counts()
    }
}

/// A header's field as text; a byte order mark is none of it.
fn text(field: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(field)
        .ok()
        .filter(|text| !text.contains('\0'))?;
    Some(text.trim_start_matches('\u{feff}'))
}

fn cause(error: csv_async::Error, line: u64) -> ReadError {
    match error.into_kind() {
        csv_async::ErrorKind::Io(error)
            if error.get_ref().is_some_and(|inner| inner.is::<Endless>()) =>
        {
            FileProblem::EndlessRow {
                line,
                limit: MAX_RECORD,
            }
            .into()
        }
        csv_async::ErrorKind::Io(error) => ReadError::Way(error),
        other => ReadError::Way(io::Error::other(format!("{other:?}"))),
    }
}

/// Passes bytes on until one record has had too many.
struct Guard<R> {
    inner: R,
    since_record: Arc<AtomicU64>,
}

/// One record had too many bytes.
#[derive(Debug, thiserror::Error)]
#[error("a record without an end")]
struct Endless;

impl<R: AsyncRead + Unpin> AsyncRead for Guard<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.since_record.load(Ordering::Relaxed) > MAX_RECORD {
            return Poll::Ready(Err(io::Error::other(Endless)));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let read = (buffer.filled().len() - before) as u64;
        self.since_record.fetch_add(read, Ordering::Relaxed);
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use campaign::import::RejectReason;
    use campaign::message::Message;
    use campaign::record::FileInfo;
    use proptest::prelude::*;
    use serde_json::json;

    fn campaign() -> Campaign {
        let message = json!({"type": "text", "text": {"body": "Hi {{name}}"}});
        let file = FileInfo {
            name: "a.csv".into(),
            size: 1,
        };
        Campaign::new(
            "c1".parse().unwrap(),
            "Test".into(),
            Message::new(message).unwrap(),
            file,
            0,
        )
    }

    async fn read(file: &[u8]) -> Result<Vec<Verdict>, ReadError> {
        let mut records = Records::open(file, &campaign()).await?;
        let mut verdicts = Vec::new();
        while let Some(verdict) = records.next().await? {
            verdicts.push(verdict);
        }
        Ok(verdicts)
    }

    async fn problem(file: &[u8]) -> FileProblem {
        match read(file).await {
            Err(ReadError::File(problem)) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_byte_order_mark_quotes_and_blank_lines_do_no_harm() {
        let file = "\u{feff}\"phone\",name\r\n\r\n+5511987654321,\"Silva, Ana\"\r\n+34612345678,\"a \"\"b\"\"\nc\"\r\n";
        let verdicts = read(file.as_bytes()).await.unwrap();
        let values: Vec<&str> = verdicts
            .iter()
            .map(|verdict| match verdict {
                Verdict::Usable(row) => row.values[0].as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(values, ["Silva, Ana", "a \"b\"\nc"]);
    }

    #[tokio::test]
    async fn a_ragged_or_foreign_row_is_rejected_alone() {
        let verdicts = read(b"name,phone\nAna\nJos\xe9,+34612345678\nBob,+5511987654321,extra\n")
            .await
            .unwrap();
        let reasons: Vec<Option<RejectReason>> = verdicts
            .into_iter()
            .map(|verdict| match verdict {
                Verdict::Rejected(reject) => Some(reject.reason),
                Verdict::Usable(_) | Verdict::Duplicate => None,
            })
            .collect();
        assert_eq!(
            reasons,
            [
                Some(phone::PhoneProblem::Empty.into()),
                Some(RejectReason::NotText),
                None
            ]
        );
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_says_why() {
        assert_eq!(problem(b"").await, FileProblem::Empty);
        assert_eq!(problem(b"\n\n").await, FileProblem::Empty);
        assert_eq!(problem(b"phone,name\n").await, FileProblem::NoRows);
        assert_eq!(
            problem(b"PK\x03\x04\x00\x00,x\n1,2\n").await,
            FileProblem::NotText { line: 1 }
        );
        assert_eq!(
            problem(b"p\xff\xfehone\n").await,
            FileProblem::NotText { line: 1 }
        );
        assert!(matches!(
            problem(b"name,email\nAna,a@b\n").await,
            FileProblem::NoPhoneColumn { .. }
        ));
        assert!(matches!(
            problem(b"phone,email\n1,2\n").await,
            FileProblem::MissingColumns { .. }
        ));
    }

    #[tokio::test]
    async fn an_open_quotation_mark_does_not_swallow_the_file() {
        let mut file = b"phone,name\n+5511987654321,ok\n+34612345678,\"open\n".to_vec();
        file.extend(b"+5511987654322,x\n".repeat(200_000));
        assert_eq!(
            problem(&file).await,
            FileProblem::EndlessRow {
                line: 3,
                limit: MAX_RECORD
            }
        );
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_verdicts_or_a_problem(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let file = [b"phone,name\n".as_slice(), &bytes].concat();
            let ended = runtime.block_on(read(&file));
            prop_assert!(matches!(ended, Ok(_) | Err(ReadError::File(_))));
        }
    }
}
