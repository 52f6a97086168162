//! Contacts: whether a recipient may be messaged, and the history of their consent.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use campaign::contacts::contact::{ConsentEvent, ConsentSource, Contact};
use campaign::import::phone::Phone;
use cloud::contacts::ContactKey;
use cloud::erasure_queue::ErasureJob;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

use crate::Api;
use crate::body::JsonBody;
use crate::extract::PhonePath;
use crate::openapi::{BodyErrors, ConsentSourceName, NotFound, PhoneErrors, RequestErrors};
use crate::problem::Problem;
use crate::time::format_time;

/// The most characters of a reason.
pub(crate) const MAX_REASON_CHARS: usize = 500;

/// The stage of an erasure that no function has begun.
const REQUESTED: &str = "requested";

/// What `PUT /v1/contacts/{phone}` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactUpdate {
    /// Whether the contact is on the suppression list: no campaign may message them.
    suppressed: bool,
    /// Why, for those who read the history later; up to 500 characters.
    #[schema(max_length = 500, example = "asked by e-mail")]
    reason: Option<String>,
}

/// What is known about a contact.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContactView {
    /// The number as it was last written. Every spelling of the number leads to the same contact.
    #[schema(example = "+5511987654321")]
    pub phone: String,
    /// WhatsApp's id of the user, if it is known.
    pub user_id: Option<String>,
    /// Whether the contact is on the suppression list.
    pub suppressed: bool,
    /// The history of consent, newest first; the first entry applies.
    pub consent: Vec<ConsentView>,
    /// When the contact last wrote or called.
    #[schema(format = DateTime)]
    pub last_inbound_at: Option<String>,
    /// Until when the contact may be sent messages other than templates; null if that is not allowed now.
    #[schema(format = DateTime)]
    pub service_window_until: Option<String>,
    /// The stage of the erasure, if one was requested; `done` at its end.
    pub erasure: Option<String>,
    /// The campaign that messaged the contact last.
    pub last_campaign: Option<String>,
    /// The contact's row in it.
    pub last_row: Option<u32>,
    /// When that was.
    #[schema(format = DateTime)]
    pub last_messaged_at: Option<String>,
}

/// An opt-out, an opt-in or another change of consent.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsentView {
    /// When it happened.
    #[schema(format = DateTime)]
    pub at: String,
    /// Whether the contact was suppressed from then on.
    pub suppressed: bool,
    /// Where it came from: an `operator`, a `text` or a `button` of the contact, the contact's `preferences` in WhatsApp, a
    /// `refusal` by WhatsApp (error 131050), another number from which the contact `moved`, or an `erasure`.
    #[schema(value_type = ConsentSourceName)]
    pub source: &'static str,
    /// The contact's or the operator's words.
    pub text: Option<String>,
}

/// Puts a contact on the suppression list, or takes them off it.
///
/// Campaigns that are sending obey before their next message to the contact.
#[utoipa::path(
    put, path = "/v1/contacts/{phone}", operation_id = "updateContact", tag = "contacts",
    params(PhonePath), request_body = ContactUpdate,
    responses((status = 200, body = ContactView, description = "The contact after the change"),
        RequestErrors, BodyErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn update_contact(
    State(api): State<Arc<Api>>,
    PhonePath { phone }: PhonePath,
    JsonBody(ContactUpdate { suppressed, reason }): JsonBody<ContactUpdate>,
) -> Result<Json<ContactView>, Problem> {
    let length = reason.as_ref().map_or(0, |reason| reason.chars().count());
    if length > MAX_REASON_CHARS {
        let detail = format!("must have at most {MAX_REASON_CHARS} characters; shorten it");
        return Err(Problem::invalid_field("/reason", detail));
    }
    let event = ConsentEvent {
        at: cloud::now(),
        suppressed,
        source: ConsentSource::Operator,
        text: reason,
    };
    let contact = api
        .contacts
        .record_decision(&ContactKey::Phone(phone), event)
        .await?;
    if suppressed {
        // The answer says that no send starts any more.
        let effective_at = contact
            .opt_out_effective_at(cloud::now())
            .unwrap_or_default();
        let wait = effective_at.saturating_sub(cloud::now());
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    Ok(Json(contact_view(phone, contact)))
}

/// Gets a contact: consent and its history, the 24-hour service window, the campaign that messaged them last.
#[utoipa::path(
    get, path = "/v1/contacts/{phone}", operation_id = "getContact", tag = "contacts",
    params(PhonePath),
    responses((status = 200, body = ContactView, description = "The contact"),
        RequestErrors, PhoneErrors, NotFound)
)]
#[tracing::instrument(skip_all)]
pub async fn get_contact(
    State(api): State<Arc<Api>>,
    PhonePath { phone }: PhonePath,
) -> Result<Json<ContactView>, Problem> {
    let contact = api.contacts.get(&ContactKey::Phone(phone)).await?;
    contact
        .map(|contact| Json(contact_view(phone, contact)))
        .ok_or_else(Problem::unknown_contact)
}

/// Erases a contact everywhere: files, reports, ledger, callbacks, inbox.
///
/// What remains is a hash of the number on the suppression list. The erasure takes minutes, or as long as a campaign with
/// the contact in its file is open; GET shows how far it is.
#[utoipa::path(
    delete, path = "/v1/contacts/{phone}", operation_id = "eraseContact", tag = "contacts",
    params(PhonePath),
    responses((status = 202, body = ContactView, description = "The erasure is requested"),
        RequestErrors, PhoneErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn erase_contact(
    State(api): State<Arc<Api>>,
    PhonePath { phone }: PhonePath,
) -> Result<(StatusCode, Json<ContactView>), Problem> {
    let key = ContactKey::Phone(phone);
    let event = ConsentEvent {
        at: cloud::now(),
        suppressed: true,
        source: ConsentSource::Erasure,
        text: None,
    };
    let mut contact = api.contacts.record_decision(&key, event).await?;
    api.contacts.set_erasure_stage(&key, REQUESTED).await?;
    let job = ErasureJob {
        phone,
        waits_for: None,
        hops: 0,
    };
    api.erasures.enqueue(&job).await?;
    contact.erasure = Some(REQUESTED.into());
    Ok((StatusCode::ACCEPTED, Json(contact_view(phone, contact))))
}

pub(crate) fn contact_view(phone: Phone, contact: Contact) -> ContactView {
    let service_window_end = contact.latest_service_window_end(cloud::now());
    let consent_view = |event: &ConsentEvent| ConsentView {
        at: format_time(event.at),
        suppressed: event.suppressed,
        source: event.source.name(),
        text: event.text.clone(),
    };
    ContactView {
        phone: contact.phone.unwrap_or(phone).to_string(),
        user_id: contact.user_id,
        suppressed: contact.suppressed,
        consent: contact.consent.iter().rev().map(consent_view).collect(),
        last_inbound_at: contact.last_inbound_at.map(format_time),
        service_window_until: service_window_end.map(format_time),
        erasure: contact.erasure,
        last_campaign: contact.last_campaign.map(|campaign| campaign.to_string()),
        last_row: contact.last_row,
        last_messaged_at: contact.last_messaged_at.map(format_time),
    }
}
