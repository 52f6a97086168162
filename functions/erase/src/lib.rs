//! Erasure removes a recipient's personal data everywhere. Only a hash stays, on the suppression list, so that nobody
//! messages the recipient again.
//!
//! | where | what happens |
//! |---|---|
//! | chunks | the recipient's rows are emptied; older versions are deleted |
//! | uploads | deleted, where the recipient is in them: the other rows are in the chunks. Of one that was never imported, they go, too |
//! | exclude lists | rewritten without the recipient's lines; older versions are deleted |
//! | rejects files, reports, previews of those campaigns | deleted, the preview only in part; the operator can ask for a report again |
//! | ledger | the number that WhatsApp named is deleted; the row stays, because the counters must add up |
//! | callbacks, inbox | deleted |
//! | replies and tests | the erasure waits until those to the recipient are closed, at most about a day: closing removes the row |
//! | contacts | everything is deleted but the hash and its suppression |
//!
//! | the invocation dies … | repaired by |
//! |---|---|
//! | between two steps | the job's message, which is delivered again. Each step may be repeated, and what finds the data is erased last: in a campaign the number among those of the chunks, in all the contact |
//! | between writing an object and deleting its older versions | the same: older versions are deleted whenever a campaign is searched |
//! | for good | the dead-letter queue with its alarm |
//! | after the job is stored, before its message is deleted | the job's message: the job runs twice, which is harmless |
//!
//! Nothing changes that a campaign reads which is not over, and before a file was read nobody knows who is in it. Until then the job waits in the campaigns table ([`cloud::waiting_jobs`]), and the
//! reconciler puts it back into the queue. Only one invocation at a time changes the files of a campaign: it has the lease
//! on them, as an import has; another one waits in the same way.
//!
//! - `subject`: the recipient, and how to recognize their data
//! - `campaign_data`: what is stored about one campaign; `upload`: what it has that was not imported

mod campaign_data;
mod subject;
mod upload;

use std::collections::BTreeSet;

use aws_lambda_events::sqs::SqsEvent;
use campaign::id::CampaignId;
use cloud::callbacks::Callbacks;
use cloud::campaigns::Campaigns;
use cloud::contacts::{ContactKey, Contacts};
use cloud::erasure_queue::ErasureJob;
use cloud::files::Files;
use cloud::imports::Imports;
use cloud::inbox::Inbox;
use cloud::ledger::Ledger;
use cloud::waiting_jobs::{WaitingJob, WaitingJobs};
use lambda_runtime::Error;

use crate::campaign_data::CampaignErasure;
use crate::subject::DataSubject;

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
    /// Jobs that wait for a campaign.
    pub waiting_jobs: WaitingJobs,
}

