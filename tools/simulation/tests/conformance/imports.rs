//! What an import stores in DynamoDB: its lease, and how far it is.

use cloud::campaigns::Campaigns;
use cloud::imports::{Checkpoint, Imports, RowSet};

use crate::case;
use crate::tables::{campaign, dynamodb, line};
use crate::target::{NOW, Results, Target, campaign_id};

case!(
    leases,
    lease_files,
    [
        "unknown: UnknownCampaign",
        "a: acquired",
        "a again: acquired",
        "b: HeldByOther",
        "b renews: false",
        "b, expired: acquired",
        "a renews: false",
        "released: ()",
        "c: acquired",
    ]
);

async fn lease_files(target: &Target) -> Results {
    let table = target.table("CampaignsTable");
    let campaigns = Campaigns::new(dynamodb(target), table, 90);
    let id = &campaign_id();
    let acquire = async |who: &str, owner: &str, expired| {
        let lease = campaigns.acquire_lease(id, owner, NOW, expired).await;
        let line = line(who, lease);
        let acquired = line.split_once("Acquired");
        acquired.map_or(line.clone(), |(who, _)| format!("{who}acquired"))
    };
    let mut results = vec![acquire("unknown", "a", NOW).await];
    campaigns
        .create(&campaign("c1", NOW))
        .await
        .expect("created");
    results.push(acquire("a", "a", NOW).await);
    results.push(acquire("a again", "a", NOW).await);
    results.push(acquire("b", "b", NOW).await);
    results.push(line("b renews", campaigns.renew_lease(id, "b", NOW).await));
    results.push(acquire("b, expired", "b", NOW + 1).await);
    results.push(line("a renews", campaigns.renew_lease(id, "a", NOW).await));
    results.push(line("released", campaigns.release_lease(id, "b").await));
    results.push(acquire("c", "c", NOW).await);
    results
}

case!(
    checkpoints,
    store_checkpoints,
    [
        "first: ()",
        "again: ()",
        "further: ()",
        "late: condition failed",
        "of another: ()",
        "lost the lease: condition failed",
        "row 2 of 9",
    ]
);

/// A checkpoint that arrives late, or of an import that has lost its lease, is refused.
async fn store_checkpoints(target: &Target) -> Results {
    let imports = Imports::new(dynamodb(target), target.table("CampaignsTable"), 90);
    let (id, row_set) = (&campaign_id(), RowSet::Remainder);
    let store = async |epoch, completed_row, started_row| {
        let mut campaign = campaign("c1", NOW);
        campaign.lease_epoch = epoch;
        let checkpoint = Checkpoint {
            completed_row,
            started_row,
            ..Checkpoint::default()
        };
        let stored = imports.write_checkpoint(&campaign, 0, row_set, &checkpoint);
        stored.await
    };
    let mut results = vec![
        line("first", store(1, 0, 5).await),
        line("again", store(1, 0, 5).await),
        line("further", store(1, 5, 9).await),
        line("late", store(1, 0, 5).await),
        line("of another", store(2, 2, 9).await),
        line("lost the lease", store(1, 9, 9).await),
    ];
    let read = imports.get_checkpoint(id, 0, row_set).await.expect("read");
    let read = read.expect("checkpoint");
    results.push(format!(
        "row {} of {}",
        read.completed_row, read.started_row
    ));
    results
}
