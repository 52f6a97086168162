//! Each Lambda function on the resources of an environment.

use std::sync::Arc;
use std::time::Duration;

use campaign::delivery::pacing::Rate;
use campaign::id::NumberId;
use cloud::campaign_cache::CampaignCache;
use cloud::campaigns::Campaigns;
use cloud::erasure_queue::ErasureQueue;
use cloud::import_queue::ImportQueue;
use cloud::jobs::Jobs;
use cloud::ledger::Ledger;
use cloud::number_records::NumberRecords;
use cloud::numbers::{Numbers, SenderNumber};
use cloud::outbound::{DeliveryQueue, EventBus};
use cloud::rates::RateKeeper;
use cloud::sent_files::SentFiles;
use cloud::settings::SettingsStore;
use cloud::waiting_jobs::WaitingJobs;
use counter::Counter;
use erase::Eraser;
use forward::{Forwarder, WebhookEndpoint};
use lambda_runtime::Context;
use reconciler::Reconciler;
use report::Reporter;
use sender::Sender;
use splitter::Splitter;
use uuid::Uuid;
use webhook::Webhook;
use whatsapp::client::Client;

use super::TestEnv;
use super::aws::table_name;
use super::env::RETENTION_DAYS;
use super::throttled::ThrottledTables;

/// The rate of what does not depend on it.
const ONE_SLOT: Rate = Rate {
    slots: 1,
    per_slot: 1,
};

impl TestEnv {
    /// A sender that sends 50 messages a second to the simulator.
    pub(crate) fn sender(&self) -> Sender {
        self.sender_to(&self.simulator.url())
    }

    /// A sender that sends 50 messages a second to `url`.
    pub(crate) fn sender_to(&self, url: &str) -> Sender {
        self.sender_with_rate(url, 50)
    }

    /// A sender that sends two messages a second to the simulator.
    pub(crate) fn slow_sender(&self) -> Sender {
        self.sender_with_rate(&self.simulator.url(), 2)
    }

    fn sender_with_rate(&self, url: &str, per_slot: u32) -> Sender {
        let (campaigns, ledger) = (self.campaigns.clone(), self.ledger.clone());
        self.new_sender(url, per_slot, campaigns, ledger)
    }

    /// A sender that sends 50 messages a second to the simulator, and writes to tables that are throttled.
    pub(crate) fn sender_with_tables(&self, tables: &ThrottledTables) -> Sender {
        let (campaigns, ledger) = (tables.campaigns.clone(), tables.ledger.clone());
        self.new_sender(&self.simulator.url(), 50, campaigns, ledger)
    }

    fn new_sender(&self, url: &str, per_slot: u32, campaigns: Campaigns, ledger: Ledger) -> Sender {
        let numbers = self.numbers(Rate { slots: 1, per_slot });
        self.sender_of(numbers, url, campaigns, ledger)
    }

    /// A sender of the first of these numbers, to the simulator.
    pub(crate) fn sender_from(&self, numbers: Numbers) -> Sender {
        let (campaigns, ledger) = (self.campaigns.clone(), self.ledger.clone());
        self.sender_of(numbers, &self.simulator.url(), campaigns, ledger)
    }

    fn sender_of(
        &self,
        numbers: Numbers,
        url: &str,
        campaigns: Campaigns,
        ledger: Ledger,
    ) -> Sender {
        let SenderNumber { id, rate, .. } = &**numbers.first();
        let client = Client::new(url, "v25.0", id.as_str(), rate.per_slot).unwrap();
        let rate = self.rate_keeper_of(id, *rate);
        let (contacts, secrets) = (self.contacts.clone(), self.secrets());
        Sender::new(campaigns, contacts, ledger, numbers, secrets, client, rate)
    }

    /// The keeper of a process that starts now.
    pub(crate) fn rate_keeper_of(&self, number: &NumberId, rate: Rate) -> RateKeeper {
        let table = table_name(&self.name, "CampaignsTable");
        RateKeeper::new(self.aws.dynamodb.clone(), table, number.clone(), rate)
    }

    /// What is stored of the numbers.
    pub(crate) fn number_records(&self) -> NumberRecords {
        let table = table_name(&self.name, "CampaignsTable");
        NumberRecords::new(self.aws.dynamodb.clone(), table)
    }

    /// The number that the simulator knows first, with the queues of this environment.
    pub(crate) fn first_number(&self, rate: Rate) -> SenderNumber {
        let id = self.simulator.state.settings().phone_number_id;
        SenderNumber {
            id: id.parse().unwrap(),
            rate,
            bulk: self.queue.clone(),
            urgent: self.urgent_queue.clone(),
        }
    }

    /// That number alone.
    pub(crate) fn numbers(&self, rate: Rate) -> Numbers {
        Numbers::fixed(self.first_number(rate), Vec::new(), self.number_records())
    }

