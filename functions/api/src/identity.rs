//! Whose request it is: by the token in its header, by the cookie of its session, or, where somebody signs in with the
//! identity provider, by what API Gateway found in the provider's token.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use campaign::access::role::Role;
use campaign::time::Millis;
use cloud::sessions::SessionOwner;
use cloud::tokens::{StoredToken, TokenHash};
use lambda_http::request::RequestContext;

use crate::Api;
use crate::caller::{Caller, Via};
use crate::claims::Claims;
use crate::problem::Problem;
use crate::session_cookie;

/// For how long the word of the identity provider holds: nobody but the person can end the session earlier.
const PERSON_SESSION_MS: Millis = 4 * 3_600_000;

/// How the tokens begin that the API creates.
pub const TOKEN_PREFIX: &str = "crier_";

/// How a request shows whose it is. Not for logs.
pub enum Credentials {
    /// By a token, from this address.
    Token {
        /// The token.
        token: String,
        /// The address.
        address: String,
    },
    /// By the value of a session's cookie.
    Session(String),
    /// By a token of the identity provider, which API Gateway has checked.
    Claims(Claims),
}

impl Credentials {
    /// What a request shows. The header decides where there are both.
    pub fn of(request: &Request, api: &Api) -> Option<Self> {
        if api.oidc.is_some()
            && let Some(claims) = Claims::of(request)
        {
            return Some(Self::Claims(claims));
        }
        let (headers, tls_only) = (request.headers(), api.tls_only);
        match headers.contains_key(AUTHORIZATION) {
            true => Some(Self::Token {
                token: bearer_token(headers)?.to_owned(),
                address: address(request),
            }),
            false => session_cookie::read(headers, tls_only).map(Self::Session),
        }
    }
}

/// Finds out whose request it is.
pub async fn identify(api: &Api, credentials: Option<Credentials>) -> Result<Caller, Problem> {
    let now = cloud::now();
    match credentials.ok_or_else(Problem::unauthorized)? {
        Credentials::Token { token, address } => identify_token(api, &token, &address, now).await,
        Credentials::Session(value) => identify_session(api, &TokenHash::of(&value), now).await,
        Credentials::Claims(claims) => identify_person(api, &claims, now),
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Tokens of ours are random, so that guessing one is hopeless, however often it is tried. The ones in the secret may be
/// anything: how often an address tries those is limited, before they are compared.
async fn identify_token(
    api: &Api,
    token: &str,
    address: &str,
    now: Millis,
) -> Result<Caller, Problem> {
    let hash = TokenHash::of(token);
    if token.starts_with(TOKEN_PREFIX) {
        let stored = valid_token(api, &hash, now).await?;
        let stored = stored.ok_or_else(Problem::unauthorized)?;
        let StoredToken {
            name,
            role,
            valid_until,
            ..
        } = stored;
        return Ok(Caller::new(name, role, Via::Token, Some(hash), valid_until));
    }
    api.tried_tokens.check(address, &hash, now)?;
    let secret = api.secrets.get().await?;
    match secret.owner_of(&hash) {
        Some(name) => {
            api.tried_tokens.accept(&hash);
            let name = name.to_owned();
            Ok(Caller::new(name, Role::Admin, Via::Token, Some(hash), None))
        }
        None => Err(api.tried_tokens.refuse(address, now)),
    }
}

/// Somebody whom the identity provider named.
fn identify_person(api: &Api, claims: &Claims, now: Millis) -> Result<Caller, Problem> {
    let oidc = api.oidc.as_ref().ok_or_else(Problem::unauthorized)?;
    let name = claims.person(&oidc.name_claim);
    let name = name.ok_or_else(|| Problem::no_name(&oidc.name_claim))?;
    let role = claims.role(&oidc.role_claim);
    let role = role.ok_or_else(|| Problem::no_role(&oidc.role_claim))?;
    let via = Via::IdentityProvider;
    let until = now + PERSON_SESSION_MS;
    Ok(Caller::new(name.to_owned(), role, via, None, Some(until)))
}

/// A session of a token is worth what the token is worth now.
async fn identify_session(api: &Api, session: &TokenHash, now: Millis) -> Result<Caller, Problem> {
    let session = api.sessions.get(session, now).await?;
    let session = session.ok_or_else(Problem::signed_out)?;
    let via = Via::Session(session.hash);
    let until = Some(session.valid_until);
    let token = match session.owner {
        SessionOwner::Token(token) => token,
        // A provider that was taken out of the deployment vouches for nobody any more.
        SessionOwner::Person { .. } if api.oidc.is_none() => {
            return Err(Problem::signed_out());
        }
        SessionOwner::Person { name, role } => {
            return Ok(Caller::new(name, role, via, None, until));
        }
    };
    let secret = api.secrets.get().await?;
    let (name, role) = match secret.owner_of(&token) {
        Some(name) => (name.to_owned(), Role::Admin),
        None => {
            let stored = valid_token(api, &token, now).await?;
            let stored = stored.ok_or_else(Problem::signed_out)?;
            (stored.name, stored.role)
        }
    };
    Ok(Caller::new(name, role, via, Some(token), until))
}

/// A token that exists and has not expired. Notes that it is used.
async fn valid_token(
    api: &Api,
    hash: &TokenHash,
    now: Millis,
) -> Result<Option<StoredToken>, Problem> {
    let token = api.tokens.get(hash).await?;
    let token = token.filter(|token| token.is_valid(now));
    if let Some(token) = &token
        && let Err(error) = api.tokens.mark_used(token, now).await
    {
        // It is a fact for people to look at, and no reason to refuse the request.
        tracing::warn!("{error}");
    }
    Ok(token)
}

/// Where the request comes from, as API Gateway saw it; of an IPv6 address the network, since its owner has all of it.
fn address(request: &Request) -> String {
    let text = match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
        _ => None,
    };
    match text.as_deref().unwrap_or_default().parse() {
        Ok(IpAddr::V4(address)) => address.to_string(),
        Ok(IpAddr::V6(address)) => {
            let segments = address.segments();
            format!("{:x?}", &segments[..4])
        }
        Err(_) => String::new(),
    }
}
