//! Why reading a file ended early.

use campaign::import::header::FileProblem;
use tabular::TableProblem;

/// Why reading ended before the file did. If the file is at fault, the text is a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is not a readable table.
    #[error(transparent)]
    Table(#[from] TableProblem),
    /// The table is not what the campaign needs.
    #[error(transparent)]
    File(#[from] FileProblem),
    /// The object was deleted, or has expired.
    #[error("the uploaded file does not exist any more; add it again as a further file")]
    Gone,
    /// What an import stored of the file was deleted, or has expired.
    #[error("what Crier stored of the file does not exist any more")]
    ChunksGone,
    /// What an import stored of the file is not as it was written, or was written by another version of the code.
    #[error("what Crier stored of the file is damaged, or of another version")]
    DamagedChunk,
    /// A request to AWS failed.
    #[error(transparent)]
    Aws(#[from] cloud::Error),
    /// The exclude list is at fault.
    #[error("the exclude list cannot be used: {0}")]
    ExcludeList(Box<ReadError>),
}

impl ReadError {
    /// Whether another try may succeed, because the connection failed and not the file.
    pub fn is_retryable(&self) -> bool {
        match self {
            ReadError::Table(TableProblem::Io(_)) | ReadError::Aws(_) => true,
            ReadError::Table(_)
            | ReadError::File(_)
            | ReadError::Gone
            | ReadError::ChunksGone
            | ReadError::DamagedChunk => false,
            ReadError::ExcludeList(error) => error.is_retryable(),
        }
    }
}
