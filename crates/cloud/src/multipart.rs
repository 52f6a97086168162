//! A file of the bucket, written while it is made; memory does not grow with it.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::Error;
use crate::files::{CSV_CONTENT_TYPE, Files};

/// A part of a multipart upload; S3 wants 5 MiB at least.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// A file under way. Nothing shows in the bucket before [`Output::finish`].
#[derive(Debug)]
pub struct MultipartWriter {
    files: Files,
    key: String,
    buffer: Vec<u8>,
    upload: Option<MultipartUpload>,
}

#[derive(Debug)]
struct MultipartUpload {
    id: String,
    parts: Vec<CompletedPart>,
}

impl MultipartWriter {
    /// Begins the file at `key`, such as [`crate::files::rejects_key`].
    pub fn new(files: &Files, key: String) -> Self {
        Self {
            files: files.clone(),
            key,
            buffer: Vec::new(),
            upload: None,
        }
    }

    /// Adds bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART_BYTES {
            self.send_part().await
        } else {
            Ok(())
        }
    }

    /// Makes the file appear, in the place of an earlier one.
    pub async fn finish(mut self) -> Result<(), Error> {
        if self.upload.is_none() {
            return self.put_object().await;
        }
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        let Some(upload) = self.upload else {
            return Ok(());
        };
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(upload.parts))
            .build();
        let complete = self
            .files
            .client
            .complete_multipart_upload()
            .bucket(&self.files.bucket)
            .key(&self.key);
        let complete = complete.upload_id(upload.id).multipart_upload(parts);
        complete
            .send()
            .await
            .map(drop)
            .map_err(Error::from_sdk("complete a file of the bucket"))
    }

    async fn put_object(self) -> Result<(), Error> {
        let put = self
            .files
            .client
            .put_object()
            .bucket(&self.files.bucket)
            .key(&self.key);
        let put = put
            .content_type(CSV_CONTENT_TYPE)
            .body(ByteStream::from(self.buffer));
        put.send()
            .await
            .map(drop)
            .map_err(Error::from_sdk("write a file of the bucket"))
    }

    async fn send_part(&mut self) -> Result<(), Error> {
        let Files { client, bucket } = &self.files;
        let upload = match self.upload.take() {
            Some(upload) => self.upload.insert(upload),
            None => {
                let create = client
                    .create_multipart_upload()
                    .bucket(bucket)
                    .key(&self.key)
                    .content_type(CSV_CONTENT_TYPE);
                let created = create
                    .send()
                    .await
                    .map_err(Error::from_sdk("begin a file of the bucket"))?;
                let id = created.upload_id.unwrap_or_default();
                self.upload.insert(MultipartUpload {
                    id,
                    parts: Vec::new(),
                })
            }
        };
        let number = upload.parts.len() as i32 + 1;
        let body = ByteStream::from(std::mem::take(&mut self.buffer));
        let part = client
            .upload_part()
            .bucket(bucket)
            .key(&self.key)
            .upload_id(&upload.id)
            .part_number(number);
        let sent = part
            .body(body)
            .send()
            .await
            .map_err(Error::from_sdk("write a part of a file of the bucket"))?;
        upload.parts.push(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(sent.e_tag)
                .build(),
        );
        Ok(())
    }
}
