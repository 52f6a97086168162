//! Uploads in parts: a large file is uploaded piece by piece with signed requests, and goes on where it stopped after the
//! connection was lost. Which upload belongs to which file of a campaign is in the campaigns table (`part` =
//! `upload#{file}`); which pieces are there, S3 says. S3 announces the object once, when all of its pieces are put together.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use campaign::id::CampaignId;
use campaign::time::Millis;
use serde::{Deserialize, Serialize};

use crate::dynamodb::{Item, get_value, number, put_if, text, to_item};
use crate::files::{
    CSV_CONTENT_TYPE, Files, SignedRequest, Upload, input_key, presigning_config, signed_request,
};
use crate::{Error, ErrorKind, ttl};

/// The size of every piece but the last, in bytes: 320 of them are the largest file, of which S3 takes 10,000.
pub const PART_BYTES: u64 = 16 * 1024 * 1024;

/// For how many days an upload is remembered. The bucket deletes the pieces of one that is not completed after a day.
const KEPT_DAYS: u32 = 2;

/// An upload in parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartUpload {
    /// S3's id of it.
    pub upload_id: String,
    /// The size of the whole file in bytes.
    pub size: u64,
    /// Whether it was completed.
    #[serde(default)]
    pub is_complete: bool,
}

/// A piece that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedPart {
    /// Its number, from 1.
    pub number: u32,
    /// Its size in bytes.
    pub size: u64,
    /// S3's hash of it.
    pub etag: String,
}

/// How completing an upload ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// The file is there, now or since before.
    Done,
    /// These pieces are missing, or have another size than they should.
    Missing(Vec<u32>),
    /// S3 does not know the upload any more.
    Gone,
}

impl PartUpload {
    /// How many pieces it has.
    pub fn parts(&self) -> u32 {
        u32::try_from(self.size.div_ceil(PART_BYTES)).unwrap_or(u32::MAX)
    }

    /// The size of a piece, `None` if there is none of that number.
    pub fn part_size(&self, number: u32) -> Option<u64> {
        let before = u64::from(number.checked_sub(1)?) * PART_BYTES;
        let left = self.size.checked_sub(before).filter(|&left| left > 0)?;
        Some(left.min(PART_BYTES))
    }

    /// The numbers of the pieces that are missing, or have another size than they should.
    fn missing(&self, uploaded: &[UploadedPart]) -> Vec<u32> {
        let is_there = |number: u32| {
            let mut known = uploaded.iter();
            known.any(|part| part.number == number && Some(part.size) == self.part_size(number))
        };
        (1..=self.parts())
            .filter(|&number| !is_there(number))
            .collect()
    }
}

/// The uploads in parts.
#[derive(Clone, Debug)]
pub struct PartUploads {
    client: Client,
    table: String,
    files: Files,
}

impl PartUploads {
    /// In the campaigns table of that name, and in that bucket.
    pub fn new(client: Client, table: String, files: Files) -> Self {
        Self {
            client,
            table,
            files,
        }
    }

    /// The upload of a campaign's file, if one was begun.
    pub async fn get(
        &self,
        campaign: &CampaignId,
        upload: Upload,
    ) -> Result<Option<PartUpload>, Error> {
        let get = self.client.get_item().table_name(&self.table);
        let get = get.set_key(Some(key(campaign, upload)));
        get_value("read an upload in parts", get).await
    }

    /// Begins an upload of `size` bytes in place of `former`. Where somebody else has begun one at the same time, that one is
    /// used.
    pub async fn begin(
        &self,
        campaign: &CampaignId,
        upload: Upload,
        size: u64,
        former: Option<&PartUpload>,
        now: Millis,
    ) -> Result<PartUpload, Error> {
        let action = "begin an upload in parts";
        let Files { client, bucket } = &self.files;
        let create = client
            .create_multipart_upload()
            .bucket(bucket)
            .key(input_key(campaign, upload))
            .content_type(CSV_CONTENT_TYPE);
        let created = create.send().await.map_err(Error::from_sdk(action))?;
        let begun = PartUpload {
            upload_id: created.upload_id.unwrap_or_default(),
            size,
            is_complete: false,
        };
        let mut item = to_item(action, &begun)?;
        item.extend(key(campaign, upload));
        item.insert("expires_at".into(), number(ttl(now, KEPT_DAYS)));
        let put = self.client.put_item().table_name(&self.table);
        let put = put.set_item(Some(item));
        let put = match former {
            Some(former) => put
                .condition_expression("upload_id = :former")
                .expression_attribute_values(":former", text(&former.upload_id)),
            None => put.condition_expression("attribute_not_exists(id)"),
        };
        if put_if(action, put).await? {
            return Ok(begun);
        }
        // The bucket deletes the one that was begun here for nothing.
        let other = self.get(campaign, upload).await?;
        other.ok_or_else(|| Error::new(action, "another upload was begun and has disappeared"))
    }

