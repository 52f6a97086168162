//! Errors as RFC 9457 problem documents, with the field at fault where there is one.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use campaign::access::role::Role;
use campaign::lifecycle::event::Conflict;
use serde::Serialize;
use utoipa::ToSchema;
use whatsapp::account::AccountError;

/// A problem document (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// The kind of problem, in a few words.
    #[schema(example = "invalid field")]
    pub title: &'static str,
    /// What is wrong and what to do about it.
    #[schema(example = "must not be 0: the file has no rows")]
    pub detail: String,
    /// JSON pointer to the field at fault, such as `/message/text/body`, or `/` and the name of a path or query parameter.
    #[schema(example = "/file/size")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// For the header `Retry-After`.
    #[serde(skip)]
    #[schema(ignore)]
    pub retry_after_seconds: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            title,
            detail: detail.into(),
            field: None,
            retry_after_seconds: None,
        }
    }

    /// 422: a field of the body has a value that cannot work; `pointer` is its JSON pointer.
    pub fn invalid_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid field", detail);
        problem.at(pointer)
    }

    /// 400: a parameter of the path or of the query string is unknown or has a wrong value; `name` without a slash.
    pub fn invalid_parameter(name: &str, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::BAD_REQUEST, "invalid parameter", detail);
        problem.at(format!("/{name}"))
    }

    /// 400: the body is not a JSON object.
    pub fn unreadable_body(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unreadable body", detail)
    }

    /// 413: the body has too many bytes.
    pub fn body_too_large(max_bytes: usize) -> Self {
        let detail = format!(
            "the body is larger than {max_bytes} bytes; send files to the signed upload URL, not to this route"
        );
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body too large", detail)
    }

    /// 401: the token is missing or wrong.
    pub fn unauthorized() -> Self {
        let detail = "send the header `Authorization: Bearer <token>` with a token that an admin created (POST /v1/tokens), or one whose SHA-256 is in the secret";
        Self::new(StatusCode::UNAUTHORIZED, "not authorized", detail)
    }

    /// 401: the session has ended.
    pub fn signed_out() -> Self {
        let detail = "the session has ended; sign in again";
        Self::new(StatusCode::UNAUTHORIZED, "not authorized", detail)
    }

    /// 429: the address has tried too many tokens that do not exist.
    pub fn too_many_wrong_tokens(retry_after_seconds: u64) -> Self {
        let detail = "too many wrong tokens came from this address; wait a few seconds, then try again with the right one";
        let title = "too many wrong tokens";
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, title, detail)
        }
    }

    /// 403: the caller's role does not suffice.
    pub fn role_too_low(role: Role, least: Role) -> Self {
        let detail = format!(
            "this needs the role {} or a higher one, and yours is {}; ask an admin for a token with that role",
            least.name(),
            role.name()
        );
        Self::new(StatusCode::FORBIDDEN, "not allowed", detail)
    }

    /// 403: a request with the cookie of a session that another site may have caused.
    pub fn not_from_the_console() -> Self {
        let detail = "requests of the console need the header `x-crier-console: 1` and must come from its own page; programs send a token in the Authorization header instead of the cookie";
        Self::new(StatusCode::FORBIDDEN, "not from the console", detail)
    }

    /// 403: the identity provider does not say who the person is, or not surely.
    pub fn no_name(claim: &str) -> Self {
        let detail = format!(
            "the ID token has no `{claim}`, or one that is not verified; ask whoever manages accounts to add it"
        );
        Self::new(StatusCode::FORBIDDEN, "no name", detail)
    }

    /// 403: the identity provider knows the person, and gives them no role.
    pub fn no_role(claim: &str) -> Self {
        let detail = format!(
            "your account has no role in Crier; ask whoever manages accounts to give you viewer, author, sender or admin in `{claim}`"
        );
        Self::new(StatusCode::FORBIDDEN, "no role", detail)
    }

    /// 403: an author sends tests only to saved numbers.
    pub fn not_a_saved_number() -> Self {
        let detail = "with the role author, a test goes only to a number that is saved in the settings (test_numbers); ask an admin to save this one";
        Self::new(StatusCode::FORBIDDEN, "not a saved number", detail)
    }

    /// 403: somebody else must approve the campaign.
    pub fn second_person_needed(clause: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, "second person needed", clause)
    }

    /// 404: there is no token of that id.
    pub fn unknown_token() -> Self {
        let detail = "there is no token with this id; GET /v1/tokens lists the tokens";
        Self::new(StatusCode::NOT_FOUND, "unknown token", detail)
    }

    /// 404: the ledger does not have this row.
    pub fn unknown_row() -> Self {
        let detail = "the row had no attempt and was not skipped, or there is no such row; GET /v1/campaigns/{id}/rows lists the rows";
        Self::new(StatusCode::NOT_FOUND, "unknown row", detail)
    }

    /// 409: a message that is no template, to somebody who has not written within 24 hours.
    pub fn outside_service_window() -> Self {
        let detail = "the recipient has neither written nor called within the last 24 hours; send a template instead";
        Self::new(StatusCode::CONFLICT, "outside the service window", detail)
    }

    /// 409: a message to somebody on the suppression list.
    pub fn suppressed_contact() -> Self {
        let detail = "the recipient is on the suppression list and must not be messaged";
        Self::new(StatusCode::CONFLICT, "suppressed", detail)
    }

    /// 404: there is no single message of that id.
    pub fn unknown_message() -> Self {
        let detail = "there is no message with this id; POST /v1/messages answers with the id of the message that it sends";
        Self::new(StatusCode::NOT_FOUND, "unknown message", detail)
    }

    /// 400: `POST /v1/messages` without a usable `Idempotency-Key`.
    pub fn invalid_idempotency_key() -> Self {
        let detail = "the header Idempotency-Key must have 8 to 255 visible ASCII characters; make a UUID for each message, and repeat it when you repeat the request";
        Self {
            field: Some("/Idempotency-Key".into()),
            ..Self::new(StatusCode::BAD_REQUEST, "invalid header", detail)
        }
    }

    /// 409: the key was used for another message.
    pub fn idempotency_key_reused() -> Self {
        let detail =
            "this Idempotency-Key was used for another message; use a new key for each message";
        Self::new(StatusCode::CONFLICT, "key used before", detail)
    }

    /// 404: no upload in parts was begun for the file.
    pub fn unknown_upload() -> Self {
        let detail = "no upload in parts was begun for this file, or it does not exist any more; POST /v1/campaigns/{id}/upload begins one";
        Self::new(StatusCode::NOT_FOUND, "no upload in parts", detail)
    }

    /// 409: another token has this name.
    pub fn name_in_use() -> Self {
        let detail = "another token has this name; choose another name, or revoke that token first";
        Self::new(StatusCode::CONFLICT, "name in use", detail).at("/name")
    }

    /// 404: there is no campaign of that id.
    pub fn unknown_campaign() -> Self {
        let detail = "there is no campaign with this id; GET /v1/campaigns lists the campaigns";
        Self::new(StatusCode::NOT_FOUND, "unknown campaign", detail)
    }

    /// 404: there is no number of that id.
    pub fn unknown_number() -> Self {
        let detail = "there is no number with this id; GET /v1/numbers lists the numbers";
        Self::new(StatusCode::NOT_FOUND, "unknown number", detail)
    }

    /// 404: the campaign has no rejects file.
    pub fn rejects_not_found() -> Self {
        let detail = "this file has no rejects: no row was rejected, or the file has not been read yet; GET the campaign to see its files";
        Self::new(StatusCode::NOT_FOUND, "no rejects", detail)
    }

    /// 404: the job was never requested.
    pub fn job_not_requested() -> Self {
        let detail = "it has not been requested yet; POST to this path requests it";
        Self::new(StatusCode::NOT_FOUND, "not requested", detail)
    }

    /// 409: the state of the campaign does not allow the request.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "not in this state", detail)
    }

    /// 404: nothing is stored about that number.
    pub fn unknown_contact() -> Self {
        let detail = "nothing is known about this number: no campaign messaged it, it never wrote, and no operator set its consent; \
             check the number";
        Self::new(StatusCode::NOT_FOUND, "unknown contact", detail)
    }

    /// 503: Meta did not answer a request about the account.
    pub fn account_unavailable(error: &AccountError) -> Self {
        let detail = format!(
            "the account's templates could not be read: {error}. Check the parameter WabaId and that the access token has \
             the permission whatsapp_business_management; to create a campaign without the check, set check_template to false"
        );
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "WhatsApp not available",
            detail,
        )
    }

    /// 404: there is no such path.
    pub fn unknown_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown route",
            "there is no such path; GET /openapi.json describes all paths",
        )
    }

    /// 405: the path does not support the method.
    pub fn method_not_allowed() -> Self {
        let detail = "this path does not support the method; use one of those in the Allow header";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", detail)
    }

    fn at(self, pointer: impl Into<String>) -> Self {
        Self {
            field: Some(pointer.into()),
            ..self
        }
    }
}

/// 409: the campaign's state does not allow the request.
impl From<Conflict> for Problem {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::Gone => Self::unknown_campaign(),
            Conflict::NotAllowed(_) | Conflict::Superseded | Conflict::StillOpen => {
                Self::conflict(conflict.to_string())
            }
        }
    }
}

/// A failure of AWS: logged here, once. The caller may try again.
impl From<cloud::Error> for Problem {
    fn from(error: cloud::Error) -> Self {
        tracing::error!("{error}");
        let detail = "a service behind the API failed; try again in a moment, and read the log of the API function if it fails again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not available", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after_seconds;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
