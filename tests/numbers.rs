//! Several numbers: which are registered, which rows are whose, and whom each of them messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use campaign::contacts::settings::{AutoReply, Settings};
use campaign::delivery::ledger::State;
use campaign::delivery::pacing::Rate;
use campaign::lifecycle::campaign::{Campaign, CampaignState};
use campaign::message::Message;
use cloud::number_registry::NumberRegistry;
use cloud::numbers::{Numbers, SenderNumber};
use serde_json::json;
use webhook::Webhook;

use crate::harness::meta::{MetaClient, message_body};
use crate::harness::{TestEnv, batch_row, lambda_context, phone, recipients_csv, set_state};

const SECOND: &str = "100000000000002";

const RATE: Rate = Rate {
    slots: 1,
    per_slot: 50,
};

/// A second number beside the environment's first.
struct TwoNumbers {
    env: TestEnv,
    second: SenderNumber,
    second_sends: String,
}

impl TwoNumbers {
    async fn new() -> Self {
        let env = TestEnv::new().await;
        let further = json!({"further_numbers": [SECOND]});
        env.simulator.state.update_settings(&further).unwrap();
        let create = async |name: &str| {
            let name = format!("{}-second-{name}", env.name);
            env.aws.create_queue(&name).await
        };
        let (sends, urgent) = (create("sends").await, create("urgent").await);
        let second = SenderNumber {
            id: SECOND.parse().unwrap(),
            rate: RATE,
            bulk: env.queue_at(&sends),
            urgent: env.queue_at(&urgent),
        };
        Self {
            env,
            second,
            second_sends: sends,
        }
    }

    fn first(&self) -> SenderNumber {
        self.env.first_number(RATE)
    }

    /// As a process of the first number, or of what has none, sees them.
    fn numbers(&self) -> Numbers {
        Numbers::fixed(self.first(), vec![self.second.clone()])
    }

    /// Imports a file of so many rows for a campaign with these numbers.
    async fn import_for(&self, numbers: &[&SenderNumber], rows: u32) -> Campaign {
        let numbers = numbers.iter().map(|number| number.to_campaign_number());
        let numbers: Vec<_> = numbers.collect();
        let change = |campaign: &mut Campaign| campaign.numbers = numbers;
        self.import(rows, change).await
    }

    /// The same with a text for one recipient and one number.
    async fn import_free_form(&self, number: &SenderNumber) -> Campaign {
        let change = |campaign: &mut Campaign| {
            let body = json!({"type": "text", "text": {"body": "Hello {{name}}"}});
            campaign.message = Message::new(body).unwrap();
            campaign.numbers = vec![number.to_campaign_number()];
        };
        self.import(1, change).await
    }

    async fn import(&self, rows: u32, change: impl FnOnce(&mut Campaign)) -> Campaign {
        let campaign = self.env.create_campaign_with(change).await;
        let file = recipients_csv(rows);
        let event = self.env.upload_file(&campaign.id, file.as_bytes()).await;
        let splitter = self.env.splitter_for(self.numbers());
        let event = serde_json::from_value(event).unwrap();
        splitter.handle(event, lambda_context(900)).await.unwrap();
        campaign
    }

    /// Both senders send until both queues are empty.
    async fn send_all(&self) {
        let first = self.env.sender_from(self.numbers());
        let of_second = Numbers::fixed(self.second.clone(), vec![self.first()]);
        let second = self.env.sender_from(of_second);
        let queues = [
            (&self.env.queue_urls.sends, &first),
            (&self.second_sends, &second),
        ];
        let mut is_idle = false;
        while !is_idle {
            is_idle = true;
            for (queue, sender) in queues {
                while self
                    .env
                    .try_deliver_from(queue, sender, Duration::from_secs(1))
                    .await
                {
                    is_idle = false;
                }
            }
        }
    }

