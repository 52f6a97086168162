//! Suppression of a campaign's rows: the recipients whose messages failed for some reason get no further message.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use campaign::lifecycle::retry::{RetrySelection, RetryState};
use cloud::jobs::{Job, JobKind};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Api;
use crate::body::JsonBody;
use crate::contacts::MAX_REASON_CHARS;
use crate::extract::CampaignPath;
use crate::openapi::{BodyErrors, Conflict, NotFound, RequestErrors, RetryStateName};
use crate::problem::Problem;
use crate::report::{JobView, job_progress, job_view};

/// What `POST /v1/campaigns/{id}/suppression` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSuppression {
    /// Rows in one of these states.
    #[schema(value_type = Vec<RetryStateName>, min_items = 1)]
    states: Vec<RetryState>,
    /// Of these rows, those with one of these error codes of WhatsApp, up to 20; whatever their code by default.
    #[schema(example = json!([131026]), max_items = 20)]
    #[serde(default)]
    codes: Vec<i64>,
    /// Why, for those who read the history later; up to 500 characters. By default the campaign's name and the codes.
    #[schema(max_length = 500, example = "no WhatsApp on this number")]
    reason: Option<String>,
}

/// The most error codes of one request.
const MAX_CODES: usize = 20;

/// Puts the recipients of some rows on the suppression list.
///
/// Whoever is on it already stays as they are. GET of the same path shows the progress and, at the end, how many.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/suppression", operation_id = "requestSuppression", tag = "results",
    params(CampaignPath), request_body = NewSuppression,
    responses((status = 202, body = JobView, description = "The suppression is requested"),
        RequestErrors, BodyErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn request_suppression(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
    JsonBody(request): JsonBody<NewSuppression>,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let campaign = api.find_campaign(&id).await?;
    let job = request.into_job(&campaign.name)?;
    let now = cloud::now();
    let known = api.jobs.get_progress(&id, JobKind::Suppress).await?;
    if known.is_some_and(|progress| progress.is_in_progress(now)) {
        let detail = "recipients of this campaign are being suppressed; GET the same path shows when that is done, then ask again";
        return Err(Problem::conflict(detail));
    }
    let progress = api.jobs.enqueue(&id, job, now).await?;
    Ok((StatusCode::ACCEPTED, Json(job_view(progress))))
}

/// Gets the progress of the suppression that was requested last, and its result.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/suppression", operation_id = "getSuppression", tag = "results",
    params(CampaignPath),
    responses((status = 200, body = JobView, description = "The suppression or its progress"),
        RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn get_suppression(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<JobView>, Problem> {
    let campaign = api.find_campaign(&id).await?;
    let progress = job_progress(&api, &campaign, JobKind::Suppress).await?;
    Ok(Json(job_view(progress)))
}

impl NewSuppression {
    fn into_job(self, campaign: &str) -> Result<Job, Problem> {
        let Self {
            states,
            codes,
            reason,
        } = self;
        if states.is_empty() {
            let detail = "must name a state, such as rejected";
            return Err(Problem::invalid_field("/states", detail));
        }
        if codes.len() > MAX_CODES {
            let detail =
                format!("must have at most {MAX_CODES} codes; ask for the others afterwards");
            return Err(Problem::invalid_field("/codes", detail));
        }
        let reason = reason.unwrap_or_else(|| default_reason(campaign, &codes));
        if reason.chars().count() > MAX_REASON_CHARS {
            let detail = format!("must have at most {MAX_REASON_CHARS} characters; shorten it");
            return Err(Problem::invalid_field("/reason", detail));
        }
        let selection = RetrySelection { states, codes }.normalized();
        Ok(Job::Suppress { selection, reason })
    }
}

fn default_reason(campaign: &str, codes: &[i64]) -> String {
    let name: String = campaign.chars().take(100).collect();
    let codes: Vec<String> = codes.iter().take(10).map(i64::to_string).collect();
    match codes.is_empty() {
        true => format!("chosen among the rows of {name}"),
        false => format!(
            "chosen among the rows of {name}: error {}",
            codes.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_never_too_long() {
        let codes = vec![i64::MIN; MAX_CODES];
        let reason = default_reason(&"x".repeat(5_000), &codes);
        assert!(reason.chars().count() <= MAX_REASON_CHARS, "{reason}");
        assert_eq!(
            default_reason("Winter", &[131_026]),
            "chosen among the rows of Winter: error 131026"
        );
    }
}
