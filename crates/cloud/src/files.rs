//! The bucket: `uploads/{campaign}/input.csv` as uploaded, `rejects.csv` beside it; a campaign's further files under
//! `files/2/` and so on, its list of people to leave out under `exclude/`; `reports/{campaign}/` for results; `cache/` for what is asked of
//! Meta.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use campaign::id::CampaignId;
use tokio::io::AsyncBufRead;

use crate::Error;

/// The content type an upload must declare.
pub const CSV_CONTENT_TYPE: &str = "text/csv";

/// The largest object one PUT may make, in bytes (S3 quotas: 5 GB).
pub const MAX_UPLOAD_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// A signed request that anybody who holds it may make until it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// `PUT` or `GET`.
    pub method: String,
    /// The whole URL, signature included.
    pub url: String,
    /// Headers that must be sent exactly so.
    pub headers: BTreeMap<String, String>,
}

/// Crier's bucket.
#[derive(Clone, Debug)]
pub struct Files {
    pub(crate) client: Client,
    pub(crate) bucket: String,
}

/// What people upload to a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    /// Its file at this index, from 0.
    File(usize),
    /// The list of people to leave out.
    Exclusions,
}

/// Where an upload is.
pub fn input_key(campaign: &CampaignId, upload: Upload) -> String {
    format!("uploads/{campaign}/{}input.csv", folder(upload))
}

/// Where the rows of a file are listed that could not be used.
pub fn rejects_key(campaign: &CampaignId, index: usize) -> String {
    format!(
        "uploads/{campaign}/{}rejects.csv",
        folder(Upload::File(index))
    )
}

/// Where the report of a file is.
pub fn report_key(campaign: &CampaignId, index: usize) -> String {
    format!("reports/{campaign}/{}.csv", index + 1)
}

/// Where a campaign's summary is.
pub fn summary_key(campaign: &CampaignId) -> String {
    format!("reports/{campaign}/summary.json")
}

/// The first file is where it always was; people count the others from 2.
fn folder(upload: Upload) -> String {
    match upload {
        Upload::File(0) => String::new(),
        Upload::File(index) => format!("files/{}/", index + 1),
        Upload::Exclusions => "exclude/".into(),
    }
}

/// What was uploaded to `key`, and to which campaign.
pub fn parse_upload_key(key: &str) -> Option<(CampaignId, Upload)> {
    let (campaign, rest) = key.strip_prefix("uploads/")?.split_once('/')?;
    let upload = match rest.strip_suffix("input.csv")? {
        "" => Upload::File(0),
        "exclude/" => Upload::Exclusions,
        folder => {
            let number: usize = folder
                .strip_prefix("files/")?
                .strip_suffix('/')?
                .parse()
                .ok()?;
            Upload::File(number.checked_sub(1).filter(|&index| index > 0)?)
        }
    };
    Some((campaign.parse().ok()?, upload))
}

impl Files {
    /// The bucket of that name.
    pub fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    /// Signs one upload of a campaign: that size, that type, and only while no object is there.
    pub async fn sign_upload(
        &self,
        campaign: &CampaignId,
        upload: Upload,
        size: u64,
        valid: Duration,
    ) -> Result<SignedRequest, Error> {
        let action = "sign the upload";
        let size = i64::try_from(size).map_err(|error| Error::new(action, error))?;
        let signed = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(input_key(campaign, upload))
            .content_type(CSV_CONTENT_TYPE)
            .content_length(size)
            .if_none_match("*")
            .presigned(presigning_config(valid)?)
            .await
            .map_err(Error::from_sdk(action))?;
        Ok(signed_request(&signed))
    }

    /// Signs a download of the file at `key`, which people get under the name given; `None` where it is not there.
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

    /// The version of the file at `key` as it is now; `None` where it is not there.
    pub async fn latest_version(&self, key: &str) -> Result<Option<String>, Error> {
        let head = self.client.head_object().bucket(&self.bucket).key(key);
        match head.send().await {
            Ok(object) => Ok(object.version_id),
            Err(error) if is_not_found(error.raw_response().map(|r| r.status().as_u16())) => {
                Ok(None)
            }
            Err(error) => Err(Error::from_sdk("look for a file")(error)),
        }
    }

    /// Deletes every version of the file at `key` but the one to keep, for good.
    pub async fn delete_versions(&self, key: &str, keep: Option<&str>) -> Result<(), Error> {
        let action = "delete a file for good";
        let list = self
            .client
            .list_object_versions()
            .bucket(&self.bucket)
            .prefix(key);
        let listed = list.send().await.map_err(Error::from_sdk(action))?;
        let versions = listed.versions.unwrap_or_default().into_iter();
        let versions = versions.map(|version| (version.key, version.version_id));
        let marks = listed.delete_markers.unwrap_or_default().into_iter();
        let marks = marks.map(|mark| (mark.key, mark.version_id));
        for (found, version) in versions.chain(marks) {
            if found.as_deref() != Some(key) || version.as_deref() == keep {
                continue;
            }
            let delete = self.client.delete_object().bucket(&self.bucket).key(key);
            let deleted = delete.set_version_id(version).send().await;
            deleted.map_err(Error::from_sdk(action))?;
        }
        Ok(())
    }

