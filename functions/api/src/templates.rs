//! The account's templates and limits. Meta limits management requests to 200 an hour, so its answers are cached.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use campaign::import::preview::DailyLimit;
use campaign::lifecycle::campaign::TemplateFacts;
use campaign::message::Message;
use campaign::time::Millis;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use whatsapp::account::{AccountError, NumberFacts};
use whatsapp::template::{Header, Parameters, Template};
use whatsapp::template_match::match_template;
use whatsapp::template_preview::TemplatePreview;

use crate::Api;
use crate::extract::Query;
use crate::openapi::RequestErrors;
use crate::problem::Problem;
use crate::time::format_time;

/// The name under which Meta's answers are cached in the bucket.
const CACHE_KEY: &str = "account";

/// How old a cached answer may be.
pub(crate) const MAX_AGE_MS: Millis = 10 * 60 * 1000;

/// How old a cached answer may be that lacks the template of a new campaign.
const RECHECK_AGE_MS: Millis = 60 * 1000;

/// Meta's error code for an expired or replaced access token.
const TOKEN_EXPIRED_CODE: i64 = 190;

/// What Meta says about the account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountFacts {
    /// When Meta was asked.
    pub asked_at: Millis,
    /// Every template, approved or not.
    pub templates: Vec<Template>,
    /// The number that messages are sent from.
    pub number: NumberFacts,
}

/// Approved templates.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateList {
    /// By name and language.
    pub templates: Vec<TemplateView>,
    /// How many recipients the account may start to message in 24 hours; null for no limit, or if Meta does not say.
    pub daily_limit: Option<u64>,
    /// Whether Meta says how many; if so, null means that there is no limit.
    pub daily_limit_known: bool,
    /// When Meta was asked; at most ten minutes ago.
    #[schema(format = DateTime)]
    pub asked_at: String,
}

/// An approved template and the parameters that it needs.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateView {
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Meta's category: `MARKETING`, `UTILITY` or `AUTHENTICATION`.
    pub category: String,
    /// The header's parameter: `image`, `video`, `document`, `location` or `text`; null if it needs none.
    pub header: Option<String>,
    /// Names of the body's parameters; numbers if they are positional.
    pub body: Vec<String>,
    /// The buttons that need a parameter: index and `sub_type`.
    pub buttons: Vec<String>,
    /// Meta's status, such as `APPROVED` or `PAUSED`.
    pub status: String,
    /// Meta's rating: `GREEN`, `YELLOW`, `RED` or `UNKNOWN`; null if Meta does not say.
    pub quality: Option<String>,
    /// What it looks like; null until Meta is asked again.
    pub preview: Option<TemplatePreviewView>,
}

/// The texts of a template, with the placeholders in them.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplatePreviewView {
    /// The header.
    pub header: Option<TemplateHeaderView>,
    /// The body.
    pub body: String,
    /// The footer.
    pub footer: Option<String>,
    /// The buttons.
    pub buttons: Vec<TemplateButtonView>,
}

/// The header of a template.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateHeaderView {
    /// `TEXT`, `IMAGE`, `VIDEO`, `DOCUMENT`, `LOCATION` or `GIF`.
    pub format: String,
    /// Its text.
    pub text: Option<String>,
}

/// A button of a template.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateButtonView {
    /// Meta's type, such as `QUICK_REPLY` or `URL`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub text: String,
}

/// The query of `GET /v1/templates`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListTemplatesQuery {
    /// `true` for those as well that are not approved.
    #[param(value_type = Option<bool>)]
    all: Option<String>,
}

/// Lists the account's templates: those that are approved, or all of them.
#[utoipa::path(
    get, path = "/v1/templates", operation_id = "listTemplates", tag = "account",
    params(ListTemplatesQuery),
    responses((status = 200, body = TemplateList, description = "The templates"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn list_templates(
    State(api): State<Arc<Api>>,
    Query(query): Query<ListTemplatesQuery>,
) -> Result<Json<TemplateList>, Problem> {
    let shows_all = match query.all.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            let detail = "must be true or false";
            return Err(Problem::invalid_parameter("all", detail));
        }
    };
    let facts = api.account_facts(MAX_AGE_MS).await?;
    let approved = facts
        .templates
        .iter()
        .filter(|template| shows_all || template.status == "APPROVED");
    let mut templates: Vec<TemplateView> = approved.map(template_view).collect();
    templates.sort_by(|one, other| (&one.name, &one.language).cmp(&(&other.name, &other.language)));
    Ok(Json(TemplateList {
        templates,
        daily_limit: daily_limit_number(facts.number.daily_limit),
        daily_limit_known: facts.number.daily_limit != DailyLimit::Unknown,
        asked_at: format_time(facts.asked_at),
    }))
}

