//! The bucket: `uploads/{campaign}/input.csv` as uploaded, with `rejects.csv` beside it; a campaign's further
//! files under `files/2/` and so on, its list of recipients to leave out under `exclude/`; results in
//! `reports/{campaign}/`; what imports found in the files in `recipients/{campaign}/`; answers of Meta's in `cache/`.
//!
//! `files/keys.rs` and `files/chunk_set.rs` have the keys.

mod chunk_set;
mod keys;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use campaign::id::CampaignId;
use tokio::io::AsyncBufRead;

use self::keys::{cache_key, refusal_key};
use crate::{Error, ErrorKind};

pub use self::chunk_set::{ChunkSet, recipients_prefix};
pub use keys::{Upload, input_key, parse_upload_key, rejects_key, report_key, summary_key};

/// The content type an upload must declare.
pub const CSV_CONTENT_TYPE: &str = "text/csv";

/// The size limit of an object that one PUT uploads, in bytes (S3 quotas: 5 GB).
pub const MAX_UPLOAD_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// A signed request: whoever has it may send it until it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// `PUT` or `GET`.
    pub method: String,
    /// The whole URL with the signature.
    pub url: String,
    /// Headers that must be sent exactly as they are.
    pub headers: BTreeMap<String, String>,
}

/// A version of an object, or a mark that it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// The object's key.
    pub key: String,
    /// The version's id.
    pub version: Option<String>,
    /// Whether whoever reads the object gets this version.
    pub is_latest: bool,
}

impl ObjectVersion {
    fn new(key: Option<String>, version: Option<String>, is_latest: bool) -> Option<Self> {
        Some(Self {
            key: key?,
            version,
            is_latest,
        })
    }
}

/// Crier's bucket.
#[derive(Clone, Debug)]
pub struct Files {
    pub(crate) client: Client,
    pub(crate) bucket: String,
}

impl Files {
    /// The bucket of that name.
    pub fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    /// Signs one upload to a campaign: of this size and the content type CSV, and only while the object does
    /// not exist.
    pub async fn sign_upload(
        &self,
        campaign: &CampaignId,
        upload: Upload,
        size: u64,
        valid: Duration,
    ) -> Result<SignedRequest, Error> {
        let action = "sign the upload";
        let size = i64::try_from(size).map_err(|error| Error::new(action, error))?;
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(input_key(campaign, upload))
            .content_type(CSV_CONTENT_TYPE)
            .content_length(size)
            .if_none_match("*");
        let signed = put.presigned(presigning_config(valid)?).await;
        signed
            .map(|signed| signed_request(&signed))
            .map_err(Error::from_sdk(action))
    }

    /// Signs a download of the object at `key` under the file name `name`; `None` if the object does not
    /// exist.
    pub async fn sign_download(
        &self,
        key: &str,
        name: &str,
        valid: Duration,
    ) -> Result<Option<SignedRequest>, Error> {
        if !self.object_exists(key).await? {
            return Ok(None);
        }
        let get = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .response_content_disposition(format!("attachment; filename=\"{name}\""));
        let signed = get
            .presigned(presigning_config(valid)?)
            .await
            .map_err(Error::from_sdk("sign the download"))?;
        Ok(Some(signed_request(&signed)))
    }

    /// Deletes every version of the object at `key` for good.
    pub async fn delete_versions(&self, key: &str) -> Result<(), Error> {
        self.delete_matching(key, |found| found.key == key).await
    }

    /// Deletes the versions and delete markers below `prefix` for good for which `should_delete` holds.
    pub async fn delete_matching(
        &self,
        prefix: &str,
        mut should_delete: impl FnMut(&ObjectVersion) -> bool,
    ) -> Result<(), Error> {
        let action = "delete an object for good";
        let (mut next_key, mut next_version) = (None, None);
        loop {
            let list = self
                .client
                .list_object_versions()
                .bucket(&self.bucket)
                .prefix(prefix)
                .set_key_marker(next_key)
                .set_version_id_marker(next_version);
            let listed = list.send().await.map_err(Error::from_sdk(action))?;
            let versions = listed.versions.unwrap_or_default().into_iter();
            let versions = versions.filter_map(|version| {
                let is_latest = version.is_latest.unwrap_or(true);
                ObjectVersion::new(version.key, version.version_id, is_latest)
            });
            let markers = listed.delete_markers.unwrap_or_default().into_iter();
            let markers = markers.filter_map(|marker| {
                let is_latest = marker.is_latest.unwrap_or(true);
                ObjectVersion::new(marker.key, marker.version_id, is_latest)
            });
            let found: Vec<_> = versions.chain(markers).filter(&mut should_delete).collect();
            for found in found {
                let delete = self.client.delete_object().bucket(&self.bucket);
                let delete = delete.key(found.key).set_version_id(found.version);
                delete.send().await.map_err(Error::from_sdk(action))?;
            }
            if listed.is_truncated != Some(true) {
                return Ok(());
            }
            (next_key, next_version) = (listed.next_key_marker, listed.next_version_id_marker);
        }
    }

