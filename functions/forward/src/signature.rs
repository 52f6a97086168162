//! [Standard Webhooks](https://www.standardwebhooks.com): `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The header `webhook-signature`: one signature a secret, so that either side may rotate. `None` where a secret is none.
pub fn sign(secrets: &[SecretString], id: &str, timestamp: u64, body: &str) -> Option<String> {
    let signatures = secrets.iter().map(|secret| {
        let text = secret.expose_secret();
        let key = STANDARD
            .decode(text.strip_prefix("whsec_").unwrap_or(text))
            .ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        Some(format!(
            "v1,{}",
            STANDARD.encode(mac.finalize().into_bytes())
        ))
    });
    let signatures: Option<Vec<String>> = signatures.collect();
    signatures
        .filter(|all| !all.is_empty())
        .map(|all| all.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn the_signature_is_that_of_the_specification() {
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
