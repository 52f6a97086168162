//! From the S3 event to what is on the queue.

use std::collections::BTreeSet;
use std::time::Duration;

use campaign::delivery::batch::Batch;
use campaign::import::row::ImportCounts;
use campaign::lifecycle::campaign::CampaignState;
use cloud::campaigns::Lease;

use crate::harness::{TIMEOUT, TestEnv, lambda_context};

const RECIPIENTS: &str = "\u{feff}Name,Phone\r\n\"Silva, Ana\",+5511987654321\r\nBob,n/a\r\nAna again,+55 11 98765-4321\r\nCléo,+33612345678\r\n";

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn usable_rows_are_enqueued_once_and_rejects_are_explained() {
    let world = TestEnv::new().await;
    let campaign = world.create_campaign(CampaignState::AwaitingUpload).await;
    let event = world.upload_file(&campaign.id, RECIPIENTS.as_bytes()).await;
    world.run_import(event.clone()).await;

    let now = world.load_campaign(&campaign.id).await;
    assert_eq!(
        (now.state, now.is_enqueued()),
        (CampaignState::Sending, true)
    );
    assert_eq!(
        now.import_counts(),
        ImportCounts {
            rows: 4,
            rejected: 1,
            duplicates: 1,
            suppressed: 0,
            enqueued: 2
        }
    );
    let batches = world.drain_batches().await;
    assert!(batches.iter().all(|(batch, group)| {
        batch.campaign == campaign.id && group.as_deref() == Some(campaign.id.as_str())
    }));
    let rows: BTreeSet<(u32, String, String)> = batches
        .into_iter()
        .flat_map(|(batch, _)| batch.rows)
        .map(|row| (row.row, row.to.to_string(), row.values[0].clone()))
        .collect();
    let expected = [
        (1, "+5511987654321", "Silva, Ana"),
        (4, "+33612345678", "Cléo"),
    ];
    assert_eq!(
        rows,
        expected
            .map(|(row, to, name)| (row, to.to_owned(), name.to_owned()))
            .into()
    );

    let signed = world
        .files
        .sign_download(
            &cloud::files::rejects_key(&campaign.id, 0),
            "rejects.csv",
            Duration::from_secs(60),
        )
        .await
        .unwrap()
        .unwrap();
    let rejects = reqwest::get(&signed.url)
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(
        rejects,
        "\u{feff}Name,Phone,row,column,problem,fix\r\n\
         Bob,n/a,2,Phone,this is not a phone number,\"leave nothing but the number, as +<country><number>\"\r\n"
    );

    // The same event again: everything stays as it is.
    world.run_import(event.clone()).await;
    assert!(world.drain_batches().await.is_empty());
    assert_eq!(world.load_campaign(&campaign.id).await, now);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn every_row_of_a_large_file_is_enqueued_once() {
    let world = TestEnv::new().await;
    let campaign = world.create_campaign(CampaignState::AwaitingUpload).await;
    let event = world
        .upload_file(&campaign.id, large_file(3000).as_bytes())
        .await;
    world.run_import(event.clone()).await;
    assert_eq!(
        row_numbers(&world.drain_batches().await),
        (1..=3000).collect::<Vec<_>>()
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn unusable_file_fails_the_campaign_with_a_reason() {
    let world = TestEnv::new().await;
    let cases: [(&[u8], &str); 8] = [
        (b"name,email\nAna,a@b.c\n", "no phone column"),
        (
            b"phone,email\n+5511987654321,a\n",
            "{{name}}, which the file does not have",
        ),
        (b"\n", "is empty"),
        (b"phone,name\n", "no rows below"),
        (
            b"PK\x03\x04\x14\x00\x06\x00,\n1,2\n",
            "workbook cannot be read",
        ),
        (b"%PDF-1.7\n", "is a PDF document"),
        (b"\x1f\x8b\x08\x00broken", "gzip file is damaged"),
        (b"phone,name\nn/a,Ana\n", "none of the file's 1 rows"),
    ];
    for (file, expected) in cases {
        let campaign = world.create_campaign(CampaignState::AwaitingUpload).await;
        let event = world.upload_file(&campaign.id, file).await;
        world.run_import(event.clone()).await;
        let now = world.load_campaign(&campaign.id).await;
        assert_eq!(now.state, CampaignState::Failed, "{expected}");
        let reason = now.reason.unwrap().to_lowercase();
        assert!(
            reason.contains(&expected.to_lowercase()),
            "{expected}: {reason}"
        );
    }
    assert!(world.drain_batches().await.is_empty());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn upload_without_a_campaign_gets_a_refusal_note() {
    let world = TestEnv::new().await;
    let stranger = "no-such-campaign".parse().unwrap();
    let event = world.upload_file(&stranger, RECIPIENTS.as_bytes()).await;
    world.run_import(event.clone()).await;
    let note = world
        .s3
        .get_object()
        .bucket(&world.bucket)
        .key("uploads/no-such-campaign/input.refused.txt");
    let note = note
        .send()
        .await
        .unwrap()
        .body
        .collect()
        .await
        .unwrap()
        .to_vec();
    assert!(
        String::from_utf8(note)
            .unwrap()
            .contains("No campaign has this id")
    );
    assert!(world.drain_batches().await.is_empty());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn leased_files_are_retried_later() {
    let world = TestEnv::new().await;
    let campaign = world.create_campaign(CampaignState::AwaitingUpload).await;
    let event = world.upload_file(&campaign.id, RECIPIENTS.as_bytes()).await;
    let now = cloud::now();
    world
        .campaigns
        .acquire_lease(&campaign.id, "another", now, 0)
        .await
        .unwrap();
    let splitter = world.splitter(2);
    splitter
        .handle(serde_json::from_value(event).unwrap(), lambda_context(900))
        .await
        .unwrap();
    assert_eq!(
        world.load_campaign(&campaign.id).await.state,
        CampaignState::AwaitingUpload
    );
    assert!(world.drain_batches().await.is_empty());
    // It ended without having done anything, and the order comes.
    world
        .campaigns
        .release_lease(&campaign.id, "another")
        .await
        .unwrap();
    let until = std::time::Instant::now() + TIMEOUT;
    while !world
        .run_next_import_job(&splitter, lambda_context(900))
        .await
    {
        assert!(std::time::Instant::now() < until, "no order came");
    }
    assert_eq!(
        world
            .load_campaign(&campaign.id)
            .await
            .import_counts()
            .enqueued,
        2
    );
    assert_eq!(row_numbers(&world.drain_batches().await).len(), 2);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn stale_lease_is_taken_over_and_a_fresh_one_is_not() {
    let world = TestEnv::new().await;
    let id = world
        .create_campaign(CampaignState::AwaitingUpload)
        .await
        .id;
    let take = async |owner: &str, now, stale| {
        world
            .campaigns
            .acquire_lease(&id, owner, now, stale)
            .await
            .unwrap()
    };
    assert!(matches!(take("one", 1000, 0).await, Lease::Acquired(_)));
    assert!(
        matches!(take("one", 1500, 0).await, Lease::Acquired(_)),
        "Lambda repeats an event under its own id"
    );
    assert_eq!(take("two", 2000, 1500).await, Lease::HeldByOther);
    assert!(matches!(take("two", 2000, 1501).await, Lease::Acquired(_)));
    assert!(
        !world.campaigns.renew_lease(&id, "one", 2100).await.unwrap(),
        "the first one must learn that it was replaced"
    );
    world.campaigns.release_lease(&id, "one").await.unwrap();
    assert_eq!(
        take("three", 2200, 1000).await,
        Lease::HeldByOther,
        "and cannot give away what is another's"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn import_out_of_time_continues_in_the_next_invocation() {
    let world = TestEnv::new().await;
    let campaign = world.create_campaign(CampaignState::AwaitingUpload).await;
    let event = world
        .upload_file(&campaign.id, large_file(13_000).as_bytes())
        .await;
    let splitter = world.splitter(2);
    // The clock is nearly at its end each time: one flush of 80 batches, then the next.
    splitter
        .handle(serde_json::from_value(event).unwrap(), lambda_context(29))
        .await
        .unwrap();
    let mut invocations = 1;
    while world
        .run_next_import_job(&splitter, lambda_context(29))
        .await
    {
        invocations += 1;
    }
    assert!(invocations >= 4, "{invocations} invocations");
    let now = world.load_campaign(&campaign.id).await;
    assert_eq!(
        (now.state, now.import_counts().enqueued),
        (CampaignState::Sending, 13_000)
    );
    assert_eq!(
        row_numbers(&world.drain_batches().await),
        (1..=13_000).collect::<Vec<_>>(),
        "once each, no more"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn interrupted_import_ends_with_the_same_batches() {
    const ROWS: u32 = 20_000;
    let world = TestEnv::new().await;
    let whole = world.create_campaign(CampaignState::AwaitingUpload).await;
    let event = world
        .upload_file(&whole.id, large_file(ROWS).as_bytes())
        .await;
    let splitter = world.splitter(3);
    splitter
        .handle(serde_json::from_value(event).unwrap(), lambda_context(900))
        .await
        .unwrap();
    let expected = batch_set(&world.drain_batches().await);

    let broken = world.create_campaign(CampaignState::AwaitingUpload).await;
    let event = world
        .upload_file(&broken.id, large_file(ROWS).as_bytes())
        .await;
    // Lambda repeats an event under the same request id.
    let context = lambda_context(900);
    let (mut deaths, mut patience) = (0u64, 40);
    loop {
        let run = splitter.handle(
            serde_json::from_value(event.clone()).unwrap(),
            context.clone(),
        );
        match tokio::time::timeout(Duration::from_millis(patience), run).await {
            Ok(ended) => break ended.unwrap(),
            Err(_) => deaths += 1,
        }
        // Later and later, so that it comes further each time and dies everywhere.
        patience += 40 + deaths * 7 % 13;
    }
    assert!(deaths >= 5, "it died {deaths} times");
    let now = world.load_campaign(&broken.id).await;
    assert_eq!(
        (now.state, now.import_counts().enqueued),
        (CampaignState::Sending, u64::from(ROWS))
    );
    assert_eq!(batch_set(&world.drain_batches().await), expected);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn next_invocation_completes_the_state_of_a_dead_one() {
    use campaign::lifecycle::campaign::FileStage::{Enqueued, Failed, Validated};
    let world = TestEnv::new().await;
    // Where it died: a file's stage was written, the campaign's state was not.
    for (stage, state, expected) in [
        (Validated, CampaignState::Validating, CampaignState::Sending),
        (Enqueued, CampaignState::Enqueuing, CampaignState::Sending),
        (Failed, CampaignState::Validating, CampaignState::Failed),
    ] {
        let campaign = world
            .create_campaign_with(|campaign| {
                campaign.state = state;
                campaign.files[0].stage = stage;
                campaign.files[0].problem = Some("It is empty.".into());
            })
            .await;
        let event = world.upload_file(&campaign.id, RECIPIENTS.as_bytes()).await;
        world.run_import(event).await;
        let now = world.load_campaign(&campaign.id).await;
        assert_eq!(now.state, expected, "{stage:?}");
        let told = expected == CampaignState::Failed;
        assert_eq!(now.reason, told.then(|| "It is empty.".to_owned()));
    }
}

/// The set of batches, whatever their order and repeats.
fn batch_set(batches: &[(Batch, Option<String>)]) -> BTreeSet<String> {
    batches
        .iter()
        .map(|(batch, _)| serde_json::to_string(&batch.rows).unwrap())
        .collect()
}

/// Row numbers on the queue, sorted, with repeats.
fn row_numbers(batches: &[(Batch, Option<String>)]) -> Vec<u32> {
    let mut rows: Vec<u32> = batches
        .iter()
        .flat_map(|(batch, _)| &batch.rows)
        .map(|row| row.row)
        .collect();
    rows.sort_unstable();
    rows
}

fn large_file(rows: u32) -> String {
    let mut file = String::from("phone,name\n");
    (0..rows).for_each(|row| file.push_str(&format!("+34610{row:06},Ana\n")));
    file
}
