//! Authorization: a bearer token whose SHA-256 is in the secret.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use cloud::metrics::Metrics;

use crate::Api;
use crate::problem::Problem;

/// Passes a request on if its token is known; answers 401 otherwise.
pub async fn require_token(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (scheme, token) = header.split_once(' ').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::unauthorized());
    }
    let secret = api.secrets.get().await?;
    let caller = secret
        .authorize(token.trim())
        .ok_or_else(Problem::unauthorized)?;
    // The route, not the path: a path may contain a phone number.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    tracing::info!(caller, method = %request.method(), route, "request");
    let response = next.run(request).await;
    let failed = response.status().is_server_error();
    Metrics::for_function("api")
        .add_count("Requests", 1)
        .add_count("ServerErrors", usize::from(failed))
        .emit();
    Ok(response)
}
