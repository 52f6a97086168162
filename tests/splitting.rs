//! From the S3 event to what is on the queue.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lambda_events::s3::S3Event;
use campaign::import::ImportCounts;
use campaign::record::CampaignState;
use serde_json::Value;

use crate::world::{World, context};

const PEOPLE: &str = "\u{feff}Name,Phone\r\n\"Silva, Ana\",+5511987654321\r\nBob,n/a\r\nAna again,+55 11 98765-4321\r\nCléo,+33612345678\r\n";

async fn split(world: &World, event: &Value) {
    let event: S3Event = serde_json::from_value(event.clone()).unwrap();
    world.splitter(2).handle(event, context(900)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn every_usable_row_is_enqueued_once_and_the_rest_is_explained() {
    let world = World::new().await;
    let campaign = world.campaign(CampaignState::AwaitingUpload).await;
    let event = world.upload(&campaign.id, PEOPLE.as_bytes()).await;
    split(&world, &event).await;

    let now = world.now(&campaign.id).await;
    assert_eq!((now.state, now.split_done), (CampaignState::Sending, true));
    assert_eq!(
        now.counts,
        ImportCounts {
            rows: 4,
            rejected: 1,
            duplicates: 1,
            enqueued: 2
        }
    );
    let batches = world.drain().await;
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
        .sign_rejects(&campaign.id, Duration::from_secs(60))
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
        "row,column,reason\r\n2,\"Phone\",\"this is not a phone number\"\r\n"
    );

    // The same event again: everything stays as it is.
    split(&world, &event).await;
    assert!(world.drain().await.is_empty());
    assert_eq!(world.now(&campaign.id).await, now);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn many_rows_come_out_once_each_whatever_the_batches() {
    let world = World::new().await;
    let campaign = world.campaign(CampaignState::AwaitingUpload).await;
    let mut file = String::from("phone,name\n");
    (0..3000).for_each(|row| file.push_str(&format!("+34610{row:06},Ana\n")));
    let event = world.upload(&campaign.id, file.as_bytes()).await;
    split(&world, &event).await;
    let batches = world.drain().await;
    let rows: Vec<u32> = batches
        .iter()
        .flat_map(|(batch, _)| &batch.rows)
        .map(|row| row.row)
        .collect();
    assert_eq!(rows.len(), 3000);
    assert_eq!(
        rows.into_iter().collect::<BTreeSet<_>>(),
        (1..=3000).collect()
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_file_that_cannot_be_used_fails_the_campaign_with_a_sentence() {
    let world = World::new().await;
    let cases: [(&[u8], &str); 6] = [
        (b"name,email\nAna,a@b.c\n", "no phone column"),
        (
            b"phone,email\n+5511987654321,a\n",
            "{{name}}, which the file does not have",
        ),
        (b"\n", "is empty"),
        (b"phone,name\n", "no rows below"),
        (b"PK\x03\x04\x14\x00\x06\x00,\n1,2\n", "not UTF-8 text"),
        (b"phone,name\nn/a,Ana\n", "none of the file's 1 rows"),
    ];
    for (file, expected) in cases {
        let campaign = world.campaign(CampaignState::AwaitingUpload).await;
        let event = world.upload(&campaign.id, file).await;
        split(&world, &event).await;
        let now = world.now(&campaign.id).await;
        assert_eq!(now.state, CampaignState::Failed, "{expected}");
        let reason = now.reason.unwrap().to_lowercase();
        assert!(
            reason.contains(&expected.to_lowercase()),
            "{expected}: {reason}"
        );
    }
    assert!(world.drain().await.is_empty());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn an_upload_without_a_campaign_is_refused_beside_it() {
    let world = World::new().await;
    let stranger = "no-such-campaign".parse().unwrap();
    let event = world.upload(&stranger, PEOPLE.as_bytes()).await;
    split(&world, &event).await;
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
    assert!(world.drain().await.is_empty());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn a_split_that_failed_midway_is_taken_up_again() {
    let world = World::new().await;
    let campaign = world.campaign(CampaignState::AwaitingUpload).await;
    let event = world.upload(&campaign.id, PEOPLE.as_bytes()).await;
    // Another invocation is at it: this one leaves it alone.
    let now = cloud::now();
    world
        .campaigns
        .begin_split(&campaign.id, "another", now, 0)
        .await
        .unwrap();
    split(&world, &event).await;
    assert_eq!(
        world.now(&campaign.id).await.state,
        CampaignState::Splitting
    );
    assert!(world.drain().await.is_empty());
    // It failed and gave the split back.
    world
        .campaigns
        .release_split(&campaign.id, "another")
        .await
        .unwrap();
    split(&world, &event).await;
    assert_eq!(world.now(&campaign.id).await.counts.enqueued, 2);
    let rows: usize = world
        .drain()
        .await
        .iter()
        .map(|(batch, _)| batch.rows.len())
        .sum();
    assert_eq!(rows, 2);
}
