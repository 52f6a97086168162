//! Buckets, queues and tables of one test's own. Table schemas come from the template, so they cannot drift.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use aws_sdk_s3::types::{
    BucketVersioningStatus, Event, FilterRule, FilterRuleName, NotificationConfiguration,
    NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter, VersioningConfiguration,
};
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use campaign::batch::Batch;
use campaign::contact::{Consent, Source};
use campaign::id::{CampaignId, page};
use campaign::message::Message as Text;
use campaign::pacing::Rate;
use campaign::phone::Phone;
use campaign::record::{Campaign, CampaignState, FileInfo, FileStage};
use campaign::tally::Counters;
use cloud::callbacks::Callbacks;
use cloud::campaigns::Campaigns;
use cloud::contacts::{Contacts, Who};
use cloud::counters::CounterTable;
use cloud::dead_letters::DeadLetters;
use cloud::erasures::Erasures;
use cloud::files::{Files, Upload};
use cloud::forwards::{Bus, Errands};
use cloud::imports::Imports;
use cloud::inbox::Inbox;
use cloud::jobs::Jobs;
use cloud::known::Known;
use cloud::ledger::{Ledger, LedgerRow};
use cloud::notices::Notices;
use cloud::queue::Queue;
use cloud::schedules::Schedules;
use cloud::secrets::Secrets;
use cloud::settings::SettingsStore;
use cloud::splits::Splits;
use erase::Eraser;
use forward::{Customer, Forwarder};
use lambda_runtime::Context;
use serde_json::{Value, json};
use serde_yaml_ng::Value as Yaml;
use simulator::Simulator;
use simulator::settings::Settings;
use sweep::Sweep;
use tokio::process::{Child, Command};
use uuid::Uuid;

/// How long anything may take to come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A token of the API, and its SHA-256.
pub(crate) const TOKEN: &str = "local-operator";
const TOKEN_SHA256: &str = "e89ea0f9ebb9513d9e60a9155fcd81ba6704ff8a473b65257f36a28b6785f472";

/// What Meta's handshake must show.
pub(crate) const VERIFY_TOKEN: &str = "local-verify";

/// With what callbacks are signed that are forwarded.
pub(crate) const FORWARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Everything one test needs, of its own.
pub(crate) struct World {
    pub(crate) campaigns: Campaigns,
    pub(crate) counters: CounterTable,
    pub(crate) imports: Imports,
    pub(crate) contacts: Contacts,
    pub(crate) ledger: Ledger,
    pub(crate) callbacks: Callbacks,
    pub(crate) files: Files,
    pub(crate) queue: Queue,
    pub(crate) urgent: Queue,
    pub(crate) inbox: Inbox,
    pub(crate) notices: Notices,
    dynamodb: aws_sdk_dynamodb::Client,
    campaigns_table: String,
    jobs: String,
    forwards: String,
    erasures: String,
    pub(crate) dead: Queue,
    pub(crate) notes: DeadLetters,
    pub(crate) schedules: Schedules,
    pub(crate) simulator: Simulator,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) bucket: String,
    sqs: aws_sdk_sqs::Client,
    pub(crate) sends: String,
    pub(crate) orders: String,
    events: String,
    secrets: aws_sdk_secretsmanager::Client,
    secret: String,
}

