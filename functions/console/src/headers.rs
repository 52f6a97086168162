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

/// What the page shall connect to is no origin.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "CONNECT_ORIGINS must be origins such as https://bucket.s3.eu-west-1.amazonaws.com; one of them is {0:?}"
)]
pub struct NotAnOrigin(String);

/// What the page may load: its own files, the API below its own address, uploads to the bucket, the identity provider.
#[derive(Debug)]
pub struct ContentSecurityPolicy(String);

impl ContentSecurityPolicy {
    /// The policy; `origins` are what the page may connect to beside its own, with spaces between them.
    pub fn new(origins: &str) -> Result<Self, NotAnOrigin> {
        let mut connect = String::from("'self'");
        for origin in origins.split_whitespace() {
            if !is_origin(origin) {
                return Err(NotAnOrigin(origin.to_owned()));
            }
            connect.push(' ');
            connect.push_str(origin);
        }
        Ok(Self(format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {connect}; \
             form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types svelte-trusted-html"
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
            "https://a.example 'unsafe-inline'",
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
            "https://a.example  https://b.example",
        ] {
            assert!(ContentSecurityPolicy::new(origin).is_ok(), "{origin}");
        }
    }
}
