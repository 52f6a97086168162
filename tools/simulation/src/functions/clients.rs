//! The clients of one process, as each function's `from_env` makes them.

use aws_config::SdkConfig;
use campaign::delivery::pacing::Rate;
use cloud::account_events::AccountEvents;
use cloud::audit::AuditLog;
use cloud::aws;
use cloud::batch_queue::BatchQueue;
use cloud::callbacks::Callbacks;
use cloud::campaigns::Campaigns;
use cloud::contacts::Contacts;
use cloud::counters::CounterTable;
use cloud::erasure_queue::ErasureQueue;
use cloud::files::Files;
use cloud::import_queue::ImportQueue;
use cloud::imports::Imports;
use cloud::inbox::Inbox;
use cloud::jobs::Jobs;
use cloud::ledger::Ledger;
use cloud::number_records::NumberRecords;
use cloud::numbers::{Numbers, SenderNumber};
use cloud::part_uploads::PartUploads;
use cloud::rates::RateKeeper;
use cloud::secrets::Secrets;
use cloud::sent_files::SentFiles;
use cloud::sessions::Sessions;
use cloud::settings::SettingsStore;
use cloud::tokens::Tokens;
use cloud::waiting_jobs::WaitingJobs;

use crate::aws::{Aws, Host, SECOND_QUEUES, queue_url};
use crate::meta::{Meta, PHONE_NUMBER_ID, SECOND_NUMBER_ID};

/// Rows and contacts are kept for so many days.
pub const RETENTION_DAYS: u32 = 30;

/// Raw callbacks and inbound messages are kept for so many days.
const CALLBACK_RETENTION_DAYS: u32 = 90;

/// From which number a sender sends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sending {
    /// From the first.
    First,
    /// From the second.
    Second,
}

/// The rate of the second number. Only that of the first changes.
pub const SECOND_RATE: Rate = Rate {
    slots: 2,
    per_slot: 1,
};

/// What a process of a function gets from its environment.
#[derive(Clone, Debug)]
pub struct Environment {
    /// AWS.
    pub aws: Aws,
    /// Meta.
    pub meta: Meta,
    /// The deployed rate.
    pub rate: Rate,
    /// The process.
    pub host: Host,
}

/// The clients of one process.
pub(super) struct Clients {
    pub(super) config: SdkConfig,
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    pub(super) sqs: aws_sdk_sqs::Client,
    pub(super) meta: Meta,
    pub(super) host: Host,
    pub(super) rate: Rate,
    pub(super) bucket: String,
    pub(super) secret: String,
}

impl Clients {
    pub(super) fn new(environment: &Environment) -> Self {
        let config = environment.aws.config(&environment.host);
        Self {
            dynamodb: aws::dynamodb(&config),
            sqs: aws::sqs(&config),
            config,
            meta: environment.meta.clone(),
            host: environment.host.clone(),
            rate: environment.rate,
            bucket: environment.aws.s3().bucket().to_owned(),
            secret: environment.aws.secrets().name().to_owned(),
        }
    }
}

/// One table, queue or bucket each.
impl Clients {
    fn table<T>(
        &self,
        new: impl Fn(aws_sdk_dynamodb::Client, String, u32) -> T,
        name: &str,
        retention_days: u32,
    ) -> T {
        new(self.dynamodb.clone(), name.into(), retention_days)
    }

    pub(super) fn campaigns(&self) -> Campaigns {
        self.table(Campaigns::new, "CampaignsTable", RETENTION_DAYS)
    }

    pub(super) fn counters(&self) -> CounterTable {
        self.table(CounterTable::new, "CampaignsTable", RETENTION_DAYS)
    }

    pub(super) fn imports(&self) -> Imports {
        self.table(Imports::new, "CampaignsTable", RETENTION_DAYS)
    }

    pub(super) fn account_events(&self) -> AccountEvents {
        self.table(AccountEvents::new, "CampaignsTable", RETENTION_DAYS)
    }

