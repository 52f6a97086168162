//! The way of a file: further files, the preview, the start, a test send.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use campaign::delivery::batch::{Batch, Row};
use campaign::id::CampaignId;
use campaign::import::phone;
use campaign::import::preview::{Preview, collect_warnings};
use campaign::lifecycle::campaign::{
    Campaign, CampaignFile, CampaignState, FileStage, OutsideServiceWindow,
};
use cloud::files::Upload;
use cloud::import_queue::ImportJob;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::campaigns::{find_campaign, sign_upload};
use crate::create::{FileOptions, NewFile};
use crate::preview::PreviewView;
use crate::problem::Problem;
use crate::view::{CampaignStateView, CampaignUpload};
use crate::{Api, create};

/// What `POST /v1/campaigns/{id}/preview` takes; nothing, to see the preview there is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    /// Read the file again, with these options in the place of the former.
    options: Option<FileOptions>,
}

/// What `POST /v1/campaigns/{id}/test` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestSendRequest {
    /// The number to send to, as `+<country><number>`.
    #[schema(example = "+5511987654321")]
    to: String,
    /// The row whose values are filled in: one of those the preview shows, the first unless said.
    row: Option<u32>,
}

/// A preview, or how far it is.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum PreviewResponse {
    /// It is there.
    Ready(Box<PreviewView>),
    /// Not yet.
    Examining(CampaignStateView),
}

/// Announces a further file, such as the corrected rejects, and signs its upload. Numbers that earlier files of the
/// campaign had are not sent again.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/files", request_body = NewFile, params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 201, body = CampaignUpload), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub async fn add_file(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<CampaignUpload>), Problem> {
    let body = body.map_err(|_| Problem::body_too_large())?;
    let campaign = find_campaign(&api, &id).await?;
    let info = create::parse_body::<NewFile>(&body)?.into_file_info()?;
    let index = next_file_index(&campaign)?;
    let now = cloud::now();
    let size = info.size;
    if !api
        .campaigns
        .add_file(&campaign, index, &CampaignFile::pending(info))
        .await?
    {
        return Err(Problem::conflict(
            "the campaign changed in this moment; look at it and try again",
        ));
    }
    let upload = sign_upload(&api, &campaign.id, Upload::File(index), size, now).await?;
    Ok((
        StatusCode::CREATED,
        Json(CampaignUpload {
            id,
            state: campaign.state.name(),
            upload,
            exclude_upload: None,
        }),
    ))
}

/// Where a further file of the campaign goes: behind the last, or in the place of one that never came.
fn next_file_index(campaign: &Campaign) -> Result<usize, Problem> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Enqueuing, Failed, Paused, Ready, Scheduled, Sending,
        Validating,
    };
    match campaign.state {
        AwaitingUpload | Failed | Ready | Paused | Sending => {}
        Canary | Scheduled => {
            return Err(Problem::conflict(
                "the rows of its file wait to be sent; add another file when they are on their way",
            ));
        }
        Validating | Enqueuing => {
            return Err(Problem::conflict(
                "a file of this campaign is being read; try again when that is done",
            ));
        }
        Cancelled => {
            return Err(Problem::conflict(
                "the campaign is cancelled; make a new one for this file",
            ));
        }
    }
    match campaign.next_file_index() {
        Some(index) if campaign.files[index].stage == FileStage::Pending => Ok(index),
        Some(_) => Err(Problem::conflict(
            "the file before this one was read and waits to be started: POST /v1/campaigns/{id}/start",
        )),
        None => Ok(campaign.files.len()),
    }
}

/// Shows what would be sent, once the file was read; with `options`, has it read again in another way.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/preview", request_body = PreviewRequest, params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = PreviewView), (status = 202, body = CampaignStateView), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub async fn preview(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<PreviewResponse>), Problem> {
    let body = body.map_err(|_| Problem::body_too_large())?;
    let wanted = if body.is_empty() {
        PreviewRequest::default()
    } else {
        create::parse_body(&body)?
    };
    let campaign = find_campaign(&api, &id).await?;
    let examining = |state: CampaignState| {
        let state = CampaignStateView {
            id: id.clone(),
            state: state.name(),
        };
        Ok((
            StatusCode::ACCEPTED,
            Json(PreviewResponse::Examining(state)),
        ))
    };
    if let Some(options) = wanted.options {
        validate_again(&api, &campaign, options).await?;
        return examining(CampaignState::Validating);
    }
    match (campaign.state, api.imports.get_preview(&campaign.id).await?) {
        (CampaignState::AwaitingUpload, _) => {
            Err(Problem::conflict("the file is not uploaded yet"))
        }
        (CampaignState::Failed, _) => Err(Problem::conflict(format!(
            "the file cannot be used: {} Send other options to have it read again, or POST /v1/campaigns/{{id}}/files for another",
            campaign.reason.unwrap_or_default()
        ))),
        (CampaignState::Validating, _) | (_, None) => examining(campaign.state),
        (_, Some(preview)) => {
            let view = ready_preview(&api, &campaign, preview).await?;
            Ok((StatusCode::OK, Json(PreviewResponse::Ready(Box::new(view)))))
        }
    }
}

