//! Our own API, used as an operator would: plain HTTP.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;
use ureq::{Body, SendBody};

/// An operator with a token.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    authorization: String,
}

impl Client {
    /// A client of the API at `base`.
    pub(crate) fn new(base: &str, token: &str) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).build();
        Self {
            agent: config.into(),
            base: base.to_owned(),
            authorization: format!("Bearer {token}"),
        }
    }

    /// Creates a campaign; gives its id and the upload it waits for.
    fn create_campaign(&self, campaign: &Value) -> Result<Value> {
        let request = self
            .agent
            .post(format!("{}/v1/campaigns", self.base))
            .header("authorization", &self.authorization);
        parse_json(request.send_json(campaign).context("create the campaign")?)
    }

    /// Creates a campaign and uploads its file; gives its id.
    pub(crate) fn upload_campaign(&self, campaign: &Value, file: &[u8]) -> Result<String> {
        let created = self.create_campaign(campaign)?;
        self.upload_file(&created["upload"], file)?;
        Ok(created["id"].as_str().unwrap_or_default().to_owned())
    }

    /// Uploads a file as the API's answer says.
    fn upload_file(&self, upload: &Value, file: &[u8]) -> Result<()> {
        let mut request = self.agent.put(upload["url"].as_str().unwrap_or_default());
        for (name, value) in upload["headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().unwrap_or_default());
        }
        let mut answer = request
            .send(SendBody::from_reader(&mut &*file))
            .context("upload the file")?;
        if !answer.status().is_success() {
            bail!(
                "the upload was refused: {} {}",
                answer.status(),
                answer.body_mut().read_to_string()?
            );
        }
        Ok(())
    }

    /// Shows a campaign.
    pub(crate) fn get_campaign(&self, id: &str) -> Result<Value> {
        self.get(&format!("/v1/campaigns/{id}"))
    }

    /// Starts, pauses, resumes, continues or cancels a campaign.
    pub(crate) fn control(&self, id: &str, command: &str) -> Result<Value> {
        let request = self
            .agent
            .post(format!("{}/v1/campaigns/{id}/{command}", self.base))
            .header("authorization", &self.authorization);
        parse_json(request.send_empty().context("control the campaign")?)
    }

    /// Sends a single message under this idempotency key.
    pub(crate) fn send_message(&self, key: &str, body: &Value) -> Result<Value> {
        let request = self
            .agent
            .post(format!("{}/v1/messages", self.base))
            .header("authorization", &self.authorization)
            .header("idempotency-key", key);
        parse_json(request.send_json(body).context("send a message")?)
    }

    /// Deletes something.
    pub(crate) fn delete(&self, path: &str) -> Result<Value> {
        let request = self.agent.delete(format!("{}{path}", self.base));
        let request = request.header("authorization", &self.authorization);
        parse_json(request.call().with_context(|| format!("delete {path}"))?)
    }

    /// Gets something.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let request = self.agent.get(format!("{}{path}", self.base));
        let request = request.header("authorization", &self.authorization);
        parse_json(request.call().with_context(|| format!("get {path}"))?)
    }

    /// The rejects file; empty where there is none.
    pub(crate) fn download_rejects(&self, id: &str) -> Result<String> {
        let request = self
            .agent
            .get(format!("{}/v1/campaigns/{id}/rejects", self.base));
        let answer = request
            .header("authorization", &self.authorization)
            .call()?;
        if answer.status() == 404 {
            return Ok(String::new());
        }
        let signed = parse_json(answer)?;
        let mut file = self
            .agent
            .get(signed["url"].as_str().unwrap_or_default())
            .call()?;
        Ok(file.body_mut().read_to_string()?)
    }
}

fn parse_json(mut answer: Response<Body>) -> Result<Value> {
    let status = answer.status();
    let text = answer.body_mut().read_to_string()?;
    if !status.is_success() {
        bail!("the API answered {status}: {text}");
    }
    serde_json::from_str(&text).with_context(|| format!("the API answered no JSON: {text}"))
}