    /// Reads the file at `key`; `None` where it is not there.
    pub async fn read_object(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let action = "read a file of the bucket";
        let get = self.client.get_object().bucket(&self.bucket).key(key);
        match get.send().await {
            Ok(object) => {
                let body = object.body.collect().await;
                let body = body.map_err(|error| Error::new(action, error))?;
                Ok(Some(body.to_vec()))
            }
            Err(error) if is_not_found(error.raw_response().map(|r| r.status().as_u16())) => {
                Ok(None)
            }
            Err(error) => Err(Error::from_sdk(action)(error)),
        }
    }

    /// Whether an upload is there.
    pub async fn upload_exists(
        &self,
        campaign: &CampaignId,
        upload: Upload,
    ) -> Result<bool, Error> {
        self.object_exists(&input_key(campaign, upload)).await
    }

    async fn object_exists(&self, key: &str) -> Result<bool, Error> {
        let head = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await;
        match head {
            Ok(_) => Ok(true),
            Err(error) if is_not_found(error.raw_response().map(|r| r.status().as_u16())) => {
                Ok(false)
            }
            Err(error) => Err(Error::from_sdk("look for a file")(error)),
        }
    }

    /// Streams an upload, one version of it or the latest; tells which.
    pub async fn open_upload(
        &self,
        campaign: &CampaignId,
        upload: Upload,
        version: Option<&str>,
    ) -> Result<
        (
            impl AsyncBufRead + Send + Unpin + 'static + use<>,
            Option<String>,
        ),
        Error,
    > {
        let object = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(input_key(campaign, upload))
            .set_version_id(version.map(str::to_owned))
            .send()
            .await
            .map_err(Error::from_sdk("open the uploaded file"))?;
        Ok((object.body.into_async_read(), object.version_id))
    }

    /// Something that was kept to spare asking for it again; `None` where nothing was.
    pub async fn read_cache(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.read_object(&cache_key(name)).await
    }

    /// Keeps something to spare asking for it again.
    pub async fn write_cache(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(cache_key(name))
            .body(ByteStream::from(bytes));
        put.send()
            .await
            .map(drop)
            .map_err(Error::from_sdk("keep what was asked"))
    }

    /// Leaves a note beside an upload that belongs to no campaign, where whoever put it there will look.
    pub async fn write_refusal(&self, key: &str, why: &str) -> Result<(), Error> {
        let note = format!("{}.refused.txt", key.trim_end_matches(".csv"));
        let body = ByteStream::from(why.as_bytes().to_vec());
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(note)
            .content_type("text/plain")
            .body(body);
        put.send()
            .await
            .map(drop)
            .map_err(Error::from_sdk("leave a note beside the upload"))
    }
}

fn cache_key(name: &str) -> String {
    format!("cache/{name}.json")
}

/// Without s3:ListBucket, S3 answers 403 for what is not there.
fn is_not_found(status: Option<u16>) -> bool {
    matches!(status, Some(403 | 404))
}

fn presigning_config(valid: Duration) -> Result<PresigningConfig, Error> {
    PresigningConfig::expires_in(valid).map_err(|error| Error::new("sign a request", error))
}

fn signed_request(signed: &aws_sdk_s3::presigning::PresignedRequest) -> SignedRequest {
    SignedRequest {
        method: signed.method().to_owned(),
        url: signed.uri().to_owned(),
        headers: signed
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_identifies_its_campaign_and_upload() {
        let campaign: CampaignId = "c-1".parse().expect("id");
        for upload in [
            Upload::File(0),
            Upload::File(1),
            Upload::File(9),
            Upload::Exclusions,
        ] {
            assert_eq!(
                parse_upload_key(&input_key(&campaign, upload)),
                Some((campaign.clone(), upload))
            );
        }
        assert_eq!(
            input_key(&campaign, Upload::File(1)),
            "uploads/c-1/files/2/input.csv"
        );
        for key in [
            rejects_key(&campaign, 0),
            "uploads/input.csv".into(),
            "uploads/A B/input.csv".into(),
            "uploads/c/files/1/input.csv".into(),
            "uploads/c/files/0/input.csv".into(),
            "uploads/c/other/input.csv".into(),
            "x/c/input.csv".into(),
        ] {
            assert_eq!(parse_upload_key(&key), None, "{key}");
        }
    }
}