impl World {
    /// Makes it.
    pub(crate) async fn new() -> Self {
        let endpoint =
            std::env::var("AWS_ENDPOINT_URL").expect("no services: run `cargo xtask test`");
        assert!(
            endpoint.contains("127.0.0.1") || endpoint.contains("localhost"),
            "tests stay on this machine"
        );
        let config = cloud::aws::config().await;
        let dynamodb = cloud::aws::dynamodb(&config);
        let (s3, sqs) = (cloud::aws::s3(&config), cloud::aws::sqs(&config));
        let name = format!("world-{}", Uuid::now_v7());
        let table = async |resource: &str| make_table(&dynamodb, resource, &name).await;
        let (campaigns, messages, callbacks, contacts) = (
            table("CampaignsTable").await,
            table("MessagesTable").await,
            table("CallbacksTable").await,
            table("ContactsTable").await,
        );
        let inbox = table("InboxTable").await;
        let queue = async |queue: &str| {
            let create = sqs.create_queue().queue_name(format!("{name}-{queue}"));
            create.send().await.unwrap().queue_url.unwrap()
        };
        let (urgent, jobs) = (queue("urgent").await, queue("jobs").await);
        let (forwards, erasures) = (queue("forwards").await, queue("erasures").await);
        let (sends, orders, events, dead) = (
            queue("sends").await,
            queue("splits").await,
            queue("events").await,
            queue("dead").await,
        );
        make_bucket(&s3, &sqs, &name, &events).await;
        let secrets = cloud::aws::secrets(&config);
        let world = Self {
            campaigns: Campaigns::new(dynamodb.clone(), campaigns.clone(), 7),
            counters: CounterTable::new(dynamodb.clone(), campaigns.clone(), 7),
            imports: Imports::new(dynamodb.clone(), campaigns.clone(), 7),
            notes: DeadLetters::new(dynamodb.clone(), campaigns.clone(), 7),
            notices: Notices::new(dynamodb.clone(), campaigns.clone(), 7),
            inbox: Inbox::new(dynamodb.clone(), inbox, 7),
            schedules: Schedules::new(
                cloud::aws::scheduler(&config),
                "arn:aws:sqs:us-east-1:000000000000:splits".into(),
                "arn:aws:iam::000000000000:role/scheduler".into(),
            ),
            contacts: Contacts::new(dynamodb.clone(), contacts, 7),
            ledger: Ledger::new(dynamodb.clone(), messages, 7),
            callbacks: Callbacks::new(dynamodb.clone(), callbacks, 7),
            dynamodb,
            campaigns_table: campaigns,
            forwards,
            erasures,
            jobs,
            files: Files::new(s3.clone(), name.clone()),
            queue: Queue::new(sqs.clone(), sends.clone()),
            urgent: Queue::new(sqs.clone(), urgent),
            dead: Queue::new(sqs.clone(), dead),
            simulator: Simulator::start(
                0,
                Settings {
                    median_ms: 5.0,
                    p99_ms: 20.0,
                    throughput: 100_000,
                    ..Settings::default()
                },
            )
            .await
            .unwrap(),
            s3,
            bucket: name.clone(),
            sqs,
            sends,
            orders,
            events,
            secrets,
            secret: name,
        };
        let value = world.secret_value(&world.simulator.state.settings().access_token);
        world
            .secrets
            .create_secret()
            .name(&world.secret)
            .secret_string(value)
            .send()
            .await
            .unwrap();
        world
    }

    /// Puts another access token into the secret.
    pub(crate) async fn rotate(&self, access_token: &str) {
        let value = self.secret_value(access_token);
        self.secrets
            .put_secret_value()
            .secret_id(&self.secret)
            .secret_string(value)
            .send()
            .await
            .unwrap();
    }

    fn secret_value(&self, access_token: &str) -> String {
        let settings = self.simulator.state.settings();
        json!({
            "access_token": access_token, "app_secrets": ["an older one", settings.app_secret],
            "verify_token": VERIFY_TOKEN, "forward_secrets": [FORWARD_SECRET], "api_tokens": [{"name": "ops", "sha256": TOKEN_SHA256}],
        })
        .to_string()
    }

    /// The secret, as a function reads it.
    pub(crate) fn secret(&self) -> Secrets {
        Secrets::new(self.secrets.clone(), self.secret.clone())
    }

    /// A sender of one quick slot, which calls at `url`.
    pub(crate) fn sender_at(&self, url: &str) -> sender::Sender {
        self.sender_of(url, 50)
    }

    /// A sender that calls the simulator.
    pub(crate) fn sender(&self) -> sender::Sender {
        self.sender_at(&self.simulator.url())
    }

    /// A sender that calls the simulator twice a second.
    pub(crate) fn slow_sender(&self) -> sender::Sender {
        self.sender_of(&self.simulator.url(), 2)
    }

