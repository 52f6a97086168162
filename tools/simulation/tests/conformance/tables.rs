//! DynamoDB, with the expressions that Crier uses, except for the ledger's and those of imports.

use std::fmt::Debug;

use aws_sdk_dynamodb::types::AttributeValue;
use campaign::delivery::batch::{Batch, Row};
use campaign::import::phone;
use campaign::lifecycle::campaign::{Campaign, Cooldown, FileInfo};
use campaign::lifecycle::event::{Event, FileChange};
use campaign::message::Message;
use cloud::Error;
use cloud::callbacks::{Callbacks, RawCallback};
use cloud::campaigns::{Campaigns, Change, Lease};
use cloud::contacts::{ContactKey, Contacts};
use cloud::counters::{CounterTable, ShardCounters};
use cloud::dead_letters::DeadLetters;
use cloud::inbox::{Cursor, InboundMessage, Inbox, message_key};

use crate::case;
use crate::target::{NOW, Results, Target, campaign_id};

/// A result in a line.
pub(crate) fn line<T: Debug>(what: &str, result: Result<T, Error>) -> String {
    match result {
        Ok(value) => format!("{what}: {value:?}"),
        Err(error) => format!("{what}: {}", error.kind),
    }
}

pub(crate) fn dynamodb(target: &Target) -> aws_sdk_dynamodb::Client {
    cloud::aws::dynamodb(&target.config)
}

pub(crate) fn campaign(id: &str, created_at: u64) -> Campaign {
    let message = Message::new(serde_json::json!({})).expect("message");
    let info = FileInfo {
        name: "a.csv".into(),
        size: 1,
    };
    let id = id.parse().expect("id");
    Campaign::new(id, "Test".into(), message, info, created_at)
}

case!(
    campaigns,
    change_campaigns,
    [
        "created: ()",
        "created again: condition failed",
        "created: ()",
        "reply: true",
        "reply again: false",
        "latest: [\"c2\", \"c1\"]",
        "all: [CampaignId(\"c1\"), CampaignId(\"c2\")]",
        "open: [CampaignId(\"c1\"), CampaignId(\"c2\"), CampaignId(\"r1\")]",
        "not applied: something of the campaign may still be sent",
        "reading, lease lost: condition failed",
        "reading: Ok(())",
        "reading, late: Err(Superseded)",
        "pause: false",
        "cancel, of an old version: cancelled, version 2",
        "cooldown: ()",
        "shorter cooldown: ()",
        "until: Some(1900000009000)",
        "settle an old version: false",
        "expires: false",
        "settle: true",
        "expires: true",
        "open: [CampaignId(\"c2\"), CampaignId(\"r1\")]",
        "reopen: cancelled, version 4",
        "expires: false",
        "open: [CampaignId(\"c1\"), CampaignId(\"c2\"), CampaignId(\"r1\")]",
        "reopen nothing: there is no such campaign",
    ]
);

