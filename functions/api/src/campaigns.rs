//! Campaigns: create and get.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use campaign::id::{CampaignId, NumberId};
use campaign::lifecycle::campaign::{Campaign, TemplateFacts};
use campaign::lifecycle::progress::{Progress, compute_progress};
use campaign::time::Millis;
use cloud::files::Upload;
use uuid::Uuid;

use crate::Api;
use crate::body::JsonBody;
use crate::caller::Caller;
use crate::campaign_page::{CampaignPage, SuspendedNumberView};
use crate::extract::CampaignPath;
use crate::new_campaign::NewCampaign;
use crate::openapi::{BodyErrors, NotFound, RequestErrors};
use crate::problem::Problem;
use crate::signed_url::CampaignUpload;

/// Creates a campaign and signs its upload.
///
/// PUT the file to `upload.url` with `upload.headers`; the campaign then starts, unless `manual_start` is set.
#[utoipa::path(
    post, path = "/v1/campaigns", operation_id = "createCampaign", tag = "campaigns",
    request_body = NewCampaign,
    responses((status = 201, body = CampaignUpload, description = "The campaign waits for its upload"),
        RequestErrors, BodyErrors)
)]
#[tracing::instrument(skip_all, fields(campaign.id))]
pub async fn create_campaign(
    State(api): State<Arc<Api>>,
    caller: Caller,
    JsonBody(mut new): JsonBody<NewCampaign>,
) -> Result<(StatusCode, Json<CampaignUpload>), Problem> {
    let id = new_campaign_id()?;
    tracing::Span::current().record("campaign.id", tracing::field::display(&id));
    let now = cloud::now();
    let checks_template = new.checks_template();
    let numbers = api.find_numbers(&new.take_numbers(), "/numbers").await?;
    let mut campaign = new.into_campaign(id.clone(), now, api.sendable_for)?;
    campaign.numbers = numbers;
    if checks_template {
        campaign.template = api.find_campaign_template(&campaign).await?;
    }
    campaign.created_by = Some(caller.name.clone());
    api.require_approval(&mut campaign).await?;
    // Signed first: a stored campaign without an upload would wait for ever.
    let created = sign_uploads(&api, &campaign, now).await?;
    api.campaigns.create(&campaign).await?;
    caller.note_created(&id);
    if let Some(at) = campaign.schedule.not_before.filter(|&at| at > now) {
        api.schedule_start(&id, campaign.version, at).await;
    }
    Ok((StatusCode::CREATED, Json(created)))
}

/// The id of a new campaign.
pub(crate) fn new_campaign_id() -> Result<CampaignId, cloud::Error> {
    let id = Uuid::now_v7().to_string();
    id.parse()
        .map_err(|error| cloud::Error::new("make a campaign id", error))
}

async fn sign_uploads(
    api: &Api,
    campaign: &Campaign,
    now: Millis,
) -> Result<CampaignUpload, Problem> {
    let size = campaign.files[0].info.size;
    let upload = api
        .sign_upload(&campaign.id, Upload::File(0), size, now)
        .await?;
    let exclude_upload = match &campaign.exclude {
        Some(list) => Some(
            api.sign_upload(&campaign.id, Upload::Exclusions, list.size, now)
                .await?,
        ),
        None => None,
    };
    Ok(CampaignUpload {
        id: campaign.id.to_string(),
        state: campaign.state(now).name(),
        upload,
        exclude_upload,
    })
}

/// Gets one campaign: its state, how many rows are in which state, the rate, the estimated end, and what you can do with it now.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}", operation_id = "getCampaign", tag = "campaigns",
    params(CampaignPath),
    responses((status = 200, body = CampaignPage, description = "The campaign"), RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn get_campaign(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<CampaignPage>, Problem> {
    Ok(Json(api.campaign_page(&caller, &id).await?))
}

impl Api {
    /// The campaign, or 404.
    pub(crate) async fn find_campaign(&self, id: &CampaignId) -> Result<Campaign, Problem> {
        let campaign = self.campaigns.get(id).await?;
        campaign.ok_or_else(Problem::unknown_campaign)
    }

    /// Looks up the account's template that a campaign sends; of a message that is none, that of its fallback.
    pub(crate) async fn find_campaign_template(
        &self,
        campaign: &Campaign,
    ) -> Result<Option<TemplateFacts>, Problem> {
        let (message, pointer) = match &campaign.fallback {
            Some(fallback) => (fallback, "/fallback"),
            None => (&campaign.message, "/message"),
        };
        self.find_template(message, pointer).await
    }

    /// Has a new campaign wait for the approval of a second person, where the settings say so.
    pub(crate) async fn require_approval(&self, campaign: &mut Campaign) -> Result<(), Problem> {
        if self.settings.get_latest().await?.approval_required {
            campaign.approval.is_required = true;
            campaign.manual_start = true;
        }
        Ok(())
    }

    /// Has the campaign started at its time. If that fails, the reconciler starts it, a few minutes late.
    pub(crate) async fn schedule_start(&self, id: &CampaignId, version: u64, at: Millis) {
        if let Err(error) = self.schedules.schedule_start(id, version, at).await {
            tracing::error!("{error}");
        }
    }

    /// The campaign with its numbers. Counters are read first: rows that are counted must be among those that the campaign has
    /// enqueued.
    pub(crate) async fn find_progress(
        &self,
        id: &CampaignId,
    ) -> Result<(Campaign, Progress), Problem> {
        let counters = self.counters.sum(id).await?;
        let campaign = self.find_campaign(id).await?;
        let now = cloud::now();
        let progress = compute_progress(&campaign, counters, campaign.budget(self.tps_budget), now);
        Ok((campaign, progress))
    }

    /// All that the page of a campaign shows.
    pub(crate) async fn campaign_page(
        &self,
        caller: &Caller,
        id: &CampaignId,
    ) -> Result<CampaignPage, Problem> {
        let (campaign, mut progress) = self.find_progress(id).await?;
        let budget = campaign.budget(self.tps_budget);
        let now = cloud::now();
        let suspended_numbers = match progress.finished {
            true => Vec::new(),
            false => self.suspended_numbers(&campaign, now).await?,
        };
        // It is not known when an operator resumes or deploys them.
        let has_no_end = |stopped: &SuspendedNumberView| stopped.until.is_none();
        if suspended_numbers
            .iter()
            .filter(|stopped| has_no_end(stopped))
            .count()
            == self.numbers.ids_of(&campaign).len()
        {
            progress.estimated_end = None;
        }
        let page = CampaignPage::new(campaign, progress, budget, suspended_numbers, caller, now);
        Ok(page)
    }

    async fn suspended_numbers(
        &self,
        campaign: &Campaign,
        now: Millis,
    ) -> Result<Vec<SuspendedNumberView>, cloud::Error> {
        let registered = self.numbers.all().await?;
        let mut records = self.numbers.records().all().await?;
        let stopped = |id: &NumberId| match registered.iter().any(|number| number.id == *id) {
            true => SuspendedNumberView::of(id, records.remove(id)?.suspension, now),
            false => Some(SuspendedNumberView::unregistered(id)),
        };
        let ids = self.numbers.ids_of(campaign).into_iter();
        Ok(ids.filter_map(stopped).collect())
    }
}