    fn sender_of(&self, url: &str, per_slot: u32) -> sender::Sender {
        let number = self.simulator.state.settings().phone_number_id;
        let client = whatsapp::client::Client::new(url, "v25.0", &number).unwrap();
        sender::Sender::new(
            self.campaigns.clone(),
            self.contacts.clone(),
            self.ledger.clone(),
            self.queue.clone(),
            self.urgent.clone(),
            self.secret(),
            client,
            Rate { slots: 1, per_slot },
        )
    }

    /// Every row of a campaign that is in the ledger, in the order of the file.
    pub(crate) async fn ledger_of(&self, id: &CampaignId) -> Vec<LedgerRow> {
        let last = self.now(id).await.counts().rows as u32;
        let mut rows = Vec::new();
        for number in 0..=page(last.max(64)) {
            rows.extend(self.ledger.page(id, number).await.unwrap());
        }
        rows
    }

    /// Counts the ledger anew, as if the stream had been read to its end.
    pub(crate) async fn count(&self, id: &CampaignId) {
        let mut tally = self.counters.shard(id, "recount").await.unwrap();
        let seen = tally.last_sequence.clone();
        tally.last_sequence.push('1');
        tally.counters = Counters::default();
        for row in self.ledger_of(id).await {
            tally.counters.change(None, row.facts());
        }
        let now = cloud::now();
        let replaced = self.counters.replace(id, "recount", &seen, &tally, now);
        assert!(replaced.await.unwrap());
    }

    /// Puts somebody on the standing list, or takes them off.
    pub(crate) async fn suppress(&self, phone: Phone, suppressed: bool) {
        let word = Consent {
            at: cloud::now(),
            suppressed,
            source: Source::Operator,
            text: None,
        };
        self.contacts.tell(&Who::Phone(phone), word).await.unwrap();
    }

    /// The settings.
    pub(crate) fn settings(&self) -> SettingsStore {
        SettingsStore::new(self.dynamodb.clone(), self.campaigns_table.clone())
    }

    /// A splitter for `slots` slots.
    pub(crate) fn splitter(&self, slots: u32) -> splitter::Splitter {
        let rate = Rate { slots, per_slot: 1 };
        splitter::Splitter::new(
            self.campaigns.clone(),
            self.imports.clone(),
            self.contacts.clone(),
            self.ledger.clone(),
            self.files.clone(),
            self.queue.clone(),
            self.splits(),
            rate,
        )
    }

    /// A webhook.
    pub(crate) fn webhook(&self) -> webhook::Webhook {
        webhook::Webhook {
            callbacks: self.callbacks.clone(),
            known: Known::new(self.campaigns.clone()),
            ledger: self.ledger.clone(),
            contacts: self.contacts.clone(),
            inbox: self.inbox.clone(),
            settings: self.settings(),
            notices: self.notices.clone(),
            sends: self.queue.clone(),
            urgent: self.urgent.clone(),
            secrets: self.secret(),
        }
    }

    /// A sweep.
    pub(crate) fn sweep(&self) -> Sweep {
        Sweep {
            campaigns: self.campaigns.clone(),
            counters: self.counters.clone(),
            ledger: self.ledger.clone(),
            sends: self.queue.clone(),
            dead: self.dead.clone(),
            notes: self.notes.clone(),
            splits: self.splits(),
        }
    }

    /// Reports and recounts.
    pub(crate) fn jobs(&self) -> Jobs {
        let (table, queue) = (self.campaigns_table.clone(), self.jobs.clone());
        Jobs::new(self.dynamodb.clone(), table, 7, self.sqs.clone(), queue)
    }

    /// The job that was asked for last is done.
    pub(crate) async fn work(&self) {
        let report = report::Report {
            campaigns: self.campaigns.clone(),
            imports: self.imports.clone(),
            ledger: self.ledger.clone(),
            counters: self.counters.clone(),
            files: self.files.clone(),
            jobs: self.jobs(),
            settle: Duration::from_millis(50),
        };
        let message = self.receive(&self.jobs, PATIENCE).await.expect("a job");
        self.delete(&self.jobs, &message).await;
        let order = serde_json::from_str(message.body().unwrap()).unwrap();
        report.run(&order).await.unwrap();
    }

