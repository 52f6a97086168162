//! Reports: the operator's file with the outcome of each row, the summary.

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::CampaignState;
use cloud::files::Upload;
use serde_json::{Value, json};

use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_has, assert_says, list, text};
use crate::harness::meta::{MetaClient, row_status, statuses_body};
use crate::harness::{TestEnv, phone};

/// Has a byte that is not UTF-8, quotation marks, a formula, one line that is too short and one that is too long.
const FILE: &[u8] = b"Phone;Name;Note\r\n\
    +34 610 000 001;\"M\xfcller; Ana\";ok\r\n\
    +34610000002;Bo;=1+1\r\n\
    12;Nobody;\r\n\
    +34610000001;Again;\r\n\
    \"+34610000003\";Eve\r\n\
    +34610000004; Kim ;a;b\r\n\
    +12025550126;Joe;refused\r\n\
    +34610000009;Stop;\r\n";

const HEADER: &str = "Phone;Name;Note;row;status;attempted_at;sent_at;delivered_at;read_at;failed_at;error_code;error;wamid;price_category;sent_from";

/// How each line of the report begins.
const LINE_STARTS: [&str; 8] = [
    "+34 610 000 001;\"Müller; Ana\";ok;1;read;",
    "+34610000002;Bo;'=1+1;2;undelivered;",
    "12;Nobody;;3;rejected_at_import;;;;;;;",
    "+34610000001;Again;;4;duplicate;;;;;;;",
    "\"+34610000003\";Eve;;5;accepted;",
    "+34610000004;\" Kim \";\"a;b\";6;",
    "+12025550126;Joe;refused;7;rejected;",
    "+34610000009;Stop;;8;suppressed;;;;;;;",
];

/// A campaign of [`FILE`] that was sent: row 1 was read, row 2 was not delivered, row 8 is suppressed.
async fn send_file(env: &TestEnv) -> CampaignId {
    env.set_suppressed(phone("+34610000009"), true).await;
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    env.import_file(&id, FILE).await;
    env.send_all().await;
    let mut statuses = Vec::new();
    for (row, name, seconds) in [
        (1, "sent", 1_790_000_000),
        (1, "delivered", 1_790_000_010),
        (1, "read", 1_790_000_100),
        (2, "failed", 1_790_000_020),
    ] {
        let mut status = row_status(&id, row, name, seconds);
        status["id"] = json!(env.ledger_row(&id, row).await.wamid.unwrap());
        status["pricing"] = json!({"billable": true, "category": "marketing"});
        statuses.push(status);
    }
    MetaClient::new(env).post(&statuses_body(&statuses)).await;
    id
}

