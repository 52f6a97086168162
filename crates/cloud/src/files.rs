//! The bucket: `uploads/{campaign}/input.csv` as uploaded, `uploads/{campaign}/rejects.csv` beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use campaign::id::CampaignId;
use tokio::io::AsyncBufRead;

use crate::Error;

/// The content type an upload must declare.
pub const CSV: &str = "text/csv";

/// The largest object one PUT may make, in bytes (S3 quotas: 5 GB).
pub const MAX_UPLOAD: u64 = 5 * 1024 * 1024 * 1024;

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

/// Where a campaign's file is.
pub fn input_key(campaign: &CampaignId) -> String {
    format!("uploads/{campaign}/input.csv")
}

/// Where the rows are listed that could not be used.
pub fn rejects_key(campaign: &CampaignId) -> String {
    format!("uploads/{campaign}/rejects.csv")
}

/// The campaign whose file `key` is.
pub fn campaign_of(key: &str) -> Option<CampaignId> {
    key.strip_prefix("uploads/")?
        .strip_suffix("/input.csv")?
        .parse()
        .ok()
}

impl Files {
    /// The bucket of that name.
    pub fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    /// Signs the one upload of a campaign: that size, that type, and only while no object is there.
    pub async fn sign_upload(
        &self,
        campaign: &CampaignId,
        size: u64,
        valid: Duration,
    ) -> Result<SignedRequest, Error> {
        let action = "sign the upload";
        let size = i64::try_from(size).map_err(|error| Error::new(action, error))?;
        let signed = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(input_key(campaign))
            .content_type(CSV)
            .content_length(size)
            .if_none_match("*")
            .presigned(presigning(valid)?)
            .await
            .map_err(Error::aws(action))?;
        Ok(signed_request(&signed))
    }

    /// Signs a download of the rejects file; `None` where there is none.
    pub async fn sign_rejects(
        &self,
        campaign: &CampaignId,
        valid: Duration,
    ) -> Result<Option<SignedRequest>, Error> {
        let key = rejects_key(campaign);
        let head = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(&key)
            .send()
            .await;
        match head {
            Ok(_) => {}
            // Without s3:ListBucket, S3 answers 403 for what is not there.
            Err(error)
                if matches!(
                    error.raw_response().map(|r| r.status().as_u16()),
                    Some(403 | 404)
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(Error::aws("look for the rejects file")(error)),
        }
        let file_name = format!("attachment; filename=\"rejects-{campaign}.csv\"");
        let get = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(&key)
            .response_content_disposition(file_name);
        let signed = get
            .presigned(presigning(valid)?)
            .await
            .map_err(Error::aws("sign the download"))?;
        Ok(Some(signed_request(&signed)))
    }

    /// Streams one version of a campaign's file.
    pub async fn open(
        &self,
        campaign: &CampaignId,
        version: Option<&str>,
    ) -> Result<impl AsyncBufRead + Send + Unpin + use<>, Error> {
        let object = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(input_key(campaign))
            .set_version_id(version.map(str::to_owned))
            .send()
            .await
            .map_err(Error::aws("open the uploaded file"))?;
        Ok(object.body.into_async_read())
    }

    /// Leaves a note beside an upload that belongs to no campaign, where whoever put it there will look.
    pub async fn refuse(&self, key: &str, why: &str) -> Result<(), Error> {
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
            .map_err(Error::aws("leave a note beside the upload"))
    }
}

fn presigning(valid: Duration) -> Result<PresigningConfig, Error> {
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
    fn a_key_leads_back_to_its_campaign() {
        let campaign: CampaignId = "c-1".parse().expect("id");
        assert_eq!(campaign_of(&input_key(&campaign)), Some(campaign.clone()));
        for key in [
            rejects_key(&campaign),
            "uploads/input.csv".into(),
            "uploads/A B/input.csv".into(),
            "x/c/input.csv".into(),
        ] {
            assert_eq!(campaign_of(&key), None, "{key}");
        }
    }
}
