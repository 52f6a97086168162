//! Settings of the whole deployment: opt-out and opt-in keywords, and automatic replies.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use campaign::contacts::consent::{KeywordLists, OptOutKeywords, normalize_keyword};
use campaign::contacts::settings::{AutoReply, Settings, TestNumber};
use campaign::import::phone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Api;
use crate::body::JsonBody;
use crate::message_schema::MessageSchema;
use crate::new_file::required_text;
use crate::new_message::parse_message;
use crate::openapi::{BodyErrors, RequestErrors};
use crate::problem::Problem;

/// The most keywords or payloads of one list.
const MAX_KEYWORDS: usize = 500;

/// The most automatic replies.
const MAX_REPLIES: usize = 100;

/// The most numbers for test sends.
const MAX_TEST_NUMBERS: usize = 20;

/// The most characters of the name of such a number.
const MAX_NAME_CHARS: usize = 60;

/// The longest time after a message within which an inbound message is attributed to it: a month.
const MAX_ATTRIBUTION_HOURS: u32 = 720;

/// The settings. What `PUT /v1/settings` leaves out gets its default.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsView {
    /// Opt-out keywords, by language. A message that is one of these and nothing else is an opt-out.
    #[schema(value_type = std::collections::HashMap<String, Vec<String>>, example = json!({"en": ["stop", "unsubscribe"]}))]
    opt_out_keywords: KeywordLists,
    /// Opt-in keywords, by language.
    #[schema(value_type = std::collections::HashMap<String, Vec<String>>, example = json!({"en": ["start"]}))]
    opt_in_keywords: KeywordLists,
    /// Payloads of buttons that mean an opt-out.
    #[schema(max_items = 500)]
    opt_out_payloads: Vec<String>,
    /// Payloads of buttons that mean an opt-in.
    #[schema(max_items = 500)]
    opt_in_payloads: Vec<String>,
    /// Automatic replies.
    #[schema(max_items = 100)]
    replies: Vec<AutoReplyView>,
    /// For how many hours after a campaign's message an inbound message is attributed to it.
    #[schema(minimum = 1, maximum = 720)]
    attribution_hours: u32,
    /// Whether a campaign starts only after a second person approved it.
    approval_required: bool,
    /// Numbers of your own, to which an author may send tests.
    #[schema(max_items = 20)]
    test_numbers: Vec<TestNumberView>,
}

/// A number for test sends.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestNumberView {
    /// Whose it is.
    #[schema(min_length = 1, max_length = 60, pattern = "\\S", example = "My phone")]
    name: String,
    /// The number, as `+<country><number>`.
    #[schema(example = "+5511987654321")]
    phone: String,
}

impl From<&TestNumber> for TestNumberView {
    fn from(number: &TestNumber) -> Self {
        Self {
            name: number.name.clone(),
            phone: number.phone.to_string(),
        }
    }
}

/// An automatic reply.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoReplyView {
    /// A message or a button's payload that is one of these gets the reply; `*` matches whatever no other reply matches.
    #[schema(min_items = 1, max_items = 500, example = json!(["hours", "opening hours"]))]
    keywords: Vec<String>,
    /// The reply: the Cloud API's message object without `to` and without `{{column}}`.
    #[schema(value_type = MessageSchema)]
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
        let reply_view = |reply: AutoReply| AutoReplyView {
            keywords: reply.keywords,
            message: reply.message.into(),
        };
        Self {
            opt_out_keywords: stop,
            opt_in_keywords: start,
            opt_out_payloads: stop_payloads,
            opt_in_payloads: start_payloads,
            replies: settings.replies.into_iter().map(reply_view).collect(),
            attribution_hours: settings.attribution_hours,
            approval_required: settings.approval_required,
            test_numbers: settings
                .test_numbers
                .iter()
                .map(TestNumberView::from)
                .collect(),
        }
    }
}