impl Eraser {
    /// Reads the environment. Fails if a variable is missing or invalid.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let config = aws::load_config();
        let dynamodb = aws::dynamodb(&config);
        let (table, retention) = (
            env::required("CAMPAIGNS_TABLE")?,
            env::parsed("RETENTION_DAYS")?,
        );
        let name = env::required;
        Ok(Self {
            campaigns: Campaigns::new(dynamodb.clone(), table.clone(), retention),
            imports: Imports::new(dynamodb.clone(), table.clone(), retention),
            waiting_jobs: WaitingJobs::new(dynamodb.clone(), table),
            ledger: Ledger::new(dynamodb.clone(), name("MESSAGES_TABLE")?, retention),
            callbacks: Callbacks::new(dynamodb.clone(), name("CALLBACKS_TABLE")?, retention),
            inbox: Inbox::new(dynamodb.clone(), name("INBOX_TABLE")?, retention),
            contacts: Contacts::new(dynamodb, name("CONTACTS_TABLE")?, retention),
            files: Files::new(aws::s3(&config), name("UPLOADS_BUCKET")?),
        })
    }

    /// Runs the jobs of an event. An error makes their messages come again.
    pub async fn handle(&self, event: SqsEvent) -> Result<(), Error> {
        for message in event.records {
            let job = cloud::message_body::decode(message.body.as_deref().unwrap_or_default())?;
            let id = message.message_id.ok_or("the queue message has no id")?;
            // A queue may deliver a message twice at the same time; each delivery has its own handle.
            let owner = message.receipt_handle.unwrap_or_else(|| id.clone());
            // Boxed, because the compiler limits how deeply futures may be nested.
            Box::pin(self.erase(&job, &id, &owner)).await?;
        }
        Ok(())
    }

    /// Erases a recipient as far as campaigns are over, as the message of this id asks for; `owner` is this delivery of it.
    /// Returns whether everything is erased; if not, the job waits for a campaign.
    #[tracing::instrument(skip_all, fields(hops = job.hops))]
    pub async fn erase(
        &self,
        job: &ErasureJob,
        message_id: &str,
        owner: &str,
    ) -> Result<bool, Error> {
        if let Some(id) = self.unfinished_campaign(job).await? {
            self.store_waiting(id, job, message_id).await?;
            return Ok(false);
        }
        let key = ContactKey::Phone(job.phone);
        let contact = self.contacts.get(&key).await?.unwrap_or_default();
        let subject = DataSubject {
            phone: job.phone.canonical(),
            user_id: contact.user_id,
        };
        let (campaigns, unfinished) = self.erase_from_campaigns(&subject, owner).await?;
        let mentions = |text: &str| subject.is_mentioned_in(text);
        let rows = self.ledger.erase(mentions).await?;
        let callbacks = self.callbacks.erase(mentions).await?;
        let messages = self.inbox.erase(mentions).await?;
        tracing::info!(campaigns, rows, callbacks, messages, "recipient erased");
        if let Some(campaign) = unfinished {
            self.wait_for(&campaign, job, &key, message_id).await?;
            return Ok(false);
        }
        if let Some(user_id) = subject.user_id {
            let key = ContactKey::User(user_id);
            self.contacts.erase(&key, cloud::now()).await?;
        }
        self.contacts.erase(&key, cloud::now()).await?;
        Ok(true)
    }

    /// The campaign that the job waits for, if it is still not over.
    async fn unfinished_campaign<'j>(
        &self,
        job: &'j ErasureJob,
    ) -> Result<Option<&'j CampaignId>, Error> {
        let Some(id) = &job.waits_for else {
            return Ok(None);
        };
        let campaign = self.campaigns.get(id).await?;
        let is_unfinished = campaign.is_some_and(|campaign| !campaign.is_closed());
        Ok(is_unfinished.then_some(id))
    }

    /// Returns how many campaigns something was erased from, and one that has to be over first, if there is any.
    async fn erase_from_campaigns(
        &self,
        subject: &DataSubject,
        owner: &str,
    ) -> Result<(usize, Option<CampaignId>), Error> {
        let (mut erased, mut unfinished) = (0, None);
        let mut searched = BTreeSet::new();
        // A retry that was created meanwhile may have the rows of a campaign from before they were erased.
        loop {
            let mut ids = self.list_campaigns().await?;
            ids.retain(|id| !searched.contains(id));
            if ids.is_empty() {
                return Ok((erased, unfinished));
            }
            for id in ids {
                if let Some(campaign) = self.campaigns.get(&id).await? {
                    match self.erase_from_campaign(&campaign, subject, owner).await? {
                        CampaignErasure::NotFound => {}
                        CampaignErasure::Erased => erased += 1,
                        CampaignErasure::Deferred => unfinished = Some(id.clone()),
                    }
                }
                searched.insert(id);
            }
        }
    }

    /// Every campaign. Replies are in no list, and have their recipient until they are over.
    async fn list_campaigns(&self) -> Result<BTreeSet<CampaignId>, Error> {
        let mut ids: BTreeSet<CampaignId> = self.campaigns.list_ids().await?.into_iter().collect();
        ids.extend(self.campaigns.list_open_ids().await?);
        Ok(ids)
    }

    /// Stores the job, for when the campaign is over.
    async fn wait_for(
        &self,
        campaign: &CampaignId,
        job: &ErasureJob,
        key: &ContactKey,
        message_id: &str,
    ) -> Result<(), Error> {
        let stage = format!("waits until campaign {campaign} is over; everything else is erased");
        self.contacts.set_erasure_stage(key, &stage).await?;
        self.store_waiting(campaign, job, message_id).await
    }

    /// If the campaign ends before the job is stored, the next run of the reconciler finds it all the same.
    async fn store_waiting(
        &self,
        campaign: &CampaignId,
        job: &ErasureJob,
        message_id: &str,
    ) -> Result<(), Error> {
        let job = ErasureJob {
            waits_for: Some(campaign.clone()),
            ..job.clone()
        };
        self.waiting_jobs
            .store(campaign, message_id, WaitingJob::Erasure(job))
            .await?;
        Ok(())
    }
}
