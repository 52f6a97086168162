//! Settings of the whole deployment: the words by which people stop and start, and what is answered by itself.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use campaign::contacts::consent::{KeywordLists, OptOutKeywords, normalize_keyword};
use campaign::contacts::settings::{AutoReply, Settings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::{Api, create};

/// The most words, payloads and keywords of one list.
const MAX_KEYWORDS: usize = 500;

/// The most rules.
const MAX_REPLIES: usize = 100;

/// How long after a message words may be taken for an answer to it: a month.
const MAX_ATTRIBUTION_HOURS: u32 = 720;

/// The settings; what `PUT /v1/settings` leaves out is as usual.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsView {
    /// Words that mean stop, by language. A message that is one of these and nothing else is an opt-out.
    #[schema(value_type = Object, example = json!({"en": ["stop", "unsubscribe"]}))]
    opt_out_keywords: KeywordLists,
    /// Words that mean start again.
    #[schema(value_type = Object, example = json!({"en": ["start"]}))]
    opt_in_keywords: KeywordLists,
    /// Payloads of buttons that mean stop.
    opt_out_payloads: Vec<String>,
    /// Payloads of buttons that mean start again.
    opt_in_payloads: Vec<String>,
    /// What is answered by itself.
    replies: Vec<AutoReplyView>,
    /// For how many hours after a campaign's message somebody's words count as an answer to it.
    attribution_hours: u32,
}

/// A rule: keywords, and the answer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoReplyView {
    /// A message, or a button's payload, that is one of these is answered; `*` for whatever no other rule answers.
    #[schema(example = json!(["hours", "opening hours"]))]
    keywords: Vec<String>,
    /// With this: the Cloud API's message object without `to`.
    #[schema(value_type = Object, example = json!({"type": "text", "text": {"body": "We are open from 9 to 5."}}))]
    message: Value,
}

impl Default for SettingsView {
    fn default() -> Self {
        Self::from(Settings::default())
    }
}

impl From<Settings> for SettingsView {
    fn from(settings: Settings) -> Self {
        let OptOutKeywords {
            stop,
            start,
            stop_payloads,
            start_payloads,
        } = settings.opt_out_keywords;
        let reply = |reply: AutoReply| AutoReplyView {
            keywords: reply.keywords,
            message: reply.message.into(),
        };
        Self {
            opt_out_keywords: stop,
            opt_in_keywords: start,
            opt_out_payloads: stop_payloads,
            opt_in_payloads: start_payloads,
            replies: settings.replies.into_iter().map(reply).collect(),
            attribution_hours: settings.attribution_hours,
        }
    }
}

/// Shows the settings.
#[utoipa::path(
    get, path = "/v1/settings",
    responses((status = 200, body = SettingsView), (status = 401, body = Problem))
)]
pub async fn show(State(api): State<Arc<Api>>) -> Result<Json<SettingsView>, Problem> {
    Ok(Json(api.settings.get_latest().await?.into()))
}

/// Puts others in their place; in force everywhere within half a minute.
#[utoipa::path(
    put, path = "/v1/settings", request_body = SettingsView,
    responses((status = 200, body = SettingsView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 422, body = Problem))
)]
pub async fn put(
    State(api): State<Arc<Api>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<SettingsView>, Problem> {
    let body = body.map_err(|_| Problem::body_too_large())?;
    let settings = create::parse_body::<SettingsView>(&body)?.into_settings()?;
    api.settings.put(&settings).await?;
    Ok(Json(settings.into()))
}

impl SettingsView {
    fn into_settings(self) -> Result<Settings, Problem> {
        for (field, lists) in [
            ("/opt_out_keywords", &self.opt_out_keywords),
            ("/opt_in_keywords", &self.opt_in_keywords),
        ] {
            for (language, list) in lists {
                validate_keywords(&format!("{field}/{language}"), list)?;
            }
        }
        validate_keywords("/opt_out_payloads", &self.opt_out_payloads)?;
        validate_keywords("/opt_in_payloads", &self.opt_in_payloads)?;
        if !(1..=MAX_ATTRIBUTION_HOURS).contains(&self.attribution_hours) {
            let detail = format!("must be between 1 and {MAX_ATTRIBUTION_HOURS}");
            return Err(Problem::invalid_field("/attribution_hours", detail));
        }
        if self.replies.len() > MAX_REPLIES {
            let detail = format!("may have {MAX_REPLIES} rules at most");
            return Err(Problem::invalid_field("/replies", detail));
        }
        let replies = self.replies.into_iter().enumerate();
        Ok(Settings {
            opt_out_keywords: OptOutKeywords {
                stop: self.opt_out_keywords,
                start: self.opt_in_keywords,
                stop_payloads: self.opt_out_payloads,
                start_payloads: self.opt_in_payloads,
            },
            replies: replies.map(parse_reply).collect::<Result<_, _>>()?,
            attribution_hours: self.attribution_hours,
        })
    }
}

fn validate_keywords(pointer: &str, words: &[String]) -> Result<(), Problem> {
    if words.len() > MAX_KEYWORDS {
        let detail = format!("may have {MAX_KEYWORDS} entries at most");
        return Err(Problem::invalid_field(pointer, detail));
    }
    match words
        .iter()
        .position(|word| normalize_keyword(word).is_empty())
    {
        Some(index) => Err(Problem::invalid_field(
            format!("{pointer}/{index}"),
            "must have a letter or a digit in it",
        )),
        None => Ok(()),
    }
}

fn parse_reply((index, rule): (usize, AutoReplyView)) -> Result<AutoReply, Problem> {
    let at = format!("/replies/{index}");
    let named: Vec<String> = rule
        .keywords
        .iter()
        .filter(|word| *word != "*")
        .cloned()
        .collect();
    validate_keywords(&format!("{at}/keywords"), &named)?;
    if rule.keywords.is_empty() {
        return Err(Problem::invalid_field(
            format!("{at}/keywords"),
            "must not be empty",
        ));
    }
    let pointer = format!("{at}/message");
    let message = create::parse_message(Some(rule.message), &pointer)?;
    if !message.columns().is_empty() {
        let detail = "cannot have {{column}} in it: an answer has no file";
        return Err(Problem::invalid_field(pointer, detail));
    }
    Ok(AutoReply {
        keywords: rule.keywords,
        message,
    })
}
