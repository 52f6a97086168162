//! The call: one POST, never repeated by itself.

use std::time::Duration;

use campaign::outcome::{Fault, Outcome};
use reqwest::{Response, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::answer::{self, Answer};

/// No connection within this time: certainly not sent.
const CONNECT: Duration = Duration::from_secs(2);

/// No answer within this time: in doubt. The invocation that called must be able to wait for it.
pub const ANSWER: Duration = Duration::from_secs(20);

/// An idle connection older than this may be gone without a word, and a send into it would be in doubt.
const IDLE: Duration = Duration::from_secs(20);

/// Answers are a few hundred bytes; more is not the API's.
const MAX_ANSWER: usize = 64 * 1024;

/// Calls one phone number's `messages` endpoint.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    /// `base` such as `https://graph.facebook.com`, `version` such as `v25.0`.
    pub fn new(base: &str, version: &str, phone_number_id: &str) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            // There is no idempotency key: only the ledger may decide on another attempt.
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()?;
        let base = base.trim_end_matches('/');
        Ok(Self {
            http,
            url: format!("{base}/{version}/{phone_number_id}/messages"),
        })
    }

    /// Sends one message and tells what is known afterwards.
    pub async fn send(&self, token: &SecretString, request: &Value) -> Outcome {
        let call = self
            .http
            .post(&self.url)
            .bearer_auth(token.expose_secret())
            .json(request);
        match call.send().await {
            Ok(response) => read(response).await,
            Err(error) if error.is_connect() || error.is_builder() => {
                Outcome::NotSent(fault("could not connect", &error))
            }
            Err(error) => Outcome::InDoubt(fault("no answer", &error)),
        }
    }
}

async fn read(mut response: Response) -> Outcome {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER => {
                body.extend_from_slice(&chunk)
            }
            Ok(Some(_) | None) => break,
            Err(error) => return Outcome::InDoubt(fault("the answer broke off", &error)),
        }
    }
    let text = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    answer::read(Answer {
        status: response.status().as_u16(),
        retry_after: text(header::RETRY_AFTER.as_str()),
        usage: text("x-business-use-case-usage"),
        body: &body,
    })
}

/// The URL is left out: it is configuration, and errors end up in the ledger.
fn fault(what: &str, error: &reqwest::Error) -> Fault {
    let kind = if error.is_timeout() {
        "timed out"
    } else {
        "connection failed"
    };
    Fault::on_the_way(format!("{what}: {kind}"))
}
