//! Answers for viewers: every phone number in them is masked, whatever the route.

use axum::body::{Body, to_bytes};
use axum::http::{StatusCode, header};
use axum::response::Response;
use campaign::access::mask::{mask_json, mask_text};
use serde_json::Value;

use crate::problem::Problem;

/// The most bytes of an answer; API Gateway passes no more than 6 MB on.
const MAX_ANSWER_BYTES: usize = 10_000_000;

/// Masks the phone numbers in an answer. One that cannot be read is not passed on.
pub async fn mask_response(response: Response) -> Result<Response, Problem> {
    let (mut parts, body) = response.into_parts();
    if parts.status == StatusCode::NO_CONTENT {
        return Ok(Response::from_parts(parts, body));
    }
    let bytes = to_bytes(body, MAX_ANSWER_BYTES).await;
    let bytes = bytes.map_err(|error| cloud::Error::new("read an answer to mask it", error))?;
    let is_json = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.contains("json"));
    let masked = match is_json {
        true => {
            let value = serde_json::from_slice(&bytes);
            let mut value: Value =
                value.map_err(|error| cloud::Error::new("read an answer to mask it", error))?;
            mask_json(&mut value);
            value.to_string()
        }
        false => {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<_> = text.lines().map(mask_line).collect();
            lines.join("\n") + "\n"
        }
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(masked)))
}

/// Masks a line of text word by word, so that the ids in metrics stay.
fn mask_line(line: &str) -> String {
    let words: Vec<String> = line
        .split('"')
        .map(|word| mask_text(word).into_owned())
        .collect();
    words.join("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_metrics_stay_and_numbers_do_not() {
        let line = "crier_rate{campaign=\"0198c0de-0000-7000-8000-000000000001\"} 4";
        assert_eq!(mask_line(line), line);
        assert_eq!(mask_line("to +5511987654321"), "to +•••••••••4321");
    }

    #[tokio::test]
    async fn answers_are_masked_as_json() {
        let body = Body::from("{\"phone\":\"+5511987654321\",\"row\":7}");
        let response = Response::builder().header(header::CONTENT_TYPE, "application/problem+json");
        let masked = mask_response(response.body(body).expect("a response")).await;
        let (_, body) = masked.expect("masked").into_parts();
        let bytes = to_bytes(body, 1000).await.expect("bytes");
        assert_eq!(
            &bytes[..],
            "{\"phone\":\"+•••••••••4321\",\"row\":7}".as_bytes()
        );
    }
}
