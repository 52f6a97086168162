//! Uploads in parts, for large files: begin or resume, sign parts, complete, abort.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, FileStage};
use cloud::files::Upload;
use cloud::part_uploads::{Completion, PART_BYTES, PartUpload, UploadedPart};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::body::JsonBody;
use crate::extract::{CampaignPath, Query};
use crate::openapi::{BodyErrors, Conflict, NotFound, RequestErrors};
use crate::problem::Problem;
use crate::signed_url::SignedUpload;
use crate::time::format_time;

/// How long the signature of a part works.
const PART_URL_TTL: Duration = Duration::from_secs(3600);

/// The most parts that one request signs.
const MAX_SIGNED_PARTS: usize = 100;

/// How many missing parts an answer names.
const SHOWN_MISSING: usize = 20;

/// The file of an upload in parts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PartUploadFile {
    /// The file's number, from 1, or `exclude` for the exclude list.
    #[schema(pattern = "^([1-9][0-9]{0,5}|exclude)$", example = "1")]
    #[serde(deserialize_with = "text_or_number")]
    file: String,
}

/// Which file's upload in parts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PartUploadQuery {
    /// The file's number, from 1, or `exclude` for the exclude list.
    #[param(pattern = "^([1-9][0-9]{0,5}|exclude)$", example = "1")]
    file: String,
}

/// What `POST /v1/campaigns/{id}/upload/parts` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PartsToSign {
    /// The file's number, from 1, or `exclude` for the exclude list.
    #[schema(pattern = "^([1-9][0-9]{0,5}|exclude)$", example = "1")]
    #[serde(deserialize_with = "text_or_number")]
    file: String,
    /// The numbers of the parts to sign, from 1.
    #[schema(min_items = 1, max_items = 100, example = json!([1, 2, 3]))]
    parts: Vec<u32>,
}

/// An upload in parts.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartUploadView {
    /// The file's number, or `exclude`.
    pub file: String,
    /// The size of the whole file in bytes.
    pub size: u64,
    /// The size of every part but the last, in bytes.
    pub part_size: u64,
    /// How many parts there are.
    pub parts: u32,
    /// The parts that are there.
    pub uploaded: Vec<UploadedPartView>,
    /// Whether the file is uploaded.
    pub complete: bool,
}

/// A part that is there.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadedPartView {
    /// Its number, from 1.
    pub part: u32,
    /// Its size in bytes.
    pub size: u64,
    /// S3's hash of it.
    pub etag: String,
}

/// Signed parts.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedParts {
    /// The parts.
    pub parts: Vec<SignedPart>,
}

/// A signed part: the request to make with its bytes.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedPart {
    /// Its number, from 1: its bytes begin at `(part - 1) × part_size`.
    pub part: u32,
    /// The request.
    #[serde(flatten)]
    pub upload: SignedUpload,
}

