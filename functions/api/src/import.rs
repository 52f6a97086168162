//! The way of a file: further files, the preview, the start, a test send.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use campaign::batch::{Batch, Row};
use campaign::id::CampaignId;
use campaign::phone;
use campaign::preview::{Preview, warnings};
use campaign::record::{Campaign, CampaignFile, CampaignState, FileStage, OutsideWindow};
use cloud::files::Upload;
use cloud::splits::SplitOrder;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::campaigns::{find, signed_upload};
use crate::create::{NewFile, NewOptions};
use crate::preview::PreviewView;
use crate::problem::Problem;
use crate::view::{Created, StateView};
use crate::{Api, create};

/// What `POST /campaigns/{id}/preview` takes; nothing, to see the preview there is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPreview {
    /// Read the file again, with these options in the place of the former.
    options: Option<NewOptions>,
}

/// What `POST /campaigns/{id}/test` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTest {
    /// The number to send to, as `+<country><number>`.
    #[schema(example = "+5511987654321")]
    to: String,
    /// The row whose values are filled in: one of those the preview shows, the first unless said.
    row: Option<u32>,
}

/// A preview, or how far it is.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum PreviewAnswer {
    /// It is there.
    Ready(Box<PreviewView>),
    /// Not yet.
    Examining(StateView),
}

/// Announces a further file, such as the corrected rejects, and signs its upload. Numbers that earlier files of the
/// campaign had are not sent again.
#[utoipa::path(
    post, path = "/campaigns/{id}/files", request_body = NewFile, params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 201, body = Created), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub async fn add_file(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Created>), Problem> {
    let body = body.map_err(|_| Problem::too_large())?;
    let campaign = find(&api, &id).await?;
    let info = create::read::<NewFile>(&body)?.checked()?;
    let index = next_file(&campaign)?;
    let now = cloud::now();
    let size = info.size;
    if !api
        .campaigns
        .announce(&campaign, index, &CampaignFile::announced(info))
        .await?
    {
        return Err(Problem::conflict(
            "the campaign changed in this moment; look at it and try again",
        ));
    }
    let upload = signed_upload(&api, &campaign.id, Upload::File(index), size, now).await?;
    Ok((
        StatusCode::CREATED,
        Json(Created {
            id,
            state: campaign.state.name(),
            upload,
            exclude_upload: None,
        }),
    ))
}

/// Where a further file of the campaign goes: behind the last, or in the place of one that never came.
fn next_file(campaign: &Campaign) -> Result<usize, Problem> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Examining, Failed, Paused, Ready, Scheduled, Sending,
        Splitting,
    };
    match campaign.state {
        AwaitingUpload | Failed | Ready | Paused | Sending => {}
        Canary | Scheduled => {
            return Err(Problem::conflict(
                "the rows of its file wait to be sent; add another file when they are on their way",
            ));
        }
        Examining | Splitting => {
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
    match campaign.open_file() {
        Some(index) if campaign.files[index].stage == FileStage::Announced => Ok(index),
        Some(_) => Err(Problem::conflict(
            "the file before this one was read and waits to be started: POST /campaigns/{id}/start",
        )),
        None => Ok(campaign.files.len()),
    }
}

/// Shows what would be sent, once the file was read; with `options`, has it read again in another way.
#[utoipa::path(
    post, path = "/campaigns/{id}/preview", request_body = NewPreview, params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = PreviewView), (status = 202, body = StateView), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub async fn preview(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<PreviewAnswer>), Problem> {
    let body = body.map_err(|_| Problem::too_large())?;
    let wanted = if body.is_empty() {
        NewPreview::default()
    } else {
        create::read(&body)?
    };
    let campaign = find(&api, &id).await?;
    let examining = |state: CampaignState| {
        let state = StateView {
            id: id.clone(),
            state: state.name(),
        };
        Ok((StatusCode::ACCEPTED, Json(PreviewAnswer::Examining(state))))
    };
    if let Some(options) = wanted.options {
        read_again(&api, &campaign, options).await?;
        return examining(CampaignState::Examining);
    }
    match (campaign.state, api.imports.preview(&campaign.id).await?) {
        (CampaignState::AwaitingUpload, _) => {
            Err(Problem::conflict("the file is not uploaded yet"))
        }
        (CampaignState::Failed, _) => Err(Problem::conflict(format!(
            "the file cannot be used: {} Send other options to have it read again, or POST /campaigns/{{id}}/files for another",
            campaign.reason.unwrap_or_default()
        ))),
        (CampaignState::Examining, _) | (_, None) => examining(campaign.state),
        (_, Some(preview)) => {
            let view = look(&api, &campaign, preview).await?;
            Ok((StatusCode::OK, Json(PreviewAnswer::Ready(Box::new(view)))))
        }
    }
}

