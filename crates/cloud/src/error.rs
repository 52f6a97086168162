//! The error of every call to AWS. It keeps the class of the SDK's error, so that callers can decide on it.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;

/// A call to AWS that failed after the SDK's own retries, or data of ours that does not have the expected
/// form. In a function without an answer of its own, the invocation fails and Lambda delivers the event
/// again.
#[derive(Debug, thiserror::Error)]
#[error("{action} ({kind}): {}", chain(&**cause))]
pub struct Error {
    /// What failed, as an imperative: `read the campaign`.
    pub action: &'static str,
    /// The class.
    pub kind: ErrorKind,
    cause: BoxError,
}

/// What kind of error it is: the list is closed, so that decisions on it are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// The service asks for fewer requests.
    #[error("throttled")]
    Throttled,
    /// No answer in time; the request may have been executed.
    #[error("timed out")]
    TimedOut,
    /// The service failed, or could not be reached.
    #[error("unavailable")]
    Unavailable,
    /// Credentials or policies do not allow the request.
    #[error("access denied")]
    Denied,
    /// The condition of a conditional write did not hold.
    #[error("condition failed")]
    ConditionFailed,
    /// The table, queue, object or secret does not exist.
    #[error("not found")]
    NotFound,
    /// The service does not accept the request as it is.
    #[error("rejected")]
    Rejected,
    /// Data could not be encoded or decoded.
    #[error("malformed")]
    Malformed,
}

impl ErrorKind {
    /// Whether the same request may succeed later, without a change by an operator.
    pub fn is_transient(self) -> bool {
        match self {
            ErrorKind::Throttled | ErrorKind::TimedOut | ErrorKind::Unavailable => true,
            ErrorKind::Denied
            | ErrorKind::ConditionFailed
            | ErrorKind::NotFound
            | ErrorKind::Rejected
            | ErrorKind::Malformed => false,
        }
    }

    /// From the code and the HTTP status of a service's error response.
    fn of_response(code: &str, status: u16) -> Self {
        // SQS still sends the codes of its former query protocol, with a prefix.
        match code.rsplit('.').next().unwrap_or(code) {
            "Throttling"
            | "ThrottlingException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "SlowDown" => ErrorKind::Throttled,
            // New credentials follow; and a clock that is off is set.
            "ExpiredToken" | "ExpiredTokenException" | "RequestTimeTooSkewed" => {
                ErrorKind::Unavailable
            }
            "AccessDenied"
            | "AccessDeniedException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException" => ErrorKind::Denied,
            "ConditionalCheckFailedException" | "ConflictException" | "PreconditionFailed" => {
                ErrorKind::ConditionFailed
            }
            "ResourceNotFoundException"
            | "NoSuchKey"
            | "NoSuchBucket"
            | "NotFound"
            | "QueueDoesNotExist"
            | "NonExistentQueue" => ErrorKind::NotFound,
            _ => Self::of_status(status),
        }
    }

    /// From the HTTP status alone: S3 sends no code in its answer to a HEAD request.
    fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => ErrorKind::Denied,
            404 => ErrorKind::NotFound,
            408 => ErrorKind::TimedOut,
            412 => ErrorKind::ConditionFailed,
            429 => ErrorKind::Throttled,
            500.. => ErrorKind::Unavailable,
            _ => ErrorKind::Rejected,
        }
    }

    fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata,
    {
        match error {
            SdkError::TimeoutError(_) => ErrorKind::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => ErrorKind::TimedOut,
            SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => ErrorKind::Unavailable,
            SdkError::ServiceError(service) => Self::of_response(
                service.err().code().unwrap_or_default(),
                service.raw().status().as_u16(),
            ),
            // A construction failure, or a variant that a later version of the SDK adds.
            _ => ErrorKind::Rejected,
        }
    }
}

impl Error {
    /// Data that could not be encoded or decoded.
    pub fn new(action: &'static str, cause: impl Into<BoxError>) -> Self {
        Self::with_kind(action, ErrorKind::Malformed, cause)
    }

    /// An error without an SDK error behind it, such as entries that failed within a successful answer.
    pub(crate) fn with_kind(
        action: &'static str,
        kind: ErrorKind,
        cause: impl Into<BoxError>,
    ) -> Self {
        Self {
            action,
            kind,
            cause: cause.into(),
        }
    }

    /// For `map_err`. It keeps the code, message and request id of an error response, or the chain of causes
    /// where there was no response; not the SDK error itself. Its debug text, which `DisplayErrorContext`
    /// appends, quotes response bodies: items with phone numbers, and the secret.
    pub(crate) fn from_sdk<E>(
        action: &'static str,
    ) -> impl FnOnce(SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        move |error| {
            let kind = ErrorKind::of(&error);
            match error.as_service_error().map(describe_response) {
                Some(text) => Self::with_kind(action, kind, text),
                None => match error.into_source() {
                    Ok(source) => Self::with_kind(action, kind, source),
                    Err(_) => Self::with_kind(action, kind, "unknown error"),
                },
            }
        }
    }
}

fn describe_response(error: &impl ProvideErrorMetadata) -> String {
    let meta = error.meta();
    format!(
        "{}: {} (request id {})",
        meta.code().unwrap_or("unknown error"),
        meta.message().unwrap_or_default(),
        meta.request_id().unwrap_or("unknown"),
    )
}

/// The messages of an error and all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_s3::primitives::SdkBody;

    fn response(code: &str, status: u16) -> Error {
        let meta = ErrorMetadata::builder().code(code).message("why").build();
        let status = status.try_into().expect("status");
        let raw = HttpResponse::new(status, SdkBody::from("+5511987654321"));
        Error::from_sdk("try")(SdkError::service_error(meta, raw))
    }

    #[test]
    fn response_codes_decide_the_class() {
        for (code, status, kind, transient) in [
            ("SlowDown", 503, ErrorKind::Throttled, true),
            ("ThrottlingException", 400, ErrorKind::Throttled, true),
            ("InternalServerError", 500, ErrorKind::Unavailable, true),
            ("AccessDeniedException", 400, ErrorKind::Denied, false),
            ("", 403, ErrorKind::Denied, false),
            ("", 404, ErrorKind::NotFound, false),
            (
                "AWS.SimpleQueueService.NonExistentQueue",
                400,
                ErrorKind::NotFound,
                false,
            ),
            (
                "ConditionalCheckFailedException",
                400,
                ErrorKind::ConditionFailed,
                false,
            ),
            ("ValidationException", 400, ErrorKind::Rejected, false),
        ] {
            let error = response(code, status);
            assert_eq!(
                (error.kind, error.kind.is_transient()),
                (kind, transient),
                "{code}"
            );
        }
    }

    #[test]
    fn timeout_is_transient() {
        let timeout: SdkError<ErrorMetadata, HttpResponse> = SdkError::timeout_error("10 s");
        let error = Error::from_sdk("read")(timeout);
        assert_eq!(error.kind, ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "read (timed out): 10 s");
    }

    #[test]
    fn error_text_does_not_quote_the_response_body() {
        let error = response("ValidationException", 400);
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("try (rejected): ValidationException: why"),
            "{text}"
        );
        assert!(!text.contains("5511"), "{text}");
    }
}
