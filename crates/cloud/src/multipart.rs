//! An object that is written while its content is produced: a multipart upload, so that memory does not grow
//! with it.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::Error;
use crate::files::{CSV_CONTENT_TYPE, Files};

/// The size of a part; S3 requires 5 MiB at least.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// An object that is being written. It appears in the bucket with [`MultipartWriter::finish`].
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
    /// Begins the object at `key`, such as [`crate::files::rejects_key`].
    pub fn new(files: &Files, key: String) -> Self {
        Self {
            files: files.clone(),
            key,
            buffer: Vec::new(),
            upload: None,
        }
    }

    /// Appends bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < PART_BYTES {
            return Ok(());
        }
        // Boxed: the request would make the future large, and it is made for each row.
        Box::pin(self.send_part()).await
    }

    /// Completes the object; it replaces an earlier one at its key. Returns its version, where the bucket has versions.
    pub async fn finish(mut self) -> Result<Option<String>, Error> {
        if self.upload.is_none() {
            return self.put_object().await;
        }
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        let Some(upload) = self.upload else {
            return Ok(None);
        };
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(upload.parts))
            .build();
        let Files { client, bucket } = &self.files;
        let complete = client
            .complete_multipart_upload()
            .bucket(bucket)
            .key(&self.key)
            .upload_id(upload.id)
            .multipart_upload(parts);
        let completed = complete.send().await;
        let completed = completed.map_err(Error::from_sdk("complete a multipart upload"))?;
        Ok(completed.version_id)
    }

    async fn put_object(self) -> Result<Option<String>, Error> {
        let Files { client, bucket } = &self.files;
        let put = client
            .put_object()
            .bucket(bucket)
            .key(&self.key)
            .content_type(CSV_CONTENT_TYPE)
            .body(ByteStream::from(self.buffer));
        let put = put.send().await;
        let written = put.map_err(Error::from_sdk("write an object"))?;
        Ok(written.version_id)
    }

    async fn send_part(&mut self) -> Result<(), Error> {
        let upload = match self.upload.take() {
            Some(upload) => upload,
            None => self.create_upload().await?,
        };
        let upload = self.upload.insert(upload);
        let number = upload.parts.len() as i32 + 1;
        let Files { client, bucket } = &self.files;
        let part = client
            .upload_part()
            .bucket(bucket)
            .key(&self.key)
            .upload_id(&upload.id)
            .part_number(number)
            .body(ByteStream::from(std::mem::take(&mut self.buffer)));
        let sent = part
            .send()
            .await
            .map_err(Error::from_sdk("send a part of a multipart upload"))?;
        let part = CompletedPart::builder().part_number(number);
        upload.parts.push(part.set_e_tag(sent.e_tag).build());
        Ok(())
    }

    async fn create_upload(&self) -> Result<MultipartUpload, Error> {
        let Files { client, bucket } = &self.files;
        let create = client
            .create_multipart_upload()
            .bucket(bucket)
            .key(&self.key)
            .content_type(CSV_CONTENT_TYPE);
        let created = create
            .send()
            .await
            .map_err(Error::from_sdk("begin a multipart upload"))?;
        Ok(MultipartUpload {
            id: created.upload_id.unwrap_or_default(),
            parts: Vec::new(),
        })
    }
}