    /// Forwards to this bus and this URL.
    pub(crate) fn forwarder(&self, bus: Option<Bus>, url: &str) -> Forwarder {
        let errands = Errands::new(self.sqs.clone(), self.forwards.clone());
        Forwarder {
            callbacks: self.callbacks.clone(),
            bus,
            customer: Some(Customer::new(url.into(), errands, self.secret()).unwrap()),
        }
    }

    /// Hands one errand to the forwarder as Lambda would; gives whether it was taken, `None` where none is there.
    pub(crate) async fn run_errand(&self, forwarder: &Forwarder) -> Option<bool> {
        let message = self.receive(&self.forwards, Duration::ZERO).await?;
        let count = &message.attributes().unwrap()[&"ApproximateReceiveCount".into()];
        let record = json!({"eventSource": "aws:sqs", "messageId": message.message_id(), "body": message.body(),
            "receiptHandle": message.receipt_handle(), "attributes": {"ApproximateReceiveCount": count}});
        let event = serde_json::from_value(json!({"Records": [record]})).unwrap();
        let taken = forwarder
            .handle(event)
            .await
            .unwrap()
            .batch_item_failures
            .is_empty();
        if taken {
            self.delete(&self.forwards, &message).await;
        }
        Some(taken)
    }

    /// A queue of the test's own.
    pub(crate) async fn queue_of_events(&self) -> (String, String) {
        let create = self
            .sqs
            .create_queue()
            .queue_name(format!("{}-bus", self.bucket));
        let url = create.send().await.unwrap().queue_url.unwrap();
        let get = self.sqs.get_queue_attributes().queue_url(&url);
        let arn = get
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await
            .unwrap();
        let arn = arn.attributes.unwrap()[&QueueAttributeName::QueueArn].clone();
        (url, arn)
    }

    /// The next message of such a queue.
    pub(crate) async fn next_event(&self, url: &str) -> Value {
        let message = self.receive(url, PATIENCE).await.expect("an event");
        self.delete(url, &message).await;
        serde_json::from_str(message.body().unwrap()).unwrap()
    }

    /// A test of this program in a process of its own, which finds this world by its environment.
    pub(crate) fn process(&self, test: &str, more: &[(&str, &str)]) -> Child {
        let table = |resource: &str| format!("{}-{resource}", self.bucket);
        let mut process = Command::new(std::env::current_exe().unwrap());
        process
            .args(["--ignored", "--exact", test])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .envs([
                ("CAMPAIGNS_TABLE", table("CampaignsTable")),
                ("MESSAGES_TABLE", table("MessagesTable")),
                ("CALLBACKS_TABLE", table("CallbacksTable")),
                ("CONTACTS_TABLE", table("ContactsTable")),
                ("INBOX_TABLE", table("InboxTable")),
                ("SENDS_QUEUE_URL", self.sends.clone()),
                ("URGENT_QUEUE_URL", self.sends.clone()),
                ("SECRET_ARN", self.secret.clone()),
                ("RETENTION_DAYS", "7".into()),
                ("CALLBACK_RETENTION_DAYS", "7".into()),
                ("INBOX_RETENTION_DAYS", "7".into()),
            ])
            .envs(more.iter().copied());
        process.spawn().unwrap()
    }

    /// Who is to be forgotten.
    pub(crate) fn erasures(&self) -> Erasures {
        Erasures::new(self.sqs.clone(), self.erasures.clone())
    }

    /// Does the erasure that was asked for; tells whether that was all.
    pub(crate) async fn erase(&self) -> bool {
        let message = self
            .receive(&self.erasures, PATIENCE)
            .await
            .expect("an erasure");
        self.delete(&self.erasures, &message).await;
        let order = serde_json::from_str(message.body().unwrap()).unwrap();
        let eraser = Eraser {
            campaigns: self.campaigns.clone(),
            imports: self.imports.clone(),
            ledger: self.ledger.clone(),
            callbacks: self.callbacks.clone(),
            inbox: self.inbox.clone(),
            contacts: self.contacts.clone(),
            files: self.files.clone(),
            erasures: self.erasures(),
        };
        eraser.run(&order).await.unwrap()
    }