    /// The pieces that are there; `None` if S3 does not know the upload any more.
    pub async fn list_parts(
        &self,
        campaign: &CampaignId,
        upload: Upload,
        begun: &PartUpload,
    ) -> Result<Option<Vec<UploadedPart>>, Error> {
        let action = "list the parts of an upload";
        let Files { client, bucket } = &self.files;
        let (mut parts, mut marker) = (Vec::new(), None);
        loop {
            let list = client
                .list_parts()
                .bucket(bucket)
                .key(input_key(campaign, upload))
                .upload_id(&begun.upload_id)
                .set_part_number_marker(marker);
            let listed = match list.send().await.map_err(Error::from_sdk(action)) {
                Ok(listed) => listed,
                Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            parts.extend(
                listed
                    .parts
                    .unwrap_or_default()
                    .into_iter()
                    .map(|part| UploadedPart {
                        number: part.part_number.unwrap_or_default().unsigned_abs(),
                        size: part.size.unwrap_or_default().unsigned_abs(),
                        etag: part.e_tag.unwrap_or_default(),
                    }),
            );
            if listed.is_truncated != Some(true) {
                return Ok(Some(parts));
            }
            marker = listed.next_part_number_marker;
        }
    }

    /// Signs the upload of one piece, of exactly its size.
    pub async fn sign_part(
        &self,
        campaign: &CampaignId,
        upload: Upload,
        begun: &PartUpload,
        (number, size): (u32, u64),
        valid: Duration,
    ) -> Result<SignedRequest, Error> {
        let action = "sign a part of an upload";
        let Files { client, bucket } = &self.files;
        let size = i64::try_from(size).map_err(|error| Error::new(action, error))?;
        let number = i32::try_from(number).map_err(|error| Error::new(action, error))?;
        let part = client
            .upload_part()
            .bucket(bucket)
            .key(input_key(campaign, upload))
            .upload_id(&begun.upload_id)
            .part_number(number)
            .content_length(size);
        let signed = part.presigned(presigning_config(valid)?).await;
        signed
            .map(|signed| signed_request(&signed))
            .map_err(Error::from_sdk(action))
    }

    /// Puts the pieces together, once: only while the object does not exist.
    pub async fn complete(
        &self,
        campaign: &CampaignId,
        upload: Upload,
        begun: &PartUpload,
    ) -> Result<Completion, Error> {
        if begun.is_complete {
            return Ok(Completion::Done);
        }
        let Some(parts) = self.list_parts(campaign, upload, begun).await? else {
            return Ok(Completion::Gone);
        };
        let missing = begun.missing(&parts);
        if !missing.is_empty() {
            return Ok(Completion::Missing(missing));
        }
        let action = "complete an upload in parts";
        let Files { client, bucket } = &self.files;
        let completed = parts.into_iter().map(|part| {
            let number = i32::try_from(part.number).unwrap_or(i32::MAX);
            let completed = CompletedPart::builder().part_number(number);
            completed.e_tag(part.etag).build()
        });
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(completed.collect()))
            .build();
        let complete = client
            .complete_multipart_upload()
            .bucket(bucket)
            .key(input_key(campaign, upload))
            .upload_id(&begun.upload_id)
            .multipart_upload(parts)
            .if_none_match("*");
        match complete.send().await.map_err(Error::from_sdk(action)) {
            Ok(_) => {}
            // The file is there already: uploaded at once, or by a request whose response was lost.
            Err(error) if error.kind == ErrorKind::ConditionFailed => {}
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(Completion::Gone),
            Err(error) => return Err(error),
        }
        self.mark_complete(campaign, upload).await?;
        Ok(Completion::Done)
    }

    /// Deletes the pieces of an upload for good.
    pub async fn abort(
        &self,
        campaign: &CampaignId,
        upload: Upload,
        begun: &PartUpload,
    ) -> Result<(), Error> {
        let Files { client, bucket } = &self.files;
        let abort = client
            .abort_multipart_upload()
            .bucket(bucket)
            .key(input_key(campaign, upload))
            .upload_id(&begun.upload_id);
        let aborted = abort.send().await;
        match aborted.map_err(Error::from_sdk("abort an upload in parts")) {
            Ok(_) => Ok(()),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn mark_complete(&self, campaign: &CampaignId, upload: Upload) -> Result<(), Error> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(campaign, upload)))
            .update_expression("SET is_complete = :yes")
            .expression_attribute_values(
                ":yes",
                aws_sdk_dynamodb::types::AttributeValue::Bool(true),
            );
        let updated = update.send().await;
        updated
            .map(drop)
            .map_err(Error::from_sdk("note that an upload is complete"))
    }
}

fn key(campaign: &CampaignId, upload: Upload) -> Item {
    let file = match upload {
        Upload::File(index) => (index + 1).to_string(),
        Upload::Exclusions => "exclude".into(),
    };
    [
        ("id".into(), text(campaign.as_str())),
        ("part".into(), text(&format!("upload#{file}"))),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_file() {
        for size in [1, PART_BYTES, PART_BYTES + 1, 700 * 1024 * 1024, 5 << 30] {
            let upload = PartUpload {
                upload_id: "u".into(),
                size,
                is_complete: false,
            };
            let sizes: Vec<u64> = (1..=upload.parts())
                .map(|number| upload.part_size(number).expect("a part"))
                .collect();
            assert_eq!(sizes.iter().sum::<u64>(), size);
            assert_eq!(upload.part_size(upload.parts() + 1), None);
            assert_eq!(upload.part_size(0), None);
        }
    }

    #[test]
    fn part_of_another_size_is_missing() {
        let upload = PartUpload {
            upload_id: "u".into(),
            size: PART_BYTES + 5,
            is_complete: false,
        };
        let part = |number, size| UploadedPart {
            number,
            size,
            etag: String::new(),
        };
        assert_eq!(upload.missing(&[]), [1, 2]);
        assert_eq!(upload.missing(&[part(1, PART_BYTES), part(2, 4)]), [2]);
        assert!(
            upload
                .missing(&[part(1, PART_BYTES), part(2, 5)])
                .is_empty()
        );
    }
}
