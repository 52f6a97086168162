//! Parameters of paths and query strings. What is wrong with them is answered as a problem document that names them.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use campaign::id::{CampaignId, NumberId};
use campaign::import::phone::{self, Phone, PhoneProblem};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use crate::problem::Problem;

/// The campaign id in the path. What cannot be an id is answered like an id that does not exist.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct CampaignPath {
    /// The campaign's id.
    #[param(value_type = String, min_length = 1, max_length = 64, pattern = "^[a-z0-9-]+$")]
    pub id: CampaignId,
}

impl<S: Send + Sync> FromRequestParts<S> for CampaignPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_parameter(parts, state, "id").await?;
        let id = text.parse().map_err(|_| Problem::unknown_campaign())?;
        Ok(Self { id })
    }
}

/// The id of one of our numbers in the path. What cannot be an id is answered like an id that does not exist.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct NumberPath {
    /// The number's id at Meta.
    #[param(value_type = String, min_length = 1, max_length = 32, pattern = "^[0-9]+$")]
    pub number: NumberId,
}

impl<S: Send + Sync> FromRequestParts<S> for NumberPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_parameter(parts, state, "number").await?;
        let number = text.parse().map_err(|_| Problem::unknown_number())?;
        Ok(Self { number })
    }
}

/// The phone number in the path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PhonePath {
    /// The number, as `+<country><number>`, with the + as %2B or left out.
    #[param(value_type = String, pattern = "^\\+?[1-9][0-9]{6,14}$", example = "5511987654321")]
    pub phone: Phone,
}

impl<S: Send + Sync> FromRequestParts<S> for PhonePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_parameter(parts, state, "phone").await?;
        let phone = parse_phone(&text).map_err(|problem| {
            Problem::invalid_field("/phone", format!("{problem}; {}", problem.fix()))
        })?;
        Ok(Self { phone })
    }
}

/// A number as a path has it.
pub(crate) fn parse_phone(text: &str) -> Result<Phone, PhoneProblem> {
    // Some clients and proxies turn a `+` into a space.
    let digits = text.trim_start_matches(['+', ' ']);
    phone::parse(&format!("+{digits}"), None)
}

/// The token's id in the path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TokenPath {
    /// The token's id.
    #[param(pattern = "^[0-9a-f]{16}$", example = "9f86d081884c7d65")]
    pub id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for TokenPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = path_parameter(parts, state, "id").await?;
        Ok(Self { id })
    }
}

async fn path_parameter<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &str,
) -> Result<String, Problem> {
    let path = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
    let text = path
        .ok()
        .and_then(|Path(mut parameters)| parameters.remove(name));
    text.ok_or_else(|| {
        Problem::invalid_parameter(name, "must be UTF-8 text; percent-encode it byte by byte")
    })
}

/// The query string as a `T`, which should deny unknown fields.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let parameters = serde_urlencoded::Deserializer::new(pairs);
    serde_path_to_error::deserialize(parameters).map_err(|error| {
        let path = error.path().to_string();
        let detail = error.into_inner().to_string();
        let named = detail.split('`').nth(1).unwrap_or_default();
        if detail.starts_with("unknown field") {
            return unknown_parameter(named);
        }
        if detail.starts_with("duplicate field") {
            return Problem::invalid_parameter(named, "is given more than once; give it once");
        }
        let detail = match detail.starts_with("must ") {
            true => detail,
            false => "must be a whole number".to_owned(),
        };
        Problem::invalid_parameter(&path, detail)
    })
}

/// How many items a list has: a whole number from 1 to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit<const MAX: u32>(pub u32);

impl<'de, const MAX: u32> Deserialize<'de> for Limit<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse() {
            Ok(limit) if (1..=MAX).contains(&limit) => Ok(Self(limit)),
            _ => Err(D::Error::custom(format!(
                "must be a whole number from 1 to {MAX}"
            ))),
        }
    }
}

/// Answers 400 where a route that has no query parameters is given any.
pub async fn reject_query(request: Request, next: Next) -> Result<Response, Problem> {
    let query = request.uri().query().unwrap_or_default();
    match form_urlencoded::parse(query.as_bytes()).next() {
        Some((name, _)) => Err(unknown_parameter(&name)),
        None => Ok(next.run(request).await),
    }
}

fn unknown_parameter(name: &str) -> Problem {
    let detail = format!(
        "`{name}` is not a query parameter of this route; leave it out, or see GET /openapi.json"
    );
    Problem::invalid_parameter(name, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        limit: Option<Limit<10>>,
        after: Option<u32>,
    }

    #[test]
    fn query_problem_names_its_parameter() {
        for (query, field) in [
            ("limit=0", "/limit"),
            ("limit=11", "/limit"),
            ("limit=", "/limit"),
            ("limit=many", "/limit"),
            ("limit=1&limit=2", "/limit"),
            ("after=-1", "/after"),
            ("after=1.5", "/after"),
            ("limits=1", "/limits"),
            ("%66oo=1", "/foo"),
        ] {
            let problem = parse_query::<Sample>(query).expect_err(query);
            assert_eq!(
                (problem.status, problem.field.as_deref()),
                (400, Some(field)),
                "{query}: {problem:?}"
            );
        }
    }

    #[test]
    fn query_parameters_may_be_left_out() {
        let sample: Sample = parse_query("").expect("valid");
        assert!(sample.limit.is_none() && sample.after.is_none());
        let sample: Sample = parse_query("after=7&limit=10").expect("valid");
        assert_eq!((sample.limit, sample.after), (Some(Limit(10)), Some(7)));
    }
}