    /// Everything that is kept in tables and bucket, as text: to look for what ought not to be there any more.
    pub(crate) async fn everything(&self) -> String {
        let mut all = String::new();
        for resource in ["Campaigns", "Messages", "Callbacks", "Contacts", "Inbox"] {
            let table = format!("{}-{resource}Table", self.bucket);
            let mut items = self
                .dynamodb
                .scan()
                .table_name(table)
                .into_paginator()
                .items()
                .send();
            while let Some(item) = items.next().await {
                all.push_str(&format!("{resource} {:?}\n", item.unwrap()));
            }
        }
        let versions = self
            .s3
            .list_object_versions()
            .bucket(&self.bucket)
            .send()
            .await
            .unwrap();
        for version in versions.versions.unwrap_or_default() {
            let (key, id) = (version.key.unwrap(), version.version_id);
            let get = self
                .s3
                .get_object()
                .bucket(&self.bucket)
                .key(&key)
                .set_version_id(id);
            let body = get
                .send()
                .await
                .unwrap()
                .body
                .collect()
                .await
                .unwrap()
                .to_vec();
            all.push_str(&format!("{key} {}\n", String::from_utf8_lossy(&body)));
        }
        all
    }

    /// The splits queue.
    pub(crate) fn splits(&self) -> Splits {
        Splits::new(self.sqs.clone(), self.orders.clone())
    }

    /// Gives the splitter an upload's event, then every order that follows from it.
    pub(crate) async fn split(&self, event: Value) {
        let splitter = self.splitter(2);
        splitter
            .handle(serde_json::from_value(event).unwrap(), context(900))
            .await
            .unwrap();
        self.follow().await;
    }

    /// The splitter does what it was asked for.
    pub(crate) async fn follow(&self) {
        let splitter = self.splitter(2);
        while self.follow_order(&splitter, context(900)).await {}
    }

    /// Senders take whatever is in the queue.
    pub(crate) async fn send_all(&self) {
        let sender = self.sender();
        while self.pump(&sender, Duration::ZERO).await.is_some() {}
    }

    /// A campaign of `rows` people, changed as wished, whose file is in the queue if nothing speaks against it.
    pub(crate) async fn uploaded(&self, rows: u32, change: impl FnOnce(&mut Campaign)) -> Campaign {
        let campaign = self.campaign_with(change).await;
        let event = self.upload(&campaign.id, people(rows).as_bytes()).await;
        self.split(event).await;
        self.now(&campaign.id).await
    }

    /// Gives the splitter the next order, if there is one.
    pub(crate) async fn follow_order(
        &self,
        splitter: &splitter::Splitter,
        context: Context,
    ) -> bool {
        let Some(message) = self.receive(&self.orders, Duration::ZERO).await else {
            return false;
        };
        self.delete(&self.orders, &message).await;
        let record =
            json!({"eventSource": "aws:sqs", "messageId": "1", "body": message.body().unwrap()});
        let event = serde_json::from_value(json!({"Records": [record]})).unwrap();
        splitter.handle(event, context).await.unwrap();
        true
    }

    /// A campaign in the table, in `state`, with a template that names `{{name}}`; where it sends, its file is in the queue.
    pub(crate) async fn campaign(&self, state: CampaignState) -> Campaign {
        self.campaign_with(|campaign| {
            campaign.state = state;
            if state.may_send() {
                campaign.files[0].stage = FileStage::Split;
            }
        })
        .await
    }

    /// A campaign that waits for its file, changed as wished.
    pub(crate) async fn campaign_with(&self, change: impl FnOnce(&mut Campaign)) -> Campaign {
        let message = json!({"type": "template", "template": {"name": "hello", "language": {"code": "en"},
            "components": [{"type": "body", "parameters": [{"type": "text", "text": "{{name}}"}]}]}});
        let file = FileInfo {
            name: "a.csv".into(),
            size: 1,
        };
        let id = Uuid::now_v7().to_string().parse().unwrap();
        let message = Text::new(message).unwrap();
        let mut campaign = Campaign::new(id, "Test".into(), message, file, cloud::now());
        change(&mut campaign);
        self.campaigns.create(&campaign).await.unwrap();
        campaign
    }

