//! The environment of one test.

use cloud::account_events::AccountEvents;
use cloud::batch_queue::BatchQueue;
use cloud::callbacks::Callbacks;
use cloud::campaigns::Campaigns;
use cloud::contacts::Contacts;
use cloud::counters::CounterTable;
use cloud::dead_letters::DeadLetters;
use cloud::files::Files;
use cloud::imports::Imports;
use cloud::inbox::Inbox;
use cloud::ledger::Ledger;
use cloud::schedules::Schedules;
use cloud::secrets::Secrets;
use serde_json::json;
use simulator::Simulator;
use simulator::settings::Settings;
use uuid::Uuid;

use super::aws::{AwsClients, QueueUrls, table_name};
use super::{FORWARD_SECRET, VERIFY_TOKEN};

/// SHA-256 of [`super::API_TOKEN`].
const API_TOKEN_SHA256: &str = "e89ea0f9ebb9513d9e60a9155fcd81ba6704ff8a473b65257f36a28b6785f472";

/// Rows, callbacks and contacts of the tests are kept for a week.
pub(super) const RETENTION_DAYS: u32 = 7;

/// Everything that one test needs, shared with no other test.
pub(crate) struct TestEnv {
    /// The bucket and the secret have this name; tables and queues begin with it.
    pub(crate) name: String,
    pub(crate) campaigns: Campaigns,
    pub(crate) counters: CounterTable,
    pub(crate) imports: Imports,
    pub(crate) contacts: Contacts,
    pub(crate) ledger: Ledger,
    pub(crate) callbacks: Callbacks,
    pub(crate) files: Files,
    pub(crate) inbox: Inbox,
    pub(crate) account_events: AccountEvents,
    pub(crate) schedules: Schedules,
    pub(crate) queue: BatchQueue,
    pub(crate) urgent_queue: BatchQueue,
    pub(crate) dead_letter_queue: BatchQueue,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) simulator: Simulator,
    pub(crate) aws: AwsClients,
    pub(crate) queue_urls: QueueUrls,
}

impl TestEnv {
    /// Creates every resource and starts a simulator.
    pub(crate) async fn new() -> Self {
        let aws = AwsClients::new().await;
        let name = format!("test-{}", Uuid::now_v7());
        let urls = aws.create_resources(&name).await;
        let table = |resource: &str| table_name(&name, resource);
        let queue = |url: &String| BatchQueue::new(aws.sqs.clone(), url.clone());
        let (dynamodb, days) = (aws.dynamodb.clone(), RETENTION_DAYS);
        let campaigns_table = table("CampaignsTable");
        let env = Self {
            campaigns: Campaigns::new(dynamodb.clone(), campaigns_table.clone(), days),
            counters: CounterTable::new(dynamodb.clone(), campaigns_table.clone(), days),
            imports: Imports::new(dynamodb.clone(), campaigns_table.clone(), days),
            dead_letters: DeadLetters::new(dynamodb.clone(), campaigns_table.clone(), days),
            account_events: AccountEvents::new(dynamodb.clone(), campaigns_table, days),
            inbox: Inbox::new(dynamodb.clone(), table("InboxTable"), days),
            contacts: Contacts::new(dynamodb.clone(), table("ContactsTable"), days),
            ledger: Ledger::new(dynamodb.clone(), table("MessagesTable"), days),
            callbacks: Callbacks::new(dynamodb, table("CallbacksTable"), days),
            schedules: new_schedules().await,
            files: Files::new(aws.s3.clone(), name.clone()),
            queue: queue(&urls.sends),
            urgent_queue: queue(&urls.urgent),
            dead_letter_queue: queue(&urls.dead_letters),
            simulator: start_simulator().await,
            queue_urls: urls,
            name,
            aws,
        };
        env.create_secret().await;
        env
    }

    /// The name of one of the template's tables in this environment.
    pub(crate) fn table(&self, resource: &str) -> String {
        table_name(&self.name, resource)
    }

    /// The secret, as a function reads it.
    pub(crate) fn secrets(&self) -> Secrets {
        Secrets::new(self.aws.secrets_manager.clone(), self.name.clone())
    }

    async fn create_secret(&self) {
        let access_token = self.simulator.state.settings().access_token;
        let create = self.aws.secrets_manager.create_secret().name(&self.name);
        let create = create.secret_string(self.secret_value(&access_token));
        create.send().await.unwrap();
    }

    /// Puts another access token into the secret.
    pub(crate) async fn rotate_access_token(&self, access_token: &str) {
        let put = self.aws.secrets_manager.put_secret_value();
        let put = put.secret_id(&self.name);
        let put = put.secret_string(self.secret_value(access_token));
        put.send().await.unwrap();
    }

    fn secret_value(&self, access_token: &str) -> String {
        let app_secret = self.simulator.state.settings().app_secret;
        let api_token = json!({"name": "ops", "sha256": API_TOKEN_SHA256});
        json!({
            "access_token": access_token, "app_secrets": ["an older one", app_secret],
            "verify_token": VERIFY_TOKEN, "forward_secrets": [FORWARD_SECRET], "api_tokens": [api_token],
        })
        .to_string()
    }
}

async fn new_schedules() -> Schedules {
    let config = cloud::aws::load_config();
    Schedules::new(
        cloud::aws::scheduler(&config),
        "arn:aws:sqs:us-east-1:000000000000:imports".into(),
        "default".into(),
        "arn:aws:iam::000000000000:role/scheduler".into(),
    )
}

/// A simulator that answers fast and refuses nothing for its rate.
async fn start_simulator() -> Simulator {
    let settings = Settings {
        median_ms: 5.0,
        p99_ms: 20.0,
        throughput: 100_000,
        ..Settings::default()
    };
    Simulator::start(0, settings).await.unwrap()
}
