//! The one secret: who may call us, and with what we call Meta.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;

use crate::Error;

/// A secret older than this is read anew, so that a rotation needs no deploy.
const MAX_AGE: Duration = Duration::from_secs(300);

/// How often refused tokens may make us read it.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(10);

/// What the secret holds, as JSON.
#[derive(Debug, Deserialize)]
pub struct Secret {
    /// Meta's access token.
    pub access_token: SecretString,
    /// Meta's app secrets: one, or two while rotating.
    pub app_secrets: Vec<SecretString>,
    /// What Meta's handshake must show.
    pub verify_token: SecretString,
    /// Who may use our API.
    pub api_tokens: Vec<ApiToken>,
    /// With what callbacks are signed that go on to a URL of the customer's: `whsec_` and base64; two while rotating.
    #[serde(default)]
    pub forward_secrets: Vec<SecretString>,
}

/// A token of our API; the token itself is stored nowhere.
#[derive(Clone, Debug, Deserialize)]
pub struct ApiToken {
    /// Whose it is.
    pub name: String,
    /// SHA-256 of the token, in hex. Tokens are random, so a plain hash is enough.
    pub sha256: String,
}

impl Secret {
    /// Whose token this is; takes as long for a wrong one.
    pub fn authorize(&self, token: &str) -> Option<&str> {
        let claimed: String = Sha256::digest(token.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut owner = None;
        for known in &self.api_tokens {
            let equal: bool = known
                .sha256
                .to_ascii_lowercase()
                .as_bytes()
                .ct_eq(claimed.as_bytes())
                .into();
            if equal {
                owner = Some(known.name.as_str());
            }
        }
        owner
    }

    /// Whether Meta's handshake shows the right token.
    pub fn is_verify_token(&self, token: &str) -> bool {
        self.verify_token
            .expose_secret()
            .as_bytes()
            .ct_eq(token.as_bytes())
            .into()
    }
}

/// Reads the secret and keeps it for a while.
#[derive(Debug)]
pub struct Secrets {
    client: Client,
    id: String,
    cached: Mutex<Cached>,
}

#[derive(Debug, Default)]
struct Cached {
    secret: Option<(Instant, Arc<Secret>)>,
    refreshed_at: Option<Instant>,
}

impl Secrets {
    /// The secret of that name or ARN.
    pub fn new(client: Client, id: String) -> Self {
        Self {
            client,
            id,
            cached: Mutex::default(),
        }
    }

    /// The secret, at most five minutes old.
    pub async fn get(&self) -> Result<Arc<Secret>, Error> {
        let mut kept = self.cached.lock().await;
        match &kept.secret {
            Some((read_at, secret)) if read_at.elapsed() < MAX_AGE => Ok(Arc::clone(secret)),
            _ => self.reload(&mut kept).await,
        }
    }

    /// The secret after Meta refused the token: read anew, but not more than once in ten seconds.
    pub async fn refresh(&self) -> Result<Arc<Secret>, Error> {
        let mut kept = self.cached.lock().await;
        match &kept.secret {
            Some((_, secret))
                if kept
                    .refreshed_at
                    .is_some_and(|at| at.elapsed() < MIN_REFRESH_INTERVAL) =>
            {
                Ok(Arc::clone(secret))
            }
            _ => {
                kept.refreshed_at = Some(Instant::now());
                self.reload(&mut kept).await
            }
        }
    }

    async fn reload(&self, kept: &mut Cached) -> Result<Arc<Secret>, Error> {
        let secret = Arc::new(self.fetch().await?);
        kept.secret = Some((Instant::now(), Arc::clone(&secret)));
        Ok(secret)
    }

    async fn fetch(&self) -> Result<Secret, Error> {
        let action = "read the secret (README, \"The secret\", tells what to put into it)";
        let answer = self
            .client
            .get_secret_value()
            .secret_id(&self.id)
            .send()
            .await
            .map_err(Error::from_sdk(action))?;
        // Not serde's own error: it may quote the secret.
        serde_json::from_str(answer.secret_string().unwrap_or_default()).map_err(|error| {
            Error::new(
                action,
                format!("not the expected JSON (line {})", error.line()),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        let abc = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
        let text = format!(
            r#"{{"access_token": "t", "app_secrets": ["s"], "verify_token": "v",
                "api_tokens": [{{"name": "other", "sha256": "00"}}, {{"name": "ops", "sha256": "{abc}"}}]}}"#
        );
        serde_json::from_str(&text).expect("secret")
    }

    #[test]
    fn token_is_identified_by_its_hash() {
        assert_eq!(secret().authorize("abc"), Some("ops"));
        for wrong in [
            "",
            "abd",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "00",
        ] {
            assert_eq!(secret().authorize(wrong), None, "{wrong}");
        }
        assert!(
            secret().is_verify_token("v")
                && !secret().is_verify_token("w")
                && !secret().is_verify_token("")
        );
    }

    #[test]
    fn debug_output_hides_secrets() {
        let printed = format!("{:?}", secret());
        assert!(
            !printed.contains("\"t\"") && !printed.contains("\"s\""),
            "{printed}"
        );
    }
}
