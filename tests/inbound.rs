//! What people and Meta say: every public payload, consent, the 24-hour window, the inbox, answers, notices.

use std::path::Path;
use std::time::Duration;

use campaign::contacts::contact::{ConsentEvent, ConsentSource};
use campaign::contacts::settings::{AutoReply, Settings};
use campaign::delivery::ledger::State;
use campaign::import::phone::{self, Phone};
use campaign::lifecycle::campaign::{Campaign, CampaignState, OutsideServiceWindow};
use campaign::message::Message;
use cloud::contacts::ContactKey;
use serde_json::{Value, json};
use webhook::Webhook;
use whatsapp::callback;

use crate::callbacks::{response_status, signed_request, status_json, statuses_body};
use crate::harness::{API_TOKEN, TestEnv};
use crate::http_api::{call_api, get_json, new_api};

/// Posts a body as Meta would; it must be taken.
async fn post_callback(world: &TestEnv, webhook: &Webhook, body: &Value) {
    assert_eq!(
        response_status(webhook, signed_request(world, &body.to_string())).await,
        200,
        "{body}"
    );
}

/// A POST of one change.
fn change_body(field: &str, value: Value) -> Value {
    let seconds = cloud::now() / 1000;
    json!({"object": "whatsapp_business_account",
        "entry": [{"id": "1", "time": seconds, "changes": [{"field": field, "value": value}]}]})
}

/// A POST of one message from `from`, as of `at` in seconds.
fn message_body(from: &str, wamid: &str, at: u64, extra: Value) -> Value {
    let mut message =
        json!({"from": from, "id": wamid, "timestamp": at.to_string(), "type": "text"});
    let fields = message.as_object_mut().unwrap();
    fields.extend(extra.as_object().unwrap().clone());
    let contacts = json!([{"profile": {"name": "Ana"}, "wa_id": from}]);
    change_body(
        "messages",
        json!({"contacts": contacts, "messages": [message]}),
    )
}

fn text_body(from: &str, wamid: &str, words: &str) -> Value {
    let body = json!({"text": {"body": words}});
    message_body(from, wamid, cloud::now() / 1000, body)
}

fn parse_phone(number: &str) -> Phone {
    phone::parse(number, None).unwrap()
}