impl Api {
    /// Matches a message with the account's templates. Asks Meta again before it answers that something is missing.
    pub(crate) async fn find_template(
        &self,
        message: &Message,
        pointer: &str,
    ) -> Result<Option<TemplateFacts>, Problem> {
        if message.body().get("template").is_none() {
            return Ok(None);
        }
        let facts = self.account_facts(MAX_AGE_MS).await?;
        if let Ok(found) = match_template(message.body(), &facts.templates) {
            return Ok(found.map(Template::facts));
        }
        let facts = self.account_facts(RECHECK_AGE_MS).await?;
        let found = match_template(message.body(), &facts.templates).map_err(|problem| {
            Problem::invalid_field(format!("{pointer}{}", problem.pointer), problem.reason)
        })?;
        Ok(found.map(Template::facts))
    }

    /// What Meta says about the account: an answer of at most `max_age` milliseconds, or an older one if Meta cannot be
    /// asked.
    pub(crate) async fn account_facts(&self, max_age: Millis) -> Result<AccountFacts, Problem> {
        let cached: Option<AccountFacts> = self.read_cached(CACHE_KEY).await?;
        if let Some(facts) = cached
            .as_ref()
            .filter(|facts| facts.asked_at + max_age > cloud::now())
        {
            return Ok(facts.clone());
        }
        match (self.fetch_account_facts().await?, cached) {
            (Ok(facts), _) => {
                self.write_cached(CACHE_KEY, &facts).await?;
                Ok(facts)
            }
            (Err(error), Some(older)) => {
                tracing::warn!("Meta did not answer, an older answer is used: {error}");
                Ok(older)
            }
            (Err(error), None) => Err(Problem::account_unavailable(&error)),
        }
    }

    /// An answer of Meta's that was cached.
    pub(crate) async fn read_cached<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<T>, cloud::Error> {
        let cached = self.files.read_cache(key).await?;
        Ok(cached.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Caches an answer of Meta's.
    pub(crate) async fn write_cached<T: Serialize>(
        &self,
        key: &str,
        answer: &T,
    ) -> Result<(), cloud::Error> {
        let bytes = serde_json::to_vec(answer)
            .map_err(|error| cloud::Error::new("cache an answer of Meta's", error))?;
        self.files.write_cache(key, bytes).await
    }

    async fn fetch_account_facts(
        &self,
    ) -> Result<Result<AccountFacts, AccountError>, cloud::Error> {
        let secret = self.secrets.get().await?;
        let mut templates = self.account.templates(&secret.access_token).await;
        let mut token = secret.access_token.clone();
        if matches!(
            templates,
            Err(AccountError::Refused {
                code: TOKEN_EXPIRED_CODE,
                ..
            })
        ) {
            token = self.secrets.refresh().await?.access_token.clone();
            templates = self.account.templates(&token).await;
        }
        let templates = match templates {
            Ok(templates) => templates,
            Err(error) => return Ok(Err(error)),
        };
        // What is known of the number is shown and warned of, no more, so a failure is tolerated.
        let number = self.account.number(&token).await;
        let number = number.unwrap_or_else(|error| {
            tracing::warn!("what Meta says of the number is not known: {error}");
            NumberFacts::default()
        });
        Ok(Ok(AccountFacts {
            asked_at: cloud::now(),
            templates,
            number,
        }))
    }
}

/// The limit in the API's notation: null for none and for one that is not known.
pub(crate) fn daily_limit_number(limit: DailyLimit) -> Option<u64> {
    match limit {
        DailyLimit::Recipients(limit) => Some(limit),
        DailyLimit::Unlimited | DailyLimit::Unknown => None,
    }
}

fn preview_view(preview: &TemplatePreview) -> TemplatePreviewView {
    let header = preview.header.as_ref();
    let buttons = preview.buttons.iter();
    TemplatePreviewView {
        header: header.map(|header| TemplateHeaderView {
            format: header.format.clone(),
            text: header.text.clone(),
        }),
        body: preview.body.clone(),
        footer: preview.footer.clone(),
        buttons: buttons
            .map(|button| TemplateButtonView {
                kind: button.kind.clone(),
                text: button.text.clone(),
            })
            .collect(),
    }
}

fn template_view(template: &Template) -> TemplateView {
    let names = |parameters: &Parameters| match parameters {
        Parameters::Positional(count) => (1..=*count).map(|number| number.to_string()).collect(),
        Parameters::Named(names) => names.iter().cloned().collect::<Vec<String>>(),
    };
    TemplateView {
        name: template.name.clone(),
        language: template.language.clone(),
        category: template.category.clone(),
        status: template.status.clone(),
        quality: template.quality.clone(),
        preview: template.preview.as_ref().map(preview_view),
        header: match &template.header {
            Header::None => None,
            Header::Text(_) => Some("text".into()),
            Header::Media(kind) => Some(kind.clone()),
        },
        body: names(&template.body),
        buttons: template
            .buttons
            .iter()
            .map(|button| format!("{} {}", button.index, button.sub_type))
            .collect(),
    }
}