/// Requests a report, writes it and gives how the API shows it.
async fn write_report(env: &TestEnv, api: &ApiClient, id: &CampaignId, options: Value) -> Value {
    let path = format!("/v1/campaigns/{id}/report");
    api.post(&path, options).await.expect(202);
    env.run_next_job().await;
    api.get(&path).await.expect(200)
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn report_is_requested_once_and_only_of_an_imported_campaign() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    let path = format!("/v1/campaigns/{id}/report");
    api.post(&path, Value::Null).await.expect(409);
    env.import_file(&id, FILE).await;
    api.get(&path).await.expect(404);
    let requested = api.post(&path, json!({"bom": true})).await.expect(202);
    assert_eq!(requested["state"], "requested");
    let again = api.post(&path, Value::Null).await.expect(202);
    assert_eq!(again["requested_at"], requested["requested_at"]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn report_returns_the_file_with_the_outcome_of_each_row() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = send_file(&env).await;
    let shown = write_report(&env, &api, &id, json!({"bom": true})).await;
    assert_has(&shown, &json!({"state": "done", "rows": 8}));
    let report = env.download_text(&shown["files"][0]["url"]).await;
    let report = report
        .strip_prefix('\u{feff}')
        .expect("the requested byte order mark");
    let lines: Vec<&str> = report.split("\r\n").collect();
    assert_eq!(lines[0], HEADER);
    assert_eq!(lines.len(), LINE_STARTS.len() + 2, "{report}");
    for (line, start) in lines[1..].iter().zip(LINE_STARTS) {
        assert!(line.starts_with(start), "{line}");
    }
    let wamid = env.ledger_row(&id, 1).await.wamid.unwrap();
    let times = "2026-09-21 14:13:20;2026-09-21 14:13:30;2026-09-21 14:15:00";
    assert!(
        lines[1].ends_with(&format!(";{times};;;;{wamid};marketing;100000000000001")),
        "{}",
        lines[1]
    );
    let error = "the number is not on WhatsApp, or its app is too old (Message undeliverable)";
    assert_says(lines[2], &[&format!(";131026;{error};")]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn report_has_a_byte_order_mark_only_if_requested() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = send_file(&env).await;
    for (options, has_mark) in [(json!({"bom": true}), true), (Value::Null, false)] {
        let shown = write_report(&env, &api, &id, options).await;
        let report = env.download(&shown["files"][0]["url"]).await;
        assert_eq!(report.starts_with("\u{feff}Phone;".as_bytes()), has_mark);
        assert_eq!(report.starts_with(b"Phone;"), !has_mark);
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn summary_counts_statuses_countries_errors_and_minutes() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = send_file(&env).await;
    let shown = write_report(&env, &api, &id, Value::Null).await;
    let summary = &shown["summary"];
    let minutes = json!([{"at": "2026-09-21T14:13:00Z", "delivered": 1, "read": 0},
        {"at": "2026-09-21T14:15:00Z", "delivered": 0, "read": 1}]);
    let expected = json!({"rows": 8, "balanced": true, "status": {"read": 1},
        "countries": {"US": {"rejected": 1}}, "categories": {"marketing": 2}, "minutes": minutes});
    assert_has(summary, &expected);
    let mut errors = list(&summary["errors"]).iter();
    let undelivered = errors.find(|error| error["code"] == 131_026).unwrap();
    assert_eq!(undelivered["rows"], 1);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn report_of_an_expired_file_fails_with_a_reason() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = env.create_campaign_with(|_| {}).await.id;
    env.import_file(&id, b"phone,name\n+34610000005,Flo\n")
        .await;
    env.delete_recipients(&id).await;
    let shown = write_report(&env, &api, &id, Value::Null).await;
    assert_eq!(shown["state"], "failed", "{shown}");
    assert_says(text(&shown["outcome"]), &["FileRetentionDays"]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn report_of_several_files_numbers_rows_continuously() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let id = env.import_campaign(300, |_| {}).await.id;
    env.send_all().await;
    let info = json!({"name": "more.csv", "size": 60});
    api.post(&format!("/v1/campaigns/{id}/files"), info)
        .await
        .expect(201);
    let more = b"phone,name\n+34610000300,Known\n+34620000001,New\n+34620000002,N\n";
    let event = env.upload_to(&id, Upload::File(1), more).await;
    env.run_import(event).await;
    env.send_all().await;

    let shown = write_report(&env, &api, &id, Value::Null).await;
    let statuses = json!({"duplicate": 1, "accepted": 302});
    assert_eq!(shown["summary"]["status"], statuses, "{shown}");
    let first = env.download_text(&shown["files"][0]["url"]).await;
    assert_eq!(first.lines().count(), 301);
    for line in first.lines().skip(1) {
        assert_says(line, &[",accepted,", "wamid."]);
    }
    let second = env.download_text(&shown["files"][1]["url"]).await;
    let lines: Vec<&str> = second.lines().collect();
    assert!(
        lines[1].starts_with("+34610000300,Known,301,duplicate,"),
        "{second}"
    );
    assert!(
        lines[3].starts_with("+34620000002,N,303,accepted,"),
        "{second}"
    );
}
