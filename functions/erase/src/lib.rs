//! Erasure removes a recipient's personal data everywhere. Only a hash stays, on the suppression list, so that nobody
//! messages the recipient again.
//!
//! | where | what happens |
//! |---|---|
//! | uploads, exclude lists | rewritten without the recipient's record; older versions are deleted |
//! | rejects files, reports, previews of those campaigns | deleted, the preview only in part; the operator can ask for a report again |
//! | ledger | the number that WhatsApp named is deleted; the row stays, because the counters must add up |
//! | callbacks, inbox | deleted |
//! | contacts | everything is deleted but the hash and its suppression |
//!
//! | the invocation dies … | repaired by |
//! |---|---|
//! | between two steps | the job's message, which is delivered again: each step may be repeated, and what the steps before need to find their data is erased last: in a campaign the upload, in all the contact |
//! | between rewriting a file and deleting its older versions | the same: older versions are deleted whenever the file is searched |
//! | for good | the dead-letter queue with its alarm |
//!
//! A file cannot be rewritten before its campaign is over, because rows are identified by their position in it. The job is
//! then enqueued again, with a delay, until it can be.
//!
//! - `subject`: the recipient, and how to recognize their data
//! - `campaign_data`: what is stored about one campaign; `upload`, `exclude_list`: its files

mod campaign_data;
mod exclude_list;
mod subject;
mod upload;

use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use campaign::id::CampaignId;
use cloud::callbacks::Callbacks;
use cloud::campaigns::Campaigns;
use cloud::contacts::{ContactKey, Contacts};
use cloud::erasure_queue::{ErasureJob, ErasureQueue};
use cloud::files::Files;
use cloud::imports::Imports;
use cloud::inbox::Inbox;
use cloud::ledger::Ledger;
use lambda_runtime::Error;

use crate::campaign_data::CampaignErasure;
use crate::subject::DataSubject;

/// How long a job waits for a campaign that is not over: the longest delay that SQS allows.
const RETRY_DELAY: Duration = Duration::from_secs(900);

/// What erasure needs, created once per process.
#[derive(Debug)]
pub struct Eraser {
    /// Campaigns.
    pub campaigns: Campaigns,
    /// Previews.
    pub imports: Imports,
    /// Rows.
    pub ledger: Ledger,
    /// Raw callbacks.
    pub callbacks: Callbacks,
    /// Inbound messages.
    pub inbox: Inbox,
    /// Contacts.
    pub contacts: Contacts,
    /// The bucket.
    pub files: Files,
    /// The queue that the jobs come from.
    pub erasures: ErasureQueue,
}

impl Eraser {
    /// Reads the environment. Fails if a variable is missing or invalid.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::load_config().await;
        let dynamodb = aws::dynamodb(&config);
        let (table, retention) = (
            env::required("CAMPAIGNS_TABLE")?,
            env::parsed("RETENTION_DAYS")?,
        );
        let name = env::required;
        Ok(Self {
            campaigns: Campaigns::new(dynamodb.clone(), table.clone(), retention),
            imports: Imports::new(dynamodb.clone(), table, retention),
            ledger: Ledger::new(dynamodb.clone(), name("MESSAGES_TABLE")?, retention),
            callbacks: Callbacks::new(dynamodb.clone(), name("CALLBACKS_TABLE")?, retention),
            inbox: Inbox::new(dynamodb.clone(), name("INBOX_TABLE")?, retention),
            contacts: Contacts::new(dynamodb, name("CONTACTS_TABLE")?, retention),
            files: Files::new(aws::s3(&config), name("UPLOADS_BUCKET")?),
            erasures: ErasureQueue::new(aws::sqs(&config), name("ERASURE_QUEUE_URL")?),
        })
    }

    /// Runs the jobs of an event. An error makes their messages come again.
    pub async fn handle(&self, event: SqsEvent) -> Result<(), Error> {
        for message in event.records {
            let job = serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
            // Boxed, because the compiler limits how deeply futures may be nested.
            Box::pin(self.erase(&job)).await?;
        }
        Ok(())
    }

    /// Erases a recipient as far as campaigns are over. Returns whether everything is erased; if not, the job is in the
    /// queue again.
    #[tracing::instrument(skip_all)]
    pub async fn erase(&self, job: &ErasureJob) -> Result<bool, Error> {
        if self.must_wait(job).await? {
            self.erasures.enqueue(job, RETRY_DELAY).await?;
            return Ok(false);
        }
        let key = ContactKey::Phone(job.phone);
        let contact = self.contacts.get(&key).await?.unwrap_or_default();
        let subject = DataSubject {
            phone: job.phone.canonical(),
            user_id: contact.user_id,
        };
        let (campaigns, unfinished) = self.erase_from_campaigns(&subject).await?;
        let mentions = |text: &str| subject.is_mentioned_in(text);
        let rows = self.ledger.erase(mentions).await?;
        let callbacks = self.callbacks.erase(mentions).await?;
        let messages = self.inbox.erase(mentions).await?;
        tracing::info!(campaigns, rows, callbacks, messages, "recipient erased");
        if let Some(campaign) = unfinished {
            self.wait_for(campaign, job, &key).await?;
            return Ok(false);
        }
        if let Some(user_id) = subject.user_id {
            let key = ContactKey::User(user_id);
            self.contacts.erase(&key, cloud::now()).await?;
        }
        self.contacts.erase(&key, cloud::now()).await?;
        Ok(true)
    }

    /// Whether the campaign that the job waits for is still not over.
    async fn must_wait(&self, job: &ErasureJob) -> Result<bool, Error> {
        let Some(id) = &job.waits_for else {
            return Ok(false);
        };
        let campaign = self.campaigns.get(id).await?;
        Ok(campaign.is_some_and(|campaign| !campaign.is_over()))
    }

    /// Returns how many campaigns something was erased from, and one that has to be over first, if there is any.
    async fn erase_from_campaigns(
        &self,
        subject: &DataSubject,
    ) -> Result<(usize, Option<CampaignId>), Error> {
        let (mut erased, mut unfinished) = (0, None);
        for id in self.campaigns.list_ids().await? {
            let Some(campaign) = self.campaigns.get(&id).await? else {
                continue;
            };
            match self.erase_from_campaign(&campaign, subject).await? {
                CampaignErasure::NotFound => {}
                CampaignErasure::Erased => erased += 1,
                CampaignErasure::Deferred => unfinished = Some(id),
            }
        }
        Ok((erased, unfinished))
    }

    /// Enqueues the job again, for when the campaign is over.
    async fn wait_for(
        &self,
        campaign: CampaignId,
        job: &ErasureJob,
        key: &ContactKey,
    ) -> Result<(), Error> {
        let stage = format!("waits until campaign {campaign} is over; everything else is erased");
        self.contacts.set_erasure_stage(key, &stage).await?;
        let job = ErasureJob {
            phone: job.phone,
            waits_for: Some(campaign),
        };
        Ok(self.erasures.enqueue(&job, RETRY_DELAY).await?)
    }
}
