//! What browsers may do with the console.

use thiserror::Error;

/// On every response, beside the content security policy.
pub const SECURITY_HEADERS: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    // Addresses of the console have phone numbers after their `#`, and tell nothing to others anyway.
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    // Without effect over plain HTTP, as on the embedded stack.
    ("strict-transport-security", "max-age=31536000"),
];

/// The value of `UPLOADS_ORIGIN` is no origin.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "UPLOADS_ORIGIN must be an origin such as https://bucket.s3.eu-west-1.amazonaws.com; it is {0:?}"
)]
pub struct NotAnOrigin(String);

/// What the page may load: its own files, the API below its own address, and uploads to the bucket.
#[derive(Debug)]
pub struct ContentSecurityPolicy(String);

impl ContentSecurityPolicy {
    /// The policy; `origin` is what files are uploaded to, empty for nothing.
    pub fn new(origin: &str) -> Result<Self, NotAnOrigin> {
        if !origin.is_empty() && !is_origin(origin) {
            return Err(NotAnOrigin(origin.to_owned()));
        }
        let connect = format!("'self' {origin}");
        Ok(Self(format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {}; \
             form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types svelte-trusted-html",
            connect.trim_end()
        )))
    }

    /// The header's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether this is a scheme, a host and perhaps a port: nothing that could add to the policy.
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_cannot_change_the_policy() {
        for origin in [
            "https://a.example; script-src *",
            "https://a.example https://b.example",
            "https://a.example,",
            "https://a.example/path",
            "https://",
            "*",
            "data:",
        ] {
            assert!(ContentSecurityPolicy::new(origin).is_err(), "{origin}");
        }
        for origin in [
            "",
            "https://b.s3.eu-west-1.amazonaws.com",
            "http://127.0.0.1:4566",
        ] {
            assert!(ContentSecurityPolicy::new(origin).is_ok(), "{origin}");
        }
    }
}
