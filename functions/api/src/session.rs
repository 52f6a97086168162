//! Sessions: a token, of Crier or of the identity provider, is exchanged for a cookie, so that the console need not keep it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use campaign::time::Millis;
use cloud::files::MAX_UPLOAD_BYTES;
use cloud::sessions::{Session, SessionOwner};
use cloud::tokens::TokenHash;
use serde::Serialize;
use tabular::sheet::MAX_WORKBOOK_BYTES;
use utoipa::ToSchema;

use crate::Api;
use crate::caller::{Caller, Via};
use crate::openapi::{Conflict, RequestErrors, RoleName};
use crate::problem::Problem;
use crate::roles;
use crate::session_cookie::{self, SESSION_TTL, new_secret};
use crate::settings::TestNumberView;
use crate::time::format_time;

/// From this size on, a file is better uploaded in parts.
const MULTIPART_THRESHOLD_BYTES: u64 = 100 * 1024 * 1024;

/// Who is signed in, and what they may do.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// The name of the token, or of the person whom the identity provider named.
    #[schema(example = "maria")]
    pub name: String,
    /// What its owner may do.
    #[schema(value_type = RoleName)]
    pub role: &'static str,
    /// `session` for the cookie of a session, `token` for a token.
    #[schema(example = "session")]
    pub kind: &'static str,
    /// When the session or the token ends; null for never.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// The operations (of this description) that the role may use.
    #[schema(example = json!(["listCampaigns", "startCampaign"]))]
    pub allowed: Vec<&'static str>,
    /// The send budget: messages per second, at most.
    pub budget: u32,
    /// Whether campaigns need the approval of a second person.
    pub approval_required: bool,
    /// Numbers of your own, for test sends.
    pub test_numbers: Vec<TestNumberView>,
    /// Files of more bytes are better uploaded in parts.
    pub multipart_threshold: u64,
    /// The most bytes of a file.
    pub max_upload_bytes: u64,
    /// The most bytes of a workbook.
    pub max_workbook_bytes: u64,
}

/// Exchanges a token for the cookie of a session.
///
/// The request needs the token in its header, and `x-crier-console: 1`. The session lasts twelve hours, and no longer than its
/// token. Requests with the cookie that change anything need `x-crier-console: 1`, too.
#[utoipa::path(
    post, path = "/v1/session", operation_id = "signIn", tag = "access",
    responses((status = 201, body = SessionView, description = "Signed in: the answer sets the cookie"), RequestErrors, Conflict)
)]
#[tracing::instrument(skip_all)]
pub async fn sign_in(
    State(api): State<Arc<Api>>,
    caller: Caller,
) -> Result<(StatusCode, HeaderMap, Json<SessionView>), Problem> {
    let Some(token) = caller.token.clone().filter(|_| caller.via == Via::Token) else {
        let detail = "the request comes from a session; send the token in the Authorization header";
        return Err(Problem::conflict(detail));
    };
    start_session(&api, caller, SessionOwner::Token(token)).await
}

/// Exchanges a token of the identity provider for the cookie of a session.
///
/// The request needs the provider's token (OpenID Connect: the ID token) in its header, and `x-crier-console: 1`. The session
/// lasts four hours, with the role that the token names. Only where the installation has an identity provider.
#[utoipa::path(
    post, path = "/v1/session/oidc", operation_id = "signInWithOidc", tag = "access",
    responses((status = 201, body = SessionView, description = "Signed in: the answer sets the cookie"), RequestErrors, Conflict)
)]
#[tracing::instrument(skip_all)]
pub async fn sign_in_with_oidc(
    State(api): State<Arc<Api>>,
    caller: Caller,
) -> Result<(StatusCode, HeaderMap, Json<SessionView>), Problem> {
    if caller.via != Via::IdentityProvider {
        let detail = "the request has no token of an identity provider, or this installation has none (template parameter OidcIssuer); POST /v1/session takes a token of Crier";
        return Err(Problem::conflict(detail));
    }
    let owner = SessionOwner::Person {
        name: caller.name.clone(),
        role: caller.role,
    };
    start_session(&api, caller, owner).await
}

/// Stores a session of the caller, and answers with its cookie.
async fn start_session(
    api: &Api,
    caller: Caller,
    owner: SessionOwner,
) -> Result<(StatusCode, HeaderMap, Json<SessionView>), Problem> {
    let (now, value) = (cloud::now(), new_secret());
    let until = now + SESSION_TTL.as_millis() as Millis;
    let session = Session {
        hash: TokenHash::of(&value),
        owner,
        created_at: now,
        valid_until: caller.valid_until.map_or(until, |end| end.min(until)),
    };
    api.sessions.create(&session).await?;
    let valid_for = Duration::from_millis(session.valid_until.saturating_sub(now));
    let mut headers = HeaderMap::new();
    headers.extend(
        session_cookie::set(&value, api.tls_only, valid_for).map(|cookie| (SET_COOKIE, cookie)),
    );
    let via = Via::Session(session.hash);
    let until = Some(session.valid_until);
    let caller = Caller::new(caller.name, caller.role, via, caller.token, until);
    let view = session_view(api, &caller).await?;
    Ok((StatusCode::CREATED, headers, Json(view)))
}

/// Gets who is signed in, what they may do, and the settings that a client needs for it.
#[utoipa::path(
    get, path = "/v1/session", operation_id = "getSession", tag = "access",
    responses((status = 200, body = SessionView, description = "Who makes this request"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn get_session(
    State(api): State<Arc<Api>>,
    caller: Caller,
) -> Result<Json<SessionView>, Problem> {
    Ok(Json(session_view(&api, &caller).await?))
}

/// Signs out: the session ends, whoever has its cookie.
#[utoipa::path(
    delete, path = "/v1/session", operation_id = "signOut", tag = "access",
    responses((status = 204, description = "Signed out: the answer deletes the cookie"), RequestErrors, Conflict)
)]
#[tracing::instrument(skip_all)]
pub async fn sign_out(
    State(api): State<Arc<Api>>,
    caller: Caller,
) -> Result<(StatusCode, HeaderMap), Problem> {
    let Via::Session(hash) = &caller.via else {
        let detail =
            "the request has a token and no session; DELETE /v1/tokens/{id} revokes a token";
        return Err(Problem::conflict(detail));
    };
    api.sessions.end(hash).await?;
    let mut headers = HeaderMap::new();
    headers.extend(session_cookie::delete(api.tls_only).map(|cookie| (SET_COOKIE, cookie)));
    Ok((StatusCode::NO_CONTENT, headers))
}

async fn session_view(api: &Api, caller: &Caller) -> Result<SessionView, Problem> {
    let settings = api.settings.get().await?;
    Ok(SessionView {
        name: caller.name.clone(),
        role: caller.role.name(),
        kind: match caller.via {
            Via::Token | Via::IdentityProvider => "token",
            Via::Session(_) => "session",
        },
        expires_at: caller.valid_until.map(format_time),
        allowed: roles::allowed(caller.role),
        budget: api.tps_budget,
        approval_required: settings.approval_required,
        test_numbers: settings
            .test_numbers
            .iter()
            .map(TestNumberView::from)
            .collect(),
        multipart_threshold: MULTIPART_THRESHOLD_BYTES,
        max_upload_bytes: MAX_UPLOAD_BYTES,
        max_workbook_bytes: MAX_WORKBOOK_BYTES,
    })
}