/// Begins the upload of a file in parts, or resumes it: the answer says which parts are there.
///
/// For files that are too large to be uploaded at once over a connection that may be lost; in place of the PUT to the signed
/// URL that the campaign came with.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/upload", operation_id = "startUpload", tag = "campaigns",
    params(CampaignPath), request_body = PartUploadFile,
    responses((status = 200, body = PartUploadView, description = "The upload, with the parts that are there"),
        RequestErrors, BodyErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn start_upload(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
    JsonBody(PartUploadFile { file }): JsonBody<PartUploadFile>,
) -> Result<Json<PartUploadView>, Problem> {
    let campaign = api.find_campaign(&id).await?;
    let (upload, size) = awaited_file(&campaign, &file)?;
    let known = api.part_uploads.get(&id, upload).await?;
    if let Some(known) = known.as_ref().filter(|known| known.size == size) {
        let parts = api.part_uploads.list_parts(&id, upload, known).await?;
        if let Some(parts) = parts.filter(|_| !known.is_complete) {
            return Ok(Json(view(file, known, parts)));
        }
        if known.is_complete {
            return Ok(Json(view(file, known, Vec::new())));
        }
    }
    let now = cloud::now();
    let begun = api
        .part_uploads
        .begin(&id, upload, size, known.as_ref(), now)
        .await?;
    Ok(Json(view(file, &begun, Vec::new())))
}

/// Gets the upload of a file in parts, with the parts that are there.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/upload", operation_id = "getUpload", tag = "campaigns",
    params(CampaignPath, PartUploadQuery),
    responses((status = 200, body = PartUploadView, description = "The upload, with the parts that are there"),
        RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn get_upload(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
    Query(PartUploadQuery { file }): Query<PartUploadQuery>,
) -> Result<Json<PartUploadView>, Problem> {
    let upload = parse_file(&file).map_err(|detail| Problem::invalid_parameter("file", detail))?;
    api.find_campaign(&id).await?;
    let begun = api.find_upload(&id, upload).await?;
    if begun.is_complete {
        return Ok(Json(view(file, &begun, Vec::new())));
    }
    let parts = api.part_uploads.list_parts(&id, upload, &begun).await?;
    let parts = parts.ok_or_else(Problem::unknown_upload)?;
    Ok(Json(view(file, &begun, parts)))
}

/// Signs parts: PUT the bytes of each one to its URL. A part may be sent again.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/upload/parts", operation_id = "signParts", tag = "campaigns",
    params(CampaignPath), request_body = PartsToSign,
    responses((status = 200, body = SignedParts, description = "Where to put each part"),
        RequestErrors, BodyErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn sign_parts(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
    JsonBody(PartsToSign { file, parts }): JsonBody<PartsToSign>,
) -> Result<Json<SignedParts>, Problem> {
    let campaign = api.find_campaign(&id).await?;
    let (upload, _) = awaited_file(&campaign, &file)?;
    let begun = api.find_upload(&id, upload).await?;
    if parts.is_empty() || parts.len() > MAX_SIGNED_PARTS {
        let detail = format!("must have 1 to {MAX_SIGNED_PARTS} numbers");
        return Err(Problem::invalid_field("/parts", detail));
    }
    let expires_at = format_time(cloud::now() + PART_URL_TTL.as_millis() as u64);
    let mut signed_parts = Vec::new();
    for (index, &part) in parts.iter().enumerate() {
        let size = begun.part_size(part).ok_or_else(|| {
            let detail = format!("must be from 1 to {}, the number of parts", begun.parts());
            Problem::invalid_field(format!("/parts/{index}"), detail)
        })?;
        let signed = api
            .part_uploads
            .sign_part(&id, upload, &begun, (part, size), PART_URL_TTL)
            .await?;
        signed_parts.push(SignedPart {
            part,
            upload: SignedUpload {
                method: signed.method,
                url: signed.url,
                headers: signed.headers,
                expires_at: expires_at.clone(),
            },
        });
    }
    Ok(Json(SignedParts {
        parts: signed_parts,
    }))
}

/// Completes an upload in parts: from then on the file is there, and Crier reads it. May be repeated.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/upload/complete", operation_id = "completeUpload", tag = "campaigns",
    params(CampaignPath), request_body = PartUploadFile,
    responses((status = 200, body = PartUploadView, description = "The file is uploaded"),
        RequestErrors, BodyErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn complete_upload(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
    JsonBody(PartUploadFile { file }): JsonBody<PartUploadFile>,
) -> Result<Json<PartUploadView>, Problem> {
    let upload = parse_file(&file).map_err(|detail| Problem::invalid_field("/file", detail))?;
    api.find_campaign(&id).await?;
    let mut begun = api.find_upload(&id, upload).await?;
    match api.part_uploads.complete(&id, upload, &begun).await? {
        Completion::Done => {
            begun.is_complete = true;
            Ok(Json(view(file, &begun, Vec::new())))
        }
        Completion::Missing(parts) => Err(Problem::conflict(missing_text(&parts))),
        Completion::Gone => Err(Problem::conflict(
            "the upload does not exist any more: it was aborted, or is older than a day; begin it again",
        )),
    }
}

/// Aborts an upload in parts: its parts are deleted.
#[utoipa::path(
    delete, path = "/v1/campaigns/{id}/upload", operation_id = "abortUpload", tag = "campaigns",
    params(CampaignPath, PartUploadQuery),
    responses((status = 204, description = "The parts are deleted"), RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn abort_upload(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
    Query(PartUploadQuery { file }): Query<PartUploadQuery>,
) -> Result<StatusCode, Problem> {
    let upload = parse_file(&file).map_err(|detail| Problem::invalid_parameter("file", detail))?;
    api.find_campaign(&id).await?;
    let begun = api.find_upload(&id, upload).await?;
    api.part_uploads.abort(&id, upload, &begun).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Api {
    async fn find_upload(&self, id: &CampaignId, upload: Upload) -> Result<PartUpload, Problem> {
        let begun = self.part_uploads.get(id, upload).await?;
        begun.ok_or_else(Problem::unknown_upload)
    }
}

/// The file and its size, if its upload is awaited.
fn awaited_file(campaign: &Campaign, name: &str) -> Result<(Upload, u64), Problem> {
    let upload = parse_file(name).map_err(|detail| Problem::invalid_field("/file", detail))?;
    let unknown = || {
        Problem::invalid_field(
            "/file",
            "the campaign has no such file; GET the campaign to see its files",
        )
    };
    match upload {
        Upload::Exclusions => {
            let list = campaign.exclude.as_ref().ok_or_else(unknown)?;
            Ok((upload, list.size))
        }
        Upload::File(index) => {
            let file = campaign.files.get(index).ok_or_else(unknown)?;
            match file.stage {
                FileStage::Pending => Ok((upload, file.info.size)),
                _ => Err(Problem::conflict("this file is uploaded already")),
            }
        }
    }
}

fn parse_file(name: &str) -> Result<Upload, &'static str> {
    const DETAIL: &str = "must be the number of a file, from 1, or exclude";
    if name == "exclude" {
        return Ok(Upload::Exclusions);
    }
    let number: usize = name.parse().map_err(|_| DETAIL)?;
    number.checked_sub(1).map(Upload::File).ok_or(DETAIL)
}

/// A program may write a number as a number.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom(
            "must be the number of a file, from 1, or exclude",
        )),
    }
}

fn missing_text(parts: &[u32]) -> String {
    let shown = parts.iter().take(SHOWN_MISSING).map(u32::to_string);
    let shown: Vec<String> = shown.collect();
    let more = match parts.len() > SHOWN_MISSING {
        true => " and more",
        false => "",
    };
    format!(
        "{} parts are missing or have another size than they should: {}{more}; upload them, then complete it",
        parts.len(),
        shown.join(", ")
    )
}

fn view(file: String, begun: &PartUpload, uploaded: Vec<UploadedPart>) -> PartUploadView {
    let uploaded = uploaded.into_iter().map(|part| UploadedPartView {
        part: part.number,
        size: part.size,
        etag: part.etag,
    });
    PartUploadView {
        file,
        size: begun.size,
        part_size: PART_BYTES,
        parts: begun.parts(),
        uploaded: uploaded.collect(),
        complete: begun.is_complete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse_body;

    #[test]
    fn file_is_a_number_or_the_exclude_list() {
        assert_eq!(parse_file("1"), Ok(Upload::File(0)));
        assert_eq!(parse_file("exclude"), Ok(Upload::Exclusions));
        for wrong in ["", "0", "-1", "x", "1.5"] {
            assert!(parse_file(wrong).is_err(), "{wrong}");
        }
        for body in [r#"{"file": 2}"#, r#"{"file": "2"}"#] {
            let file: PartUploadFile = parse_body(body.as_bytes()).expect("valid");
            assert_eq!(parse_file(&file.file), Ok(Upload::File(1)));
        }
        assert!(parse_body::<PartUploadFile>(br#"{"file": []}"#).is_err());
    }

    #[test]
    fn missing_parts_are_named() {
        let text = missing_text(&(1..=30).collect::<Vec<_>>());
        assert!(
            text.starts_with("30 parts are missing") && text.contains(" 20 and more;"),
            "{text}"
        );
    }
}
