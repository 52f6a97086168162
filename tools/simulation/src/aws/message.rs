//! Requests and responses as the fakes see them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use http_body::{Body, Frame};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::faults::Service;

/// A request whose body has been read.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path, decoded.
    pub(super) path: String,
    /// The parameters of the query, decoded.
    pub(super) query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Reads a request to the end of its body: the SDK otherwise takes the upload for stalled.
    pub(super) async fn read(request: HttpRequest) -> Result<Self, ConnectorError> {
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        let headers = headers.collect();
        let method = request.method().to_owned();
        let uri = request.uri().to_owned();
        // Read to its end, as a connection does: the SDK watches that, and takes a body that nobody reads for a stalled one.
        let body = ByteStream::new(request.into_body()).collect().await;
        let body = body.map_err(|error| ConnectorError::other(error.into(), None))?;
        Ok(Self::parse(method, &uri, headers, body.to_vec()))
    }

    /// A request to that URL.
    pub(super) fn parse(
        method: String,
        url: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Self {
        let (_, after_scheme) = url.split_once("://").unwrap_or(("", url));
        let path_and_query = after_scheme.find('/').map_or("/", |at| &after_scheme[at..]);
        let (path, query) = path_and_query
            .split_once('?')
            .unwrap_or((path_and_query, ""));
        Self {
            method,
            path: percent_decode_str(path).decode_utf8_lossy().into_owned(),
            query: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            headers,
            body,
        }
    }

    /// A header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(found, _)| found == name)
            .map(|(_, value)| &**value)
    }

    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut query = self.query.iter();
        query
            .find(|(found, _)| found == name)
            .map(|(_, value)| &**value)
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("a request that is no JSON: {error}"))
    }

    /// The body without the frames in which an SDK sends it with a checksum at the end.
    pub(super) fn decoded_body(&self) -> Vec<u8> {
        let is_framed = self
            .header("x-amz-content-sha256")
            .is_some_and(|hash| hash.starts_with("STREAMING-"));
        if !is_framed {
            return self.body.clone();
        }
        let mut decoded = Vec::new();
        let mut rest = &self.body[..];
        while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
            let size = String::from_utf8_lossy(&rest[..end]);
            let size = size.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16)
                .unwrap_or_else(|error| panic!("a frame of {size} bytes: {error}"));
            if size == 0 {
                break;
            }
            let data = &rest[end + 2..];
            decoded.extend_from_slice(&data[..size]);
            rest = &data[size + 2..];
        }
        decoded
    }
}

/// A body that ends with an error.
struct CutBody(Option<Bytes>);

impl Body for CutBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(match self.0.take() {
            Some(bytes) => Ok(Frame::data(bytes)),
            None => Err(io::ErrorKind::ConnectionReset.into()),
        }))
    }
}

/// A response.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// The error's code, for the history.
    pub(super) code: Option<String>,
}

impl Response {
    /// A response without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            code: None,
        }
    }

    /// A success with JSON.
    pub(super) fn json(body: &Value) -> Self {
        Self {
            headers: vec![("content-type", "application/x-amz-json-1.0".into())],
            body: body.to_string().into_bytes(),
            ..Self::empty(200)
        }
    }

    /// A success with XML.
    pub(super) fn xml(body: String) -> Self {
        Self {
            headers: vec![("content-type", "application/xml".into())],
            body: body.into_bytes(),
            ..Self::empty(200)
        }
    }

    /// An error in the form of the service.
    pub(super) fn error(service: Service, status: u16, code: &str, message: &str) -> Self {
        let mut response = match service {
            Service::S3 => Self::xml(format!(
                "<Error><Code>{code}</Code><Message>{message}</Message></Error>"
            )),
            _ => Self::json(&json!({"__type": code, "message": message})),
        };
        if service == Service::Scheduler {
            response.headers.push(("x-amzn-errortype", code.into()));
        }
        response.status = status;
        response.code = Some(code.into());
        response
    }

    /// Adds a header.
    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The response of a service that asks for fewer requests.
    pub(super) fn throttled(service: Service) -> Self {
        let (status, code) = match service {
            Service::DynamoDb => (400, "ProvisionedThroughputExceededException"),
            Service::Sqs => (400, "RequestThrottled"),
            Service::S3 => (503, "SlowDown"),
            Service::Scheduler => (429, "ThrottlingException"),
            Service::SecretsManager | Service::EventBridge => (400, "ThrottlingException"),
        };
        Self::error(service, status, code, "simulated")
    }

    /// The response of a service that fails.
    pub(super) fn internal_error(service: Service) -> Self {
        let code = match service {
            Service::DynamoDb => "InternalServerError",
            Service::Sqs => "InternalFailure",
            Service::S3 => "InternalError",
            Service::Scheduler => "InternalServerException",
            Service::SecretsManager => "InternalServiceError",
            Service::EventBridge => "InternalException",
        };
        Self::error(service, 500, code, "simulated")
    }

    /// As the SDK reads it.
    pub(super) fn into_http(mut self) -> HttpResponse {
        let body = std::mem::take(&mut self.body);
        let length = body.len();
        self.with_body(SdkBody::from(body), length)
    }

    /// As the SDK reads it if the connection breaks in the middle of the body.
    pub(super) fn into_cut_http(self) -> HttpResponse {
        let mut half = self.body.clone();
        half.truncate(half.len() / 2);
        let body = SdkBody::from_body_1_x(CutBody(Some(half.into())));
        let length = self.body.len();
        self.with_body(body, length)
    }

    fn with_body(self, body: SdkBody, length: usize) -> HttpResponse {
        let status = StatusCode::try_from(self.status)
            .unwrap_or_else(|error| panic!("status {}: {error}", self.status));
        let mut response = HttpResponse::new(status, body);
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        if headers.get("content-length").is_none() {
            headers.insert("content-length", length.to_string());
        }
        response
    }
}
