//! A test send: one row of the preview to a number of the operator's own.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use campaign::access::role::Role;
use campaign::delivery::batch::Row;
use campaign::id::CampaignId;
use campaign::import::phone;
use campaign::import::preview::Preview;
use campaign::lifecycle::campaign::{Campaign, CampaignState, OutsideServiceWindow};
use campaign::time::Millis;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Api;
use crate::body::{JsonBody, whole_number};
use crate::caller::Caller;
use crate::extract::CampaignPath;
use crate::openapi::{BodyErrors, Conflict, NotFound, RequestErrors};
use crate::problem::Problem;
use crate::view::CampaignStateView;

/// What `POST /v1/campaigns/{id}/test` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestSendRequest {
    /// The number to send to, as `+<country><number>`.
    #[schema(example = "+5511987654321")]
    to: String,
    /// The row whose values are filled in: one of those that the preview shows; by default the first of them.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 4294967295_u64)]
    #[serde(default, deserialize_with = "whole_number")]
    row: Option<u32>,
}

/// Sends one row of the preview to a number of your own.
///
/// With the role `author`, only to a number that an admin saved in the settings. The message goes through the same queue and at the same rate, as a campaign of one row, whose id is returned.
#[utoipa::path(
    post, path = "/v1/campaigns/{id}/test", operation_id = "sendTest", tag = "campaigns",
    params(CampaignPath), request_body = TestSendRequest,
    responses((status = 202, body = CampaignStateView, description = "The campaign of one row"),
        RequestErrors, BodyErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn send_test(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
    JsonBody(request): JsonBody<TestSendRequest>,
) -> Result<(StatusCode, Json<CampaignStateView>), Problem> {
    let campaign = api.find_campaign(&id).await?;
    let to = phone::parse(&request.to, None).map_err(|problem| {
        Problem::invalid_field("/to", format!("{problem}; {}", problem.fix()))
    })?;
    if !caller.role.includes(Role::Sender) {
        let settings = api.settings.get_latest().await?;
        let mut saved = settings.test_numbers.iter();
        if !saved.any(|number| number.phone.canonical() == to.canonical()) {
            return Err(Problem::not_a_saved_number());
        }
    }
    let preview = match (
        campaign.state(cloud::now()),
        api.imports.get_preview(&id).await?,
    ) {
        (CampaignState::Ready, Some(preview)) => preview,
        _ => {
            return Err(Problem::conflict(
                "a test can be sent only after the file has been read and before the start; create the campaign with manual_start",
            ));
        }
    };
    let sample = sample_row(&preview, request.row)?;
    let row = Row {
        row: 1,
        to,
        values: sample.values.clone(),
    };
    let now = cloud::now();
    let mut test = test_campaign(&campaign, row, now)?;
    test.created_by = Some(caller.name);
    api.campaigns.create(&test).await?;
    // If the message is lost in between, the reconciler enqueues the row.
    let senders = api.numbers.of_campaign(&test).await?;
    senders.enqueue_single_row(&test, false).await?;
    let view = CampaignStateView::new(&test.id, test.state(now));
    Ok((StatusCode::ACCEPTED, Json(view)))
}

fn sample_row(preview: &Preview, number: Option<u32>) -> Result<&Row, Problem> {
    let row = preview
        .sample
        .iter()
        .find(|row| number.is_none_or(|number| row.row == number));
    row.ok_or_else(|| {
        let numbers: Vec<String> = preview
            .sample
            .iter()
            .map(|row| row.row.to_string())
            .collect();
        let detail = format!(
            "must be one of the rows that the preview shows: {}",
            numbers.join(", ")
        );
        Problem::invalid_field("/row", detail)
    })
}

/// A campaign of one row with the message of the campaign that is tested.
fn test_campaign(campaign: &Campaign, row: Row, now: Millis) -> Result<Campaign, Problem> {
    let random = Uuid::now_v7().simple().to_string();
    let id: CampaignId = format!("{}-test-{}", campaign.id, &random[random.len() - 8..])
        .parse()
        .map_err(|error| cloud::Error::new("make the id of a test campaign", error))?;
    let name = format!("Test of {}", campaign.name);
    let mut test = Campaign::single_row(id, name, campaign.message.clone(), row, now);
    test.template = campaign.template.clone();
    test.fallback = campaign.fallback.clone();
    test.numbers = campaign.numbers.clone();
    test.stored_columns = campaign.columns();
    test.outside_service_window = OutsideServiceWindow::Send;
    Ok(test)
}