/// Gets the settings.
#[utoipa::path(
    get, path = "/v1/settings", operation_id = "getSettings", tag = "account",
    responses((status = 200, body = SettingsView, description = "The settings"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn get_settings(State(api): State<Arc<Api>>) -> Result<Json<SettingsView>, Problem> {
    Ok(Json(api.settings.get_latest().await?.into()))
}

/// Replaces the settings. All functions apply them within half a minute.
#[utoipa::path(
    put, path = "/v1/settings", operation_id = "updateSettings", tag = "account",
    request_body = SettingsView,
    responses((status = 200, body = SettingsView, description = "The new settings"),
        RequestErrors, BodyErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn update_settings(
    State(api): State<Arc<Api>>,
    JsonBody(view): JsonBody<SettingsView>,
) -> Result<Json<SettingsView>, Problem> {
    let settings = view.into_settings()?;
    api.settings.put(&settings).await?;
    Ok(Json(settings.into()))
}

impl SettingsView {
    fn into_settings(self) -> Result<Settings, Problem> {
        self.validate_lists()?;
        if !(1..=MAX_ATTRIBUTION_HOURS).contains(&self.attribution_hours) {
            let detail = format!("must be from 1 to {MAX_ATTRIBUTION_HOURS} hours");
            return Err(Problem::invalid_field("/attribution_hours", detail));
        }
        if self.replies.len() > MAX_REPLIES {
            let detail = format!("must have at most {MAX_REPLIES} entries; remove some");
            return Err(Problem::invalid_field("/replies", detail));
        }
        if self.test_numbers.len() > MAX_TEST_NUMBERS {
            let detail = format!("must have at most {MAX_TEST_NUMBERS} entries; remove some");
            return Err(Problem::invalid_field("/test_numbers", detail));
        }
        let test_numbers = self.test_numbers.into_iter().enumerate();
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
            approval_required: self.approval_required,
            test_numbers: test_numbers
                .map(parse_test_number)
                .collect::<Result<_, _>>()?,
        })
    }

    fn validate_lists(&self) -> Result<(), Problem> {
        for (field, lists) in [
            ("/opt_out_keywords", &self.opt_out_keywords),
            ("/opt_in_keywords", &self.opt_in_keywords),
        ] {
            for (language, list) in lists {
                validate_keywords(&format!("{field}/{language}"), list)?;
            }
        }
        validate_keywords("/opt_out_payloads", &self.opt_out_payloads)?;
        validate_keywords("/opt_in_payloads", &self.opt_in_payloads)
    }
}

fn parse_test_number((index, number): (usize, TestNumberView)) -> Result<TestNumber, Problem> {
    let name = required_text(Some(number.name), &format!("/test_numbers/{index}/name"))?;
    if name.chars().count() > MAX_NAME_CHARS {
        let detail = format!("must have at most {MAX_NAME_CHARS} characters; shorten it");
        return Err(Problem::invalid_field(
            format!("/test_numbers/{index}/name"),
            detail,
        ));
    }
    let phone = phone::parse(&number.phone, None).map_err(|problem| {
        let detail = format!("{problem}; {}", problem.fix());
        Problem::invalid_field(format!("/test_numbers/{index}/phone"), detail)
    })?;
    Ok(TestNumber { name, phone })
}

fn validate_keywords(pointer: &str, keywords: &[String]) -> Result<(), Problem> {
    if keywords.len() > MAX_KEYWORDS {
        let detail = format!("must have at most {MAX_KEYWORDS} entries; remove some");
        return Err(Problem::invalid_field(pointer, detail));
    }
    match keywords
        .iter()
        .position(|keyword| normalize_keyword(keyword).is_empty())
    {
        Some(index) => Err(Problem::invalid_field(
            format!("{pointer}/{index}"),
            "must contain a letter or a digit",
        )),
        None => Ok(()),
    }
}

fn parse_reply((index, reply): (usize, AutoReplyView)) -> Result<AutoReply, Problem> {
    let at = format!("/replies/{index}");
    let pointer = format!("{at}/keywords");
    if reply.keywords.is_empty() {
        let detail = "must not be empty; write * to reply to every other message";
        return Err(Problem::invalid_field(pointer, detail));
    }
    let keywords: Vec<String> = reply
        .keywords
        .iter()
        .filter(|keyword| *keyword != "*")
        .cloned()
        .collect();
    validate_keywords(&pointer, &keywords)?;
    let pointer = format!("{at}/message");
    let message = parse_message(Some(reply.message), &pointer)?;
    if !message.columns().is_empty() {
        let detail = "must not contain {{column}}: a reply has no file to take values from";
        return Err(Problem::invalid_field(pointer, detail));
    }
    Ok(AutoReply {
        keywords: reply.keywords,
        message,
    })
}
