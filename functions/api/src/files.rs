//! Files of a campaign: further uploads, rejects, and the URLs that are signed for them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::FileStage;
use campaign::lifecycle::event::Event;
use campaign::time::Millis;
use cloud::files::{Upload, rejects_key};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::Api;
use crate::body::JsonBody;
use crate::caller::Caller;
use crate::extract::{CampaignPath, Query};
use crate::new_file::NewFile;
use crate::openapi::{BodyErrors, Conflict, NotFound, RequestErrors};
use crate::problem::Problem;
use crate::signed_url::{CampaignUpload, SignedDownload, SignedUpload};
use crate::time::format_time;

/// How long a signed URL works: an hour, since a Lambda's credentials, with which it is signed, live at least that long.
const SIGNED_URL_TTL: Duration = Duration::from_secs(3600);

/// Adds a further file, such as the corrected rejects, and signs its upload.
///
/// Numbers that earlier files of the campaign contained are not sent again.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/files", operation_id = "addFile", tag = "campaigns",
    params(CampaignPath), request_body = NewFile,
    responses((status = 201, body = CampaignUpload, description = "The campaign waits for this upload"),
        RequestErrors, BodyErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn add_file(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
    JsonBody(file): JsonBody<NewFile>,
) -> Result<(StatusCode, Json<CampaignUpload>), Problem> {
    let campaign = api.find_campaign(&id).await?;
    let info = file.into_file_info()?;
    let (now, size) = (cloud::now(), info.size);
    let event = Event::AddFile(info);
    let applied = api.apply(&caller, &campaign, &event, now).await?;
    let campaign = applied.map_err(Problem::from)?.campaign;
    let index = campaign.files.len() - 1;
    let upload = api.sign_upload(&id, Upload::File(index), size, now).await?;
    let created = CampaignUpload {
        id: id.to_string(),
        state: campaign.state(now).name(),
        upload,
        exclude_upload: None,
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// The query of `GET /v1/campaigns/{id}/rejects`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RejectsQuery {
    /// The file's number, from 1; by default the last file that was read.
    #[param(minimum = 1, maximum = 1000000)]
    file: Option<usize>,
}

/// Signs a download of the rows that cannot be used.
///
/// The file has your own columns, then `row`, `column`, `problem` and `fix`.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/rejects", operation_id = "getRejects", tag = "results",
    params(CampaignPath, RejectsQuery),
    responses((status = 200, body = SignedDownload, description = "Where to download the rejects"),
        RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn get_rejects(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
    Query(query): Query<RejectsQuery>,
) -> Result<Json<SignedDownload>, Problem> {
    if query.file == Some(0) {
        let detail = "must be at least 1, the number of the first file";
        return Err(Problem::invalid_parameter("file", detail));
    }
    let campaign = api.find_campaign(&id).await?;
    let last_read = campaign
        .files
        .iter()
        .rposition(|file| !matches!(file.stage, FileStage::Pending | FileStage::Reading));
    let index = query
        .file
        .map_or(last_read, |number| number.checked_sub(1))
        .ok_or_else(Problem::rejects_not_found)?;
    let name = format!("rejects-{id}-{}.csv", index.saturating_add(1));
    let download = api.sign_download(&rejects_key(&id, index), &name).await?;
    download.map(Json).ok_or_else(Problem::rejects_not_found)
}

impl Api {
    /// Signs an upload of exactly `size` bytes.
    pub(crate) async fn sign_upload(
        &self,
        id: &CampaignId,
        upload: Upload,
        size: u64,
        now: Millis,
    ) -> Result<SignedUpload, Problem> {
        let signed = self
            .files
            .sign_upload(id, upload, size, SIGNED_URL_TTL)
            .await?;
        Ok(SignedUpload {
            method: signed.method,
            url: signed.url,
            headers: signed.headers,
            expires_at: signed_url_expiry(now),
        })
    }

    /// Signs a download that a browser saves as `name`; `None` if there is no such file.
    pub(crate) async fn sign_download(
        &self,
        key: &str,
        name: &str,
    ) -> Result<Option<SignedDownload>, Problem> {
        let signed = self.files.sign_download(key, name, SIGNED_URL_TTL).await?;
        Ok(signed.map(|signed| SignedDownload {
            url: signed.url,
            expires_at: signed_url_expiry(cloud::now()),
        }))
    }
}

fn signed_url_expiry(now: Millis) -> String {
    format_time(now + SIGNED_URL_TTL.as_millis() as Millis)
}
