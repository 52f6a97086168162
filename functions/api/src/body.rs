//! Bodies of requests: JSON objects. What is wrong with them is answered as a problem document that names the field.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Number;
use serde_path_to_error::{Path, Segment};

use crate::problem::Problem;

/// The most bytes of a request body: a message is a few kilobytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// A body that must be there. Its content type does not matter: curl says `application/x-www-form-urlencoded` of any.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = read_body(request, state).await?;
        parse_body(&bytes).map(Self)
    }
}

/// A body that may be left out or null, which stands for `{}`.
#[derive(Debug)]
pub struct OptionalJsonBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = read_body(request, state).await?;
        match bytes.is_empty() {
            true => Ok(Self(T::default())),
            false => Ok(Self(parse_body::<Option<T>>(&bytes)?.unwrap_or_default())),
        }
    }
}

async fn read_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let body = Bytes::from_request(request, state).await;
    body.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            Problem::body_too_large(MAX_BODY_BYTES)
        }
        _ => Problem::unreadable_body("the connection ended within the body; send it again"),
    })
}

/// Parses a body; the problem points to the field at fault.
pub fn parse_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let pointer = json_pointer(error.path());
        let error = error.into_inner();
        let detail = error.to_string();
        let is_about_the_whole = pointer.is_empty() && !detail.starts_with("unknown field");
        if error.is_syntax() || error.is_eof() || is_about_the_whole {
            return Problem::unreadable_body(format!(
                "the body is not the expected JSON object: {detail}"
            ));
        }
        Problem::invalid_field(pointer, detail)
    })
}

/// Reads a whole number in any spelling of JSON: `200`, `200.0` and `2e2` are the same number.
pub(crate) fn whole_number<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    /// The largest whole number up to which a float is exact.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    let Some(number) = Option::<Number>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let is_whole = |float: &f64| float.fract() == 0.0 && (0.0..=MAX_EXACT).contains(float);
    let whole = number
        .as_u64()
        .or_else(|| number.as_f64().filter(is_whole).map(|float| float as u64));
    match whole.and_then(|whole| T::try_from(whole).ok()) {
        Some(whole) => Ok(Some(whole)),
        None => Err(D::Error::custom(format!(
            "must be a whole number that is not negative, and not {number}"
        ))),
    }
}

fn json_pointer(path: &Path) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Map { key } | Segment::Enum { variant: key } => {
                format!("/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Segment::Seq { index } => format!("/{index}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(rename = "lists")]
        _lists: BTreeMap<String, Vec<u32>>,
    }

    #[test]
    fn body_problem_points_to_its_field() {
        for (body, field) in [
            (r#"{"lists": {"a/b": [1, "x"]}}"#, "/lists/a~1b/1"),
            (r#"{"lists": 1}"#, "/lists"),
            (r#"{"lists": {}, "list": {}}"#, "/list"),
        ] {
            let problem = parse_body::<Sample>(body.as_bytes()).expect_err(body);
            assert_eq!(
                (problem.status, problem.field.as_deref()),
                (422, Some(field)),
                "{problem:?}"
            );
        }
    }

    #[test]
    fn whole_numbers_have_any_spelling_of_json() {
        #[derive(Deserialize)]
        struct Size {
            #[serde(default, deserialize_with = "whole_number")]
            size: Option<u32>,
        }
        let parse = |body: &str| parse_body::<Size>(body.as_bytes()).map(|size| size.size);
        for (body, size) in [
            (r#"{"size": 200}"#, Some(200)),
            (r#"{"size": 200.0}"#, Some(200)),
            (r#"{"size": 2e2}"#, Some(200)),
            (r#"{"size": null}"#, None),
            ("{}", None),
        ] {
            assert_eq!(parse(body), Ok(size), "{body}");
        }
        for body in [
            r#"{"size": 0.5}"#,
            r#"{"size": -1}"#,
            r#"{"size": 4294967296}"#,
            r#"{"size": "1"}"#,
        ] {
            let problem = parse(body).expect_err(body);
            assert_eq!(
                (problem.status, problem.field.as_deref()),
                (422, Some("/size"))
            );
        }
    }

    #[test]
    fn rejects_bodies_that_are_no_object() {
        for body in ["", "[]", "{", "\"x\"", "null"] {
            let problem = parse_body::<Sample>(body.as_bytes()).expect_err(body);
            assert_eq!((problem.status, problem.field), (400, None), "{body}");
        }
    }
}