    /// The campaign as it is now.
    pub(crate) async fn now(&self, id: &CampaignId) -> Campaign {
        self.campaigns.get(id).await.unwrap().unwrap()
    }

    /// Uploads a campaign's first file as the API signs it; gives the S3 event that follows.
    pub(crate) async fn upload(&self, id: &CampaignId, file: &[u8]) -> Value {
        self.upload_as(id, Upload::File(0), file).await
    }

    /// Uploads to a campaign as the API signs it; gives the S3 event that follows.
    pub(crate) async fn upload_as(&self, id: &CampaignId, upload: Upload, file: &[u8]) -> Value {
        let signed = self
            .files
            .sign_upload(id, upload, file.len() as u64, Duration::from_secs(60))
            .await
            .unwrap();
        let mut put = reqwest::Client::new().put(&signed.url).body(file.to_vec());
        for (name, value) in &signed.headers {
            put = put.header(name, value);
        }
        let answer = put.send().await.unwrap();
        assert!(
            answer.status().is_success(),
            "{}",
            answer.text().await.unwrap()
        );
        // An erasure writes files, too, and their events may be there.
        loop {
            let message = self.receive(&self.events, PATIENCE).await;
            let message = message.expect("an S3 event");
            self.delete(&self.events, &message).await;
            let event: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            let key = &event["Records"][0]["s3"]["object"]["key"];
            if key.as_str().is_some_and(|key| key.contains(id.as_str())) {
                return event;
            }
        }
    }

    /// Hands one message of the sends queue to `sender`, as Lambda would; `None` where none comes in time.
    pub(crate) async fn pump(&self, sender: &sender::Sender, wait: Duration) -> Option<Batch> {
        let message = self.receive(&self.sends, wait).await?;
        let batch: Batch = serde_json::from_str(message.body().unwrap()).unwrap();
        assert!(
            deliver(sender, message.body().unwrap(), message.receipt_handle()).await,
            "the batch failed"
        );
        self.delete(&self.sends, &message).await;
        Some(batch)
    }

    /// Takes every batch off the sends queue.
    pub(crate) async fn drain(&self) -> Vec<(Batch, Option<String>)> {
        let mut batches = Vec::new();
        loop {
            let messages = self.receive_some(&self.sends, 10).await;
            if messages.is_empty() {
                return batches;
            }
            for message in messages {
                self.delete(&self.sends, &message).await;
                let group = message
                    .attributes()
                    .and_then(|all| all.get(&"MessageGroupId".into()))
                    .cloned();
                let batch = serde_json::from_str(message.body().unwrap()).unwrap();
                batches.push((batch, group));
            }
        }
    }

    async fn receive_some(&self, queue: &str, most: i32) -> Vec<Message> {
        let receive = self
            .sqs
            .receive_message()
            .queue_url(queue)
            .max_number_of_messages(most)
            .wait_time_seconds(1)
            .message_system_attribute_names("All".into());
        receive.send().await.unwrap().messages.unwrap_or_default()
    }

    async fn receive(&self, queue: &str, wait: Duration) -> Option<Message> {
        let until = Instant::now() + wait;
        loop {
            if let Some(message) = self.receive_some(queue, 1).await.into_iter().next() {
                return Some(message);
            }
            if Instant::now() >= until {
                return None;
            }
        }
    }

    async fn delete(&self, queue: &str, message: &Message) {
        let delete = self
            .sqs
            .delete_message()
            .queue_url(queue)
            .receipt_handle(message.receipt_handle().unwrap());
        delete.send().await.unwrap();
    }
}

/// A file of `rows` people.
pub(crate) fn people(rows: u32) -> String {
    let mut file = String::from("phone,name\n");
    for row in 1..=rows {
        file.push_str(&format!("+34610{row:06},Ana\n"));
    }
    file
}

