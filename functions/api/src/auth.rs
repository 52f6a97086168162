//! Authorization of every request: who makes it, whether their role suffices, whether a request with a cookie comes from the
//! console. What changes anything is in the audit log before it is done.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use cloud::metrics::Metrics;

use crate::Api;
use crate::audit_trail::{begin_entry, complete_entry};
use crate::caller::{Caller, Via};
use crate::identity::{Credentials, identify};
use crate::masking::mask_response;
use crate::problem::Problem;
use crate::roles::{self, Effect, Operation};
use crate::session_cookie;

/// The header by which a request shows that the console makes it: no form and no link of another site can set one.
const CONSOLE_HEADER: &str = "x-crier-console";

/// The operations that exchange a token for a session.
const SIGN_IN: [&str; 2] = ["signIn", "signInWithOidc"];

/// What the middleware needs.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The resources of the API.
    pub api: Arc<Api>,
    /// The operation of each method and path.
    pub operations: &'static HashMap<(Method, String), Operation>,
}

/// Passes a request on if its caller may make it.
pub async fn require_role(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    use axum::response::IntoResponse;
    let tls_only = guard.api.tls_only;
    let has_cookie = session_cookie::read(request.headers(), tls_only).is_some();
    let answer = authorize(&guard, request, next).await;
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    if has_cookie
        && response.status() == StatusCode::UNAUTHORIZED
        && let Some(deleted) = session_cookie::delete(tls_only)
    {
        response.headers_mut().insert(header::SET_COOKIE, deleted);
    }
    response
}

async fn authorize(guard: &Guard, request: Request, next: Next) -> Result<Response, Problem> {
    let credentials = Credentials::of(&request, &guard.api);
    let caller = identify(&guard.api, credentials).await?;
    // The route, not the path: a path may contain a phone number.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str)
        .to_owned();
    tracing::info!(caller = caller.name, method = %request.method(), route, "request");
    let operation = find_operation(guard, request.method(), &route);
    match operation {
        Some(operation) => caller.require(operation.role)?,
        None if has_no_handler(guard, &route) => {}
        None => return Err(Problem::unknown_route()),
    }
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let is_sign_in = operation.is_some_and(|operation| SIGN_IN.contains(&operation.id));
    if is_sign_in || (writes && caller.via != Via::Token) {
        require_console(request.headers())?;
    }
    let response = run(guard, &caller, operation, request, next).await?;
    let failed = response.status().is_server_error();
    Metrics::for_function("api")
        .add_count("Requests", 1)
        .add_count("ServerErrors", usize::from(failed))
        .emit();
    match caller.sees_masked() && operation.is_some() {
        true => mask_response(response).await,
        false => Ok(response),
    }
}

/// A HEAD request is a GET request without the body. Paths that do not exist have no operation, and no effect.
fn find_operation(guard: &Guard, method: &Method, route: &str) -> Option<Operation> {
    let method = match *method {
        Method::HEAD => Method::GET,
        _ => method.clone(),
    };
    let key = (method, route.to_owned());
    guard.operations.get(&key).copied()
}

/// Whether what answers is the router itself (no such path, or no such method of it), or the description.
fn has_no_handler(guard: &Guard, route: &str) -> bool {
    let mut routes = guard.operations.keys().map(|(_, path)| path.as_str());
    route.is_empty() || route == "/openapi.json" || routes.any(|known| known == route)
}

/// Runs the handler; what changes anything, between the two writes of its audit entry.
async fn run(
    guard: &Guard,
    caller: &Caller,
    operation: Option<Operation>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    request.extensions_mut().insert(caller.clone());
    let Some(operation) = operation.filter(|operation| operation.effect == Effect::Writes) else {
        return Ok(next.run(request).await);
    };
    let (mut parts, body): (Parts, _) = request.into_parts();
    let entry = begin_entry(&guard.api, caller, operation.id, &mut parts).await?;
    let response = next.run(Request::from_parts(parts, body)).await;
    complete_entry(&guard.api, caller, entry, response.status()).await;
    Ok(response)
}

/// Refuses what another site may have made the browser send.
fn require_console(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let is_own_site = matches!(
        text("sec-fetch-site"),
        None | Some("same-origin") | Some("none")
    );
    match text(CONSOLE_HEADER) == Some("1") && is_own_site {
        true => Ok(()),
        false => Err(Problem::not_from_the_console()),
    }
}

/// The operation of each method and path of the API's description. The error names a route that is not in the table of
/// roles.
pub fn operations_by_route(
    description: &utoipa::openapi::OpenApi,
) -> Result<HashMap<(Method, String), Operation>, String> {
    let mut operations = HashMap::new();
    for (path, item) in &description.paths.paths {
        for (method, described) in [
            (Method::GET, &item.get),
            (Method::PUT, &item.put),
            (Method::POST, &item.post),
            (Method::PATCH, &item.patch),
            (Method::DELETE, &item.delete),
        ] {
            let Some(described) = described else { continue };
            let id = described.operation_id.as_deref().unwrap_or_default();
            let operation = roles::find(id)
                .ok_or_else(|| format!("{method} {path} ({id}) has no role in roles.rs"))?;
            operations.insert((method, path.clone()), operation);
        }
    }
    Ok(operations)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn request_with_a_cookie_must_come_from_the_console() {
        let check = |console: Option<&'static str>, site: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in [(CONSOLE_HEADER, console), ("sec-fetch-site", site)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            require_console(&headers).is_ok()
        };
        assert!(check(Some("1"), None));
        assert!(check(Some("1"), Some("same-origin")));
        assert!(check(Some("1"), Some("none")));
        assert!(!check(Some("1"), Some("same-site")));
        assert!(!check(Some("1"), Some("cross-site")));
        assert!(!check(None, Some("same-origin")));
        assert!(!check(Some("0"), None));
    }
}
