//! Erasure from files as operators upload them: exclude lists and files that failed, in every format. Nobody else's line goes, and
//! nothing changes that a campaign reads which is not over.

use campaign::id::CampaignId;
use campaign::import::phone::Phone;
use campaign::lifecycle::campaign::{CampaignState, FileInfo, ImportOptions};
use cloud::files::{Upload, input_key};
use recipients::read_exclude_list;

use crate::corpus_files::encode::{gzip, to_utf16, to_windows_1252, workbook_of_cells};
use crate::harness::api_client::ApiClient;
use crate::harness::{TestEnv, phone};

const CONTACT: &str = "/v1/contacts/34610000002";

fn subject() -> Phone {
    phone("+34610000002")
}

/// Lists of the person to erase and of one or no other, as they come.
fn lists() -> Vec<(&'static str, Vec<u8>, usize)> {
    let table = "name;phone\nJosé;+34610000002\nZoë;+34610000003\n";
    let cells: &[&[&str]] = &[
        &["name", "phone"],
        &["José", "+34610000002"],
        &["Zoë", "+34610000003"],
    ];
    vec![
        ("csv", table.replace(';', ",").into(), 1),
        ("semicolons", table.into(), 1),
        ("tsv", table.replace(';', "\t").into(), 1),
        ("pipes", table.replace(';', "|").into(), 1),
        ("utf-16", to_utf16(table, u16::to_le_bytes, true), 1),
        ("windows-1252", to_windows_1252(table), 1),
        ("gzip", gzip(table.as_bytes()), 1),
        ("xlsx", workbook_of_cells(cells), 1),
        ("no header", b"+34610000003\n+34610000002\n".into(), 1),
        ("one line", b"+34 610 000 002".into(), 0),
    ]
}

/// A campaign that was sent to somebody else, with this exclude list.
async fn send_campaign(env: &TestEnv, list: &[u8]) -> CampaignId {
    let exclude = FileInfo {
        name: "out.csv".into(),
        size: 1,
    };
    let campaign = env.create_campaign_with(|campaign| campaign.exclude = Some(exclude));
    let id = campaign.await.id;
    env.upload_to(&id, Upload::Exclusions, list).await;
    env.import_file(&id, b"phone,name\n+34610000001,Ana\n")
        .await;
    env.send_all().await;
    id
}

async fn close_campaigns(env: &TestEnv, ids: &[CampaignId]) {
    for id in ids {
        env.recount_ledger(id).await;
    }
    let now = cloud::now() + 300_000;
    let run = env.reconciler().run(now, now + 900_000).await;
    assert_eq!(run.unwrap().closed, ids.len());
}

/// The numbers on a campaign's list.
async fn read_list(env: &TestEnv, id: &CampaignId) -> Vec<String> {
    let list = env.files.open_upload(id, Upload::Exclusions).await;
    let list = list.unwrap().expect("a list");
    let read = read_exclude_list(list, &ImportOptions::default()).await;
    let (numbers, _) = read.expect("a readable list");
    numbers.iter().map(ToString::to_string).collect()
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn list_of_any_format_loses_the_person_and_nobody_else() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let mut ids = Vec::new();
    for (_, list, _) in lists() {
        ids.push(send_campaign(&env, &list).await);
    }
    close_campaigns(&env, &ids).await;
    api.delete(CONTACT).await.expect(202);
    assert!(env.run_next_erasure().await);
    for ((format, _, others), id) in lists().into_iter().zip(&ids) {
        let left = read_list(&env, id).await;
        assert_eq!(left.len(), others, "{format}: {left:?}");
        let digits = subject().canonical().to_string();
        assert!(!left.contains(&digits), "{format}");
        let key = input_key(id, Upload::Exclusions);
        let stored = env.files.read_object(&key).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&stored);
        assert!(
            !text.contains("José") && !text.contains("610 000 002"),
            "{format}: {text}"
        );
        assert_eq!(
            text.contains("Zoë"),
            format != "no header" && others > 0,
            "{format}: {text}"
        );
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn list_of_a_campaign_that_is_not_over_does_not_change() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let (_, list, _) = lists().remove(0);
    let id = send_campaign(&env, &list).await;
    api.delete(CONTACT).await.expect(202);
    assert!(!env.run_next_erasure().await, "the erasure waits");
    let key = input_key(&id, Upload::Exclusions);
    assert_eq!(env.files.read_object(&key).await.unwrap().unwrap(), list);
    close_campaigns(&env, std::slice::from_ref(&id)).await;
    assert!(env.run_next_erasure().await);
    assert_eq!(read_list(&env, &id).await, ["34610000003"]);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn file_that_failed_goes_if_it_has_the_person_and_stays_otherwise() {
    let env = TestEnv::new().await;
    let api = ApiClient::new(&env);
    let theirs = to_utf16("name;order id\nJosé;34610000002\n", u16::to_le_bytes, true);
    let others = b"name;order id\nZoe;34610000003\n".to_vec();
    let mut ids = Vec::new();
    for file in [&theirs, &others] {
        let id = env.create_campaign_with(|_| {}).await.id;
        env.import_file(&id, file).await;
        assert_eq!(env.campaign_state(&id).await, CampaignState::Failed);
        ids.push(id);
    }
    let now = cloud::now() + 300_000;
    assert_eq!(
        env.reconciler()
            .run(now, now + 900_000)
            .await
            .unwrap()
            .closed,
        2
    );
    api.delete(CONTACT).await.expect(202);
    assert!(env.run_next_erasure().await);
    let exists = async |id| env.files.upload_exists(id, Upload::File(0)).await.unwrap();
    assert!(!exists(&ids[0]).await);
    assert!(exists(&ids[1]).await);
}
