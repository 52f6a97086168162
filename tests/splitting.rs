//! The splitter: from the S3 event to the batches on the queue, and files that cannot be used.

use std::collections::BTreeSet;

use campaign::import::row::ImportCounts;
use campaign::lifecycle::campaign::{Campaign, CampaignState};
use cloud::files::rejects_key;

use crate::harness::json::assert_says;
use crate::harness::{TestEnv, recipients_csv, row_numbers};

const RECIPIENTS: &str = "\u{feff}Name,Phone\r\n\"Silva, Ana\",+5511987654321\r\nBob,n/a\r\nAna again,+55 11 98765-4321\r\nCléo,+33612345678\r\n";

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn usable_rows_are_enqueued_once() {
    let env = TestEnv::new().await;
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    let event = env.upload_file(&id, RECIPIENTS.as_bytes()).await;
    env.run_import(event.clone()).await;
    let campaign = env.load_campaign(&id).await;
    assert_eq!(
        (campaign.state(cloud::now()), campaign.is_enqueued()),
        (CampaignState::Sending, true)
    );
    let counts = ImportCounts {
        rows: 4,
        rejected: 1,
        duplicates: 1,
        suppressed: 0,
        enqueued: 2,
    };
    assert_eq!(campaign.import_counts(), counts);

    let batches = env.drain_batches().await;
    for queued in &batches {
        assert_eq!(queued.batch.campaign, id);
        assert_eq!(queued.message_group.as_deref(), Some(id.as_str()));
    }
    let rows: BTreeSet<(u32, String, String)> = batches
        .into_iter()
        .flat_map(|queued| queued.batch.rows)
        .map(|row| (row.row, row.to.to_string(), row.values[0].clone()))
        .collect();
    let expected = [
        (1, "+5511987654321", "Silva, Ana"),
        (4, "+33612345678", "Cléo"),
    ];
    let expected = expected.map(|(row, to, name)| (row, to.to_owned(), name.to_owned()));
    assert_eq!(rows, expected.into());

    // The same event again changes nothing.
    env.run_import(event).await;
    assert!(env.drain_batches().await.is_empty());
    let again = env.load_campaign(&id).await;
    assert_eq!(again.lease_epoch, campaign.lease_epoch + 1);
    let lease_epoch = campaign.lease_epoch;
    assert_eq!(
        Campaign {
            lease_epoch,
            ..again
        },
        campaign
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn rejected_row_is_explained_in_the_rejects_file() {
    let env = TestEnv::new().await;
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    env.import_file(&id, RECIPIENTS.as_bytes()).await;
    let rejects = env
        .files
        .read_object(&rejects_key(&id, 0))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        String::from_utf8(rejects.to_vec()).unwrap(),
        "\u{feff}Name,Phone,row,column,problem,fix\r\n\
         Bob,n/a,2,Phone,this is not a phone number,\"leave nothing but the number, as +<country><number>\"\r\n"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn every_row_of_a_large_file_is_enqueued_once() {
    let env = TestEnv::new().await;
    let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
    env.import_file(&id, recipients_csv(3000).as_bytes()).await;
    let rows = row_numbers(&env.drain_batches().await);
    assert_eq!(rows, (1..=3000).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn unusable_file_fails_the_campaign_with_a_reason() {
    let env = TestEnv::new().await;
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
        (b"%PDF-1.7\n", "is a pdf document"),
        (b"\x1f\x8b\x08\x00broken", "gzip file is damaged"),
        (b"phone,name\nn/a,Ana\n", "none of the file's 1 rows"),
    ];
    for (file, expected) in cases {
        let id = env.create_campaign(CampaignState::AwaitingUpload).await.id;
        env.import_file(&id, file).await;
        let campaign = env.load_campaign(&id).await;
        assert_eq!(
            campaign.state(cloud::now()),
            CampaignState::Failed,
            "{expected}"
        );
        assert_says(
            &campaign.reason(cloud::now()).unwrap().to_lowercase(),
            &[expected],
        );
    }
    assert!(env.drain_batches().await.is_empty());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn upload_without_a_campaign_gets_a_refusal_note() {
    let env = TestEnv::new().await;
    let unknown = "no-such-campaign".parse().unwrap();
    env.import_file(&unknown, RECIPIENTS.as_bytes()).await;
    let note = "uploads/no-such-campaign/input.refused.txt";
    let note = env.files.read_object(note).await.unwrap().unwrap();
    assert_says(
        std::str::from_utf8(&note).unwrap(),
        &["No campaign has this id"],
    );
    assert!(env.drain_batches().await.is_empty());
}
