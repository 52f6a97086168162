//! What operators look at, and what they get wrong.

use serde_json::{Value, json};

use super::Operator;

/// Requests that say something impossible: method, path and body. `{id}` stands for a campaign.
const MISTAKES: [(&str, &str, &str); 24] = [
    ("POST", "/v1/campaigns", "{"),
    ("POST", "/v1/campaigns", "[]"),
    ("POST", "/v1/campaigns", r#"{"name": "x"}"#),
    (
        "POST",
        "/v1/campaigns",
        r#"{"name": "x", "file": {"name": "a.csv", "size": 10}, "message": {"type": "text", "text": {"body": "Hi"}}, "canary": 0}"#,
    ),
    (
        "POST",
        "/v1/campaigns",
        r#"{"name": "x", "file": {"name": "a.csv", "size": 10}, "message": {"type": "text", "text": {"body": "Hi"}}, "max_failure_ratio": 2}"#,
    ),
    (
        "POST",
        "/v1/campaigns",
        r#"{"name": "x", "file": {"name": "a.csv", "size": 10}, "message": {"type": "text", "text": {"body": "Hi"}}, "after_canary": "wait"}"#,
    ),
    (
        "POST",
        "/v1/campaigns",
        r#"{"name": "x", "file": {"name": "a.csv", "size": 10}, "message": {"type": "text", "text": {"body": "Hi"}}, "not_after": "2020-01-01T00:00:00Z"}"#,
    ),
    (
        "POST",
        "/v1/campaigns",
        r#"{"name": "x", "file": {"name": "a.exe", "size": 10}, "message": {"type": "text", "text": {"body": "Hi"}}}"#,
    ),
    (
        "POST",
        "/v1/campaigns",
        r#"{"name": "x", "file": {"name": "a.csv", "size": 0}, "message": {"type": "text", "text": {"body": "Hi"}}}"#,
    ),
    (
        "POST",
        "/v1/campaigns",
        r#"{"name": "x", "file": {"name": "a.csv", "size": 10}, "message": {"type": "text", "text": {"body": "{{}}"}}}"#,
    ),
    (
        "POST",
        "/v1/campaigns",
        r#"{"name": "x", "file": {"name": "a.csv", "size": 10}, "message": {"type": "smoke"}}"#,
    ),
    (
        "POST",
        "/v1/campaigns",
        r#"{"name": "x", "file": {"name": "a.csv", "size": 10}, "message": {"type": "text", "text": {"body": "Hi"}}, "options": {"default_region": "ZZ"}}"#,
    ),
    (
        "POST",
        "/v1/campaigns/{id}/preview",
        r#"{"options": {"delimiter": ";;"}}"#,
    ),
    (
        "POST",
        "/v1/campaigns/{id}/files",
        r#"{"name": "x.csv", "size": -1}"#,
    ),
    ("POST", "/v1/campaigns/{id}/test", r#"{"to": "12"}"#),
    ("POST", "/v1/campaigns/unknown/pause", ""),
    ("GET", "/v1/campaigns/unknown", ""),
    ("GET", "/v1/campaigns/{id}/rows?state=lost", ""),
    ("GET", "/v1/campaigns/{id}/rows?limit=0", ""),
    ("GET", "/v1/inbox?since=yesterday", ""),
    ("GET", "/v1/contacts/12", ""),
    (
        "PUT",
        "/v1/contacts/34610000001",
        r#"{"suppressed": "yes"}"#,
    ),
    (
        "PUT",
        "/v1/settings",
        r#"{"replies": [{"keywords": [], "message": {}}]}"#,
    ),
    ("DELETE", "/v1/campaigns", ""),
];

/// Pages that anybody may look at. `{id}` stands for a campaign, `{phone}` for a recipient.
const PAGES: [&str; 15] = [
    "/v1/metrics",
    "/v1/campaigns",
    "/v1/campaigns?limit=1",
    "/v1/campaigns/{id}/report",
    "/v1/campaigns/{id}/recount",
    "/v1/campaigns/{id}/rejects",
    "/v1/campaigns/{id}/rows?state=accepted&limit=2",
    "/v1/campaigns/{id}/rows?state=unconfirmed",
    "/v1/inbox",
    "/v1/inbox?limit=1",
    "/v1/templates",
    "/v1/account",
    "/v1/contacts/{phone}",
    "/v1/settings",
    "/openapi.json",
];

impl Operator {
    /// Looks at a page; what is not there yet is said to be so.
    pub async fn look(&self, id: &str, phone: &str) {
        let digits = phone.trim_start_matches('+');
        let page = self.random.pick(&PAGES);
        let path = page.replace("{id}", id).replace("{phone}", digits);
        let answer = self.persist("GET", &path, &Value::Null).await;
        self.note_step(&format!("GET {path}"), answer.as_ref());
        // Campaigns and reports may be gone or not be there yet; Meta may refuse what templates and account need.
        let is_answer = |status: u16| matches!(status, 200 | 404 | 409 | 502);
        if let Some(answer) = answer.filter(|answer| !is_answer(answer.status)) {
            let what = format!("GET {path} was answered with {}", answer.status);
            self.record
                .violation("an operator sees what is there", what);
        }
    }

    /// Asks for something impossible, and is told so.
    pub async fn mistake(&self, id: &str) {
        let (method, path, body) = *self.random.pick(&MISTAKES);
        let path = path.replace("{id}", id);
        let answer = self.persist_text(method, &path, body).await;
        self.note_step(&format!("{method} {path} {body}"), answer.as_ref());
        let is_refused = |status: u16| (400..500).contains(&status);
        if let Some(answer) = answer.filter(|answer| !is_refused(answer.status)) {
            let what = format!("{method} {path} {body} was answered with {}", answer.status);
            self.record.violation("bad input gets a clear answer", what);
        }
    }

    /// Asks without a token, or with a wrong one.
    pub async fn ask_as_stranger(&self, id: &str) {
        let path = format!("/v1/campaigns/{id}");
        let token = *self.random.pick(&["Bearer wrong", "", "Basic b3Bz"]);
        let event =
            json!({"method": "GET", "path": path, "body": "", "headers": {"authorization": token}});
        let answer = self.send(event).await;
        if let Some(answer) = answer.filter(|answer| answer.status != 401) {
            let what = format!(
                "GET {path} without a token was answered with {}",
                answer.status
            );
            self.record.violation("nobody without a token", what);
        }
    }
}