async fn change_campaigns(target: &Target) -> Results {
    let table = target.table("CampaignsTable");
    let campaigns = Campaigns::new(dynamodb(target), table.clone(), 90);
    let (first, second) = (campaign("c1", NOW), campaign("c2", NOW + 1));
    let (id, reply) = (&first.id, campaign("r1", NOW));
    let sorted_open = async || {
        let mut ids = campaigns.list_open_ids().await.expect("open");
        ids.sort();
        format!("open: {ids:?}")
    };
    let mut results = vec![
        line("created", campaigns.create(&first).await),
        line("created again", campaigns.create(&first).await),
        line("created", campaigns.create(&second).await),
        line("reply", campaigns.create_single(&reply).await),
        line("reply again", campaigns.create_single(&reply).await),
    ];
    let latest = campaigns.list_latest(5).await.expect("latest");
    let latest: Vec<_> = latest.iter().map(|campaign| campaign.id.as_str()).collect();
    results.push(format!("latest: {latest:?}"));
    results.push(line("all", campaigns.list_ids().await));
    results.push(sorted_open().await);
    let apply = async |what: &str, campaign: &Campaign, event: Event| match campaigns
        .apply(campaign, &event, NOW)
        .await
    {
        Ok(Ok(Change { campaign, .. })) => {
            let (state, version) = (campaign.state(NOW).name(), campaign.version);
            format!("{what}: {state}, version {version}")
        }
        Ok(Err(conflict)) => format!("{what}: {conflict}"),
        Err(error) => format!("{what}: {}", error.kind),
    };
    results.push(apply("not applied", &first, Event::Close).await);
    let lease = async || match campaigns.acquire_lease(id, "me", NOW, NOW).await {
        Ok(Lease::Acquired(campaign)) => *campaign,
        other => panic!("no lease: {other:?}"),
    };
    let (mut stale, mut leased) = (lease().await, lease().await);
    let mut late = leased.clone();
    for (what, campaign) in [
        ("reading, lease lost", &mut stale),
        ("reading", &mut leased),
        ("reading, late", &mut late),
    ] {
        let changed = campaigns.change_file(campaign, 0, FileChange::Reading);
        results.push(line(what, changed.await));
    }
    results.push(line("pause", campaigns.pause(id, "why").await));
    results.push(apply("cancel, of an old version", &first, Event::Cancel).await);
    for (what, until) in [("cooldown", 9000), ("shorter cooldown", 8000)] {
        let cooldown = Cooldown {
            until: NOW + until,
            ..serde_json::from_value(serde_json::json!({"until": 0, "reason": "busy"}))
                .expect("cooldown")
        };
        results.push(line(what, campaigns.set_cooldown(id, &cooldown).await));
    }
    let read = async || campaigns.get(id).await.expect("read").expect("campaign");
    let changed = read().await;
    let until = changed.cooldown.as_ref().map(|cooldown| cooldown.until);
    results.push(format!("until: {until:?}"));
    let expires = async || {
        let key = [("id", id.as_str()), ("part", "campaign")];
        let get = key.into_iter().fold(
            dynamodb(target).get_item().table_name(&table),
            |get, (name, value)| get.key(name, AttributeValue::S(value.into())),
        );
        let item = get.send().await.expect("read").item.expect("item");
        format!("expires: {}", item.contains_key("expires_at"))
    };
    let settle = async |campaign: &Campaign| {
        campaigns
            .apply_if_unchanged(campaign, &Event::Close, NOW)
            .await
    };
    results.push(line("settle an old version", settle(&first).await));
    results.push(expires().await);
    results.push(line("settle", settle(&changed).await));
    results.push(expires().await);
    results.push(sorted_open().await);
    results.push(apply("reopen", &changed, Event::Reopen).await);
    results.push(expires().await);
    results.push(sorted_open().await);
    let nowhere = campaign("nothing", NOW);
    results.push(apply("reopen nothing", &nowhere, Event::Reopen).await);
    results
}

case!(
    contacts,
    change_contacts,
    [
        "reserved: true",
        "wrote: Some(50)",
        "older: Some(50)",
        "suppressed: 0, in window 0",
        "opted out: true",
        "twice: true",
        "reserved: false",
        "suppressed: 1, in window 0",
        "linked: true",
    ]
);

async fn change_contacts(target: &Target) -> Results {
    let table = target.table("ContactsTable");
    let contacts = Contacts::new(dynamodb(target), table, 90);
    let (phone, other) = (parse("+5511987654321"), parse("+5511987654322"));
    let key = ContactKey::Phone(phone);
    let number = "100000000000001".parse().expect("the id of a number");
    let reserve = async || {
        let contact = contacts
            .reserve_send(phone, &campaign_id(), 1, (&number, false), NOW)
            .await;
        format!("reserved: {}", contact.expect("reserved").is_some())
    };
    let wrote = async |what: &str, at| {
        let contact = contacts.record_inbound(&key, Some(&number), at, NOW).await;
        format!("{what}: {:?}", contact.expect("contact").last_inbound_at)
    };
    let states = async || {
        let phones = [phone.canonical(), other.canonical()];
        let states = contacts
            .find_states(&phones, |_| &number, NOW)
            .await
            .expect("states");
        let (suppressed, inside) = (states.suppressed.len(), states.in_service_window);
        format!("suppressed: {suppressed}, in window {inside}")
    };
    let mut results = vec![reserve().await];
    results.push(wrote("wrote", 50).await);
    results.push(wrote("older", 49).await);
    results.push(states().await);
    for what in ["opted out", "twice"] {
        let event = serde_json::json!({"at": 60, "suppressed": true, "source": "text"});
        let event = serde_json::from_value(event).expect("event");
        let contact = contacts.record_consent(&key, event).await;
        let contact = contact.expect("contact");
        let is_single = contact.suppressed && contact.consent.len() == 1;
        results.push(format!("{what}: {is_single}"));
    }
    results.push(reserve().await);
    results.push(states().await);
    let linked = contacts.link_user_id(phone, "user", NOW).await;
    linked.expect("linked");
    let user = ContactKey::User("user".into());
    let user = contacts.get(&user).await.expect("read").expect("contact");
    results.push(format!("linked: {}", user.phone == Some(phone)));
    results
}