    pub(super) fn settings(&self) -> SettingsStore {
        SettingsStore::new(self.dynamodb.clone(), "CampaignsTable".into())
    }

    pub(super) fn tokens(&self) -> Tokens {
        Tokens::new(self.dynamodb.clone(), "CampaignsTable".into())
    }

    pub(super) fn sessions(&self) -> Sessions {
        Sessions::new(self.dynamodb.clone(), "CampaignsTable".into())
    }

    pub(super) fn audit(&self) -> AuditLog {
        AuditLog::new(self.dynamodb.clone(), "CampaignsTable".into())
    }

    pub(super) fn part_uploads(&self) -> PartUploads {
        PartUploads::new(self.dynamodb.clone(), "CampaignsTable".into(), self.files())
    }

    pub(super) fn waiting_jobs(&self) -> WaitingJobs {
        WaitingJobs::new(self.dynamodb.clone(), "CampaignsTable".into())
    }

    pub(super) fn sent_files(&self) -> SentFiles {
        SentFiles::new(self.dynamodb.clone(), "CampaignsTable".into())
    }

    pub(super) fn rate_keeper(&self, number: &SenderNumber) -> RateKeeper {
        let SenderNumber { id, rate, .. } = number.clone();
        RateKeeper::new(self.dynamodb.clone(), "CampaignsTable".into(), id, rate)
    }

    /// The numbers as a process sees them that has none of its own.
    pub(super) fn numbers(&self) -> Numbers {
        self.numbers_of(Sending::First)
    }

    /// The numbers as a sender sees them.
    pub(super) fn numbers_of(&self, sending: Sending) -> Numbers {
        let number = |id: &str, rate, bulk, urgent| SenderNumber {
            id: id.parse().expect("the id of a number"),
            rate,
            bulk: self.queue(bulk),
            urgent: self.queue(urgent),
        };
        let first = number(PHONE_NUMBER_ID, self.rate, "SendsQueue", "UrgentQueue");
        let [bulk, urgent] = SECOND_QUEUES;
        let second = number(SECOND_NUMBER_ID, SECOND_RATE, bulk, urgent);
        let records = NumberRecords::new(self.dynamodb.clone(), "CampaignsTable".into());
        match sending {
            Sending::First => Numbers::fixed(first, vec![second], records),
            Sending::Second => Numbers::fixed(second, vec![first], records),
        }
    }

    pub(super) fn contacts(&self) -> Contacts {
        self.table(Contacts::new, "ContactsTable", RETENTION_DAYS)
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.table(Ledger::new, "MessagesTable", RETENTION_DAYS)
    }

    pub(super) fn callbacks(&self) -> Callbacks {
        self.table(Callbacks::new, "CallbacksTable", CALLBACK_RETENTION_DAYS)
    }

    pub(super) fn inbox(&self) -> Inbox {
        self.table(Inbox::new, "InboxTable", CALLBACK_RETENTION_DAYS)
    }

    pub(super) fn jobs(&self) -> Jobs {
        Jobs::new(
            self.dynamodb.clone(),
            "CampaignsTable".into(),
            RETENTION_DAYS,
            self.sqs.clone(),
            queue_url("JobsQueue"),
        )
    }

    pub(super) fn queue(&self, name: &str) -> BatchQueue {
        BatchQueue::new(self.sqs.clone(), queue_url(name))
    }

    pub(super) fn import_queue(&self) -> ImportQueue {
        ImportQueue::new(self.sqs.clone(), queue_url("ImportQueue"))
    }

    pub(super) fn erasures(&self) -> ErasureQueue {
        ErasureQueue::new(self.sqs.clone(), queue_url("ErasureQueue"))
    }

    pub(super) fn files(&self) -> Files {
        Files::new(aws::s3(&self.config), self.bucket.clone())
    }

    pub(super) fn secrets(&self) -> Secrets {
        Secrets::new(aws::secrets_manager(&self.config), self.secret.clone())
    }
}
