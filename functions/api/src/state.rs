//! The AWS resources and clients that the routes use, made once per process.

use campaign::lifecycle::campaign::sendable_for;
use campaign::time::Millis;
use cloud::account_events::AccountEvents;
use cloud::audit::AuditLog;
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
use cloud::numbers::Numbers;
use cloud::part_uploads::PartUploads;
use cloud::schedules::Schedules;
use cloud::secrets::Secrets;
use cloud::sessions::Sessions;
use cloud::settings::SettingsStore;
use cloud::tokens::Tokens;
use cloud::{aws, env};
use lambda_http::Error;
use whatsapp::account::AccountClient;

use crate::claims::OidcClaims;
use crate::tried_tokens::TriedTokens;

/// Everything the routes read and write.
#[derive(Debug)]
pub struct Api {
    /// The campaigns.
    pub campaigns: Campaigns,
    /// The counters of each campaign.
    pub counters: CounterTable,
    /// The stored previews.
    pub imports: Imports,
    /// The state of each row that had an attempt.
    pub ledger: Ledger,
    /// One-time schedules for campaigns with a `not_before`.
    pub schedules: Schedules,
    /// Consent and the last message of each contact.
    pub contacts: Contacts,
    /// Inbound messages.
    pub inbox: Inbox,
    /// Keywords and automatic replies.
    pub settings: SettingsStore,
    /// Meta's webhook events about the account.
    pub account_events: AccountEvents,
    /// The bucket with uploads, reports and cached answers of Meta.
    pub files: Files,
    /// Uploads in parts.
    pub part_uploads: PartUploads,
    /// The numbers, with the queues of their senders.
    pub numbers: Numbers,
    /// Reports and recounts.
    pub jobs: Jobs,
    /// Erasures of contacts.
    pub erasures: ErasureQueue,
    /// The queue of the splitter.
    pub import_queue: ImportQueue,
    /// The first tokens, and Meta's access token.
    pub secrets: Secrets,
    /// The tokens that admins created.
    pub tokens: Tokens,
    /// The sessions of the console.
    pub sessions: Sessions,
    /// Who did what.
    pub audit: AuditLog,
    /// Tokens that were tried.
    pub tried_tokens: TriedTokens,
    /// Whether whatever serves the API has TLS.
    pub tls_only: bool,
    /// How the identity provider's tokens are read; `None` where there is no provider.
    pub oidc: Option<OidcClaims>,
    /// Meta's management API: templates and limits.
    pub account: AccountClient,
    /// The send budget of the first number.
    pub tps_budget: u32,
    /// For how many milliseconds after its creation a campaign sends at most.
    pub sendable_for: Millis,
}

impl Api {
    /// Reads the environment. The error names the variable that is missing or wrong.
    pub async fn from_env() -> Result<Self, Error> {
        let tps_budget = env::send_rate()?.budget();
        let retention_days = env::parsed("RETENTION_DAYS")?;
        let table = env::required("CAMPAIGNS_TABLE")?;
        let config = aws::load_config();
        let (dynamodb, sqs) = (aws::dynamodb(&config), aws::sqs(&config));
        let files = Files::new(aws::s3(&config), env::required("UPLOADS_BUCKET")?);
        let part_uploads = PartUploads::new(dynamodb.clone(), table.clone(), files.clone());
        Ok(Self {
            campaigns: Campaigns::new(dynamodb.clone(), table.clone(), retention_days),
            counters: CounterTable::new(dynamodb.clone(), table.clone(), retention_days),
            imports: Imports::new(dynamodb.clone(), table.clone(), retention_days),
            settings: SettingsStore::new(dynamodb.clone(), table.clone()),
            account_events: AccountEvents::new(dynamodb.clone(), table.clone(), retention_days),
            tokens: Tokens::new(dynamodb.clone(), table.clone()),
            sessions: Sessions::new(dynamodb.clone(), table.clone()),
            audit: AuditLog::new(dynamodb.clone(), table.clone()),
            tried_tokens: TriedTokens::default(),
            tls_only: env::parsed("TLS_ONLY")?,
            oidc: OidcClaims::from_env()?,
            jobs: Jobs::new(
                dynamodb.clone(),
                table,
                retention_days,
                sqs.clone(),
                env::required("JOBS_QUEUE_URL")?,
            ),
            inbox: Inbox::new(
                dynamodb.clone(),
                env::required("INBOX_TABLE")?,
                env::parsed("INBOX_RETENTION_DAYS")?,
            ),
            contacts: Contacts::new(
                dynamodb.clone(),
                env::required("CONTACTS_TABLE")?,
                retention_days,
            ),
            ledger: Ledger::new(
                dynamodb.clone(),
                env::required("MESSAGES_TABLE")?,
                retention_days,
            ),
            schedules: Schedules::new(
                aws::scheduler(&config),
                env::required("IMPORT_QUEUE_ARN")?,
                env::required("SCHEDULE_GROUP")?,
                env::required("SCHEDULE_ROLE_ARN")?,
            ),
            part_uploads,
            files,
            numbers: Numbers::from_env(&sqs, &dynamodb)?,
            erasures: ErasureQueue::new(sqs.clone(), env::required("ERASURE_QUEUE_URL")?),
            import_queue: ImportQueue::new(sqs, env::required("IMPORT_QUEUE_URL")?),
            secrets: Secrets::new(aws::secrets_manager(&config), env::required("SECRET_ARN")?),
            account: account_client()?,
            tps_budget,
            sendable_for: sendable_for(retention_days, env::parsed("FILE_RETENTION_DAYS")?),
        })
    }
}

fn account_client() -> Result<AccountClient, Error> {
    Ok(AccountClient::new(
        &env::required("GRAPH_API_URL")?,
        &env::required("GRAPH_API_VERSION")?,
        &env::required("WABA_ID")?,
        &env::required("PHONE_NUMBER_ID")?,
    )?)
}
