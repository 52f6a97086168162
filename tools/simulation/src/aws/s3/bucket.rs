//! The bucket's objects.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::REGION;
use super::super::resources::BucketSpec;
use crate::clock;

/// What S3 leaves as it is in an event's key.
const EVENT_KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.');

/// The least size of every part but the last (S3 quotas).
const MIN_PART_BYTES: usize = 5 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Bucket {
    spec: BucketSpec,
    /// The versions of each object, the latest last.
    objects: BTreeMap<String, Vec<Object>>,
    uploads: BTreeMap<String, BTreeMap<u32, (String, Vec<u8>)>>,
    pub(super) events: Vec<ObjectCreated>,
    last_id: u64,
}

/// A version of an object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) version: String,
    pub(super) etag: String,
    pub(super) bytes: Vec<u8>,
    pub(super) content_type: Option<String>,
    pub(super) created_at: u64,
    /// Whether it marks the deletion of the object.
    pub(super) is_marker: bool,
}

/// The event of an object that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectCreated {
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// Its version.
    pub version: String,
    /// Its size in bytes.
    pub size: usize,
    /// Its entity tag.
    pub etag: String,
    /// When it was created, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl ObjectCreated {
    /// The record of Lambda's event.
    pub fn to_record(&self) -> Value {
        let time = jiff::Timestamp::from_millisecond(self.at_ms as i64).unwrap_or_default();
        json!({
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": REGION,
            "eventTime": time.to_string(),
            "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "simulation"},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {},
            "s3": {
                "s3SchemaVersion": "1.0",
                "bucket": {
                    "name": self.bucket,
                    "arn": format!("arn:aws:s3:::{}", self.bucket),
                    "ownerIdentity": {"principalId": "simulation"},
                },
                "object": {
                    "key": utf8_percent_encode(&self.key, EVENT_KEY).to_string().replace("%20", "+"),
                    "size": self.size,
                    "eTag": self.etag.trim_matches('"'),
                    "versionId": self.version,
                    "sequencer": format!("{:016X}", self.at_ms),
                },
            },
        })
    }
}

impl Bucket {
    pub(super) fn new(spec: BucketSpec) -> Self {
        assert!(spec.is_versioned, "the simulation's bucket keeps versions");
        Self {
            spec,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            events: Vec::new(),
            last_id: 0,
        }
    }

    /// A version of an object, or the latest unless it marks a deletion.
    pub(super) fn get(&self, key: &str, version: Option<&str>) -> Option<&Object> {
        let mut versions = self.objects.get(key)?.iter().rev();
        let object = match version {
            Some(version) => versions.find(|object| object.version == version),
            None => versions.next(),
        };
        object.filter(|object| !object.is_marker)
    }

    pub(super) fn keys(&self, prefix: &str) -> Vec<String> {
        let keys = self.objects.keys();
        keys.filter(|key| key.starts_with(prefix) && self.get(key, None).is_some())
            .cloned()
            .collect()
    }

    /// All versions of the objects with this prefix, the latest of each first, and whether it is the latest.
    pub(super) fn versions(&self, prefix: &str) -> Vec<(&str, &Object, bool)> {
        let objects = self.objects.iter();
        let objects = objects.filter(|(key, _)| key.starts_with(prefix));
        objects
            .flat_map(|(key, versions)| {
                let versions = versions.iter().rev().enumerate();
                versions.map(|(index, object)| (&**key, object, index == 0))
            })
            .collect()
    }

    pub(super) fn put(
        &mut self,
        key: &str,
        bytes: Vec<u8>,
        content_type: Option<String>,
    ) -> &Object {
        let etag = etag(&bytes);
        self.insert(key, etag, bytes, content_type)
    }

    pub(super) fn delete(&mut self, key: &str, version: Option<&str>) {
        match version {
            Some(version) => {
                let Some(versions) = self.objects.get_mut(key) else {
                    return;
                };
                versions.retain(|object| object.version != version);
                if versions.is_empty() {
                    self.objects.remove(key);
                }
            }
            None => {
                let marker = Object {
                    version: self.next_id("version"),
                    etag: String::new(),
                    bytes: Vec::new(),
                    content_type: None,
                    created_at: clock::now_ms(),
                    is_marker: true,
                };
                self.objects.entry(key.into()).or_default().push(marker);
            }
        }
    }

    pub(super) fn create_upload(&mut self) -> String {
        let id = self.next_id("upload");
        self.uploads.insert(id.clone(), BTreeMap::new());
        id
    }

    /// Stores a part; its entity tag, or `None` without such an upload.
    pub(super) fn put_part(&mut self, id: &str, number: u32, bytes: Vec<u8>) -> Option<String> {
        let etag = etag(&bytes);
        let parts = self.uploads.get_mut(id)?;
        parts.insert(number, (etag.clone(), bytes));
        Some(etag)
    }

    /// Makes an object of the parts; the error's code if they do not fit.
    pub(super) fn complete_upload(
        &mut self,
        id: &str,
        key: &str,
        wanted: &[(u32, String)],
    ) -> Result<&Object, &'static str> {
        let stored = self.uploads.get(id).ok_or("NoSuchUpload")?;
        let mut bytes = Vec::new();
        for (index, (number, etag)) in wanted.iter().enumerate() {
            let part = stored.get(number);
            let (_, part) = part
                .filter(|(found, _)| found == etag)
                .ok_or("InvalidPart")?;
            if part.len() < MIN_PART_BYTES && index + 1 < wanted.len() {
                return Err("EntityTooSmall");
            }
            bytes.extend_from_slice(part);
        }
        if wanted.is_empty() || !wanted.is_sorted_by(|(one, _), (other, _)| one < other) {
            return Err("InvalidPartOrder");
        }
        self.uploads.remove(id);
        let etag = format!("{}-{}\"", etag(&bytes).trim_end_matches('"'), wanted.len());
        Ok(self.insert(key, etag, bytes, None))
    }

    fn insert(
        &mut self,
        key: &str,
        etag: String,
        bytes: Vec<u8>,
        content_type: Option<String>,
    ) -> &Object {
        let object = Object {
            version: self.next_id("version"),
            etag,
            bytes,
            content_type,
            created_at: clock::now_ms(),
            is_marker: false,
        };
        let (prefix, suffix) = &self.spec.event_keys;
        if key.starts_with(&**prefix) && key.ends_with(&**suffix) {
            self.events.push(ObjectCreated {
                bucket: self.spec.name.clone(),
                key: key.into(),
                version: object.version.clone(),
                size: object.bytes.len(),
                etag: object.etag.clone(),
                at_ms: object.created_at,
            });
        }
        let versions = self.objects.entry(key.into()).or_default();
        versions.push(object);
        &versions[versions.len() - 1]
    }

    fn next_id(&mut self, what: &str) -> String {
        self.last_id += 1;
        format!("{what}-{}", self.last_id)
    }
}

/// Any hash serves: S3's tag is opaque.
fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", hex::encode(&Sha256::digest(bytes)[..16]))
}
