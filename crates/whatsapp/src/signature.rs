//! That a callback comes from Meta: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 of the raw body under the app
//! secret (Meta, "Webhooks: validating payloads").

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Whether `header` signs `body` under any of the secrets (two while rotating). Takes the same time for any wrong
/// signature of the right form.
pub fn verify(header: &str, body: &[u8], secrets: &[SecretString]) -> bool {
    let Some(claimed) = header.strip_prefix("sha256=").and_then(unhex) else {
        return false;
    };
    let mut valid = false;
    for secret in secrets {
        valid |= mac(secret, body).verify_slice(&claimed).is_ok();
    }
    valid
}

/// The header Meta would send.
pub fn sign(body: &[u8], secret: &SecretString) -> String {
    let digest = mac(secret, body).finalize().into_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac(secret: &SecretString, body: &[u8]) -> Hmac<Sha256> {
    let key = secret.expose_secret().as_bytes();
    Hmac::<Sha256>::new_from_slice(key)
        .expect("any key length")
        .chain_update(body)
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn the_known_answer() {
        // RFC 4231, test case 2.
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
    fn either_secret_counts_while_rotating_and_nothing_else_does() {
        let body = br#"{"entry":[]}"#;
        let header = sign(body, &secret("new"));
        assert!(verify(&header, body, &[secret("old"), secret("new")]));
        assert!(!verify(&header, body, &[secret("old")]));
        assert!(!verify(&header, body, &[]));
        assert!(!verify(&header, br#"{"entry":[ ]}"#, &[secret("new")]));
        for broken in [
            "",
            "sha256=",
            "sha1=00",
            &header[..70],
            &header.replace("sha256=", ""),
            "sha256=é",
        ] {
            assert!(!verify(broken, body, &[secret("new")]), "{broken}");
        }
    }
}
