//! People: whether anybody may message them, and what they said about it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use campaign::contacts::contact::{ConsentEvent, ConsentSource, Contact};
use campaign::import::phone::{self, Phone};
use cloud::contacts::ContactKey;
use cloud::erasure_queue::ErasureJob;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::view::format_time;
use crate::{Api, create};

/// The most characters of a reason.
const MAX_REASON_CHARS: usize = 500;

/// How far an erasure is that nobody has begun.
const REQUESTED: &str = "requested";

/// What `PUT /v1/contacts/{phone}` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactUpdate {
    /// Whether nobody is to message this person.
    suppressed: bool,
    /// Why, for whoever looks later.
    reason: Option<String>,
}

/// What is known of somebody.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContactView {
    /// As last written; every spelling of the number leads here.
    #[schema(example = "+5511987654321")]
    pub phone: String,
    /// WhatsApp's id of theirs, where it named one.
    pub user_id: Option<String>,
    /// Whether nobody is to message this person.
    pub suppressed: bool,
    /// What was said about that, the latest first; the first counts.
    pub consent: Vec<ConsentView>,
    /// When they last wrote.
    pub last_inbound_at: Option<String>,
    /// Until when they may be sent free-form messages; none where they may not now.
    pub service_window_until: Option<String>,
    /// How far the erasure is, where one was asked for; `done` at its end.
    pub erasure: Option<String>,
    /// The campaign that called them last.
    pub last_campaign: Option<String>,
    /// Their row in it.
    pub last_row: Option<u32>,
    /// When that was.
    pub last_messaged_at: Option<String>,
}

/// A word about whether somebody may be messaged.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsentView {
    /// When it was said.
    pub at: String,
    /// Whether nobody was to message them from then on.
    pub suppressed: bool,
    /// `operator`, `text`, `button`, `preferences` (WhatsApp's own switch), `refusal` (error 131050), `moved` (from another
    /// number) or `erasure`.
    pub source: &'static str,
    /// In what words.
    pub text: Option<String>,
}

/// Puts somebody on the standing list, or takes them off it. Campaigns that are sending obey from their next claim on.
#[utoipa::path(
    put, path = "/v1/contacts/{phone}", request_body = ContactUpdate,
    params(("phone" = String, Path, description = "The number, as +<country><number>, the + as %2B or left out")),
    responses((status = 200, body = ContactView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 422, body = Problem))
)]
pub async fn put(
    State(api): State<Arc<Api>>,
    Path(number): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ContactView>, Problem> {
    let body = body.map_err(|_| Problem::body_too_large())?;
    let ContactUpdate { suppressed, reason } = create::parse_body(&body)?;
    if reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > MAX_REASON_CHARS)
    {
        return Err(Problem::invalid_field(
            "/reason",
            format!("is longer than {MAX_REASON_CHARS} characters"),
        ));
    }
    let phone = parse_phone(&number)?;
    let word = ConsentEvent {
        at: cloud::now(),
        suppressed,
        source: ConsentSource::Operator,
        text: reason,
    };
    let contact = api
        .contacts
        .record_consent(&ContactKey::Phone(phone), word)
        .await?;
    Ok(Json(contact_view(phone, contact)))
}

/// Shows what is known of somebody: consent and its history, the 24-hour window, the campaign that called them last.
#[utoipa::path(
    get, path = "/v1/contacts/{phone}",
    params(("phone" = String, Path, description = "The number, as +<country><number>, the + as %2B or left out")),
    responses((status = 200, body = ContactView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub async fn show(
    State(api): State<Arc<Api>>,
    Path(number): Path<String>,
) -> Result<Json<ContactView>, Problem> {
    let phone = parse_phone(&number)?;
    let contact = api.contacts.get(&ContactKey::Phone(phone)).await?;
    contact
        .map(|contact| Json(contact_view(phone, contact)))
        .ok_or_else(Problem::unknown_contact)
}

/// Forgets somebody everywhere: files, reports, ledger, callbacks, inbox. What is left is a hash, and that nobody is to message
/// them. Takes minutes, or until campaigns are over that have them in their file; GET shows how far it is.
#[utoipa::path(
    delete, path = "/v1/contacts/{phone}",
    params(("phone" = String, Path, description = "The number, as +<country><number>, the + as %2B or left out")),
    responses((status = 202, body = ContactView), (status = 401, body = Problem), (status = 422, body = Problem))
)]
pub async fn erase(
    State(api): State<Arc<Api>>,
    Path(number): Path<String>,
) -> Result<(StatusCode, Json<ContactView>), Problem> {
    let phone = parse_phone(&number)?;
    let who = ContactKey::Phone(phone);
    let word = ConsentEvent {
        at: cloud::now(),
        suppressed: true,
        source: ConsentSource::Erasure,
        text: None,
    };
    let mut contact = api.contacts.record_consent(&who, word).await?;
    api.contacts.set_erasure_stage(&who, REQUESTED).await?;
    let order = ErasureJob {
        phone,
        waits_for: None,
    };
    api.erasures.enqueue(&order, Duration::ZERO).await?;
    contact.erasure = Some(REQUESTED.into());
    Ok((StatusCode::ACCEPTED, Json(contact_view(phone, contact))))
}

/// A `+` in a path may have become a space on its way.
fn parse_phone(number: &str) -> Result<Phone, Problem> {
    let digits = number.trim_start_matches(['+', ' ']);
    phone::parse(&format!("+{digits}"), None)
        .map_err(|problem| Problem::invalid_field("/phone", problem.to_string()))
}

fn contact_view(phone: Phone, contact: Contact) -> ContactView {
    let window_until = contact.service_window_end(cloud::now());
    let said = |word: &ConsentEvent| ConsentView {
        at: format_time(word.at),
        suppressed: word.suppressed,
        source: word.source.name(),
        text: word.text.clone(),
    };
    ContactView {
        phone: contact.phone.unwrap_or(phone).to_string(),
        user_id: contact.user_id,
        suppressed: contact.suppressed,
        consent: contact.consent.iter().rev().map(said).collect(),
        last_inbound_at: contact.last_inbound_at.map(format_time),
        service_window_until: window_until.map(format_time),
        erasure: contact.erasure,
        last_campaign: contact.last_campaign.map(|campaign| campaign.to_string()),
        last_row: contact.last_row,
        last_messaged_at: contact.last_messaged_at.map(format_time),
    }
}