/// A free-form campaign of these people, whose batches are in the queue.
async fn import_free_form_campaign(
    world: &TestEnv,
    rows: u32,
    more: impl FnOnce(&mut Campaign),
) -> Campaign {
    world
        .import_campaign(rows, |campaign| {
            let body = json!({"type": "text", "text": {"body": "Hello {{name}}"}});
            campaign.message = Message::new(body).unwrap();
            more(campaign);
        })
        .await
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn every_public_payload_is_accepted_and_stored_once() {
    let world = TestEnv::new().await;
    let webhook = world.webhook();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/whatsapp/tests/callbacks");
    let mut taken = 0;
    for source in ["facebook-openapi", "pywa"] {
        for entry in std::fs::read_dir(folder.join(source)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let body = std::fs::read_to_string(&path).unwrap();
            for _ in 0..2 {
                let answer = response_status(&webhook, signed_request(&world, &body)).await;
                assert_eq!(answer, 200, "{}", path.display());
            }
            for update in callback::parse_callback(body.as_bytes()) {
                let kept = world.callbacks.get(&update.key).await.unwrap();
                assert!(kept.is_some(), "{}", path.display());
            }
            taken += 1;
        }
    }
    assert!(taken >= 90, "{taken}");
    let (_, shown) = get_json(&new_api(&world), "/v1/account").await;
    let notices = shown["events"].as_array().unwrap();
    assert!(
        notices
            .iter()
            .any(|notice| notice["event"] == "ACCOUNT_RESTRICTION"),
        "{shown}"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn latest_opt_out_or_opt_in_wins_whatever_its_source_and_order() {
    let world = TestEnv::new().await;
    let (webhook, api) = (world.webhook(), new_api(&world));
    let now = cloud::now() / 1000;
    let stop = message_body(
        "34610000001",
        "wamid.1",
        now - 60,
        json!({"text": {"body": "Baja!"}}),
    );
    let start = message_body(
        "34610000001",
        "wamid.2",
        now - 30,
        json!({"text": {"body": "start"}}),
    );
    // Late news of an older word changes nothing; repeated, neither.
    for body in [&start, &stop, &stop, &start] {
        post_callback(&world, &webhook, body).await;
    }
    let (code, seen) = get_json(&api, "/v1/contacts/34610000001").await;
    assert_eq!((code, &seen["suppressed"]), (200, &json!(false)), "{seen}");
    assert_eq!(seen["consent"].as_array().unwrap().len(), 2);
    let button = json!({"type": "button", "button": {"payload": "OPT_OUT", "text": "No, thanks"}});
    post_callback(
        &world,
        &webhook,
        &message_body("34610000002", "wamid.3", now, button),
    )
    .await;
    let value = json!({"user_preferences": [{"wa_id": "34610000003", "category": "marketing_messages", "value": "stop",
        "detail": "User requested to stop marketing messages", "timestamp": now}]});
    post_callback(&world, &webhook, &change_body("user_preferences", value)).await;
    let failed = json!({"id": "wamid.4", "status": "failed", "timestamp": now.to_string(), "recipient_id": "34610000004",
        "biz_opaque_callback_data": "c1:1:1", "errors": [{"code": 131_050, "title": "Stopped marketing"}]});
    post_callback(
        &world,
        &webhook,
        &change_body("messages", json!({"statuses": [failed]})),
    )
    .await;
    for (ending, source, words) in [
        (2, "button", "No, thanks"),
        (
            3,
            "preferences",
            "User requested to stop marketing messages",
        ),
        (4, "refusal", "Stopped marketing"),
    ] {
        let (_, seen) = get_json(&api, &format!("/v1/contacts/3461000000{ending}")).await;
        assert_eq!(seen["suppressed"], true, "{seen}");
        assert_eq!(
            (&seen["consent"][0]["source"], &seen["consent"][0]["text"]),
            (&json!(source), &json!(words))
        );
    }
    // A new number does not bring messages back.
    let moved = json!({"type": "system", "system": {"type": "user_changed_number", "wa_id": "34610000009", "body": "moved"}});
    post_callback(
        &world,
        &webhook,
        &message_body("34610000002", "wamid.5", now, moved),
    )
    .await;
    let (_, seen) = get_json(&api, "/v1/contacts/34610000009").await;
    assert_eq!(
        (&seen["suppressed"], &seen["consent"][0]["source"]),
        (&json!(true), &json!("moved"))
    );
    assert_eq!(
        seen["service_window_until"],
        Value::Null,
        "a move is no word"
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn recipient_known_only_by_user_id_can_opt_out() {
    let world = TestEnv::new().await;
    world
        .simulator
        .state
        .update_settings(&json!({"user_ids": true}))
        .unwrap();
    let webhook = world.webhook();
    let campaign = world.import_campaign(2, |_| {}).await;
    world.send_all().await;
    let to = parse_phone("+34610000001");
    let known = world
        .contacts
        .get(&ContactKey::Phone(to))
        .await
        .unwrap()
        .unwrap();
    let user_id = known.user_id.expect("the answer named it");
    // The word comes under the id that the API's answer named, without a number.
    let stop = |user: &str, wamid: &str| {
        let message = json!({"from_user_id": user, "id": wamid, "timestamp": (cloud::now() / 1000).to_string(),
            "type": "text", "text": {"body": "stop"}});
        change_body("messages", json!({"messages": [message]}))
    };
    post_callback(&world, &webhook, &stop(&user_id, "wamid.a")).await;
    assert!(
        world
            .contacts
            .get(&ContactKey::Phone(to))
            .await
            .unwrap()
            .unwrap()
            .suppressed
    );
    // Somebody whose number is learned later only.
    post_callback(&world, &webhook, &stop("ES.later", "wamid.b")).await;
    let late = parse_phone("+34610000077");
    world
        .contacts
        .link_user_id(late, "ES.later", cloud::now())
        .await
        .unwrap();
    let contact = world
        .contacts
        .get(&ContactKey::Phone(late))
        .await
        .unwrap()
        .unwrap();
    assert!(contact.suppressed && contact.consent[0].source == ConsentSource::Text);
    assert_eq!(
        world.load_campaign(&campaign.id).await.state,
        CampaignState::Sending
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn no_send_starts_after_an_opt_out_is_acknowledged() {
    let world = TestEnv::new().await;
    let webhook = world.webhook();
    let campaign = world.import_campaign(400, |_| {}).await;
    let senders = [
        world.slow_sender(),
        world.slow_sender(),
        world.slow_sender(),
    ];
    let sending = futures::future::join_all(senders.iter().map(async |sender| {
        while world.deliver_next(sender, Duration::ZERO).await.is_some() {}
    }));
    // Whoever is called next was asked for already: a stop comes right into that.
    let stopping = async {
        let mut stopped = Vec::new();
        for round in 1..=12 {
            while world.simulator.state.stats().calls < round * 6 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let calls = world.simulator.state.calls();
            let last: u32 = calls
                .last()
                .unwrap()
                .row
                .rsplit(':')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            let from = world.simulator.state.elapsed();
            let stops = [last, last + 1, last + 2].map(async |number| {
                let who = format!("34610{number:06}");
                let body = text_body(&who, &format!("wamid.{number}"), "STOP");
                post_callback(&world, &webhook, &body).await;
                (number, from, world.simulator.state.elapsed())
            });
            stopped.extend(futures::future::join_all(stops).await);
        }
        world.campaigns.pause(&campaign.id, "enough").await.unwrap();
        stopped
    };
    let (_, stopped) = tokio::join!(sending, stopping);
    let calls = world.simulator.state.calls();
    let (mut before, mut meanwhile) = (0, 0);
    for (number, from, acknowledged) in stopped {
        let to = format!("34610{number:06}");
        for call in calls.iter().filter(|call| call.to.ends_with(&to)) {
            let at = Duration::from_micros(call.at_us);
            before += usize::from(at <= from);
            meanwhile += usize::from(at > from);
            assert!(
                at <= acknowledged,
                "row {number} was called after its stop was acknowledged"
            );
        }
    }
    assert!(
        before > 0 && meanwhile > 0,
        "{before} called before, {meanwhile} while they said stop: the test shows nothing"
    );
    let rows = world.ledger_rows(&campaign.id).await;
    assert!(rows.iter().all(|row| row.state != State::Unconfirmed));
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn free_form_messages_are_sent_only_inside_the_service_window() {
    let world = TestEnv::new().await;
    let (webhook, api) = (world.webhook(), new_api(&world));
    let now = cloud::now() / 1000;
    let day = 24 * 3600;
    let hello = |at| {
        message_body(
            "34610000001",
            &format!("wamid.{at}"),
            at,
            json!({"text": {"body": "hello"}}),
        )
    };
    let late = message_body(
        "34610000002",
        "wamid.late",
        now - day,
        json!({"text": {"body": "hello"}}),
    );
    // The latest counts, whichever comes last.
    for body in [&hello(now), &hello(now - 2 * day), &late] {
        post_callback(&world, &webhook, body).await;
    }
    let (_, seen) = get_json(&api, "/v1/contacts/34610000001").await;
    assert!(seen["service_window_until"].is_string(), "{seen}");
    let skipped = import_free_form_campaign(&world, 3, |_| {}).await;
    world.send_all().await;
    let rows = world.ledger_rows(&skipped.id).await;
    let states: Vec<State> = rows.iter().map(|row| row.state).collect();
    assert_eq!(states, [State::Accepted, State::Skipped, State::Skipped]);
    let why = &rows[1].error_info.as_ref().unwrap().title;
    assert!(why.starts_with("outside_service_window"), "{why}");
    let fallback = json!({"type": "template", "template": {"name": "hello", "language": {"code": "en"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "{{phone}}"}]}]}});
    let both = import_free_form_campaign(&world, 3, |campaign| {
        campaign.fallback = Some(Message::new(fallback).unwrap());
    })
    .await;
    world.send_all().await;
    assert!(
        world
            .ledger_rows(&both.id)
            .await
            .iter()
            .all(|row| row.state == State::Accepted)
    );
    let calls = world.simulator.state.calls();
    let kinds: Vec<(&str, Value)> = calls
        .iter()
        .filter(|call| call.row.starts_with(both.id.as_str()))
        .map(|call| (call.to.as_str(), call.body["type"].clone()))
        .collect();
    assert_eq!(kinds.len(), 3);
    for (to, kind) in kinds {
        let expected = if to == "+34610000001" {
            "text"
        } else {
            "template"
        };
        assert_eq!(kind, expected, "{to}");
    }
    let template = calls
        .iter()
        .find(|call| call.body["type"] == "template")
        .unwrap();
    let filled = &template.body["template"]["components"][0]["parameters"][0]["text"];
    assert_eq!(
        filled.as_str(),
        Some(template.to.as_str()),
        "values serve both messages"
    );
    let all = import_free_form_campaign(&world, 3, |campaign| {
        campaign.outside_service_window = OutsideServiceWindow::Send
    })
    .await;
    world.send_all().await;
    assert!(
        world
            .ledger_rows(&all.id)
            .await
            .iter()
            .all(|row| row.state == State::Accepted)
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn inbound_messages_are_in_the_inbox_with_their_campaign() {
    let world = TestEnv::new().await;
    let (webhook, api) = (world.webhook(), new_api(&world));
    let first = world.import_campaign(2, |_| {}).await;
    world.send_all().await;
    let quoted = world
        .ledger
        .get_row(&first.id, 1)
        .await
        .unwrap()
        .unwrap()
        .wamid
        .unwrap();
    let sent = status_json(
        &format!("{}:1:1", first.id),
        &quoted,
        "sent",
        cloud::now() / 1000,
    );
    assert_eq!(
        response_status(&webhook, signed_request(&world, &statuses_body(&[sent]))).await,
        200
    );
    let second = world.import_campaign(2, |_| {}).await;
    world.send_all().await;
    let now = cloud::now() / 1000;
    let quote =
        json!({"text": {"body": "about the first"}, "context": {"from": "1", "id": quoted}});
    for body in [
        message_body("34610000001", "wamid.x", now, quote.clone()),
        message_body(
            "34610000001",
            "wamid.y",
            now,
            json!({"text": {"body": "thanks"}}),
        ),
        message_body(
            "34619999999",
            "wamid.z",
            now,
            json!({"type": "image", "image": {"id": "7", "caption": "look"}}),
        ),
        // Meta sends it again.
        message_body("34610000001", "wamid.x", now, quote),
    ] {
        post_callback(&world, &webhook, &body).await;
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let (code, page) = get_json(&api, &format!("/v1/inbox?limit=2{after}")).await;
        assert_eq!(code, 200, "{page}");
        let messages = page["messages"].as_array().unwrap();
        seen.extend(messages.clone());
        if messages.is_empty() {
            break;
        }
        after = format!("&after={}", page["next"].as_str().unwrap());
    }
    let facts: Vec<[&Value; 4]> = seen
        .iter()
        .map(|message| {
            [
                &message["id"],
                &message["campaign"],
                &message["attribution"],
                &message["text"],
            ]
        })
        .collect();
    let (first, second) = (json!(first.id.as_str()), json!(second.id.as_str()));
    assert_eq!(
        facts,
        [
            [
                &json!("wamid.x"),
                &first,
                &json!("context"),
                &json!("about the first")
            ],
            [
                &json!("wamid.y"),
                &second,
                &json!("latest"),
                &json!("thanks")
            ],
            [
                &json!("wamid.z"),
                &Value::Null,
                &Value::Null,
                &json!("look")
            ],
        ]
    );
    assert_eq!(seen[2]["message"]["image"]["id"], "7");
    assert_eq!(
        (&seen[0]["phone"], &seen[0]["name"]),
        (&json!("+34610000001"), &json!("Ana"))
    );
    let since = seen[1]["received_at"].as_str().unwrap();
    let (_, later) = get_json(&api, &format!("/v1/inbox?since={since}")).await;
    assert!(later["messages"].as_array().unwrap().len() >= 2, "{later}");
    for wrong in ["since=yesterday", "after=nothing"] {
        assert_eq!(get_json(&api, &format!("/v1/inbox?{wrong}")).await.0, 422);
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn keyword_is_answered_once_and_ahead_of_a_running_campaign() {
    let world = TestEnv::new().await;
    let (webhook, api) = (world.webhook(), new_api(&world));
    let body = json!({"replies": [{"keywords": ["Hours"], "message": {"type": "text", "text": {"body": "9 to 5"}}}]});
    let (code, _, set) = call_api(
        &api,
        "PUT",
        "/v1/settings",
        Some(API_TOKEN),
        body.to_string().into_bytes(),
    )
    .await;
    assert_eq!(code, 200, "{set}");
    let shown: Value = get_json(&api, "/v1/settings").await.1;
    assert!(
        shown["opt_out_keywords"]["en"]
            .as_array()
            .unwrap()
            .contains(&json!("stop")),
        "what was left out is as usual"
    );
    let campaign = world.import_campaign(60, |_| {}).await;
    // A file that would keep the slot busy for a long time.
    let sender = world.slow_sender();
    let sending = world.deliver_next(&sender, Duration::ZERO);
    let asking = async {
        while world.simulator.state.stats().calls < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for _ in 0..3 {
            post_callback(
                &world,
                &webhook,
                &text_body("34619999999", "wamid.q", "hours?"),
            )
            .await;
        }
        while !world
            .simulator
            .state
            .calls()
            .iter()
            .any(|call| call.to == "+34619999999")
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let calls = world.simulator.state.stats().calls;
        world.campaigns.pause(&campaign.id, "enough").await.unwrap();
        calls
    };
    let (_, calls) = tokio::join!(sending, asking);
    assert!(
        calls < 40,
        "the answer waited for the campaign: {calls} calls before it"
    );
    world.send_all().await;
    let calls = world.simulator.state.calls();
    let answers: Vec<_> = calls
        .iter()
        .filter(|call| call.to == "+34619999999")
        .collect();
    assert_eq!(answers.len(), 1, "asked once, answered once");
    assert_eq!(answers[0].body["text"]["body"], "9 to 5");
    let (_, listed) = get_json(&api, "/v1/campaigns").await;
    assert_eq!(
        listed["campaigns"].as_array().unwrap().len(),
        1,
        "answers are no campaigns: {listed}"
    );
    // Nobody at work: a message of the lane wakes a sender.
    post_callback(
        &world,
        &webhook,
        &text_body("34618888888", "wamid.r", "HOURS"),
    )
    .await;
    world.send_all().await;
    assert!(
        world
            .simulator
            .state
            .calls()
            .iter()
            .any(|call| call.to == "+34618888888")
    );
    // Who stopped is not answered, not even to that.
    post_callback(
        &world,
        &webhook,
        &text_body("34618888888", "wamid.s", "stop"),
    )
    .await;
    post_callback(
        &world,
        &webhook,
        &text_body("34618888888", "wamid.t", "hours"),
    )
    .await;
    world.send_all().await;
    let calls = world.simulator.state.calls();
    assert_eq!(
        calls
            .iter()
            .filter(|call| call.to == "+34618888888")
            .count(),
        1
    );
    let wrong = json!({"replies": [{"keywords": ["a"], "message": {"type": "text", "text": {"body": "Hi {{name}}"}}}]});
    let (code, _, problem) = call_api(
        &api,
        "PUT",
        "/v1/settings",
        Some(API_TOKEN),
        wrong.to_string().into_bytes(),
    )
    .await;
    assert_eq!(
        (code, &problem["field"]),
        (422, &json!("/replies/0/message"))
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn operator_sets_opt_out_keywords_and_replies() {
    let world = TestEnv::new().await;
    let settings = Settings {
        replies: vec![AutoReply {
            keywords: vec!["*".into()],
            message: Message::new(json!({"type": "text", "text": {"body": "We read you"}}))
                .unwrap(),
        }],
        ..Settings::default()
    };
    let mut settings = settings;
    settings.opt_out_keywords.stop = [("xx".to_owned(), vec!["basta ya".to_owned()])].into();
    world.settings_store().put(&settings).await.unwrap();
    let webhook = world.webhook();
    post_callback(
        &world,
        &webhook,
        &text_body("34610000001", "wamid.1", "stop"),
    )
    .await;
    post_callback(
        &world,
        &webhook,
        &text_body("34610000002", "wamid.2", "Basta  ya!"),
    )
    .await;
    let suppressed = async |number| {
        let who = ContactKey::Phone(parse_phone(number));
        world.contacts.get(&who).await.unwrap().unwrap().suppressed
    };
    assert!(!suppressed("+34610000001").await);
    assert!(suppressed("+34610000002").await);
    world.send_all().await;
    let calls = world.simulator.state.calls();
    assert_eq!(
        calls
            .iter()
            .map(|call| call.to.as_str())
            .collect::<Vec<_>>(),
        ["+34610000001"]
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn account_event_pauses_the_campaigns_it_concerns_unless_outdated() {
    let world = TestEnv::new().await;
    let (webhook, api) = (world.webhook(), new_api(&world));
    let template = |name: &str| {
        let body =
            json!({"type": "template", "template": {"name": name, "language": {"code": "en"}}});
        Message::new(body).unwrap()
    };
    let of = async |name: &str| {
        let message = template(name);
        world
            .import_campaign(3, |campaign| campaign.message = message)
            .await
    };
    let (one, other) = (of("sale").await, of("update").await);
    let event = |event: &str| {
        json!({"event": event, "message_template_id": 1, "message_template_name": "sale", "message_template_language": "en",
            "reason": "NONE", "other_info": {"title": "FIRST_PAUSE", "description": "Too many people reported it."}})
    };
    let field = "message_template_status_update";
    let mut old = change_body(field, event("PAUSED"));
    old["entry"][0]["time"] = json!(cloud::now() / 1000 - 3600);
    for harmless in [
        &old,
        &change_body(field, event("APPROVED")),
        &change_body("account_update", json!({"event": "PARTNER_ADDED"})),
    ] {
        post_callback(&world, &webhook, harmless).await;
        assert_eq!(
            world.load_campaign(&one.id).await.state,
            CampaignState::Sending
        );
    }
    post_callback(&world, &webhook, &change_body(field, event("PAUSED"))).await;
    let stopped = world.load_campaign(&one.id).await;
    assert_eq!(stopped.state, CampaignState::Paused);
    let reason = stopped.reason.unwrap();
    assert!(
        reason.contains("sale (en)") && reason.contains("Too many people"),
        "{reason}"
    );
    assert_eq!(
        world.load_campaign(&other.id).await.state,
        CampaignState::Sending
    );
    let upgrade = json!({"event": "THROUGHPUT_UPGRADE", "current_limit": "TIER_UNLIMITED", "display_phone_number": "1"});
    post_callback(
        &world,
        &webhook,
        &change_body("phone_number_quality_update", upgrade),
    )
    .await;
    let (_, shown) = get_json(&api, "/v1/account").await;
    let notices = shown["events"].as_array().unwrap();
    let says = |notice: &Value| notice["text"].as_str().unwrap().contains("raise TpsBudget");
    assert!(notices.iter().any(says), "{shown}");
    let flagged =
        json!({"event": "FLAGGED", "current_limit": "TIER_10K", "display_phone_number": "1"});
    post_callback(
        &world,
        &webhook,
        &change_body("phone_number_quality_update", flagged),
    )
    .await;
    assert_eq!(
        world.load_campaign(&other.id).await.state,
        CampaignState::Paused
    );
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn failed_delivery_pauses_the_campaign_like_a_failed_send() {
    let world = TestEnv::new().await;
    let webhook = world.webhook();
    let image = |link: &str| {
        let body = json!({"type": "image", "image": {"link": link}});
        Message::new(body).unwrap()
    };
    for (link, code, expected) in [
        ("https://example.com/a.png", 131_053, CampaignState::Paused),
        ("{{name}}", 131_053, CampaignState::Sending),
        ("https://example.com/a.png", 131_026, CampaignState::Sending),
        ("https://example.com/a.png", 131_042, CampaignState::Paused),
    ] {
        let message = image(link);
        let campaign = world
            .create_campaign_with(|campaign| {
                campaign.state = CampaignState::Sending;
                campaign.message = message;
            })
            .await;
        world
            .ledger
            .claim(&campaign.id, 1, "sender", 1)
            .await
            .unwrap();
        let mut failed = status_json(
            &format!("{}:1:1", campaign.id),
            "wamid.1",
            "failed",
            cloud::now() / 1000,
        );
        failed["errors"][0]["code"] = json!(code);
        assert_eq!(
            response_status(&webhook, signed_request(&world, &statuses_body(&[failed]))).await,
            200
        );
        let now = world.load_campaign(&campaign.id).await;
        assert_eq!(now.state, expected, "{link} {code} {:?}", now.reason);
    }
}

#[tokio::test]
#[ignore = "needs services: cargo xtask test"]
async fn operator_opt_in_is_recorded_beside_the_recipients_opt_out() {
    let world = TestEnv::new().await;
    let api = new_api(&world);
    let who = ContactKey::Phone(parse_phone("+34610000001"));
    let word = ConsentEvent {
        at: cloud::now() - 1000,
        suppressed: true,
        source: ConsentSource::Text,
        text: Some("stop".into()),
    };
    world.contacts.record_consent(&who, word).await.unwrap();
    let body = br#"{"suppressed": false, "reason": "she called us"}"#.to_vec();
    let (code, _, seen) = call_api(
        &api,
        "PUT",
        "/v1/contacts/34610000001",
        Some(API_TOKEN),
        body,
    )
    .await;
    assert_eq!((code, &seen["suppressed"]), (200, &json!(false)));
    assert_eq!(seen["consent"][0]["text"], "she called us");
    assert_eq!(seen["consent"][1]["source"], "text", "nothing is forgotten");
}
