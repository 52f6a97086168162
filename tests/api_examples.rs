//! The examples of `docs/api.md` are requests that were made and the answers they got. This test makes them again and
//! compares. `CRIER_WRITE_DOCS=1 cargo xtask test --only services` writes the page instead.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use campaign::id::CampaignId;
use serde_json::{Value, json};

use crate::harness::api_client::ApiClient;
use crate::harness::{API_TOKEN, TestEnv};

use crate::harness::json::text;

const BEGIN: &str = "<!-- Written by tests/api_examples.rs: do not edit below. -->\n";
const END: &str = "<!-- Written until here. -->\n";

/// The operator's file: two recipients, one of them twice, and a row without a usable number.
const FILE: &str = "Name,Phone,Amount\nAna,+55 11 98765-4321,20\nBob,+34 612 345 678,30\nAna,+5511987654321,20\nCy,n/a,5\n";

/// Members whose values differ from run to run, and what the page shows instead.
const CHANGING: [(&str, &str); 8] = [
    ("id", "0198c0de-0000-7000-8000-000000000001"),
    ("url", "https://…"),
    ("wamid", "wamid.…"),
    ("token", "crier_…"),
    (
        "hash",
        "a9aef577ce420b57ac0f29667bdc62023d4c9f8b95bc33fd156a5bb238238993",
    ),
    ("rate", "0.0"),
    ("estimated_seconds", "1"),
    ("minutes", "[]"),
];

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn page_shows_what_the_api_answers() {
    let env = TestEnv::new().await;
    let mut page = Page::new(&env);
    let id = create_and_preview(&env, &mut page).await;
    send_and_watch(&env, &mut page, &id).await;
    report(&env, &mut page, &id).await;
    contacts(&env, &mut page).await;
    access(&mut page, &id).await;

    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let found = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = found.split_once(BEGIN).unwrap();
    let (examples, tail) = rest.split_once(END).unwrap();
    if std::env::var_os("CRIER_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{}{END}{tail}", page.text)).unwrap();
    } else {
        assert_eq!(examples, page.text, "docs/api.md is out of date");
    }
}

async fn create_and_preview(env: &TestEnv, page: &mut Page) -> CampaignId {
    page.title("Create a campaign");
    let campaign = json!({
        "name": "Order updates", "manual_start": true,
        "message": {"type": "template", "template": {"name": "order_update", "language": {"code": "en"}, "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "{{Name}}"}, {"type": "text", "text": "{{Amount}} €"}]},
            {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "{{Name}}"}]}]}},
        "file": {"name": "customers.csv", "size": FILE.len()},
    });
    let created = page.post("/v1/campaigns", campaign).await;
    let id: CampaignId = text(&created["id"]).parse().unwrap();
    page.say("Upload the file with `PUT` to `upload.url`, with the headers of `upload.headers`. Crier reads it to its end.");
    env.import_file(&id, FILE.as_bytes()).await;
    page.title("See what it would do");
    page.post(&format!("/v1/campaigns/{id}/preview"), json!({}))
        .await;
    id
}

async fn send_and_watch(env: &TestEnv, page: &mut Page, id: &CampaignId) {
    page.title("Start, and watch");
    page.post(&format!("/v1/campaigns/{id}/start"), Value::Null)
        .await;
    env.run_queued_imports().await;
    env.send_all().await;
    env.recount_ledger(id).await;
    page.get(&format!("/v1/campaigns/{id}")).await;
    page.get(&format!("/v1/campaigns/{id}/rows?state=accepted&limit=1"))
        .await;
}

async fn report(env: &TestEnv, page: &mut Page, id: &CampaignId) {
    page.title("Get the file back, with the outcome of each row");
    page.post(&format!("/v1/campaigns/{id}/report"), json!({"bom": true}))
        .await;
    env.run_next_job().await;
    page.get(&format!("/v1/campaigns/{id}/report")).await;
    page.title("What became of one person");
    let path = format!("/v1/campaigns/{id}/recipients/5511987654321");
    page.get(&path).await;
}

async fn access(page: &mut Page, id: &CampaignId) {
    page.title("Create a token for a colleague");
    let token = json!({"name": "maria", "role": "sender"});
    page.post("/v1/tokens", token).await;
    page.title("See who did what");
    page.get(&format!("/v1/audit?campaign={id}")).await;
}

async fn contacts(env: &TestEnv, page: &mut Page) {
    page.title("Suppress a contact");
    let contact = "/v1/contacts/5511987654321";
    page.put(
        contact,
        json!({"suppressed": true, "reason": "asked on the phone"}),
    )
    .await;
    single_message(env, page).await;
    page.title("An invalid request");
    page.post("/v1/campaigns", json!({"name": "No file"})).await;
}

