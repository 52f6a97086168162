//! People beyond one campaign: the suppression list in and out, and everything that is known of one person.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_DISPOSITION;
use campaign::contacts::contact::{ConsentEvent, ConsentSource, Contact};
use campaign::import::phone;
use cloud::contacts::{ContactKey, EventOrder, contact_id};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::body::JsonBody;
use crate::contacts::{ContactView, MAX_REASON_CHARS, contact_view};
use crate::conversation_view::{ConversationMessageView, message_views};
use crate::csv::CsvFile;
use crate::extract::{PhonePath, Query};
use crate::openapi::{BodyErrors, NotFound, PhoneErrors, RequestErrors, RowStateName};
use crate::problem::Problem;
use crate::time::format_time;

/// The most numbers of one request.
const MAX_PHONES: usize = 500;

/// Contacts that are written at once.
const CONCURRENT_WRITES: usize = 16;

/// Contacts of one exported file.
const EXPORT_LIMIT: usize = 2_000;

/// The most messages in the file of one person.
const MAX_MESSAGES: i32 = 1_000;

/// What the file of one person does not have.
const NOTE: &str = "Crier knows the last campaign that messaged this person. Whether earlier campaigns did is in their reports (POST /v1/campaigns/{id}/report), which have your files with the outcome of each row.";

/// What `POST /v1/opt-outs` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOptOuts {
    /// Numbers with their country code, up to 500.
    #[schema(min_items = 1, max_items = 500, example = json!(["+5511987654321"]))]
    phones: Vec<String>,
    /// Why, for those who read the history later; up to 500 characters.
    #[schema(max_length = 500, example = "list of the old system")]
    reason: Option<String>,
}

/// What became of the numbers.
#[derive(Debug, Serialize, ToSchema)]
pub struct OptOutResult {
    /// How many are on the suppression list now and were not before.
    pub suppressed: usize,
    /// How many were on it already.
    pub already: usize,
    /// What cannot be a number.
    pub rejected: Vec<RejectedPhone>,
}

/// What cannot be a number.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejectedPhone {
    /// Its index in `phones`, from 0.
    pub index: usize,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

/// The query of `GET /v1/opt-outs.csv`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportOptOutsQuery {
    /// Where the previous file ended: its header `x-crier-next`.
    #[param(pattern = "^[0-9a-f]{64}$")]
    after: Option<String>,
}

/// Everything that is known of one person.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonFile {
    /// When it was put together.
    #[schema(format = DateTime)]
    pub exported_at: String,
    /// Consent and its history, the last message.
    pub contact: ContactView,
    /// What the person wrote and what operators replied, newest first; 1,000 messages at most.
    pub messages: Vec<ConversationMessageView>,
    /// What the last campaign sent to the person.
    pub sent: Vec<SentMessageView>,
    /// What is not in it.
    pub note: &'static str,
}

/// A message of a campaign to one person.
#[derive(Debug, Serialize, ToSchema)]
pub struct SentMessageView {
    /// The campaign.
    pub campaign: String,
    /// Its name.
    pub campaign_name: Option<String>,
    /// The person's row in it.
    pub row: u32,
    /// The state of the row.
    #[schema(value_type = RowStateName)]
    pub state: &'static str,
    /// When the latest attempt began.
    #[schema(format = DateTime)]
    pub attempted_at: String,
    /// When WhatsApp sent it.
    #[schema(format = DateTime)]
    pub sent_at: Option<String>,
    /// When it was delivered.
    #[schema(format = DateTime)]
    pub delivered_at: Option<String>,
    /// When it was read.
    #[schema(format = DateTime)]
    pub read_at: Option<String>,
}

