//! The list of campaigns: page by page, by name and by state, with the numbers of each.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, CampaignState, FileStage};
use campaign::lifecycle::counters::Counters;
use campaign::lifecycle::progress::compute_progress;
use cloud::campaigns::ListPosition;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use strum::VariantArray;
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::extract::{Limit, Query};
use crate::openapi::RequestErrors;
use crate::problem::Problem;
use crate::view::CampaignView;

/// Campaigns of one list.
const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// Campaigns that one request looks through for a name or a state.
const MAX_SEARCHED: usize = 500;

/// Campaigns of one query of the table while it is searched.
const SEARCH_PAGE: usize = 100;

/// Campaigns whose counters are read at once where they cannot be read together.
const CONCURRENT_READS: usize = 8;

/// The most characters of a search.
const MAX_SEARCH_CHARS: usize = 100;

/// The state that is not stored with a campaign: it follows from the counters.
const FINISHED: &str = "finished";

/// How the ids of tests differ from others.
const TEST_MARK: &str = "-test-";

/// Which campaigns are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum CampaignKind {
    /// All but tests.
    Campaigns,
    /// Tests only.
    Tests,
    /// All.
    All,
}

/// The query of `GET /v1/campaigns`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListCampaignsQuery {
    /// How many campaigns to list, newest first; 20 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<Limit<MAX_LIMIT>>,
    /// Where the previous list ended: its `next`.
    #[param(
        pattern = r"^[0-9]{1,15}\.[a-z0-9-]{1,64}$",
        example = "1796112000000.0198c0de-0000-7000-8000-000000000001"
    )]
    after: Option<String>,
    /// Only campaigns with this in their name, in capitals or not.
    #[param(max_length = 100)]
    search: Option<String>,
    /// Only campaigns in one of these states, with commas between.
    #[param(
        pattern = "^(awaiting_upload|validating|ready|scheduled|enqueuing|canary|sending|paused|cancelled|failed|finished)(,(awaiting_upload|validating|ready|scheduled|enqueuing|canary|sending|paused|cancelled|failed|finished))*$",
        example = "sending,paused"
    )]
    state: Option<String>,
    /// Which campaigns: those of one message for a test are campaigns, too; `all` by default.
    #[param(inline, value_type = Option<CampaignKind>, example = "campaigns")]
    kind: Option<String>,
}

/// Campaigns, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignList {
    /// The campaigns.
    pub campaigns: Vec<CampaignView>,
    /// The `after` of the next list; null at the end. A list may have fewer campaigns than asked for, or none, and not be the
    /// last: one request looks through 500 campaigns at most.
    pub next: Option<String>,
}

/// Which campaigns are wanted.
#[derive(Debug)]
struct Filter {
    /// In small letters; empty for every name.
    search: String,
    /// None for every state.
    states: Vec<String>,
    kind: CampaignKind,
}

