//! Tokens of the API: create, list, revoke.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use campaign::access::role::Role;
use cloud::tokens::{StoredToken, TokenHash};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::body::JsonBody;
use crate::caller::Caller;
use crate::extract::TokenPath;
use crate::identity::TOKEN_PREFIX;
use crate::new_file::required_text;
use crate::openapi::{BodyErrors, Conflict, NotFound, RequestErrors, RoleName};
use crate::problem::Problem;
use crate::session_cookie::new_secret;
use crate::time::{format_time, parse_time_field};

/// The most characters of a token's name.
const MAX_NAME_CHARS: usize = 60;

/// The most tokens.
const MAX_TOKENS: usize = 500;

/// What `POST /v1/tokens` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Whose token it is; up to 60 characters. No two tokens have the same name.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 60, pattern = "\\S", example = "maria")]
    name: Option<String>,
    /// What its owner may do.
    #[schema(value_type = RoleName, required = true, example = "sender")]
    role: Option<Role>,
    /// When it expires (RFC 3339); never by default.
    #[schema(format = DateTime, example = "2099-12-31T00:00:00Z")]
    expires_at: Option<String>,
}

/// A token, without its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenView {
    /// What names it in the API: the beginning of its hash.
    #[schema(example = "9f86d081884c7d65")]
    pub id: String,
    /// Whose it is.
    pub name: String,
    /// What its owner may do.
    #[schema(value_type = RoleName)]
    pub role: &'static str,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// The name of the token that created it.
    pub created_by: String,
    /// When it or a session of it was last used, to the hour; null for never.
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
    /// When it expires; null for never.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// A new token with its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedToken {
    /// What is known of it.
    #[serde(flatten)]
    pub view: TokenView,
    /// The token itself: shown this once, and stored nowhere.
    #[schema(example = "crier_4rZ…")]
    pub token: String,
}

/// Tokens, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenList {
    /// The tokens.
    pub tokens: Vec<TokenView>,
    /// How many more are in the secret; they have the role admin, and are changed there.
    pub secret_tokens: usize,
}

/// Lists the tokens, newest first.
#[utoipa::path(
    get, path = "/v1/tokens", operation_id = "listTokens", tag = "access",
    responses((status = 200, body = TokenList, description = "The tokens"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn list_tokens(State(api): State<Arc<Api>>) -> Result<Json<TokenList>, Problem> {
    let mut tokens = api.tokens.list().await?;
    tokens.sort_by_key(|token| std::cmp::Reverse(token.created_at));
    Ok(Json(TokenList {
        tokens: tokens.iter().map(TokenView::from).collect(),
        secret_tokens: api.secrets.get().await?.api_tokens.len(),
    }))
}

/// Creates a token. Its value is in this answer, and nowhere else.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "createToken", tag = "access",
    request_body = NewToken,
    responses((status = 201, body = CreatedToken, description = "The token and its value"),
        RequestErrors, BodyErrors, Conflict)
)]
#[tracing::instrument(skip_all)]
pub async fn create_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    JsonBody(new): JsonBody<NewToken>,
) -> Result<(StatusCode, Json<CreatedToken>), Problem> {
    let value = format!("{TOKEN_PREFIX}{}", new_secret());
    let token = new.into_token(&value, caller.name)?;
    let known = api.tokens.list().await?;
    let secret = api.secrets.get().await?;
    let mut names = known
        .iter()
        .map(|token| token.name.as_str())
        .chain(secret.api_tokens.iter().map(|token| token.name.as_str()));
    // The name is the person: whoever approves a campaign must have another one than its author.
    if names.any(|name| name.to_lowercase() == token.name.to_lowercase()) {
        return Err(Problem::name_in_use());
    }
    if known.len() >= MAX_TOKENS {
        let detail = format!("there are {MAX_TOKENS} tokens; revoke one that is not used");
        return Err(Problem::conflict(detail));
    }
    api.tokens.create(&token).await?;
    let view = TokenView::from(&token);
    let created = CreatedToken { view, token: value };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Revokes a token. It and its sessions are refused from then on.
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", operation_id = "revokeToken", tag = "access",
    params(TokenPath),
    responses((status = 204, description = "The token is revoked"), RequestErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all)]
pub async fn revoke_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    TokenPath { id }: TokenPath,
) -> Result<StatusCode, Problem> {
    let known = api.tokens.list().await?;
    let token = known.iter().find(|token| token.hash.id() == id);
    let token = token.ok_or_else(Problem::unknown_token)?;
    if Some(&token.hash) == caller.token.as_ref() {
        let detail =
            "this is the token that you use; have another admin revoke it, or use another token";
        return Err(Problem::conflict(detail));
    }
    api.tokens.revoke(&token.hash, cloud::now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl NewToken {
    fn into_token(self, value: &str, created_by: String) -> Result<StoredToken, Problem> {
        let name = required_text(self.name, "/name")?;
        if name.chars().count() > MAX_NAME_CHARS {
            let detail = format!("must have at most {MAX_NAME_CHARS} characters; shorten it");
            return Err(Problem::invalid_field("/name", detail));
        }
        let role = self.role.ok_or_else(|| {
            let detail = "is required: viewer, author, sender or admin";
            Problem::invalid_field("/role", detail)
        })?;
        let now = cloud::now();
        let valid_until = parse_time_field(self.expires_at.as_deref(), "/expires_at")?;
        if valid_until.is_some_and(|until| until <= now) {
            let detail = "must be in the future; write a later time, or leave it out";
            return Err(Problem::invalid_field("/expires_at", detail));
        }
        Ok(StoredToken {
            hash: TokenHash::of(value),
            name,
            role,
            created_at: now,
            created_by,
            last_used_at: None,
            valid_until,
            revoked_at: None,
        })
    }
}

impl From<&StoredToken> for TokenView {
    fn from(token: &StoredToken) -> Self {
        Self {
            id: token.hash.id().to_owned(),
            name: token.name.clone(),
            role: token.role.name(),
            created_at: format_time(token.created_at),
            created_by: token.created_by.clone(),
            last_used_at: token.last_used_at.map(format_time),
            expires_at: token.valid_until.map(format_time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse_body;

    #[test]
    fn problem_names_its_field() {
        for (body, field) in [
            ("{}", "/name"),
            (r#"{"name": " ", "role": "admin"}"#, "/name"),
            (r#"{"name": "a"}"#, "/role"),
            (r#"{"name": "a", "role": "owner"}"#, "/role"),
            (
                r#"{"name": "a", "role": "admin", "expires_at": "soon"}"#,
                "/expires_at",
            ),
            (
                r#"{"name": "a", "role": "admin", "expires_at": "2020-01-01T00:00:00Z"}"#,
                "/expires_at",
            ),
        ] {
            let token = parse_body::<NewToken>(body.as_bytes())
                .and_then(|new| new.into_token("x", "ops".into()));
            let problem = token.expect_err(body);
            assert_eq!(problem.field.as_deref(), Some(field), "{problem:?}");
        }
        let body = r#"{"name": " maria ", "role": "sender"}"#;
        let new: NewToken = parse_body(body.as_bytes()).expect("valid");
        let token = new.into_token("abc", "ops".into()).expect("valid");
        assert_eq!((token.name.as_str(), token.role), ("maria", Role::Sender));
        assert_eq!(token.hash, TokenHash::of("abc"));
    }
}
