//! The standing list of people whom no campaign messages.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use campaign::contact::Contact;
use campaign::phone::{self, Phone};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::{Api, create, view};

/// The most characters of a reason.
const MAX_REASON: usize = 500;

/// What `PUT /contacts/{phone}` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContact {
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
    /// Whether nobody is to message this person.
    pub suppressed: bool,
    /// Why.
    pub reason: Option<String>,
    /// Who said so.
    pub source: String,
    /// When.
    pub changed_at: String,
}

/// Puts somebody on the standing list, or takes them off it. Campaigns that are sending obey from their next claim on.
#[utoipa::path(
    put, path = "/contacts/{phone}", request_body = NewContact,
    params(("phone" = String, Path, description = "The number, as +<country><number>, the + as %2B or left out")),
    responses((status = 200, body = ContactView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 422, body = Problem))
)]
pub async fn put(
    State(api): State<Arc<Api>>,
    Path(number): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ContactView>, Problem> {
    let body = body.map_err(|_| Problem::too_large())?;
    let NewContact { suppressed, reason } = create::read(&body)?;
    if reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > MAX_REASON)
    {
        return Err(Problem::field(
            "/reason",
            format!("is longer than {MAX_REASON} characters"),
        ));
    }
    let phone = read(&number)?;
    let contact = Contact {
        phone,
        suppressed,
        reason,
        source: "operator".into(),
        changed_at: cloud::now(),
    };
    api.contacts.put(&contact).await?;
    Ok(Json(view_of(contact)))
}

/// Shows what is known of somebody.
#[utoipa::path(
    get, path = "/contacts/{phone}",
    params(("phone" = String, Path, description = "The number, as +<country><number>, the + as %2B or left out")),
    responses((status = 200, body = ContactView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub async fn show(
    State(api): State<Arc<Api>>,
    Path(number): Path<String>,
) -> Result<Json<ContactView>, Problem> {
    let contact = api.contacts.get(read(&number)?.key()).await?;
    contact
        .map(|contact| Json(view_of(contact)))
        .ok_or_else(Problem::no_contact)
}

/// A `+` in a path may have become a space on its way.
fn read(number: &str) -> Result<Phone, Problem> {
    let digits = number.trim_start_matches(['+', ' ']);
    phone::read(&format!("+{digits}"), None)
        .map_err(|problem| Problem::field("/phone", problem.to_string()))
}

fn view_of(contact: Contact) -> ContactView {
    ContactView {
        phone: contact.phone.to_string(),
        suppressed: contact.suppressed,
        reason: contact.reason,
        source: contact.source,
        changed_at: view::time(contact.changed_at),
    }
}