fn parse(number: &str) -> phone::Phone {
    phone::parse(number, None).expect("phone")
}

case!(
    callbacks,
    store_callbacks,
    [
        "first: Some(\"one 7\")",
        "none: None",
        "erased: 30",
        "left: None",
        "right: Some(\"two\")"
    ]
);

async fn store_callbacks(target: &Target) -> Results {
    let table = target.table("CallbacksTable");
    let callbacks = Callbacks::new(dynamodb(target), table, 30);
    let updates = (0..30).map(|number| RawCallback {
        key: format!("k{number}"),
        json: format!("one {number}"),
    });
    let more = RawCallback {
        key: "other".into(),
        json: "two".into(),
    };
    let updates = updates.chain([more]).collect();
    callbacks.store(updates, NOW).await.expect("stored");
    let get = async |key: &str| callbacks.get(key).await;
    let keys = ["k77".to_owned(), "k7".to_owned()];
    vec![
        line("first", callbacks.get_first(&keys).await),
        line("none", get("k77").await),
        line(
            "erased",
            callbacks.erase(|json| json.starts_with("one")).await,
        ),
        line("left", get("k7").await),
        line("right", get("other").await),
    ]
}

case!(
    inbox,
    store_messages,
    [
        "all: [\"m1\", \"m3\", \"m2\"]",
        "after m1: [\"m3\"]",
        "erased: 3"
    ]
);

async fn store_messages(target: &Target) -> Results {
    let inbox = Inbox::new(dynamodb(target), target.table("InboxTable"), 90);
    for (id, received_at) in [
        ("m2", NOW),
        ("m1", NOW - 90_000_000),
        ("m3", NOW),
        ("m2", 1),
    ] {
        let message: InboundMessage = serde_json::from_value(serde_json::json!({
            "id": id, "received_at": received_at, "written_at": 1, "kind": "text", "raw": "{}",
        }))
        .expect("message");
        inbox.store(&message).await.expect("stored");
    }
    let list = async |what: &str, received_at, id: &str, limit| {
        let cursor = Cursor {
            received_at,
            key: match id {
                "" => String::new(),
                id => message_key(id),
            },
        };
        let messages = inbox.list(&cursor, NOW, limit).await.expect("listed");
        let ids: Vec<_> = messages.into_iter().map(|message| message.id).collect();
        format!("{what}: {ids:?}")
    };
    vec![
        list("all", 0, "", 10).await,
        list("after m1", NOW - 90_000_000, "m1", 1).await,
        line("erased", inbox.erase(|raw| raw == "{}").await),
    ]
}

case!(
    counters,
    store_counters,
    [
        "first: true",
        "stale: false",
        "next: true",
        "other shard: true",
        "accepted: 12",
        "dead letters: 1",
        "same: 1",
        "dead letters: 2",
    ]
);

async fn store_counters(target: &Target) -> Results {
    let table = target.table("CampaignsTable");
    let counters = CounterTable::new(dynamodb(target), table.clone(), 90);
    let id = &campaign_id();
    let set = async |shard: &str, expected: &str, sequence: &str, accepted| {
        let mut counted = ShardCounters {
            last_sequence: sequence.into(),
            ..ShardCounters::default()
        };
        counted.counters.accepted = accepted;
        let set = counters.compare_and_set(id, shard, expected, &counted, NOW);
        set.await
    };
    let mut results = vec![
        line("first", set("s1", "", "1", 3).await),
        line("stale", set("s1", "", "2", 4).await),
        line("next", set("s1", "1", "2", 5).await),
        line("other shard", set("s2", "", "9", 7).await),
    ];
    let sum = counters.sum(id).await.expect("sum");
    results.push(format!("accepted: {}", sum.accepted));
    let dead_letters = DeadLetters::new(dynamodb(target), table, 90);
    let batch = Batch {
        campaign: id.clone(),
        rows: vec![Row {
            row: 1,
            to: parse("+5511987654321"),
            values: Vec::new(),
        }],
        hops: 0,
    };
    for (what, message) in [("dead letters", "a"), ("same", "a"), ("dead letters", "b")] {
        results.push(line(what, dead_letters.record(&batch, message, NOW).await));
    }
    results
}