/// Lists campaigns, newest first.
#[utoipa::path(
    get, path = "/v1/campaigns", operation_id = "listCampaigns", tag = "campaigns",
    params(ListCampaignsQuery),
    responses((status = 200, body = CampaignList, description = "Campaigns, newest first"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn list_campaigns(
    State(api): State<Arc<Api>>,
    Query(query): Query<ListCampaignsQuery>,
) -> Result<Json<CampaignList>, Problem> {
    let limit = query.limit.map_or(DEFAULT_LIMIT, |Limit(limit)| limit) as usize;
    let filter = Filter::parse(&query)?;
    let mut position = query.after.as_deref().map(parse_cursor).transpose()?;
    let page_size = match filter.is_open() {
        true => limit,
        false => SEARCH_PAGE,
    };
    let (mut campaigns, mut searched) = (Vec::new(), 0);
    while searched < MAX_SEARCHED {
        let page = api
            .campaigns
            .list_before(position.as_ref(), page_size as i32)
            .await?;
        let is_last = page.len() < page_size;
        searched += page.len();
        for (found_at, view) in views(&api, page, &filter).await? {
            position = Some(found_at);
            campaigns.extend(view);
            if campaigns.len() == limit {
                let next = position.as_ref().map(format_cursor);
                return Ok(Json(CampaignList { campaigns, next }));
            }
        }
        if is_last {
            position = None;
            break;
        }
    }
    let next = position.as_ref().map(format_cursor);
    Ok(Json(CampaignList { campaigns, next }))
}

/// Each campaign's position, with its view if it is wanted.
async fn views(
    api: &Api,
    page: Vec<Campaign>,
    filter: &Filter,
) -> Result<Vec<(ListPosition, Option<CampaignView>)>, Problem> {
    let now = cloud::now();
    let mut counters = read_counters(api, &page, filter).await?;
    let view = |campaign: Campaign| {
        let position = ListPosition {
            created_at: campaign.created_at,
            id: campaign.id.clone(),
        };
        if !filter.fits_campaign(&campaign) {
            return (position, None);
        }
        let sum = counters.remove(&campaign.id).unwrap_or_default();
        let budget = campaign.budget(api.tps_budget);
        let progress = compute_progress(&campaign, sum, budget, now);
        let view = CampaignView::new(campaign, progress, budget, now);
        let is_wanted = filter.fits_state(view.state);
        (position, is_wanted.then_some(view))
    };
    Ok(page.into_iter().map(view).collect())
}

/// The counters of the campaigns of a page that may be wanted: with one query for all of them. Read one by one are the few that
/// a search finds, and those that are not in the index.
async fn read_counters(
    api: &Api,
    page: &[Campaign],
    filter: &Filter,
) -> Result<HashMap<CampaignId, Counters>, Problem> {
    let mut ids = Vec::new();
    let mut with_rows = Vec::new();
    for campaign in page
        .iter()
        .filter(|campaign| filter.fits_campaign(campaign))
    {
        ids.push(campaign.id.clone());
        if campaign.has_file_in(FileStage::Enqueued) {
            with_rows.push(campaign.id.clone());
        }
    }
    let is_dense = ids.len() * 4 >= page.len();
    let mut counters = match is_dense {
        true => api.counters.sums(&ids).await?,
        false => HashMap::new(),
    };
    with_rows.retain(|id| !counters.contains_key(id));
    let sums = stream::iter(with_rows)
        .map(async |id| api.counters.sum(&id).await.map(|sum| (id, sum)))
        .buffered(CONCURRENT_READS);
    let sums: Vec<(CampaignId, Counters)> = sums.try_collect().await?;
    counters.extend(sums);
    Ok(counters)
}

impl Filter {
    fn parse(query: &ListCampaignsQuery) -> Result<Self, Problem> {
        let search = query.search.as_deref().map(str::trim).unwrap_or_default();
        if search.chars().count() > MAX_SEARCH_CHARS {
            let detail = format!("must have at most {MAX_SEARCH_CHARS} characters; shorten it");
            return Err(Problem::invalid_parameter("search", detail));
        }
        let states = query.state.as_deref().map(parse_states).transpose()?;
        Ok(Self {
            search: search.to_lowercase(),
            states: states.unwrap_or_default(),
            kind: parse_kind(query.kind.as_deref())?,
        })
    }

    /// Whether every campaign is wanted.
    fn is_open(&self) -> bool {
        self.search.is_empty() && self.states.is_empty() && self.kind == CampaignKind::All
    }

    fn fits_campaign(&self, campaign: &Campaign) -> bool {
        let is_test = campaign.id.as_str().contains(TEST_MARK);
        let fits_kind = match self.kind {
            CampaignKind::Campaigns => !is_test,
            CampaignKind::Tests => is_test,
            CampaignKind::All => true,
        };
        fits_kind && campaign.name.to_lowercase().contains(&self.search)
    }

    fn fits_state(&self, state: &str) -> bool {
        self.states.is_empty() || self.states.iter().any(|wanted| wanted == state)
    }
}

/// The names of all states.
fn known_states() -> Vec<&'static str> {
    let stored = CampaignState::VARIANTS.iter().map(|state| state.name());
    stored.chain([FINISHED]).collect()
}

fn parse_states(text: &str) -> Result<Vec<String>, Problem> {
    let known = known_states();
    let states: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    match states.iter().all(|state| known.contains(&state.as_str())) {
        true => Ok(states),
        false => {
            let detail = format!("must be of {}, with commas between", known.join(", "));
            Err(Problem::invalid_parameter("state", detail))
        }
    }
}

fn parse_kind(text: Option<&str>) -> Result<CampaignKind, Problem> {
    match text {
        None | Some("all") => Ok(CampaignKind::All),
        Some("campaigns") => Ok(CampaignKind::Campaigns),
        Some("tests") => Ok(CampaignKind::Tests),
        Some(_) => {
            let detail = "must be campaigns, tests or all";
            Err(Problem::invalid_parameter("kind", detail))
        }
    }
}

fn format_cursor(position: &ListPosition) -> String {
    format!("{}.{}", position.created_at, position.id)
}

fn parse_cursor(text: &str) -> Result<ListPosition, Problem> {
    let parts = text.split_once('.');
    let position = parts.and_then(|(created_at, id)| {
        Some(ListPosition {
            created_at: created_at.parse().ok()?,
            id: id.parse().ok()?,
        })
    });
    position.ok_or_else(|| {
        let detail = "must be the `next` of a list; copy it from there";
        Problem::invalid_parameter("after", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(
        search: Option<&str>,
        state: Option<&str>,
        kind: Option<&str>,
    ) -> Result<Filter, Problem> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Filter::parse(&ListCampaignsQuery {
            limit: None,
            after: None,
            search: owned(search),
            state: owned(state),
            kind: owned(kind),
        })
    }

    #[test]
    fn cursor_is_read_as_it_was_written() {
        let position = ListPosition {
            created_at: 7,
            id: "c-1".parse().expect("an id"),
        };
        assert_eq!(parse_cursor(&format_cursor(&position)), Ok(position));
        for wrong in ["", "7", "x.c1", "7.NOT AN ID"] {
            assert!(parse_cursor(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn description_has_every_state() {
        let known = known_states().join("|");
        let expected = format!("^({known})(,({known}))*$");
        let parameters = ListCampaignsQuery::into_params(|| None);
        let described = serde_json::to_value(parameters).expect("parameters");
        let described = described.as_array().expect("a list");
        let state = described
            .iter()
            .find(|parameter| parameter["name"] == "state");
        let pattern = state.map(|state| &state["schema"]["pattern"]);
        assert_eq!(pattern, Some(&serde_json::Value::from(expected)));
    }

    #[test]
    fn states_and_kinds_have_names_that_exist() {
        let states = filter(None, Some("sending, finished"), None).expect("valid");
        assert!(states.fits_state("finished") && !states.fits_state("paused"));
        assert!(filter(None, Some("sent"), None).is_err());
        assert!(filter(None, None, Some("test")).is_err());
        assert!(filter(None, None, None).is_ok_and(|filter| filter.is_open()));
        assert!(filter(Some("  Nov "), None, None).is_ok_and(|filter| filter.search == "nov"));
    }
}