    /// Who heard from which number, by the simulator's call log. Nobody may be in it twice.
    fn heard_from(&self) -> BTreeMap<String, String> {
        let calls = self.env.simulator.state.calls();
        let heard: BTreeMap<String, String> = calls
            .iter()
            .map(|call| (call.to.clone(), call.number.clone()))
            .collect();
        assert_eq!(heard.len(), calls.len(), "somebody was called twice");
        heard
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn queues_with_the_tags_of_an_installation_are_its_numbers() {
    let env = TestEnv::new().await;
    let create = async |name: &str, tags: &[(&str, &str)]| {
        let url = env.aws.create_queue(&format!("{}{name}", env.name)).await;
        for (key, value) in tags {
            let tag = env.aws.sqs.tag_queue().queue_url(&url);
            tag.tags(*key, *value).send().await.unwrap();
        }
    };
    let urgent = [("urgent_queue_url", "http://localhost/urgent")];
    let number = |installation, id, budget, slots| {
        let tags = [
            ("installation", installation),
            ("phone_number_id", id),
            ("tps_budget", budget),
            ("slots", slots),
        ];
        [&tags[..], &urgent[..]].concat()
    };
    let name = env.name.as_str();
    create("-SendsQueue-A", &number(name, "1", "40", "0")).await;
    create("-eu-SendsQueue-B", &number(name, "22", "20", "4")).await;
    let other = format!("{name}-eu");
    create("-eu-SendsQueue-C", &number(&other, "3", "20", "4")).await;
    create("-ImportQueue-D", &number(name, "4", "20", "4")).await;
    create("-x-SendsQueue-E", &number(name, "5", "20", "3")).await;
    create("-y-SendsQueue-F", &[]).await;

    let registry = || {
        let (sqs, dynamodb) = (env.aws.sqs.clone(), env.aws.dynamodb.clone());
        NumberRegistry::new(sqs, dynamodb, env.table("CampaignsTable"))
    };
    let ids = async || {
        let numbers = Numbers::registered(registry(), env.first_number(RATE));
        let all = numbers.all().await.unwrap();
        let seen = all
            .iter()
            .map(|number| (number.id.to_string(), number.rate));
        seen.collect::<Vec<_>>()
    };
    let rate = |slots, per_slot| Rate { slots, per_slot };
    let first = || ("100000000000001".to_owned(), RATE);
    assert_eq!(ids().await, [first()], "nothing is registered yet");
    registry().refresh(name).await.unwrap();
    let expected = [
        ("1".to_owned(), rate(40, 1)),
        first(),
        ("22".to_owned(), rate(4, 5)),
    ];
    assert_eq!(ids().await, expected);

    // A stack is deleted.
    env.aws.delete_queue(&format!("{name}-SendsQueue-A")).await;
    registry().refresh(name).await.unwrap();
    assert_eq!(ids().await, expected[1..]);
    let numbers = Numbers::registered(registry(), env.first_number(RATE));
    let unknown = numbers.require(&"3".parse().unwrap()).await.unwrap_err();
    assert!(unknown.to_string().contains("not registered"), "{unknown}");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn recipients_of_a_campaign_with_two_numbers_are_shared() {
    let two = TwoNumbers::new().await;
    two.import_for(&[&two.first(), &two.second], 60).await;
    two.send_all().await;
    let heard = two.heard_from();
    let numbers: BTreeSet<&str> = heard.values().map(String::as_str).collect();
    assert_eq!((heard.len(), numbers.len()), (60, 2), "{heard:?}");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn who_has_heard_from_a_number_hears_from_it_again() {
    let two = TwoNumbers::new().await;
    two.import_for(&[&two.second], 20).await;
    two.send_all().await;
    let known = two.heard_from();
    assert!(known.len() == 20 && known.values().all(|number| number == SECOND));

    two.env.simulator.state.clear_call_log();
    two.import_for(&[&two.first(), &two.second], 60).await;
    two.send_all().await;
    let heard = two.heard_from();
    assert_eq!(heard.len(), 60);
    for to in known.keys() {
        assert_eq!(heard[to], SECOND, "{to} has changed the number");
    }
    let new: BTreeSet<&str> = heard
        .iter()
        .filter(|(to, _)| !known.contains_key(*to))
        .map(|(_, number)| number.as_str())
        .collect();
    assert_eq!(new.len(), 2, "{heard:?}");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn service_window_and_automatic_reply_are_those_of_the_number_written_to() {
    let two = TwoNumbers::new().await;
    let message = Message::new(json!({"type": "text", "text": {"body": "9 to 5"}}));
    let reply = AutoReply {
        keywords: vec!["hours".into()],
        message: message.unwrap(),
    };
    let settings = Settings {
        replies: vec![reply],
        ..Settings::default()
    };
    two.env.settings_store().put(&settings).await.unwrap();
    let webhook = Webhook {
        numbers: two.numbers(),
        ..two.env.webhook()
    };
    let meta = MetaClient::posting_to(&two.env, webhook);
    let text = json!({"text": {"body": "hours"}});
    let mut post = message_body("34610000001", "wamid.1", cloud::now() / 1000, text);
    let metadata = json!({"display_phone_number": "15550000001", "phone_number_id": SECOND});
    post["entry"][0]["changes"][0]["value"]["metadata"] = metadata;
    meta.post(&post).await;
    two.send_all().await;
    let expected = BTreeMap::from([("+34610000001".to_owned(), SECOND.to_owned())]);
    assert_eq!(two.heard_from(), expected);

    // From the first number, the recipient has not been written to.
    for (number, state) in [
        (two.first(), State::Skipped),
        (two.second.clone(), State::Accepted),
    ] {
        let campaign = two.import_free_form(&number).await;
        two.send_all().await;
        let rows = two.env.ledger_rows(&campaign.id).await;
        assert_eq!(rows[0].state, state, "{}", number.id);
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn who_knows_a_number_of_another_campaign_keeps_the_one_that_takes_its_place() {
    let two = TwoNumbers::new().await;
    let (contacts, third) = (&two.env.contacts, "100000000000003".parse().unwrap());
    let other = "other".parse().unwrap();
    let to = phone("+34610000001");
    contacts
        .reserve_send(to, &other, 1, (&third, false), 1)
        .await
        .unwrap();
    let mut heard = BTreeSet::new();
    for _ in 0..3 {
        two.env.simulator.state.clear_call_log();
        two.import_for(&[&two.first(), &two.second], 1).await;
        two.send_all().await;
        heard.extend(two.heard_from().into_values());
        let known = two.env.contact(to).await.number.unwrap();
        assert!(heard.contains(known.as_str()), "{known} {heard:?}");
    }
    assert_eq!(heard.len(), 1, "{heard:?}");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn row_in_the_queue_of_a_number_that_its_campaign_does_not_name_goes_on() {
    let two = TwoNumbers::new().await;
    let numbers = vec![two.second.to_campaign_number()];
    let change = |campaign: &mut Campaign| {
        set_state(campaign, CampaignState::Sending);
        campaign.numbers = numbers;
    };
    let campaign = two.env.create_campaign_with(change).await;
    two.env
        .enqueue_rows(&campaign.id, vec![batch_row(1, "+34610000001")])
        .await;
    two.send_all().await;
    let expected = BTreeMap::from([("+34610000001".to_owned(), SECOND.to_owned())]);
    assert_eq!(two.heard_from(), expected);
}
