//! Several numbers: which are registered, which rows are whose, and whom each of them messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use campaign::contacts::settings::{AutoReply, Settings};
use campaign::delivery::ledger::State;
use campaign::delivery::number_suspension::{NumberGate, NumberPause};
use campaign::delivery::pacing::Rate;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, CampaignState, Cooldown, PausedBy};
use campaign::message::Message;
use cloud::import_queue::{ImportJob, Position};
use cloud::number_registry::NumberRegistry;
use cloud::numbers::{Numbers, SenderNumber};
use reconciler::Reconciler;
use serde_json::{Value, json};
use webhook::Webhook;

use crate::harness::api_client::ApiClient;
use crate::harness::json::{assert_has, text};
use crate::harness::meta::{
    MetaClient, change_body, message_body, row_status, statuses_body, text_body,
};
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
        Numbers::fixed(
            self.first(),
            vec![self.second.clone()],
            self.env.number_records(),
        )
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

    fn api(&self) -> ApiClient {
        ApiClient::with_numbers(&self.env, self.numbers())
    }

    /// Has the splitter requeue what is not settled.
    async fn requeue(&self, id: &CampaignId) {
        let job = ImportJob::requeue(id.clone(), Position::default());
        self.env.import_queue().enqueue(&job).await.unwrap();
        self.run_queued_imports().await;
    }

    async fn run_queued_imports(&self) {
        let splitter = self.env.splitter_for(self.numbers());
        self.env.run_queued_imports_with(&splitter).await;
    }

    /// Both senders send until both queues are empty.
    async fn send_all(&self) {
        let first = self.env.sender_from(self.numbers());
        let of_second = Numbers::fixed(
            self.second.clone(),
            vec![self.first()],
            self.env.number_records(),
        );
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
        let numbers = Numbers::registered(registry(), env.first_number(RATE), env.number_records());
        let all = numbers.all().await.unwrap();
        let seen = all
            .iter()
            .map(|number| (number.id.to_string(), number.rate));
        seen.collect::<Vec<_>>()
    };
    let rate = |slots, per_slot| Rate { slots, per_slot };
    let first = || ("100000000000001".to_owned(), RATE);
    assert_eq!(ids().await, [first()], "nothing is registered yet");
    registry()
        .refresh(name, &env.first_number(RATE).id)
        .await
        .unwrap();
    let expected = [
        ("1".to_owned(), rate(40, 1)),
        first(),
        ("22".to_owned(), rate(4, 5)),
    ];
    assert_eq!(ids().await, expected);

    // A budget is changed: running senders of the old one learn of it.
    let second = "22".parse().unwrap();
    let sender = |rate| env.rate_keeper_of(&second, rate);
    let running = sender(rate(4, 5));
    running.register(cloud::now()).await.unwrap();
    assert!(
        running
            .suspension_if_rate_is_current(Duration::ZERO)
            .await
            .unwrap()
            .is_some()
    );
    let url = env
        .aws
        .create_queue(&format!("{name}-eu-SendsQueue-B"))
        .await;
    let tag = env.aws.sqs.tag_queue().queue_url(&url);
    tag.tags("tps_budget", "8").send().await.unwrap();
    registry()
        .refresh(name, &env.first_number(RATE).id)
        .await
        .unwrap();
    assert!(
        running
            .suspension_if_rate_is_current(Duration::ZERO)
            .await
            .unwrap()
            .is_none()
    );
    let next = sender(rate(4, 2));
    next.register(cloud::now()).await.unwrap();
    assert!(
        next.suspension_if_rate_is_current(Duration::ZERO)
            .await
            .unwrap()
            .is_some()
    );
    let expected = [expected[0].clone(), first(), ("22".to_owned(), rate(4, 2))];

    // A stack is deleted.
    env.aws.delete_queue(&format!("{name}-SendsQueue-A")).await;
    registry()
        .refresh(name, &env.first_number(RATE).id)
        .await
        .unwrap();
    assert_eq!(ids().await, expected[1..]);
    let numbers = Numbers::registered(registry(), env.first_number(RATE), env.number_records());
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
async fn rows_of_a_paused_number_wait_while_the_other_sends_until_it_is_resumed() {
    let two = TwoNumbers::new().await;
    let api = two.api();
    let command = async |name: &str| {
        let path = format!("/v1/numbers/{SECOND}/{name}");
        api.post(&path, Value::Null).await.expect(200)
    };
    assert_eq!(command("pause").await["paused"]["by"], "operator");
    let campaign = two.import_for(&[&two.first(), &two.second], 60).await;
    two.send_all().await;
    let first = two.heard_from();
    assert!(first.len() < 60 && first.values().all(|number| number != SECOND));
    let page = api.get(&format!("/v1/campaigns/{}", campaign.id)).await;
    let held = &page.expect(200)["suspended_numbers"];
    assert_has(&held[0], &json!({"id": SECOND, "until": null}));
    assert_eq!(held.as_array().unwrap().len(), 1);

    // Nobody who is asked to look for lost rows puts them into the queue.
    two.requeue(&campaign.id).await;
    assert!(two.second.bulk.is_empty().await.unwrap());
    two.send_all().await;
    assert_eq!(two.heard_from(), first);

    assert!(command("resume").await["paused"].is_null());
    two.run_queued_imports().await;
    two.send_all().await;
    let heard = two.heard_from();
    let second = heard.values().filter(|number| *number == SECOND).count();
    assert_eq!((heard.len(), second), (60, 60 - first.len()), "{heard:?}");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn reconciler_requeues_rows_of_a_resumed_number_whose_job_was_lost() {
    let two = TwoNumbers::new().await;
    let (records, now) = (two.env.number_records(), cloud::now());
    let pause = NumberPause {
        reason: "flagged".into(),
        by: PausedBy::Crier,
        at: now,
    };
    let is_paused = async |caused_at| {
        let paused = records.pause(&two.second.id, &pause, caused_at);
        paused.await.unwrap()
    };
    assert!(is_paused(None).await);
    assert!(!is_paused(None).await, "the first reason stays");
    two.import_for(&[&two.first(), &two.second], 60).await;
    two.send_all().await;
    let first = two.heard_from().len();
    let reconcile = async || {
        let reconciler = Reconciler {
            numbers: two.numbers(),
            ..two.env.reconciler()
        };
        let now = cloud::now();
        reconciler.run(now, now + 60_000).await.unwrap();
        two.run_queued_imports().await;
        two.send_all().await;
        two.heard_from().len()
    };
    assert_eq!(reconcile().await, first, "it is paused");
    records.resume(&two.second.id, cloud::now()).await.unwrap();
    assert!(!is_paused(Some(now)).await, "that was before the resume");
    assert_eq!(reconcile().await, 60);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn requeue_of_rows_whose_window_has_opened_does_not_hide_a_resume() {
    let env = TestEnv::new().await;
    let id = env.import_campaign(3, |_| {}).await.id;
    let requeue_began_at = async |window_opened_at| {
        let job = ImportJob {
            window_opened_at,
            ..ImportJob::requeue(id.clone(), Position::default())
        };
        env.import_queue().enqueue(&job).await.unwrap();
        env.run_queued_imports().await;
        env.load_campaign(&id).await.requeue_began_at
    };
    assert_eq!(requeue_began_at(Some(cloud::now())).await, None);
    assert!(requeue_began_at(None).await.is_some());
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn maintenance_of_a_number_lets_the_others_send() {
    let two = TwoNumbers::new().await;
    let refuse = |code: Value| json!({"refuse": code});
    let settings = &two.env.simulator.state;
    settings.update_settings(&refuse(json!(131_057))).unwrap();
    let of_second = two.import_for(&[&two.second], 3).await;
    two.send_all().await;
    settings.update_settings(&refuse(Value::Null)).unwrap();
    two.import_for(&[&two.first()], 3).await;
    two.send_all().await;
    let calls = settings.calls();
    let sent = calls.iter().filter(|call| call.number != SECOND);
    assert_eq!(sent.count(), 3, "{calls:?}");
    let page = format!("/v1/campaigns/{}", of_second.id);
    let page = two.api().get(&page).await.expect(200);
    let held = &page["suspended_numbers"][0];
    assert_eq!(held["id"], SECOND, "{page}");
    assert!(text(&held["reason"]).contains("131057") && held["until"].is_string());
    assert!(page["cooldown"].is_null(), "{page}");
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn cooldown_of_a_number_is_the_longest_and_ends_when_the_number_is_resumed() {
    let env = TestEnv::new().await;
    let (records, id) = (env.number_records(), env.first_number(RATE).id);
    for until in [5_000, 9_000, 7_000] {
        let cooldown = Cooldown {
            until,
            reason: until.to_string(),
        };
        records.start_cooldown(&id, &cooldown).await.unwrap();
    }
    let gate = async |now| records.all().await.unwrap()[&id].suspension.gate(now);
    assert_eq!(gate(8_999).await, NumberGate::CoolingDown(9_000));
    records.resume(&id, 8_000).await.unwrap();
    assert_eq!(gate(8_999).await, NumberGate::Open);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn rate_of_a_number_is_what_its_senders_sent_in_the_last_minute() {
    const MINUTE: u64 = 60_000;
    let env = TestEnv::new().await;
    let (records, id) = (env.number_records(), env.first_number(RATE).id);
    for (minute, sends) in [(9, 70), (10, 90), (10, 60), (11, 30)] {
        records
            .add_sends(&id, minute * MINUTE, sends)
            .await
            .unwrap();
    }
    let rate = async |now| records.rate_now(&id, now).await.unwrap();
    assert_eq!(rate(11 * MINUTE + 20_000).await, 2.5);
    assert_eq!(rate(14 * MINUTE).await, 0.0);

    // A sender counts what it sends.
    let before = cloud::now();
    env.import_campaign(6, |_| {}).await;
    env.send_all().await;
    let mut sent = 0.0;
    for minute in before / MINUTE..=cloud::now() / MINUTE {
        sent += 60.0 * rate((minute + 1) * MINUTE + 20_000).await;
    }
    assert_eq!(sent, 6.0);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn failed_message_pauses_the_number_that_its_status_names() {
    let two = TwoNumbers::new().await;
    let campaign = two.env.create_campaign(CampaignState::Sending).await;
    two.env.claim_row(&campaign.id, 1).await;
    let webhook = Webhook {
        numbers: two.numbers(),
        ..two.env.webhook()
    };
    let mut status = row_status(&campaign.id, 1, "failed", cloud::now() / 1000);
    status["errors"][0]["code"] = json!(131_048);
    let mut post = statuses_body(&[status]);
    let metadata = json!({"display_phone_number": "15550000001", "phone_number_id": SECOND});
    post["entry"][0]["changes"][0]["value"]["metadata"] = metadata;
    MetaClient::posting_to(&two.env, webhook).post(&post).await;
    let records = two.env.number_records().all().await.unwrap();
    let paused = records
        .iter()
        .filter(|(_, record)| record.suspension.paused.is_some());
    let paused: Vec<_> = paused.map(|(id, _)| id.as_str()).collect();
    assert_eq!(paused, [SECOND]);
    let state = two.env.campaign_state(&campaign.id).await;
    assert_eq!(state, CampaignState::Sending);
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn flag_pauses_the_number_that_callbacks_have_shown_or_those_that_it_may_be() {
    let two = TwoNumbers::new().await;
    let webhook = Webhook {
        numbers: two.numbers(),
        ..two.env.webhook()
    };
    let meta = MetaClient::posting_to(&two.env, webhook);
    let flag = async || {
        let value = json!({"event": "FLAGGED", "display_phone_number": "+1 555-000-0001"});
        meta.post(&change_body("phone_number_quality_update", value))
            .await;
    };
    let paused = async || {
        let records = two.env.number_records();
        let all = records.all().await.unwrap().into_iter();
        let paused = all.filter(|(_, record)| record.suspension.paused.is_some());
        let ids: Vec<_> = paused.map(|(id, _)| id).collect();
        for id in &ids {
            records.resume(id, 1).await.unwrap();
        }
        ids.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    flag().await;
    assert_eq!(paused().await, [two.first().id.as_str(), SECOND]);
    let mut post = text_body("34610000001", "wamid.1", "hello");
    let metadata = json!({"display_phone_number": "15550000001", "phone_number_id": SECOND});
    post["entry"][0]["changes"][0]["value"]["metadata"] = metadata;
    meta.post(&post).await;
    flag().await;
    assert_eq!(paused().await, [SECOND]);
    // The first may have that phone as long as it has shown no other one.
    let first = two.first().id;
    two.env
        .number_records()
        .note_phone(&first, "15550100")
        .await
        .unwrap();
    let value = json!({"event": "FLAGGED", "display_phone_number": "+1 555-999-9999"});
    let other = change_body("phone_number_quality_update", value);
    meta.post(&other).await;
    assert!(paused().await.is_empty(), "it is none of ours");
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
