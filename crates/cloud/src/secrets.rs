//! The one secret: who may use the API, and the credentials for Meta.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Error;
use crate::cached::Cached;
use crate::tokens::TokenHash;

/// An older secret is fetched again, so that a rotation needs no deployment.
const MAX_AGE: Duration = Duration::from_secs(300);

/// Refused tokens make us fetch the secret at most this often.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(10);

/// The content of the secret, as JSON.
#[derive(Debug, Deserialize)]
pub struct Secret {
    /// Meta's access token.
    pub access_token: SecretString,
    /// Meta's app secrets: one, or two during a rotation.
    pub app_secrets: Vec<SecretString>,
    /// The token that Meta's handshake must show.
    pub verify_token: SecretString,
    /// The tokens of the API's users.
    pub api_tokens: Vec<ApiToken>,
    /// The secrets that sign callbacks for the webhook endpoint: `whsec_` and base64; two during a rotation.
    #[serde(default)]
    pub forward_secrets: Vec<SecretString>,
}

/// A token of the API; the token itself is stored nowhere.
#[derive(Clone, Debug, Deserialize)]
pub struct ApiToken {
    /// The name of its owner.
    pub name: String,
    /// SHA-256 of the token, in hex. Tokens are random, so a plain hash is enough.
    pub sha256: String,
}

impl Secret {
    /// The name of the token's owner. Takes the same time for a wrong token.
    pub fn authorize(&self, token: &str) -> Option<&str> {
        self.owner_of(&TokenHash::of(token))
    }

    /// The name of the owner of the token with this hash. Takes the same time for a wrong one.
    pub fn owner_of(&self, claimed: &TokenHash) -> Option<&str> {
        let mut owner = None;
        for known in &self.api_tokens {
            let is_equal: bool = known
                .sha256
                .to_ascii_lowercase()
                .as_bytes()
                .ct_eq(claimed.as_str().as_bytes())
                .into();
            if is_equal {
                owner = Some(known.name.as_str());
            }
        }
        owner
    }

    /// Whether this is the token that Meta's handshake must show.
    pub fn is_verify_token(&self, token: &str) -> bool {
        self.verify_token
            .expose_secret()
            .as_bytes()
            .ct_eq(token.as_bytes())
            .into()
    }
}

/// Fetches the secret and caches it.
#[derive(Debug)]
pub struct Secrets {
    client: Client,
    id: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cached: Option<Cached<Arc<Secret>>>,
    refreshed_at: Option<Instant>,
}

impl Secrets {
    /// The secret of that name or ARN.
    pub fn new(client: Client, id: String) -> Self {
        Self {
            client,
            id,
            state: Mutex::default(),
        }
    }

    /// The secret, five minutes old at most.
    pub async fn get(&self) -> Result<Arc<Secret>, Error> {
        let mut state = self.state.lock().await;
        match state.cached.as_ref().and_then(|cached| cached.get(MAX_AGE)) {
            Some(secret) => Ok(secret),
            None => self.reload(&mut state).await,
        }
    }

    /// The secret after Meta refused the token: fetched again, but not more than once in ten seconds.
    pub async fn refresh(&self) -> Result<Arc<Secret>, Error> {
        let mut state = self.state.lock().await;
        let is_recent = state
            .refreshed_at
            .is_some_and(|at| at.elapsed() < MIN_REFRESH_INTERVAL);
        match &state.cached {
            Some(cached) if is_recent => Ok(cached.value()),
            _ => {
                state.refreshed_at = Some(Instant::now());
                self.reload(&mut state).await
            }
        }
    }

    async fn reload(&self, state: &mut State) -> Result<Arc<Secret>, Error> {
        let read_at = Instant::now();
        let secret = Arc::new(self.fetch().await?);
        state.cached = Some(Cached::new(Arc::clone(&secret), read_at));
        Ok(secret)
    }

    async fn fetch(&self) -> Result<Secret, Error> {
        let action = "read the secret (README, \"The secret\", says what it must contain)";
        let response = self
            .client
            .get_secret_value()
            .secret_id(&self.id)
            .send()
            .await
            .map_err(Error::from_sdk(action))?;
        // Not serde's own error, which may quote the secret.
        serde_json::from_str(response.secret_string().unwrap_or_default()).map_err(|error| {
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
