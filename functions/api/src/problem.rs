//! Errors as RFC 9457 problem documents, with the field at fault where there is one.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use whatsapp::account::AccountError;

/// A problem document (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// The kind of problem, in a few words.
    pub title: &'static str,
    /// What is wrong here and what to do.
    pub detail: String,
    /// JSON pointer to the field at fault, such as `/message/text/body`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            title,
            detail: detail.into(),
            field: None,
        }
    }

    /// 400 or 422: the body, or a field of it, is not as expected.
    pub fn invalid_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "a field is not as expected",
            detail,
        );
        Self {
            field: Some(pointer.into()),
            ..problem
        }
    }

    /// The body is no JSON object.
    pub fn unreadable_body(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "the body cannot be read", detail)
    }

    /// More bytes than any message has.
    pub fn body_too_large() -> Self {
        let detail = format!("the body may have {} bytes at most", crate::MAX_BODY_BYTES);
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is too large",
            detail,
        )
    }

    /// No token, or a wrong one.
    pub fn unauthorized() -> Self {
        let detail = "send the header `Authorization: Bearer <token>` with a token whose hash is in the secret";
        Self::new(StatusCode::UNAUTHORIZED, "not authorized", detail)
    }

    /// No campaign of that id.
    pub fn unknown_campaign() -> Self {
        let detail = "there is no campaign of this id; GET /v1/campaigns lists those there are";
        Self::new(StatusCode::NOT_FOUND, "unknown campaign", detail)
    }

    /// The campaign has no rejects file.
    pub fn rejects_not_found() -> Self {
        let detail = "no row of this file was rejected at import, or it is not read yet";
        Self::new(StatusCode::NOT_FOUND, "no rejects", detail)
    }

    /// Nobody asked for this job.
    pub fn job_not_requested() -> Self {
        let detail = "nobody asked for it yet; POST to this route does";
        Self::new(StatusCode::NOT_FOUND, "not asked for", detail)
    }

    /// What is asked makes no sense in the state the campaign is in.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "not in this state", detail)
    }

    /// Nobody of that number is known.
    pub fn unknown_contact() -> Self {
        let detail = "nothing is known of this number: no campaign called it, and it never wrote";
        Self::new(StatusCode::NOT_FOUND, "unknown contact", detail)
    }

    /// Meta could not be asked about the account.
    pub fn account_unavailable(error: &AccountError) -> Self {
        let detail = format!(
            "the account's templates could not be read: {error}. Check the parameter WabaId and that the access token has \
             the permission whatsapp_business_management; to create a campaign without the check, set check_template to false"
        );
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "WhatsApp could not be asked",
            detail,
        )
    }

    /// No such route.
    pub fn unknown_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no such route",
            "GET /openapi.json describes the routes there are",
        )
    }

    /// The route exists, the method does not.
    pub fn method_not_allowed() -> Self {
        let detail = "GET /openapi.json describes what this route takes";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", detail)
    }
}

/// AWS did not do its part: logged here, once; callers may try again.
impl From<cloud::Error> for Problem {
    fn from(error: cloud::Error) -> Self {
        lambda_http::tracing::error!("{error}");
        let detail = "something behind the API failed; try again in a moment, and look at the API function's log";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not available", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
