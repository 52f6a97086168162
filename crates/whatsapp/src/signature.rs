//! Whether a callback comes from Meta: `X-Hub-Signature-256: sha256=<hex>`, the HMAC-SHA256 of the raw body with the
//! app secret (Meta, "Webhooks: validating payloads").

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Whether `header` signs `body` with any of the secrets. There are two while they rotate. Takes the same time for any
/// wrong signature of the right form.
pub fn verify(header: &str, body: &[u8], secrets: &[SecretString]) -> bool {
    let mut signature = [0; 32];
    let Some(encoded) = header.strip_prefix("sha256=") else {
        return false;
    };
    if hex::decode_to_slice(encoded, &mut signature).is_err() {
        return false;
    }
    let mut is_valid = false;
    for secret in secrets {
        is_valid |= mac(secret, body).verify_slice(&signature).is_ok();
    }
    is_valid
}

/// The header that Meta would send.
pub fn sign(body: &[u8], secret: &SecretString) -> String {
    let digest = mac(secret, body).finalize().into_bytes();
    format!("sha256={}", hex::encode(digest))
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac(secret: &SecretString, body: &[u8]) -> Hmac<Sha256> {
    let key = secret.expose_secret().as_bytes();
    Hmac::<Sha256>::new_from_slice(key)
        .expect("any key length")
        .chain_update(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn signs_and_verifies_rfc_4231_test_case_2() {
        let header = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let body = b"what do ya want for nothing?";
        assert_eq!(sign(body, &secret("Jefe")), header);
        assert!(verify(header, body, &[secret("Jefe")]));
        assert!(verify(
            &header.to_uppercase().replace("SHA", "sha"),
            body,
            &[secret("Jefe")]
        ));
    }

    #[test]
    fn verifies_only_with_one_of_the_secrets() {
        let body = br#"{"entry":[]}"#;
        let header = sign(body, &secret("new"));
        assert!(verify(&header, body, &[secret("old"), secret("new")]));
        assert!(!verify(&header, body, &[secret("old")]));
        assert!(!verify(&header, body, &[]));
        assert!(!verify(&header, br#"{"entry":[ ]}"#, &[secret("new")]));
        for malformed in [
            "",
            "sha256=",
            "sha1=00",
            &header[..70],
            &header.replace("sha256=", ""),
            "sha256=é",
        ] {
            assert!(!verify(malformed, body, &[secret("new")]), "{malformed}");
        }
    }
}
