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
use campaign::contacts::contact::{ConsentEvent, ConsentSource};
use campaign::delivery::batch::Batch;
use campaign::delivery::pacing::Rate;
use campaign::id::{CampaignId, partition_of};
use campaign::import::phone::Phone;
use campaign::lifecycle::campaign::{Campaign, CampaignState, FileInfo, FileStage};
use campaign::lifecycle::counters::Counters;
use campaign::message::Message as Text;
use cloud::account_events::AccountEvents;
use cloud::batch_queue::BatchQueue;
use cloud::callbacks::Callbacks;
use cloud::campaign_cache::CampaignCache;
use cloud::campaigns::Campaigns;
use cloud::contacts::{ContactKey, Contacts};
use cloud::counters::CounterTable;
use cloud::dead_letters::DeadLetters;
use cloud::erasure_queue::ErasureQueue;
use cloud::files::{Files, Upload};
use cloud::import_queue::ImportQueue;
use cloud::imports::Imports;
use cloud::inbox::Inbox;
use cloud::jobs::Jobs;
use cloud::ledger::{Ledger, LedgerRow};
use cloud::outbound::{DeliveryQueue, EventBus};
use cloud::schedules::Schedules;
use cloud::secrets::Secrets;
use cloud::settings::SettingsStore;
use erase::Eraser;
use forward::{Forwarder, WebhookEndpoint};
use lambda_runtime::Context;
use reconciler::Reconciler;
use serde_json::{Value, json};
use serde_yaml_ng::Value as Yaml;
use simulator::Simulator;
use simulator::settings::Settings;
use tokio::process::{Child, Command};
use uuid::Uuid;

/// How long anything may take to come true.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// A token of the API, and its SHA-256.
pub(crate) const API_TOKEN: &str = "local-operator";
const API_TOKEN_SHA256: &str = "e89ea0f9ebb9513d9e60a9155fcd81ba6704ff8a473b65257f36a28b6785f472";

/// What Meta's handshake must show.
pub(crate) const VERIFY_TOKEN: &str = "local-verify";

/// With what callbacks are signed that are forwarded.
pub(crate) const FORWARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Everything one test needs, of its own.
pub(crate) struct TestEnv {
    pub(crate) campaigns: Campaigns,
    pub(crate) counters: CounterTable,
    pub(crate) imports: Imports,
    pub(crate) contacts: Contacts,
    pub(crate) ledger: Ledger,
    pub(crate) callbacks: Callbacks,
    pub(crate) files: Files,
    pub(crate) queue: BatchQueue,
    pub(crate) urgent: BatchQueue,
    pub(crate) inbox: Inbox,
    pub(crate) account_events: AccountEvents,
    dynamodb: aws_sdk_dynamodb::Client,
    campaigns_table: String,
    jobs_queue_url: String,
    forwards_queue_url: String,
    erasures_queue_url: String,
    pub(crate) dead_letter_queue: BatchQueue,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) schedules: Schedules,
    pub(crate) simulator: Simulator,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) bucket: String,
    sqs: aws_sdk_sqs::Client,
    pub(crate) sends_queue_url: String,
    pub(crate) imports_queue_url: String,
    upload_events_queue_url: String,
    secrets_client: aws_sdk_secretsmanager::Client,
    secret_name: String,
}

impl TestEnv {
    /// Makes it.
    pub(crate) async fn new() -> Self {
        let endpoint =
            std::env::var("AWS_ENDPOINT_URL").expect("no services: run `cargo xtask test`");
        assert!(
            endpoint.contains("127.0.0.1") || endpoint.contains("localhost"),
            "tests stay on this machine"
        );
        let config = cloud::aws::load_config().await;
        let dynamodb = cloud::aws::dynamodb(&config);
        let (s3, sqs) = (cloud::aws::s3(&config), cloud::aws::sqs(&config));
        let name = format!("world-{}", Uuid::now_v7());
        let table = async |resource: &str| create_table(&dynamodb, resource, &name).await;
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
        create_bucket(&s3, &sqs, &name, &events).await;
        let secrets = cloud::aws::secrets_manager(&config);
        let world = Self {
            campaigns: Campaigns::new(dynamodb.clone(), campaigns.clone(), 7),
            counters: CounterTable::new(dynamodb.clone(), campaigns.clone(), 7),
            imports: Imports::new(dynamodb.clone(), campaigns.clone(), 7),
            dead_letters: DeadLetters::new(dynamodb.clone(), campaigns.clone(), 7),
            account_events: AccountEvents::new(dynamodb.clone(), campaigns.clone(), 7),
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
            forwards_queue_url: forwards,
            erasures_queue_url: erasures,
            jobs_queue_url: jobs,
            files: Files::new(s3.clone(), name.clone()),
            queue: BatchQueue::new(sqs.clone(), sends.clone()),
            urgent: BatchQueue::new(sqs.clone(), urgent),
            dead_letter_queue: BatchQueue::new(sqs.clone(), dead),
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
            sends_queue_url: sends,
            imports_queue_url: orders,
            upload_events_queue_url: events,
            secrets_client: secrets,
            secret_name: name,
        };
        let value = world.secret_value(&world.simulator.state.settings().access_token);
        world
            .secrets_client
            .create_secret()
            .name(&world.secret_name)
            .secret_string(value)
            .send()
            .await
            .unwrap();
        world
    }

