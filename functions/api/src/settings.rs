//! Settings of the whole deployment: the words by which people stop and start, and what is answered by itself.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use campaign::consent::{WordLists, Words, fold};
use campaign::settings::{Reply, Settings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::{Api, create};

/// The most words, payloads and keywords of one list.
const MOST_WORDS: usize = 500;

/// The most rules.
const MOST_REPLIES: usize = 100;

/// How long after a message words may be taken for an answer to it: a month.
const MOST_HOURS: u32 = 720;

/// The settings; what `PUT /settings` leaves out is as usual.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsView {
    /// Words that mean stop, by language. A message that is one of these and nothing else is an opt-out.
    #[schema(value_type = Object, example = json!({"en": ["stop", "unsubscribe"]}))]
    stop_words: WordLists,
    /// Words that mean start again.
    #[schema(value_type = Object, example = json!({"en": ["start"]}))]
    start_words: WordLists,
    /// Payloads of buttons that mean stop.
    stop_payloads: Vec<String>,
    /// Payloads of buttons that mean start again.
    start_payloads: Vec<String>,
    /// What is answered by itself.
    replies: Vec<ReplyView>,
    /// For how many hours after a campaign's message somebody's words count as an answer to it.
    attribution_hours: u32,
}

/// A rule: keywords, and the answer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplyView {
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
        let Words {
            stop,
            start,
            stop_payloads,
            start_payloads,
        } = settings.words;
        let reply = |reply: Reply| ReplyView {
            keywords: reply.keywords,
            message: reply.message.into(),
        };
        Self {
            stop_words: stop,
            start_words: start,
            stop_payloads,
            start_payloads,
            replies: settings.replies.into_iter().map(reply).collect(),
            attribution_hours: settings.attribution_hours,
        }
    }
}

/// Shows the settings.
#[utoipa::path(
    get, path = "/settings",
    responses((status = 200, body = SettingsView), (status = 401, body = Problem))
)]
pub async fn show(State(api): State<Arc<Api>>) -> Result<Json<SettingsView>, Problem> {
    Ok(Json(api.settings.read().await?.into()))
}

/// Puts others in their place; in force everywhere within half a minute.
#[utoipa::path(
    put, path = "/settings", request_body = SettingsView,
    responses((status = 200, body = SettingsView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 422, body = Problem))
)]
pub async fn put(
    State(api): State<Arc<Api>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<SettingsView>, Problem> {
    let body = body.map_err(|_| Problem::too_large())?;
    let settings = create::read::<SettingsView>(&body)?.checked()?;
    api.settings.write(&settings).await?;
    Ok(Json(settings.into()))
}

impl SettingsView {
    fn checked(self) -> Result<Settings, Problem> {
        for (field, lists) in [
            ("/stop_words", &self.stop_words),
            ("/start_words", &self.start_words),
        ] {
            for (language, list) in lists {
                words(&format!("{field}/{language}"), list)?;
            }
        }
        words("/stop_payloads", &self.stop_payloads)?;
        words("/start_payloads", &self.start_payloads)?;
        if !(1..=MOST_HOURS).contains(&self.attribution_hours) {
            let detail = format!("must be between 1 and {MOST_HOURS}");
            return Err(Problem::field("/attribution_hours", detail));
        }
        if self.replies.len() > MOST_REPLIES {
            let detail = format!("may have {MOST_REPLIES} rules at most");
            return Err(Problem::field("/replies", detail));
        }
        let replies = self.replies.into_iter().enumerate();
        Ok(Settings {
            words: Words {
                stop: self.stop_words,
                start: self.start_words,
                stop_payloads: self.stop_payloads,
                start_payloads: self.start_payloads,
            },
            replies: replies.map(rule).collect::<Result<_, _>>()?,
            attribution_hours: self.attribution_hours,
        })
    }
}

fn words(pointer: &str, words: &[String]) -> Result<(), Problem> {
    if words.len() > MOST_WORDS {
        let detail = format!("may have {MOST_WORDS} entries at most");
        return Err(Problem::field(pointer, detail));
    }
    match words.iter().position(|word| fold(word).is_empty()) {
        Some(index) => Err(Problem::field(
            format!("{pointer}/{index}"),
            "must have a letter or a digit in it",
        )),
        None => Ok(()),
    }
}

fn rule((index, rule): (usize, ReplyView)) -> Result<Reply, Problem> {
    let at = format!("/replies/{index}");
    let named: Vec<String> = rule
        .keywords
        .iter()
        .filter(|word| *word != "*")
        .cloned()
        .collect();
    words(&format!("{at}/keywords"), &named)?;
    if rule.keywords.is_empty() {
        return Err(Problem::field(
            format!("{at}/keywords"),
            "must not be empty",
        ));
    }
    let pointer = format!("{at}/message");
    let message = create::message(Some(rule.message), &pointer)?;
    if !message.columns().is_empty() {
        let detail = "cannot have {{column}} in it: an answer has no file";
        return Err(Problem::field(pointer, detail));
    }
    Ok(Reply {
        keywords: rule.keywords,
        message,
    })
}