    /// Reads the object at `key` into memory; `None` if it does not exist.
    pub async fn read_object(&self, key: &str) -> Result<Option<Bytes>, Error> {
        let action = "read an object";
        let get = self.client.get_object().bucket(&self.bucket).key(key);
        let object = get.send().await.map_err(Error::from_sdk(action));
        let Some(object) = existing(object)? else {
            return Ok(None);
        };
        let body = object.body.collect().await;
        let body = body.map_err(|error| Error::with_kind(action, ErrorKind::Unavailable, error))?;
        Ok(Some(body.into_bytes()))
    }

    /// Writes the object at `key`. Returns its version, where the bucket has versions.
    pub async fn write_object(&self, key: &str, bytes: Vec<u8>) -> Result<Option<String>, Error> {
        let put = self.client.put_object().bucket(&self.bucket).key(key);
        let put = put.body(ByteStream::from(bytes)).send().await;
        let written = put.map_err(Error::from_sdk("write an object"))?;
        Ok(written.version_id)
    }

    /// Writes the object at `key`, and deletes what was there before for good.
    pub async fn replace_object(&self, key: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let version = self.write_object(key, bytes).await?;
        self.delete_older_versions(key, version).await
    }

    /// Deletes for good what was at `key` before the version that was written just now. A later one stays: of two processes that
    /// both replace an object, neither deletes what the other has written, else nothing would be left.
    pub async fn delete_older_versions(
        &self,
        key: &str,
        written: Option<String>,
    ) -> Result<(), Error> {
        if written.is_none() {
            // Without versions, there is nothing but what was written.
            return Ok(());
        }
        // The latest comes first (S3 API, "ListObjectVersions").
        let mut is_older = false;
        let should_delete = |found: &ObjectVersion| {
            if found.key != key {
                return false;
            }
            let is_written = found.version == written;
            let should_delete = is_older && !is_written && !found.is_latest;
            is_older |= is_written;
            should_delete
        };
        self.delete_matching(key, should_delete).await
    }

    /// Whether an upload exists.
    pub async fn upload_exists(
        &self,
        campaign: &CampaignId,
        upload: Upload,
    ) -> Result<bool, Error> {
        self.object_exists(&input_key(campaign, upload)).await
    }

    async fn object_exists(&self, key: &str) -> Result<bool, Error> {
        let head = self.client.head_object().bucket(&self.bucket).key(key);
        let object = head.send().await.map_err(Error::from_sdk("find an object"));
        Ok(existing(object)?.is_some())
    }

    /// Streams an upload; `None` if there is none, or no more.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign))]
    pub async fn open_upload(
        &self,
        campaign: &CampaignId,
        upload: Upload,
    ) -> Result<Option<impl AsyncBufRead + Send + Unpin + 'static + use<>>, Error> {
        let key = input_key(campaign, upload);
        let get = self.client.get_object().bucket(&self.bucket).key(key);
        let object = get.send().await;
        let object = existing(object.map_err(Error::from_sdk("open the uploaded file")))?;
        Ok(object.map(|object| object.body.into_async_read()))
    }

    /// Cached data; `None` if there is none under this name.
    pub async fn read_cache(&self, name: &str) -> Result<Option<Bytes>, Error> {
        self.read_object(&cache_key(name)).await
    }

    /// Caches data that is expensive to request.
    pub async fn write_cache(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        self.write_object(&cache_key(name), bytes).await.map(drop)
    }

    /// Puts a note beside an upload that belongs to no campaign, for the person who uploaded it.
    pub async fn write_refusal(&self, key: &str, reason: &str) -> Result<(), Error> {
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(refusal_key(key))
            .content_type("text/plain")
            .body(ByteStream::from(reason.as_bytes().to_vec()));
        let put = put.send().await;
        put.map(drop)
            .map_err(Error::from_sdk("write a note beside the upload"))
    }
}

/// Without the permission `s3:ListBucket`, S3 answers 403 for an object that does not exist.
fn existing<T>(object: Result<T, Error>) -> Result<Option<T>, Error> {
    match object {
        Ok(object) => Ok(Some(object)),
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Denied) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn presigning_config(valid: Duration) -> Result<PresigningConfig, Error> {
    PresigningConfig::expires_in(valid).map_err(|error| Error::new("sign a request", error))
}

pub(crate) fn signed_request(signed: &PresignedRequest) -> SignedRequest {
    SignedRequest {
        method: signed.method().to_owned(),
        url: signed.uri().to_owned(),
        headers: signed
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}