async fn single_message(env: &TestEnv, page: &mut Page) {
    page.title("A single message");
    page.say("It goes ahead of campaigns. The header `Idempotency-Key: 0198c0de-0000-7000-8000-000000000001` makes a request that is repeated the same message.");
    let body = json!({"to": "+34612345678", "message": {"type": "template",
        "template": {"name": "hello_world", "language": {"code": "en_US"}}}});
    let bearer = format!("Bearer {API_TOKEN}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "0198c0de-0000-7000-8000-000000000001"),
    ];
    let bytes = body.to_string().into_bytes();
    let path = "/v1/messages";
    let reply = page.api.request_with("POST", path, &headers, bytes).await;
    let sent = page.example("POST", path, body, reply.status, reply.body);
    env.send_all().await;
    let path = format!("/v1/messages/{}?wait=5", text(&sent["id"]));
    page.get(&path).await;
}

/// The examples, as Markdown.
struct Page {
    api: ApiClient,
    text: String,
}

impl Page {
    fn new(env: &TestEnv) -> Self {
        Self {
            api: ApiClient::new(env),
            text: String::new(),
        }
    }

    fn title(&mut self, title: &str) {
        writeln!(self.text, "\n### {title}").unwrap();
    }

    fn say(&mut self, sentence: &str) {
        writeln!(self.text, "\n{sentence}").unwrap();
    }

    async fn get(&mut self, path: &str) -> Value {
        let reply = self.api.get(path).await;
        self.example("GET", path, Value::Null, reply.status, reply.body)
    }

    async fn post(&mut self, path: &str, body: Value) -> Value {
        let reply = self.api.post(path, body.clone()).await;
        self.example("POST", path, body, reply.status, reply.body)
    }

    async fn put(&mut self, path: &str, body: Value) -> Value {
        let reply = self.api.put(path, body.clone()).await;
        self.example("PUT", path, body, reply.status, reply.body)
    }

    /// Writes down a request and its answer; gives the answer.
    fn example(
        &mut self,
        method: &str,
        path: &str,
        body: Value,
        status: u16,
        reply: Value,
    ) -> Value {
        let mut shown = path.to_owned();
        for id in path.split(['/', '=']).filter(|part| is_id(part)) {
            shown = shown.replace(id, "{id}");
        }
        writeln!(self.text, "\n```http\n{method} {shown}").unwrap();
        if !body.is_null() {
            writeln!(self.text, "\n{}", pretty(&body)).unwrap();
        }
        writeln!(
            self.text,
            "```\n\n```json\n// {status}\n{}\n```",
            pretty(&normalized(reply.clone()))
        )
        .unwrap();
        reply
    }
}

fn is_id(part: &str) -> bool {
    part.len() == 36 && part.matches('-').count() == 4
}

/// JSON as people write it: a value that fits on a line stays on one.
fn pretty(value: &Value) -> String {
    lines(value, 0)
}

fn lines(value: &Value, depth: usize) -> String {
    const WIDTH: usize = 100;
    let flat = value.to_string();
    let is_leaf = !value.is_object() && !value.is_array();
    if is_leaf || (depth > 0 && flat.chars().count() + 2 * depth <= WIDTH) {
        return flat;
    }
    let indent = "  ".repeat(depth + 1);
    let (open, close, parts): (char, char, Vec<String>) = match value {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                format!("{indent}\"{name}\": {}", lines(value, depth + 1))
            };
            ('{', '}', members.iter().map(member).collect())
        }
        Value::Array(items) => (
            '[',
            ']',
            items
                .iter()
                .map(|item| format!("{indent}{}", lines(item, depth + 1)))
                .collect(),
        ),
        _ => return flat,
    };
    if parts.is_empty() {
        return flat;
    }
    format!(
        "{open}\n{}\n{}{close}",
        parts.join(",\n"),
        "  ".repeat(depth)
    )
}

/// The answer with what changes from run to run replaced.
fn normalized(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter();
            Value::Object(members.map(normalized_member).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(normalized).collect()),
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => {
            json!("2026-12-01T08:00:00Z")
        }
        Value::String(text) if is_id(&text) => json!("0198c0de-0000-7000-8000-000000000001"),
        other => other,
    }
}

fn normalized_member((name, value): (String, Value)) -> (String, Value) {
    let changing = CHANGING.iter().find(|(changing, _)| *changing == name);
    let value = match changing {
        Some((_, shown)) if !value.is_null() => {
            serde_json::from_str(shown).unwrap_or_else(|_| json!(shown))
        }
        // DynamoDB keeps no order of members.
        _ if name == "message" || name == "columns" => sorted(value),
        _ => normalized(value),
    };
    (name, value)
}

/// JSON with the members of its objects in alphabetical order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> = members
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
