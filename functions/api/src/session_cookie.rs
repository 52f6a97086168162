//! The cookie of the console's sessions.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::{Cookie, SameSite};

/// How long a session lasts.
pub const SESSION_TTL: Duration = Duration::from_secs(12 * 3600);

/// With this prefix, browsers take the cookie only over TLS, for the whole host and for no other one.
const SECURE_NAME: &str = "__Host-crier";

/// Its name where there is no TLS.
const PLAIN_NAME: &str = "crier";

/// Bytes of a token or of a session's value.
const SECRET_BYTES: usize = 32;

/// A new secret: 256 random bits as 43 characters.
pub fn new_secret() -> String {
    let bytes: [u8; SECRET_BYTES] = rand::random();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The value of the cookie in a request.
pub fn read(headers: &HeaderMap, tls_only: bool) -> Option<String> {
    let texts = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut cookies = texts.flat_map(|text| Cookie::split_parse(text).flatten());
    let cookie = cookies.find(|cookie| cookie.name() == name(tls_only))?;
    Some(cookie.value().to_owned()).filter(|value| !value.is_empty())
}

/// The header that sets the cookie for so long.
pub fn set(value: &str, tls_only: bool, valid_for: Duration) -> Option<HeaderValue> {
    let seconds = i64::try_from(valid_for.as_secs()).unwrap_or(i64::MAX);
    let cookie = Cookie::build((name(tls_only), value))
        .path("/")
        .max_age(cookie::time::Duration::seconds(seconds))
        .http_only(true)
        .secure(tls_only)
        .same_site(SameSite::Strict);
    HeaderValue::from_str(&cookie.build().to_string()).ok()
}

/// The header that deletes the cookie.
pub fn delete(tls_only: bool) -> Option<HeaderValue> {
    set("", tls_only, Duration::ZERO)
}

fn name(tls_only: bool) -> &'static str {
    match tls_only {
        true => SECURE_NAME,
        false => PLAIN_NAME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookie_has_every_protection_that_the_connection_allows() {
        let secure = set("abc", true, SESSION_TTL).expect("a header");
        let parts: Vec<&str> = secure.to_str().expect("text").split("; ").collect();
        for part in [
            "__Host-crier=abc",
            "HttpOnly",
            "SameSite=Strict",
            "Secure",
            "Path=/",
            "Max-Age=43200",
        ] {
            assert!(parts.contains(&part), "{part}: {parts:?}");
        }
        assert_eq!(parts.len(), 6, "no domain: {parts:?}");
        let plain = set("abc", false, SESSION_TTL).expect("a header");
        let plain = plain.to_str().expect("text");
        assert!(plain.starts_with("crier=abc; ") && !plain.contains("Secure"));
    }

    #[test]
    fn cookie_is_found_among_others_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; crier=no"));
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-crier=yes"));
        assert_eq!(read(&headers, true).as_deref(), Some("yes"));
        assert_eq!(read(&headers, false).as_deref(), Some("no"));
        assert_eq!(read(&HeaderMap::new(), true), None);
    }

    #[test]
    fn secrets_are_long_and_differ() {
        let (one, other) = (new_secret(), new_secret());
        assert!(one.len() == 43 && one != other);
    }
}