/// Hands a message to `sender`; tells whether it was taken.
pub(crate) async fn deliver(sender: &sender::Sender, body: &str, receipt: Option<&str>) -> bool {
    let mut message = SqsMessage::default();
    message.receipt_handle = receipt.map(str::to_owned);
    message.message_id = Some(Uuid::now_v7().to_string());
    message.body = Some(body.to_owned());
    let mut event = SqsEvent::default();
    event.records.push(message);
    let response = sender.handle(event, context(120)).await.unwrap();
    response.batch_item_failures.is_empty()
}

/// An invocation that may run for `seconds`.
pub(crate) fn context(seconds: u64) -> Context {
    let mut context = Context::default();
    context.request_id = Uuid::now_v7().to_string();
    context.deadline = cloud::now() + seconds * 1000;
    context.env_config = Arc::default();
    context
}

async fn make_bucket(s3: &aws_sdk_s3::Client, sqs: &aws_sdk_sqs::Client, name: &str, events: &str) {
    s3.create_bucket().bucket(name).send().await.unwrap();
    let versioned = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    s3.put_bucket_versioning()
        .bucket(name)
        .versioning_configuration(versioned)
        .send()
        .await
        .unwrap();
    let attributes = sqs
        .get_queue_attributes()
        .queue_url(events)
        .attribute_names(QueueAttributeName::QueueArn);
    let attributes = attributes.send().await.unwrap().attributes.unwrap();
    let to_queue =
        QueueConfiguration::builder().queue_arn(&attributes[&QueueAttributeName::QueueArn]);
    let rule = |name, value: &str| FilterRule::builder().name(name).value(value).build();
    let uploads = S3KeyFilter::builder()
        .filter_rules(rule(FilterRuleName::Prefix, "uploads/"))
        .filter_rules(rule(FilterRuleName::Suffix, "/input.csv"))
        .build();
    let to_queue = to_queue
        .events(Event::from("s3:ObjectCreated:*"))
        .filter(
            NotificationConfigurationFilter::builder()
                .key(uploads)
                .build(),
        )
        .build()
        .unwrap();
    let notify = NotificationConfiguration::builder()
        .queue_configurations(to_queue)
        .build();
    let put = s3
        .put_bucket_notification_configuration()
        .bucket(name)
        .notification_configuration(notify);
    put.skip_destination_validation(true).send().await.unwrap();
}

/// Makes a table as the template has it.
async fn make_table(dynamodb: &aws_sdk_dynamodb::Client, resource: &str, world: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/template.yaml");
    let template: Yaml = serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let properties = &template["Resources"][resource]["Properties"];
    let name = format!("{world}-{resource}");
    let mut create = dynamodb
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest);
    for definition in items(&properties["AttributeDefinitions"]) {
        let kind = ScalarAttributeType::from(text(&definition["AttributeType"]));
        let name = text(&definition["AttributeName"]);
        let definition = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(kind)
            .build()
            .unwrap();
        create = create.attribute_definitions(definition);
    }
    create = create.set_key_schema(Some(key_schema(&properties["KeySchema"])));
    for index in items(&properties["GlobalSecondaryIndexes"]) {
        let all = Projection::builder()
            .projection_type(ProjectionType::All)
            .build();
        let index = GlobalSecondaryIndex::builder()
            .index_name(text(&index["IndexName"]))
            .set_key_schema(Some(key_schema(&index["KeySchema"])))
            .projection(all);
        create = create.global_secondary_indexes(index.build().unwrap());
    }
    create.send().await.unwrap();
    name
}

fn key_schema(schema: &Yaml) -> Vec<KeySchemaElement> {
    let element = |key: &Yaml| {
        let kind = KeyType::from(text(&key["KeyType"]));
        KeySchemaElement::builder()
            .attribute_name(text(&key["AttributeName"]))
            .key_type(kind)
            .build()
            .unwrap()
    };
    items(schema).iter().map(element).collect()
}

fn items(list: &Yaml) -> &[Yaml] {
    list.as_sequence().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Yaml) -> &str {
    value.as_str().unwrap()
}