    /// Puts another access token into the secret.
    pub(crate) async fn rotate_access_token(&self, access_token: &str) {
        let value = self.secret_value(access_token);
        self.secrets_client
            .put_secret_value()
            .secret_id(&self.secret_name)
            .secret_string(value)
            .send()
            .await
            .unwrap();
    }

    fn secret_value(&self, access_token: &str) -> String {
        let settings = self.simulator.state.settings();
        json!({
            "access_token": access_token, "app_secrets": ["an older one", settings.app_secret],
            "verify_token": VERIFY_TOKEN, "forward_secrets": [FORWARD_SECRET], "api_tokens": [{"name": "ops", "sha256": API_TOKEN_SHA256}],
        })
        .to_string()
    }

    /// The secret, as a function reads it.
    pub(crate) fn secrets(&self) -> Secrets {
        Secrets::new(self.secrets_client.clone(), self.secret_name.clone())
    }

    /// A sender of one quick slot, which calls at `url`.
    pub(crate) fn sender_to(&self, url: &str) -> sender::Sender {
        self.sender_with_rate(url, 50)
    }

    /// A sender that calls the simulator.
    pub(crate) fn sender(&self) -> sender::Sender {
        self.sender_to(&self.simulator.url())
    }

    /// A sender that calls the simulator twice a second.
    pub(crate) fn slow_sender(&self) -> sender::Sender {
        self.sender_with_rate(&self.simulator.url(), 2)
    }

    fn sender_with_rate(&self, url: &str, per_slot: u32) -> sender::Sender {
        let number = self.simulator.state.settings().phone_number_id;
        let client = whatsapp::client::Client::new(url, "v25.0", &number).unwrap();
        sender::Sender::new(
            self.campaigns.clone(),
            self.contacts.clone(),
            self.ledger.clone(),
            self.queue.clone(),
            self.urgent.clone(),
            self.secrets(),
            client,
            Rate { slots: 1, per_slot },
        )
    }

    /// Every row of a campaign that is in the ledger, in the order of the file.
    pub(crate) async fn ledger_rows(&self, id: &CampaignId) -> Vec<LedgerRow> {
        let last = self.load_campaign(id).await.import_counts().rows as u32;
        let mut rows = Vec::new();
        for number in 0..=partition_of(last.max(64)) {
            rows.extend(self.ledger.list_partition(id, number).await.unwrap());
        }
        rows
    }

    /// Counts the ledger anew, as if the stream had been read to its end.
    pub(crate) async fn recount_ledger(&self, id: &CampaignId) {
        let mut tally = self.counters.get_shard(id, "recount").await.unwrap();
        let seen = tally.last_sequence.clone();
        tally.last_sequence.push('1');
        tally.counters = Counters::default();
        for row in self.ledger_rows(id).await {
            tally.counters.apply_change(None, row.row_facts());
        }
        let now = cloud::now();
        let replaced = self
            .counters
            .compare_and_set(id, "recount", &seen, &tally, now);
        assert!(replaced.await.unwrap());
    }

    /// Puts somebody on the standing list, or takes them off.
    pub(crate) async fn set_suppressed(&self, phone: Phone, suppressed: bool) {
        let word = ConsentEvent {
            at: cloud::now(),
            suppressed,
            source: ConsentSource::Operator,
            text: None,
        };
        self.contacts
            .record_consent(&ContactKey::Phone(phone), word)
            .await
            .unwrap();
    }

