//! Results: the operator's file back with what became of each row, the summary, the counters anew.

use axum::Router;
use campaign::lifecycle::campaign::{Campaign, CampaignState};
use campaign::lifecycle::counters::Counters;
use serde_json::{Value, json};

use crate::callbacks::{response_status, signed_request, status_json, statuses_body};
use crate::harness::{API_TOKEN, TestEnv};
use crate::http_api::{call_api, get_json, new_api};

async fn request_job(api: &Router, campaign: &Campaign, job: &str, body: &str) -> (u16, Value) {
    let path = format!("/v1/campaigns/{}/{job}", campaign.id);
    let (status, _, answer) = call_api(api, "POST", &path, Some(API_TOKEN), body.into()).await;
    (status, answer)
}

async fn download(url: &Value) -> Vec<u8> {
    let answer = reqwest::get(url.as_str().unwrap()).await.unwrap();
    assert!(answer.status().is_success());
    answer.bytes().await.unwrap().to_vec()
}

/// A file as people have them: a byte that is no UTF-8, quotation marks, a formula, a line too short and one too long.
const FILE: &[u8] = b"Phone;Name;Note\r\n\
    +34 610 000 001;\"M\xfcller; Ana\";ok\r\n\
    +34610000002;Bo;=1+1\r\n\
    12;Nobody;\r\n\
    +34610000001;Again;\r\n\
    \"+34610000003\";Eve\r\n\
    +34610000004; Kim ;a;b\r\n\
    +12025550126;Joe;refused\r\n\
    +34610000009;Stop;\r\n";

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn report_returns_the_file_with_the_outcome_of_each_row() {
    let world = TestEnv::new().await;
    let (api, webhook) = (new_api(&world), world.webhook());
    world
        .set_suppressed(
            campaign::import::phone::parse("+34610000009", None).unwrap(),
            true,
        )
        .await;
    let campaign = world.create_campaign(CampaignState::AwaitingUpload).await;
    assert_eq!(
        request_job(&api, &campaign, "report", "").await.0,
        409,
        "nothing was read yet"
    );
    let event = world.upload_file(&campaign.id, FILE).await;
    world.run_import(event).await;
    world.send_all().await;
    let id = &campaign.id;
    let ledger = world.ledger_rows(id).await;
    let wamid = |row: &str| {
        let row = ledger
            .iter()
            .find(|entry| entry.row.ends_with(row))
            .unwrap();
        row.wamid.clone().unwrap()
    };
    let mut list = Vec::new();
    for (row, name, seconds) in [
        (1, "sent", 1_790_000_000),
        (1, "delivered", 1_790_000_010),
        (1, "read", 1_790_000_100),
        (2, "failed", 1_790_000_020),
    ] {
        let mut status = status_json(
            &format!("{id}:{row}:1"),
            &wamid(&row.to_string()),
            name,
            seconds,
        );
        status["pricing"] = json!({"billable": true, "category": "marketing"});
        list.push(status);
    }
    assert_eq!(
        response_status(&webhook, signed_request(&world, &statuses_body(&list))).await,
        200
    );

    assert_eq!(
        get_json(&api, &format!("/v1/campaigns/{id}/report"))
            .await
            .0,
        404
    );
    let (code, asked) = request_job(&api, &campaign, "report", r#"{"bom": true}"#).await;
    assert_eq!((code, &asked["state"]), (202, &json!("requested")));
    assert_eq!(
        request_job(&api, &campaign, "report", "").await.1["requested_at"],
        asked["requested_at"],
        "once"
    );
    world.run_next_job().await;
    let (_, shown) = get_json(&api, &format!("/v1/campaigns/{id}/report")).await;
    assert_eq!(
        (&shown["state"], &shown["rows"]),
        (&json!("done"), &json!(8)),
        "{shown}"
    );
    let file = download(&shown["files"][0]["url"]).await;
    let text = String::from_utf8(file).unwrap();
    let text = text
        .strip_prefix('\u{feff}')
        .expect("the mark that was asked for");
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(
        lines[0],
        "Phone;Name;Note;row;status;attempted_at;sent_at;delivered_at;read_at;failed_at;error_code;error;wamid;price_category"
    );
    let begins = [
        "+34 610 000 001;\"Müller; Ana\";ok;1;read;",
        "+34610000002;Bo;'=1+1;2;undelivered;",
        "12;Nobody;;3;rejected_at_import;;;;;;;",
        "+34610000001;Again;;4;duplicate;;;;;;;",
        "\"+34610000003\";Eve;;5;accepted;",
        "+34610000004;\" Kim \";\"a;b\";6;",
        "+12025550126;Joe;refused;7;rejected;",
        "+34610000009;Stop;;8;suppressed;;;;;;;",
    ];
    assert_eq!(lines.len(), begins.len() + 2, "{text}");
    for (line, begin) in lines[1..].iter().zip(begins) {
        assert!(line.starts_with(begin), "{line}");
    }
    assert!(
        lines[1].ends_with(&format!(
            ";2026-09-21 14:13:20;2026-09-21 14:13:30;2026-09-21 14:15:00;;;;{};marketing",
            wamid("1")
        )),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].contains(
            ";131026;the number is not on WhatsApp, or its app is too old (Message undeliverable);"
        ),
        "{}",
        lines[2]
    );

    let summary = &shown["summary"];
    assert_eq!(
        (&summary["rows"], &summary["balanced"]),
        (&json!(8), &json!(true))
    );
    assert_eq!(summary["status"]["read"], 1);
    assert_eq!(summary["countries"]["US"]["rejected"], 1);
    assert_eq!(summary["categories"]["marketing"], 2);
    let undelivered = summary["errors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|error| error["code"] == 131_026);
    assert_eq!(undelivered.unwrap()["rows"], 1);
    assert_eq!(
        summary["minutes"],
        json!([{"at": "2026-09-21T14:13:00Z", "delivered": 1, "read": 0}, {"at": "2026-09-21T14:15:00Z", "delivered": 0, "read": 1}])
    );
    // A file that expired meanwhile is told of.
    let key = cloud::files::input_key(id, cloud::files::Upload::File(0));
    let other = world.create_campaign_with(|_| {}).await;
    let event = world
        .upload_file(&other.id, b"phone,name\n+34610000005,Flo\n")
        .await;
    world.run_import(event).await;
    let gone = cloud::files::input_key(&other.id, cloud::files::Upload::File(0));
    world.files.delete_versions(&gone, None).await.unwrap();
    assert_eq!(request_job(&api, &other, "report", "").await.0, 202);
    world.run_next_job().await;
    let (_, shown) = get_json(&api, &format!("/v1/campaigns/{}/report", other.id)).await;
    assert_eq!(shown["state"], "failed", "{shown}");
    assert!(
        shown["outcome"]
            .as_str()
            .unwrap()
            .contains("FileRetentionDays"),
        "{shown}"
    );
    assert!(world.files.latest_version(&key).await.unwrap().is_some());
    // Without the mark unless asked for; asked for again, it is written again.
    assert_eq!(request_job(&api, &campaign, "report", "").await.0, 202);
    world.run_next_job().await;
    let (_, shown) = get_json(&api, &format!("/v1/campaigns/{id}/report")).await;
    assert!(
        download(&shown["files"][0]["url"])
            .await
            .starts_with(b"Phone;")
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn report_of_several_files_numbers_rows_continuously() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let campaign = world.import_campaign(300, |_| {}).await;
    world.send_all().await;
    let body = json!({"name": "more.csv", "size": 60}).to_string();
    let (code, _) = request_job(&api, &campaign, "files", &body).await;
    assert_eq!(code, 201);
    let more = b"phone,name\n+34610000300,Known\n+34620000001,New\n+34620000002,N\n";
    let event = world
        .upload_to(&campaign.id, cloud::files::Upload::File(1), more)
        .await;
    world.run_import(event).await;
    world.send_all().await;
    assert_eq!(request_job(&api, &campaign, "report", "").await.0, 202);
    world.run_next_job().await;
    let (_, shown) = get_json(&api, &format!("/v1/campaigns/{}/report", campaign.id)).await;
    assert_eq!(
        shown["summary"]["status"],
        json!({"duplicate": 1, "accepted": 302}),
        "{shown}"
    );
    let first = String::from_utf8(download(&shown["files"][0]["url"]).await).unwrap();
    assert_eq!(first.lines().count(), 301);
    assert!(
        first
            .lines()
            .skip(1)
            .all(|line| line.contains(",accepted,") && line.contains("wamid."))
    );
    let second = String::from_utf8(download(&shown["files"][1]["url"]).await).unwrap();
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

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn recount_corrects_wrong_counters_and_keeps_right_ones() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let campaign = world.import_campaign(100, |_| {}).await;
    world.send_all().await;
    // A shard that counted some rows twice and lost others.
    let mut tally = world
        .counters
        .get_shard(&campaign.id, "shard-1")
        .await
        .unwrap();
    tally.last_sequence.push('1');
    tally.counters = Counters {
        accepted: 130,
        claimed: -7,
        attempts: 12,
        ..Counters::default()
    };
    let now = cloud::now();
    assert!(
        world
            .counters
            .compare_and_set(&campaign.id, "shard-1", "", &tally, now)
            .await
            .unwrap()
    );
    let path = format!("/v1/campaigns/{}", campaign.id);
    assert_eq!(get_json(&api, &path).await.1["rows"]["balanced"], false);
    for expected in ["were wrong", "were right"] {
        assert_eq!(request_job(&api, &campaign, "recount", "").await.0, 202);
        world.run_next_job().await;
        let (_, job) = get_json(&api, &format!("{path}/recount")).await;
        assert_eq!(job["state"], "done");
        assert!(job["outcome"].as_str().unwrap().contains(expected), "{job}");
        let (_, seen) = get_json(&api, &path).await;
        assert_eq!(
            (&seen["rows"]["balanced"], &seen["state"]),
            (&json!(true), &json!("finished")),
            "{seen}"
        );
        assert_eq!(
            (&seen["rows"]["accepted"], &seen["sending"]["attempts"]),
            (&json!(100), &json!(100)),
            "{seen}"
        );
    }
}
