//! The OpenAPI description: made from the handlers and their types, so that it cannot drift from the code.

mod enums;

use utoipa::openapi::link::LinkBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, RefOr};
use utoipa::{IntoResponses, Modify, OpenApi};

pub use self::enums::{
    ActionName, AfterCanaryName, Attribution, CampaignStateName, ConsentSourceName, DayName,
    FailureStateName, FileStageName, JobStateName, OnBadValueName, OnUnconfirmedName,
    OutsideServiceWindowName, PausedByName, RecipientStatusName, RetryStateName, RoleName,
    RowStateName,
};
use crate::problem::Problem;
use crate::roles;

/// What the description says beside the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Crier",
        description = "WhatsApp broadcasts from a file of recipients, at exactly the rate you are allowed.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "access", description = "Sessions, tokens and roles, the audit log"),
        (name = "campaigns", description = "Create campaigns, upload files, follow and control the sending"),
        (name = "results", description = "What became of each row: rejects, rows, reports, recounts"),
        (name = "messages", description = "Single messages, ahead of campaigns"),
        (name = "contacts", description = "Consent, suppression and erasure of one recipient"),
        (name = "inbox", description = "Messages that recipients wrote"),
        (name = "account", description = "Templates, settings, account events and metrics"),
    ),
    components(schemas(Problem, RowStateName)),
    modifiers(&BearerToken),
    security(("token" = []))
)]
pub struct Description;

/// Declares the API token.
struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, description: &mut Document) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A token of POST /v1/tokens, or one whose SHA-256 is in the secret",
            ))
            .build();
        description
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// Operations that a new campaign can be given to.
const CAMPAIGN_OPERATIONS: [&str; 8] = [
    "getCampaign",
    "listRows",
    "previewCampaign",
    "addFile",
    "startCampaign",
    "pauseCampaign",
    "resumeCampaign",
    "cancelCampaign",
];

/// Says in the response of `createCampaign` which operations take its id.
pub(crate) fn link_campaign_operations(description: &mut Document) {
    let created = description
        .paths
        .paths
        .get_mut("/v1/campaigns")
        .and_then(|item| item.post.as_mut())
        .and_then(|operation| operation.responses.responses.get_mut("201"));
    if let Some(RefOr::T(response)) = created {
        for operation in CAMPAIGN_OPERATIONS {
            let link = LinkBuilder::new()
                .operation_id(operation)
                .parameter("id", "$response.body#/id")
                .build();
            response.links.insert(operation.to_owned(), RefOr::T(link));
        }
    }
}

/// Says in each operation's description which role it needs.
pub(crate) fn describe_roles(description: &mut Document) {
    for item in description.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            let id = operation.operation_id.as_deref().unwrap_or_default();
            let Some(role) = roles::find(id).map(|known| known.role.name()) else {
                continue;
            };
            let said = operation.description.take().unwrap_or_default();
            let text = format!("{said}\n\nNeeds the role `{role}`.");
            operation.description = Some(text.trim().to_owned());
        }
    }
}

/// Errors of every route.
#[derive(IntoResponses)]
pub enum RequestErrors {
    /// The path, the query string or the body cannot be read, or a query parameter is unknown or has a wrong value.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(Problem),
    /// The token is missing or wrong.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(Problem),
    /// The caller's role does not suffice, or another site than the console may have caused the request.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// This path does not support the method; the `Allow` header lists those it supports.
    #[response(status = 405, content_type = "application/problem+json")]
    MethodNotAllowed(Problem),
    /// Too many wrong tokens came from this address; the `Retry-After` header says how many seconds to wait.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyWrongTokens(Problem),
    /// AWS or Meta did not answer; try again.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// Errors of routes with a body.
#[derive(IntoResponses)]
pub enum BodyErrors {
    /// The body has too many bytes.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The field that `field` points to has a value that cannot work.
    #[response(status = 422, content_type = "application/problem+json")]
    InvalidField(Problem),
}

/// A phone number in the path that cannot exist.
#[derive(IntoResponses)]
pub enum PhoneErrors {
    /// The path names no possible phone number.
    #[response(status = 422, content_type = "application/problem+json")]
    InvalidPhone(Problem),
}

/// The resource does not exist.
#[derive(IntoResponses)]
pub enum NotFound {
    /// Nothing of this id exists.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
}

/// The resource is in the wrong state.
#[derive(IntoResponses)]
pub enum Conflict {
    /// The campaign is not in a state that allows this.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
}
