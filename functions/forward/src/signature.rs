//! Signatures by [Standard Webhooks](https://www.standardwebhooks.com): `v1,` and the base64 of HMAC-SHA256 over
//! `id.timestamp.body`.
//!
//! Written here and not taken from the crate `standardwebhooks`, whose only release, of 2024, would add another SHA-256,
//! another base64 and another time library to the binary, and sign with one secret only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The header `webhook-signature`: one signature per secret, so that either side may rotate. `None` if there is no secret,
/// or if one is not base64 (with or without the prefix `whsec_`). `timestamp` in seconds.
pub fn sign(secrets: &[SecretString], id: &str, timestamp: u64, body: &str) -> Option<String> {
    if secrets.is_empty() {
        return None;
    }
    let message = format!("{id}.{timestamp}.{body}");
    let signatures: Option<Vec<String>> = secrets
        .iter()
        .map(|secret| sign_with(secret, &message))
        .collect();
    signatures.map(|signatures| signatures.join(" "))
}

fn sign_with(secret: &SecretString, message: &str) -> Option<String> {
    let text = secret.expose_secret();
    let encoded = text.strip_prefix("whsec_").unwrap_or(text);
    let key = STANDARD.decode(encoded).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(message.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    Some(format!("v1,{signature}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn signature_equals_example_of_specification() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signed = sign(
            std::slice::from_ref(&secret),
            id,
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed.as_deref(), Some(expected));
        let two = sign(
            &[secret.clone(), secret],
            id,
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(two, Some(format!("{expected} {expected}")));
        assert_eq!(sign(&[], id, 1, ""), None);
        assert_eq!(sign(&["whsec_%".into()], id, 1, ""), None);
    }
}