/// Puts many people on the suppression list.
///
/// Numbers that are wrong are left out and named; the others are suppressed all the same. Campaigns that are sending obey
/// before their next message to each of them.
#[utoipa::path(
    post, path = "/v1/opt-outs", operation_id = "importOptOuts", tag = "contacts",
    request_body = NewOptOuts,
    responses((status = 200, body = OptOutResult, description = "What became of the numbers"),
        RequestErrors, BodyErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn import_opt_outs(
    State(api): State<Arc<Api>>,
    JsonBody(NewOptOuts { phones, reason }): JsonBody<NewOptOuts>,
) -> Result<Json<OptOutResult>, Problem> {
    if phones.is_empty() || phones.len() > MAX_PHONES {
        let detail = format!("must have 1 to {MAX_PHONES} numbers; send more in several requests");
        return Err(Problem::invalid_field("/phones", detail));
    }
    let length = reason.as_ref().map_or(0, |reason| reason.chars().count());
    if length > MAX_REASON_CHARS {
        let detail = format!("must have at most {MAX_REASON_CHARS} characters; shorten it");
        return Err(Problem::invalid_field("/reason", detail));
    }
    let (mut valid, mut rejected) = (Vec::new(), Vec::new());
    for (index, text) in phones.iter().enumerate() {
        match phone::parse(text, None) {
            Ok(phone) => valid.push(phone),
            Err(problem) => rejected.push(RejectedPhone {
                index,
                problem: problem.to_string(),
                fix: problem.fix().to_owned(),
            }),
        }
    }
    let event = ConsentEvent {
        at: cloud::now(),
        suppressed: true,
        source: ConsentSource::Operator,
        text: reason,
    };
    let outcomes = stream::iter(valid)
        .map(async |phone| {
            let key = ContactKey::Phone(phone);
            api.contacts
                .suppress(&key, event.clone(), EventOrder::Last)
                .await
        })
        .buffer_unordered(CONCURRENT_WRITES);
    let outcomes: Vec<Option<Contact>> = outcomes.try_collect().await?;
    let newly: Vec<&Contact> = outcomes.iter().flatten().collect();
    // The answer says that no send to them starts any more.
    let effective = newly
        .iter()
        .filter_map(|contact| contact.opt_out_effective_at(cloud::now()));
    let effective_at = effective.max().unwrap_or_default();
    let wait = effective_at.saturating_sub(cloud::now());
    tokio::time::sleep(Duration::from_millis(wait)).await;
    Ok(Json(OptOutResult {
        suppressed: newly.len(),
        already: outcomes.len() - newly.len(),
        rejected,
    }))
}

/// Exports the suppression list as CSV: number, since when, where it came from, in whose words.
///
/// Whoever was erased is on the list as a hash, and not in the file. If there are more, the header `x-crier-next` is the
/// `after` of the next file; a file may have no lines and not be the last.
#[utoipa::path(
    get, path = "/v1/opt-outs.csv", operation_id = "exportOptOuts", tag = "contacts",
    params(ExportOptOutsQuery),
    responses((status = 200, body = String, content_type = "text/csv", description = "The suppression list"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn export_opt_outs(
    State(api): State<Arc<Api>>,
    Query(query): Query<ExportOptOutsQuery>,
) -> Result<(HeaderMap, String), Problem> {
    let is_key = |key: &String| key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit());
    if query.after.as_ref().is_some_and(|key| !is_key(key)) {
        let detail = "must be the header x-crier-next of a file; copy it from there";
        return Err(Problem::invalid_parameter("after", detail));
    }
    let page = api
        .contacts
        .export_suppressed(query.after.as_deref(), EXPORT_LIMIT)
        .await?;
    let mut file = CsvFile::new(&["phone", "since", "source", "text"]);
    for contact in &page.contacts {
        let (Some(phone), Some(event)) = (contact.phone, contact.last_consent()) else {
            continue;
        };
        file.write(&[
            &phone.to_string(),
            &format_time(event.at),
            event.source.name(),
            event.text.as_deref().unwrap_or_default(),
        ]);
    }
    Ok(file.into_answer("opt-outs.csv", page.next))
}

/// Exports everything that is known of one person, as a file.
#[utoipa::path(
    get, path = "/v1/contacts/{phone}/export", operation_id = "exportContact", tag = "contacts",
    params(PhonePath),
    responses((status = 200, body = PersonFile, description = "The person's data"),
        RequestErrors, PhoneErrors, NotFound)
)]
#[tracing::instrument(skip_all)]
pub async fn export_contact(
    State(api): State<Arc<Api>>,
    PhonePath { phone }: PhonePath,
) -> Result<(HeaderMap, Json<PersonFile>), Problem> {
    let contact = api.contacts.get(&ContactKey::Phone(phone)).await?;
    let contact = contact.ok_or_else(Problem::unknown_contact)?;
    let now = cloud::now();
    let messages = api
        .inbox
        .list_conversation(&contact_id(phone), now + 1, MAX_MESSAGES)
        .await?;
    let file = PersonFile {
        exported_at: format_time(now),
        messages: message_views(&api, messages).await?,
        sent: api.last_message(&contact).await?.into_iter().collect(),
        contact: contact_view(phone, contact),
        note: NOTE,
    };
    let mut headers = HeaderMap::new();
    let name = "attachment; filename=\"person.json\"";
    headers.extend(name.parse().ok().map(|name| (CONTENT_DISPOSITION, name)));
    Ok((headers, Json(file)))
}

impl Api {
    /// What the last campaign sent to a contact.
    async fn last_message(&self, contact: &Contact) -> Result<Option<SentMessageView>, Problem> {
        let (Some(id), Some(row)) = (&contact.last_campaign, contact.last_row) else {
            return Ok(None);
        };
        let Some(sent) = self.ledger.get_row(id, row).await? else {
            return Ok(None);
        };
        let campaign = self.campaigns.get(id).await?;
        Ok(Some(SentMessageView {
            campaign: id.to_string(),
            campaign_name: campaign.map(|campaign| campaign.name),
            row,
            state: sent.state.name(),
            attempted_at: format_time(sent.claimed_at),
            sent_at: sent.sent_at.map(format_time),
            delivered_at: sent.delivered_at.map(format_time),
            read_at: sent.read_at.map(format_time),
        }))
    }
}