    /// A splitter that makes batches for this many slots.
    pub(crate) fn splitter(&self, slots: u32) -> Splitter {
        self.splitter_for(self.numbers(Rate { slots, per_slot: 1 }))
    }

    /// A splitter that makes batches for these numbers.
    pub(crate) fn splitter_for(&self, numbers: Numbers) -> Splitter {
        Splitter::new(
            self.campaigns.clone(),
            self.imports.clone(),
            self.contacts.clone(),
            self.ledger.clone(),
            self.counters.clone(),
            self.files.clone(),
            numbers,
            self.import_queue(),
            self.waiting_jobs(),
            SentFiles::new(self.aws.dynamodb.clone(), self.table("CampaignsTable")),
        )
    }

    pub(crate) fn webhook(&self) -> Webhook {
        Webhook {
            callbacks: self.callbacks.clone(),
            campaign_cache: CampaignCache::new(self.campaigns.clone()),
            ledger: self.ledger.clone(),
            contacts: self.contacts.clone(),
            inbox: self.inbox.clone(),
            settings: self.settings_store(),
            account_events: self.account_events.clone(),
            numbers: self.numbers(ONE_SLOT),
            secrets: self.secrets(),
        }
    }

    pub(crate) fn counter(&self) -> Counter {
        Counter::new(self.counters.clone(), self.campaigns.clone(), None)
    }

    pub(crate) fn reconciler(&self) -> Reconciler {
        Reconciler {
            campaigns: self.campaigns.clone(),
            counters: self.counters.clone(),
            ledger: self.ledger.clone(),
            numbers: self.numbers(ONE_SLOT),
            installation: self.name.clone(),
            dead_letter_queue: self.dead_letter_queue.clone(),
            dead_letters: self.dead_letters.clone(),
            import_queue: self.import_queue(),
            erasure_queue: self.erasure_queue(),
            waiting_jobs: self.waiting_jobs(),
        }
    }

    pub(crate) fn reporter(&self) -> Reporter {
        Reporter {
            campaigns: self.campaigns.clone(),
            imports: self.imports.clone(),
            ledger: self.ledger.clone(),
            counters: self.counters.clone(),
            contacts: self.contacts.clone(),
            files: self.files.clone(),
            jobs: self.job_queue(),
            poll_interval: Duration::from_millis(50),
        }
    }

    /// A forwarder to this bus and this URL.
    pub(crate) fn forwarder(&self, bus: Option<EventBus>, url: &str) -> Forwarder {
        let deliveries = self.queue_urls.deliveries.clone();
        let deliveries = DeliveryQueue::new(self.aws.sqs.clone(), deliveries);
        let endpoint = WebhookEndpoint::new(url.into(), deliveries, self.secrets());
        Forwarder {
            callbacks: self.callbacks.clone(),
            bus,
            endpoint: Some(endpoint.unwrap()),
        }
    }

    pub(crate) fn eraser(&self) -> Eraser {
        Eraser {
            campaigns: self.campaigns.clone(),
            imports: self.imports.clone(),
            ledger: self.ledger.clone(),
            callbacks: self.callbacks.clone(),
            inbox: self.inbox.clone(),
            contacts: self.contacts.clone(),
            files: self.files.clone(),
            waiting_jobs: self.waiting_jobs(),
        }
    }

    /// Jobs that wait in the campaigns table.
    pub(crate) fn waiting_jobs(&self) -> WaitingJobs {
        WaitingJobs::new(self.aws.dynamodb.clone(), self.table("CampaignsTable"))
    }

    /// Resumed imports and requeues.
    pub(crate) fn import_queue(&self) -> ImportQueue {
        ImportQueue::new(self.aws.sqs.clone(), self.queue_urls.imports.clone())
    }

    /// Reports and recounts.
    pub(crate) fn job_queue(&self) -> Jobs {
        let (dynamodb, sqs) = (self.aws.dynamodb.clone(), self.aws.sqs.clone());
        let table = self.table("CampaignsTable");
        Jobs::new(
            dynamodb,
            table,
            RETENTION_DAYS,
            sqs,
            self.queue_urls.jobs.clone(),
        )
    }

    pub(crate) fn erasure_queue(&self) -> ErasureQueue {
        ErasureQueue::new(self.aws.sqs.clone(), self.queue_urls.erasures.clone())
    }

    pub(crate) fn settings_store(&self) -> SettingsStore {
        SettingsStore::new(self.aws.dynamodb.clone(), self.table("CampaignsTable"))
    }
}

/// An invocation that may run for `seconds`.
pub(crate) fn lambda_context(seconds: u64) -> Context {
    let mut context = Context::default();
    context.request_id = Uuid::now_v7().to_string();
    context.deadline = cloud::now() + seconds * 1000;
    context.env_config = Arc::default();
    context
}
