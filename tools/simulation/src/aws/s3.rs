//! S3: one bucket with versions, conditional writes, multipart uploads and events.
//!
//! This file has S3's protocol; `s3/bucket.rs` has the objects. Signatures are not checked, only when a presigned
//! request expires and whether it is sent as it was signed.

mod bucket;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tokio::sync::Notify;

pub use self::bucket::ObjectCreated;
use self::bucket::{Bucket, Object};
use super::faults::Service;
use super::message::{Request, Response};
use super::resources::BucketSpec;
use crate::clock;

/// S3. Clones are the same.
#[derive(Clone, Debug)]
pub struct S3 {
    name: String,
    bucket: Arc<Mutex<Bucket>>,
    created: Arc<Notify>,
}

/// The answer to a presigned request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresignedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl S3 {
    pub(super) fn new(spec: &BucketSpec) -> Self {
        Self {
            name: spec.name.clone(),
            bucket: Arc::new(Mutex::new(Bucket::new(spec.clone()))),
            created: Arc::default(),
        }
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.name
    }

    /// The events of created objects since the last call, in the order of their creation.
    pub fn take_events(&self) -> Vec<ObjectCreated> {
        std::mem::take(&mut self.lock().events)
    }

    /// Waits until there are such events.
    pub async fn wait_for_event(&self) {
        loop {
            let created = self.created.notified();
            if !self.lock().events.is_empty() {
                return;
            }
            created.await;
        }
    }

    /// The keys of the objects that exist, in order.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.lock().keys(prefix)
    }

    /// The latest version of an object; `None` if it does not exist.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let bucket = self.lock();
        bucket.get(key, None).map(|object| object.bytes.clone())
    }

    /// Every version of every object: its key, its version, its bytes.
    pub fn all_versions(&self) -> Vec<(String, String, Vec<u8>)> {
        let bucket = self.lock();
        let versions = bucket.versions("").into_iter();
        versions
            .map(|(key, object, _)| (key.to_owned(), object.version.clone(), object.bytes.clone()))
            .collect()
    }

    /// Puts an object, as somebody does without this system.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        self.lock().put(key, bytes.to_vec(), None);
        self.created.notify_waiters();
    }

    /// Sends a presigned request as whoever has its URL, its headers and, if it is a `PUT`, the bytes.
    pub fn send_presigned<'h>(
        &self,
        method: &str,
        url: &str,
        headers: impl IntoIterator<Item = (&'h String, &'h String)>,
        body: &[u8],
    ) -> PresignedAnswer {
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect();
        let request = Request::parse(method.into(), url, headers, body.to_vec());
        let response = match refuse_presigned(&request) {
            Some(code) => Response::error(Service::S3, 403, code, "simulated"),
            None => self.call(&request),
        };
        PresignedAnswer {
            status: response.status,
            body: response.body,
        }
    }

    pub(super) fn call(&self, request: &Request) -> Response {
        let (bucket, key) = bucket_and_key(request);
        if bucket != self.name {
            let message = "The specified bucket does not exist";
            return Response::error(Service::S3, 404, "NoSuchBucket", message);
        }
        let response = match operation(request) {
            "PutObject" => self.put_object(request, key),
            "GetObject" => self.get_object(request, key, true),
            "HeadObject" => self.get_object(request, key, false),
            "DeleteObject" => self.delete_object(request, key),
            "ListObjectVersions" => self.list_object_versions(request),
            "CreateMultipartUpload" => self.create_multipart_upload(key),
            "UploadPart" => self.upload_part(request),
            "CompleteMultipartUpload" => self.complete_multipart_upload(request, key),
            other => panic!("the simulation's S3 has no {other}"),
        };
        self.created.notify_waiters();
        response
    }

    fn put_object(&self, request: &Request, key: &str) -> Response {
        let mut bucket = self.lock();
        if let Some(condition) = request.header("if-none-match") {
            assert_eq!(condition, "*", "S3 has no other condition");
            if bucket.get(key, None).is_some() {
                return precondition_failed();
            }
        }
        if let Some(expected) = request.header("if-match") {
            let Some(object) = bucket.get(key, None) else {
                return no_such_key();
            };
            if object.etag != expected {
                return precondition_failed();
            }
        }
        let content_type = request.header("content-type").map(str::to_owned);
        with_version(bucket.put(key, request.decoded_body(), content_type))
    }

    fn get_object(&self, request: &Request, key: &str, with_body: bool) -> Response {
        let version = request.parameter("versionId");
        let bucket = self.lock();
        let Some(object) = bucket.get(key, version) else {
            return match (with_body, version) {
                (false, _) => Response {
                    code: Some("NotFound".into()),
                    ..Response::empty(404)
                },
                (true, None) => no_such_key(),
                (true, Some(_)) => Response::error(Service::S3, 404, "NoSuchVersion", "simulated"),
            };
        };
        let modified = format_http_date(object.created_at);
        let mut response = with_version(object)
            .with_header("last-modified", modified)
            .with_header("accept-ranges", "bytes");
        if let Some(content_type) = &object.content_type {
            response = response.with_header("content-type", content_type);
        }
        if !with_body {
            return response.with_header("content-length", object.bytes.len().to_string());
        }
        match request.header("range").map(parse_range) {
            None => response.body = object.bytes.clone(),
            Some((start, end)) => {
                let end = end.map_or(object.bytes.len(), |end| (end + 1).min(object.bytes.len()));
                if start >= end {
                    return Response::error(Service::S3, 416, "InvalidRange", "simulated");
                }
                response.body = object.bytes[start..end].to_vec();
                response.status = 206;
                let range = format!("bytes {start}-{}/{}", end - 1, object.bytes.len());
                response = response.with_header("content-range", range);
            }
        }
        response
    }

    fn delete_object(&self, request: &Request, key: &str) -> Response {
        self.lock().delete(key, request.parameter("versionId"));
        Response::empty(204)
    }

    fn list_object_versions(&self, request: &Request) -> Response {
        let prefix = request.parameter("prefix").unwrap_or_default();
        let bucket = self.lock();
        let mut xml = format!(
            "<ListVersionsResult><Name>{}</Name><Prefix>{}</Prefix><IsTruncated>false</IsTruncated>",
            self.name,
            escape(prefix)
        );
        for (key, object, is_latest) in bucket.versions(prefix) {
            let element = if object.is_marker {
                "DeleteMarker"
            } else {
                "Version"
            };
            let size = object.bytes.len();
            xml.push_str(&format!(
                "<{element}><Key>{}</Key><VersionId>{}</VersionId><IsLatest>{is_latest}</IsLatest>\
                 <ETag>{}</ETag><Size>{size}</Size></{element}>",
                escape(key),
                object.version,
                escape(&object.etag)
            ));
        }
        xml.push_str("</ListVersionsResult>");
        Response::xml(xml)
    }

    fn create_multipart_upload(&self, key: &str) -> Response {
        let id = self.lock().create_upload();
        Response::xml(format!(
            "<InitiateMultipartUploadResult><Bucket>{}</Bucket><Key>{}</Key><UploadId>{id}</UploadId>\
             </InitiateMultipartUploadResult>",
            self.name,
            escape(key)
        ))
    }

    fn upload_part(&self, request: &Request) -> Response {
        let id = request.parameter("uploadId").unwrap_or_default();
        let number = request.parameter("partNumber");
        let number = number.and_then(|number| number.parse().ok());
        let number = number.unwrap_or_else(|| panic!("a part without a number"));
        let part = self.lock().put_part(id, number, request.decoded_body());
        match part {
            Some(etag) => Response::empty(200).with_header("etag", etag),
            None => Response::error(Service::S3, 404, "NoSuchUpload", "simulated"),
        }
    }

    fn complete_multipart_upload(&self, request: &Request, key: &str) -> Response {
        let id = request.parameter("uploadId").unwrap_or_default();
        let parts = parse_parts(&String::from_utf8_lossy(&request.body));
        match self.lock().complete_upload(id, key, &parts) {
            Ok(object) => Response::xml(format!(
                "<CompleteMultipartUploadResult><Bucket>{}</Bucket><Key>{}</Key><ETag>{}</ETag>\
                 </CompleteMultipartUploadResult>",
                self.name,
                escape(key),
                escape(&object.etag)
            ))
            .with_header("x-amz-version-id", &object.version),
            Err("NoSuchUpload") => Response::error(Service::S3, 404, "NoSuchUpload", "simulated"),
            Err(code) => Response::error(Service::S3, 400, code, "simulated"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The operation that a request asks for.
pub(super) fn operation(request: &Request) -> &'static str {
    let has = |name: &str| request.parameter(name).is_some();
    let (_, key) = bucket_and_key(request);
    match (&*request.method, key.is_empty()) {
        ("PUT", false) if has("partNumber") => "UploadPart",
        ("PUT", false) if request.header("x-amz-copy-source").is_none() && !has("tagging") => {
            "PutObject"
        }
        ("GET", false) if !has("tagging") && !has("uploadId") => "GetObject",
        ("HEAD", false) => "HeadObject",
        ("DELETE", false) if !has("tagging") && !has("uploadId") => "DeleteObject",
        ("POST", false) if has("uploads") => "CreateMultipartUpload",
        ("POST", false) if has("uploadId") => "CompleteMultipartUpload",
        ("GET", true) if has("versions") => "ListObjectVersions",
        (method, _) => panic!(
            "the simulation's S3 has no {method} {} {:?}",
            request.path, request.query
        ),
    }
}

/// The object that a request is about.
pub(super) fn describe(request: &Request) -> String {
    let (bucket, key) = bucket_and_key(request);
    let prefix = request.parameter("prefix").unwrap_or_default();
    match request.parameter("versionId") {
        Some(version) => format!("{bucket}/{key}@{version}"),
        None => format!("{bucket}/{key}{prefix}"),
    }
}

fn bucket_and_key(request: &Request) -> (&str, &str) {
    let path = request.path.trim_start_matches('/');
    path.split_once('/').unwrap_or((path, ""))
}

/// Why a presigned request is refused.
fn refuse_presigned(request: &Request) -> Option<&'static str> {
    let signed_at = request.parameter("X-Amz-Date");
    let signed_at = signed_at.and_then(|date| DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok());
    let signed_at = signed_at.and_then(|date| date.to_zoned(TimeZone::UTC).ok());
    let signed_at = signed_at.map(|date| date.timestamp().as_millisecond() as u64);
    let valid = request.parameter("X-Amz-Expires");
    let valid = valid.and_then(|seconds| seconds.parse::<u64>().ok());
    let (Some(signed_at), Some(valid)) = (signed_at, valid) else {
        panic!("not a presigned request: {}", request.path);
    };
    let now = clock::now_ms();
    // S3 accepts clocks that are wrong by a quarter of an hour.
    if now > signed_at + valid * 1000 || signed_at > now + 900_000 {
        return Some("AccessDenied");
    }
    let signed = request.parameter("X-Amz-SignedHeaders");
    let mut signed = signed.unwrap_or_default().split(';');
    let is_complete = signed.all(|name| name == "host" || request.header(name).is_some());
    let length = request.header("content-length");
    let has_length = length.is_none_or(|length| length == request.body.len().to_string());
    (!is_complete || !has_length).then_some("SignatureDoesNotMatch")
}

/// The first and the last byte of `bytes=0-9`.
fn parse_range(range: &str) -> (usize, Option<usize>) {
    let bounds = range.strip_prefix("bytes=");
    let bounds = bounds.and_then(|bounds| bounds.split_once('-'));
    let bounds = bounds.and_then(|(start, end)| Some((start.parse().ok()?, end.parse().ok())));
    bounds.unwrap_or_else(|| panic!("the simulation's S3 has no range {range}"))
}

/// The numbers and the tags of the parts of `CompleteMultipartUpload`.
fn parse_parts(xml: &str) -> Vec<(u32, String)> {
    let element = |text: &str, name: &str| {
        let (_, after) = text.split_once(&format!("<{name}>"))?;
        let (inside, _) = after.split_once(&format!("</{name}>"))?;
        Some(inside.replace("&quot;", "\""))
    };
    let parts = xml.split("<Part>").skip(1);
    parts
        .filter_map(|part| {
            let number = element(part, "PartNumber")?.parse().ok()?;
            Some((number, element(part, "ETag")?))
        })
        .collect()
}

fn with_version(object: &Object) -> Response {
    Response::empty(200)
        .with_header("etag", &object.etag)
        .with_header("x-amz-version-id", &object.version)
}

fn no_such_key() -> Response {
    let message = "The specified key does not exist.";
    Response::error(Service::S3, 404, "NoSuchKey", message)
}

fn precondition_failed() -> Response {
    let message = "At least one of the pre-conditions you specified did not hold";
    Response::error(Service::S3, 412, "PreconditionFailed", message)
}

fn format_http_date(ms: u64) -> String {
    let time = Timestamp::from_millisecond(ms as i64).unwrap_or_default();
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