    /// The settings.
    pub(crate) fn settings_store(&self) -> SettingsStore {
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
            self.import_queue(),
            rate,
        )
    }

    /// A webhook.
    pub(crate) fn webhook(&self) -> webhook::Webhook {
        webhook::Webhook {
            callbacks: self.callbacks.clone(),
            campaign_cache: CampaignCache::new(self.campaigns.clone()),
            ledger: self.ledger.clone(),
            contacts: self.contacts.clone(),
            inbox: self.inbox.clone(),
            settings: self.settings_store(),
            account_events: self.account_events.clone(),
            sends_queue: self.queue.clone(),
            urgent_queue: self.urgent.clone(),
            secrets: self.secrets(),
        }
    }

    /// A sweep.
    pub(crate) fn reconciler(&self) -> Reconciler {
        Reconciler {
            campaigns: self.campaigns.clone(),
            counters: self.counters.clone(),
            ledger: self.ledger.clone(),
            send_queue: self.queue.clone(),
            dead_letter_queue: self.dead_letter_queue.clone(),
            dead_letters: self.dead_letters.clone(),
            import_queue: self.import_queue(),
        }
    }

    /// Reports and recounts.
    pub(crate) fn job_queue(&self) -> Jobs {
        let (table, queue) = (self.campaigns_table.clone(), self.jobs_queue_url.clone());
        Jobs::new(self.dynamodb.clone(), table, 7, self.sqs.clone(), queue)
    }

    /// The job that was asked for last is done.
    pub(crate) async fn run_next_job(&self) {
        let report = report::Reporter {
            campaigns: self.campaigns.clone(),
            imports: self.imports.clone(),
            ledger: self.ledger.clone(),
            counters: self.counters.clone(),
            files: self.files.clone(),
            jobs: self.job_queue(),
            settle_time: Duration::from_millis(50),
        };
        let message = self
            .receive(&self.jobs_queue_url, TIMEOUT)
            .await
            .expect("a job");
        self.delete(&self.jobs_queue_url, &message).await;
        let order = serde_json::from_str(message.body().unwrap()).unwrap();
        report.run_job(&order).await.unwrap();
    }

    /// Forwards to this bus and this URL.
    pub(crate) fn forwarder(&self, bus: Option<EventBus>, url: &str) -> Forwarder {
        let errands = DeliveryQueue::new(self.sqs.clone(), self.forwards_queue_url.clone());
        Forwarder {
            callbacks: self.callbacks.clone(),
            bus,
            endpoint: Some(WebhookEndpoint::new(url.into(), errands, self.secrets()).unwrap()),
        }
    }

    /// Hands one errand to the forwarder as Lambda would; gives whether it was taken, `None` where none is there.
    pub(crate) async fn run_next_webhook_delivery(&self, forwarder: &Forwarder) -> Option<bool> {
        let message = self
            .receive(&self.forwards_queue_url, Duration::ZERO)
            .await?;
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
            self.delete(&self.forwards_queue_url, &message).await;
        }
        Some(taken)
    }

    /// A queue of the test's own.
    pub(crate) async fn create_event_queue(&self) -> (String, String) {
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
    pub(crate) async fn receive_event(&self, url: &str) -> Value {
        let message = self.receive(url, TIMEOUT).await.expect("an event");
        self.delete(url, &message).await;
        serde_json::from_str(message.body().unwrap()).unwrap()
    }

    /// A test of this program in a process of its own, which finds this world by its environment.
    pub(crate) fn spawn_test_process(&self, test: &str, more: &[(&str, &str)]) -> Child {
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
                ("SENDS_QUEUE_URL", self.sends_queue_url.clone()),
                ("URGENT_QUEUE_URL", self.sends_queue_url.clone()),
                ("SECRET_ARN", self.secret_name.clone()),
                ("RETENTION_DAYS", "7".into()),
                ("CALLBACK_RETENTION_DAYS", "7".into()),
                ("INBOX_RETENTION_DAYS", "7".into()),
            ])
            .envs(more.iter().copied());
        process.spawn().unwrap()
    }

    /// Who is to be forgotten.
    pub(crate) fn erasure_queue(&self) -> ErasureQueue {
        ErasureQueue::new(self.sqs.clone(), self.erasures_queue_url.clone())
    }

    /// Does the erasure that was asked for; tells whether that was all.
    pub(crate) async fn run_next_erasure(&self) -> bool {
        let message = self
            .receive(&self.erasures_queue_url, TIMEOUT)
            .await
            .expect("an erasure");
        self.delete(&self.erasures_queue_url, &message).await;
        let order = serde_json::from_str(message.body().unwrap()).unwrap();
        let eraser = Eraser {
            campaigns: self.campaigns.clone(),
            imports: self.imports.clone(),
            ledger: self.ledger.clone(),
            callbacks: self.callbacks.clone(),
            inbox: self.inbox.clone(),
            contacts: self.contacts.clone(),
            files: self.files.clone(),
            erasures: self.erasure_queue(),
        };
        eraser.erase(&order).await.unwrap()
    }

    /// Everything that is kept in tables and bucket, as text: to look for what ought not to be there any more.
    pub(crate) async fn dump(&self) -> String {
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
    pub(crate) fn import_queue(&self) -> ImportQueue {
        ImportQueue::new(self.sqs.clone(), self.imports_queue_url.clone())
    }

    /// Gives the splitter an upload's event, then every order that follows from it.
    pub(crate) async fn run_import(&self, event: Value) {
        let splitter = self.splitter(2);
        splitter
            .handle(serde_json::from_value(event).unwrap(), lambda_context(900))
            .await
            .unwrap();
        self.run_queued_imports().await;
    }

    /// The splitter does what it was asked for.
    pub(crate) async fn run_queued_imports(&self) {
        let splitter = self.splitter(2);
        while self
            .run_next_import_job(&splitter, lambda_context(900))
            .await
        {}
    }

    /// Senders take whatever is in the queue.
    pub(crate) async fn send_all(&self) {
        let sender = self.sender();
        while self.deliver_next(&sender, Duration::ZERO).await.is_some() {}
    }

    /// A campaign of `rows` people, changed as wished, whose file is in the queue if nothing speaks against it.
    pub(crate) async fn import_campaign(
        &self,
        rows: u32,
        change: impl FnOnce(&mut Campaign),
    ) -> Campaign {
        let campaign = self.create_campaign_with(change).await;
        let event = self
            .upload_file(&campaign.id, recipients_csv(rows).as_bytes())
            .await;
        self.run_import(event).await;
        self.load_campaign(&campaign.id).await
    }

    /// Gives the splitter the next order, if there is one.
    pub(crate) async fn run_next_import_job(
        &self,
        splitter: &splitter::Splitter,
        context: Context,
    ) -> bool {
        let Some(message) = self.receive(&self.imports_queue_url, Duration::ZERO).await else {
            return false;
        };
        self.delete(&self.imports_queue_url, &message).await;
        let record =
            json!({"eventSource": "aws:sqs", "messageId": "1", "body": message.body().unwrap()});
        let event = serde_json::from_value(json!({"Records": [record]})).unwrap();
        splitter.handle(event, context).await.unwrap();
        true
    }

    /// A campaign in the table, in `state`, with a template that names `{{name}}`; where it sends, its file is in the queue.
    pub(crate) async fn create_campaign(&self, state: CampaignState) -> Campaign {
        self.create_campaign_with(|campaign| {
            campaign.state = state;
            if state.may_send() {
                campaign.files[0].stage = FileStage::Enqueued;
            }
        })
        .await
    }

    /// A campaign that waits for its file, changed as wished.
    pub(crate) async fn create_campaign_with(
        &self,
        change: impl FnOnce(&mut Campaign),
    ) -> Campaign {
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
    pub(crate) async fn load_campaign(&self, id: &CampaignId) -> Campaign {
        self.campaigns.get(id).await.unwrap().unwrap()
    }

    /// Uploads a campaign's first file as the API signs it; gives the S3 event that follows.
    pub(crate) async fn upload_file(&self, id: &CampaignId, file: &[u8]) -> Value {
        self.upload_to(id, Upload::File(0), file).await
    }

    /// Uploads to a campaign as the API signs it; gives the S3 event that follows.
    pub(crate) async fn upload_to(&self, id: &CampaignId, upload: Upload, file: &[u8]) -> Value {
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
            let message = self.receive(&self.upload_events_queue_url, TIMEOUT).await;
            let message = message.expect("an S3 event");
            self.delete(&self.upload_events_queue_url, &message).await;
            let event: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            let key = &event["Records"][0]["s3"]["object"]["key"];
            if key.as_str().is_some_and(|key| key.contains(id.as_str())) {
                return event;
            }
        }
    }

    /// Hands one message of the sends queue to `sender`, as Lambda would; `None` where none comes in time.
    pub(crate) async fn deliver_next(
        &self,
        sender: &sender::Sender,
        wait: Duration,
    ) -> Option<Batch> {
        let message = self.receive(&self.sends_queue_url, wait).await?;
        let batch: Batch = serde_json::from_str(message.body().unwrap()).unwrap();
        assert!(
            invoke_sender(sender, message.body().unwrap(), message.receipt_handle()).await,
            "the batch failed"
        );
        self.delete(&self.sends_queue_url, &message).await;
        Some(batch)
    }

    /// Takes every batch off the sends queue.
    pub(crate) async fn drain_batches(&self) -> Vec<(Batch, Option<String>)> {
        let mut batches = Vec::new();
        loop {
            let messages = self.receive_up_to(&self.sends_queue_url, 10).await;
            if messages.is_empty() {
                return batches;
            }
            for message in messages {
                self.delete(&self.sends_queue_url, &message).await;
                let group = message
                    .attributes()
                    .and_then(|all| all.get(&"MessageGroupId".into()))
                    .cloned();
                let batch = serde_json::from_str(message.body().unwrap()).unwrap();
                batches.push((batch, group));
            }
        }
    }

    async fn receive_up_to(&self, queue: &str, most: i32) -> Vec<Message> {
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
            if let Some(message) = self.receive_up_to(queue, 1).await.into_iter().next() {
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
pub(crate) fn recipients_csv(rows: u32) -> String {
    let mut file = String::from("phone,name\n");
    for row in 1..=rows {
        file.push_str(&format!("+34610{row:06},Ana\n"));
    }
    file
}

/// Hands a message to `sender`; tells whether it was taken.
pub(crate) async fn invoke_sender(
    sender: &sender::Sender,
    body: &str,
    receipt: Option<&str>,
) -> bool {
    let mut message = SqsMessage::default();
    message.receipt_handle = receipt.map(str::to_owned);
    message.message_id = Some(Uuid::now_v7().to_string());
    message.body = Some(body.to_owned());
    let mut event = SqsEvent::default();
    event.records.push(message);
    let response = sender.handle(event, lambda_context(120)).await.unwrap();
    response.batch_item_failures.is_empty()
}

/// An invocation that may run for `seconds`.
pub(crate) fn lambda_context(seconds: u64) -> Context {
    let mut context = Context::default();
    context.request_id = Uuid::now_v7().to_string();
    context.deadline = cloud::now() + seconds * 1000;
    context.env_config = Arc::default();
    context
}

async fn create_bucket(
    s3: &aws_sdk_s3::Client,
    sqs: &aws_sdk_sqs::Client,
    name: &str,
    events: &str,
) {
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
async fn create_table(dynamodb: &aws_sdk_dynamodb::Client, resource: &str, world: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/template.yaml");
    let template: Yaml = serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let properties = &template["Resources"][resource]["Properties"];
    let name = format!("{world}-{resource}");
    let mut create = dynamodb
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest);
    for definition in yaml_items(&properties["AttributeDefinitions"]) {
        let kind = ScalarAttributeType::from(yaml_str(&definition["AttributeType"]));
        let name = yaml_str(&definition["AttributeName"]);
        let definition = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(kind)
            .build()
            .unwrap();
        create = create.attribute_definitions(definition);
    }
    create = create.set_key_schema(Some(key_schema(&properties["KeySchema"])));
    for index in yaml_items(&properties["GlobalSecondaryIndexes"]) {
        let all = Projection::builder()
            .projection_type(ProjectionType::All)
            .build();
        let index = GlobalSecondaryIndex::builder()
            .index_name(yaml_str(&index["IndexName"]))
            .set_key_schema(Some(key_schema(&index["KeySchema"])))
            .projection(all);
        create = create.global_secondary_indexes(index.build().unwrap());
    }
    create.send().await.unwrap();
    name
}

fn key_schema(schema: &Yaml) -> Vec<KeySchemaElement> {
    let element = |key: &Yaml| {
        let kind = KeyType::from(yaml_str(&key["KeyType"]));
        KeySchemaElement::builder()
            .attribute_name(yaml_str(&key["AttributeName"]))
            .key_type(kind)
            .build()
            .unwrap()
    };
    yaml_items(schema).iter().map(element).collect()
}

fn yaml_items(list: &Yaml) -> &[Yaml] {
    list.as_sequence().map(Vec::as_slice).unwrap_or_default()
}

fn yaml_str(value: &Yaml) -> &str {
    value.as_str().unwrap()
}