async fn read_again(api: &Api, campaign: &Campaign, options: NewOptions) -> Result<(), Problem> {
    use CampaignState::{Examining, Failed, Ready};
    let options = options.checked()?;
    let unread = campaign
        .files
        .iter()
        .all(|file| file.stage != FileStage::Split);
    if !unread
        || !api
            .campaigns
            .enter(&campaign.id, Examining, &[Ready, Failed, Examining], None)
            .await?
    {
        return Err(Problem::conflict(
            "options can be changed before the start, once the file was read",
        ));
    }
    api.campaigns.set_options(&campaign.id, &options).await?;
    let order = SplitOrder::examine(campaign.id.clone());
    Ok(api.splits.order(&order, Duration::ZERO).await?)
}

async fn look(api: &Api, campaign: &Campaign, preview: Preview) -> Result<PreviewView, Problem> {
    // Where Meta cannot be asked the preview is still worth seeing.
    let daily_limit = api
        .account_facts(u64::MAX / 2)
        .await
        .ok()
        .and_then(|facts| facts.daily_limit);
    let warnings = warnings(campaign, &preview, daily_limit);
    Ok(PreviewView::new(campaign, preview, warnings, api.budget))
}

/// Starts a campaign that was created with `hold`, at its `not_before` where that is still to come. Starting it again
/// changes nothing.
#[utoipa::path(
    post, path = "/campaigns/{id}/start", params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = StateView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn start(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<StateView>, Problem> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Examining, Failed, Paused, Ready, Scheduled, Sending,
        Splitting,
    };
    let campaign = find(&api, &id).await?;
    let state = match campaign.state {
        Ready if !campaign.window.is_open(cloud::now()) => {
            api.campaigns
                .enter(&campaign.id, Scheduled, &[Ready], None)
                .await?;
            Scheduled
        }
        Ready | Splitting => {
            api.campaigns
                .enter(&campaign.id, Splitting, &[Ready], None)
                .await?;
            // Also where it is started already: the order of the first time may have been lost.
            let order = SplitOrder::go_on(campaign.id.clone());
            api.splits.order(&order, Duration::ZERO).await?;
            Splitting
        }
        state @ (Scheduled | Canary | Sending) => state,
        AwaitingUpload | Examining => {
            return Err(Problem::conflict(
                "the file is not read yet; POST /campaigns/{id}/preview shows how far it is",
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
    Ok(Json(StateView {
        id,
        state: state.name(),
    }))
}

/// Sends one row of the preview to a number of your own, through the same queue and at the same rate: a campaign of one
/// row, whose id is answered.
#[utoipa::path(
    post, path = "/campaigns/{id}/test", request_body = NewTest, params(("id" = String, Path, description = "The campaign's id")),
    responses((status = 202, body = StateView), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub async fn test(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<StateView>), Problem> {
    let body = body.map_err(|_| Problem::too_large())?;
    let wanted: NewTest = create::read(&body)?;
    let campaign = find(&api, &id).await?;
    let to = phone::read(&wanted.to, None)
        .map_err(|problem| Problem::field("/to", format!("{problem}; {}", problem.fix())))?;
    let preview = match (campaign.state, api.imports.preview(&campaign.id).await?) {
        (CampaignState::Ready, Some(preview)) => preview,
        _ => {
            return Err(Problem::conflict(
                "a test is sent once the file was read and before the start (create the campaign with hold)",
            ));
        }
    };
    let row = sample(&preview, wanted.row)?;
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
    api.queue.send(&[batch], Duration::ZERO).await?;
    Ok((
        StatusCode::ACCEPTED,
        Json(StateView {
            id: test.id.to_string(),
            state: test.state.name(),
        }),
    ))
}

fn sample(preview: &Preview, wanted: Option<u32>) -> Result<&Row, Problem> {
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
        Problem::field(
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
    let mut test = Campaign::of_one(id, name, campaign.message.clone(), cloud::now());
    test.template = campaign.template.clone();
    test.fallback = campaign.fallback.clone();
    test.outside_window = OutsideWindow::Send;
    Ok(test)
}