async fn validate_again(
    api: &Api,
    campaign: &Campaign,
    options: FileOptions,
) -> Result<(), Problem> {
    use CampaignState::{Failed, Ready, Validating};
    let options = options.into_options()?;
    let unread = campaign
        .files
        .iter()
        .all(|file| file.stage != FileStage::Enqueued);
    if !unread
        || !api
            .campaigns
            .transition(&campaign.id, Validating, &[Ready, Failed, Validating], None)
            .await?
    {
        return Err(Problem::conflict(
            "options can be changed before the start, once the file was read",
        ));
    }
    api.campaigns.set_options(&campaign.id, &options).await?;
    let order = ImportJob::validate(campaign.id.clone());
    Ok(api.import_queue.enqueue(&order, Duration::ZERO).await?)
}

async fn ready_preview(
    api: &Api,
    campaign: &Campaign,
    preview: Preview,
) -> Result<PreviewView, Problem> {
    // Where Meta cannot be asked the preview is still worth seeing.
    let daily_limit = api
        .account_facts(u64::MAX / 2)
        .await
        .ok()
        .and_then(|facts| facts.daily_limit);
    let warnings = collect_warnings(campaign, &preview, daily_limit);
    Ok(PreviewView::new(
        campaign,
        preview,
        warnings,
        api.messages_per_second,
    ))
}

/// Starts a campaign that was created with `hold`, at its `not_before` where that is still to come. Starting it again
/// changes nothing.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/start", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignStateView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn start(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<CampaignStateView>, Problem> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Enqueuing, Failed, Paused, Ready, Scheduled, Sending,
        Validating,
    };
    let campaign = find_campaign(&api, &id).await?;
    let state = match campaign.state {
        Ready if !campaign.schedule.has_begun(cloud::now()) => {
            api.campaigns
                .transition(&campaign.id, Scheduled, &[Ready], None)
                .await?;
            Scheduled
        }
        Ready | Enqueuing => {
            api.campaigns
                .transition(&campaign.id, Enqueuing, &[Ready], None)
                .await?;
            // Also where it is started already: the order of the first time may have been lost.
            let order = ImportJob::resume(campaign.id.clone());
            api.import_queue.enqueue(&order, Duration::ZERO).await?;
            Enqueuing
        }
        state @ (Scheduled | Canary | Sending) => state,
        AwaitingUpload | Validating => {
            return Err(Problem::conflict(
                "the file is not read yet; POST /v1/campaigns/{id}/preview shows how far it is",
            ));
        }
        Paused | Cancelled | Failed => {
            return Err(Problem::conflict(format!(
                "the campaign is {}: {}",
                campaign.state.name(),
                campaign.reason.unwrap_or_default()
            )));
        }
    };
    Ok(Json(CampaignStateView {
        id,
        state: state.name(),
    }))
}

/// Sends one row of the preview to a number of your own, through the same queue and at the same rate: a campaign of one
/// row, whose id is answered.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/test", request_body = TestSendRequest, params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 202, body = CampaignStateView), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub async fn test(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<CampaignStateView>), Problem> {
    let body = body.map_err(|_| Problem::body_too_large())?;
    let wanted: TestSendRequest = create::parse_body(&body)?;
    let campaign = find_campaign(&api, &id).await?;
    let to = phone::parse(&wanted.to, None).map_err(|problem| {
        Problem::invalid_field("/to", format!("{problem}; {}", problem.fix()))
    })?;
    let preview = match (campaign.state, api.imports.get_preview(&campaign.id).await?) {
        (CampaignState::Ready, Some(preview)) => preview,
        _ => {
            return Err(Problem::conflict(
                "a test is sent once the file was read and before the start (create the campaign with manual_start)",
            ));
        }
    };
    let row = sample_row(&preview, wanted.row)?;
    let test = test_campaign(&campaign)?;
    api.campaigns.create(&test).await?;
    let row = Row {
        row: 1,
        to,
        values: row.values.clone(),
    };
    let batch = Batch {
        campaign: test.id.clone(),
        rows: vec![row],
    };
    api.queue.enqueue(&[batch], Duration::ZERO).await?;
    Ok((
        StatusCode::ACCEPTED,
        Json(CampaignStateView {
            id: test.id.to_string(),
            state: test.state.name(),
        }),
    ))
}

fn sample_row(preview: &Preview, wanted: Option<u32>) -> Result<&Row, Problem> {
    let row = preview
        .sample
        .iter()
        .find(|row| wanted.is_none_or(|wanted| row.row == wanted));
    row.ok_or_else(|| {
        let shown: Vec<String> = preview
            .sample
            .iter()
            .map(|row| row.row.to_string())
            .collect();
        Problem::invalid_field(
            "/row",
            format!(
                "is none of the rows that the preview shows: {}",
                shown.join(", ")
            ),
        )
    })
}

/// A campaign of one row beside the one it tests.
fn test_campaign(campaign: &Campaign) -> Result<Campaign, Problem> {
    let random = Uuid::now_v7().simple().to_string();
    let id: CampaignId = format!("{}-test-{}", campaign.id, &random[random.len() - 8..])
        .parse()
        .map_err(|error| cloud::Error::new("name a test", error))?;
    let name = format!("Test of {}", campaign.name);
    let mut test = Campaign::single_row(id, name, campaign.message.clone(), cloud::now());
    test.template = campaign.template.clone();
    test.fallback = campaign.fallback.clone();
    test.outside_service_window = OutsideServiceWindow::Send;
    Ok(test)
}
