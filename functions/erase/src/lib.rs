//! Erasure: forgets somebody everywhere but in the list of those whom nobody messages, where a hash is left.
//!
//! | where | what becomes of it |
//! |---|---|
//! | uploads, exclude lists | written anew with the person's record emptied; older versions are deleted |
//! | rejects, reports, previews of those campaigns | deleted; a report can be asked for again |
//! | ledger | the number that WhatsApp named goes, the row stays: sums must hold |
//! | callbacks, inbox | deleted |
//! | contacts | the hash, and that nobody is to message them |
//!
//! A file whose campaign is not over stays until it is: rows are known by their place in it. The order comes again then.
//! Every step may be repeated; the contact is last, so an order that was cut off is repeated whole.
//!
//! - `file`: one file

mod file;

use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use campaign::import::phone::{self, CanonicalPhone, Phone};
use campaign::lifecycle::campaign::Campaign;
use cloud::callbacks::Callbacks;
use cloud::campaigns::Campaigns;
use cloud::contacts::{ContactKey, Contacts};
use cloud::erasure_queue::{ErasureJob, ErasureQueue};
use cloud::files::{Files, rejects_key, report_key, summary_key};
use cloud::imports::Imports;
use cloud::inbox::Inbox;
use cloud::ledger::Ledger;
use lambda_runtime::{Error, tracing};

/// When campaigns are looked at again that are not over: the longest delay SQS takes.
const RETRY_DELAY: Duration = Duration::from_secs(900);

/// What an eraser needs, made once per process.
#[derive(Debug)]
pub struct Eraser {
    /// Campaigns, and what is beside them.
    pub campaigns: Campaigns,
    /// Previews.
    pub imports: Imports,
    /// Rows.
    pub ledger: Ledger,
    /// Raw callbacks.
    pub callbacks: Callbacks,
    /// What people wrote.
    pub inbox: Inbox,
    /// People.
    pub contacts: Contacts,
    /// The bucket.
    pub files: Files,
    /// Where the order comes from.
    pub erasures: ErasureQueue,
}

/// Whom to forget.
pub(crate) struct DataSubject {
    key: CanonicalPhone,
    user_id: Option<String>,
}

impl Eraser {
    /// Reads the environment; fails where anything is missing.
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

    /// Does the orders of an event; an error makes them come again.
    pub async fn handle(&self, event: SqsEvent) -> Result<(), Error> {
        for message in event.records {
            let order = serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
            self.erase(&order).await?;
        }
        Ok(())
    }

    /// Forgets somebody, as far as campaigns are over; tells whether that was all.
    pub async fn erase(&self, order: &ErasureJob) -> Result<bool, Error> {
        if let Some(id) = &order.waits_for
            && let Some(campaign) = self.campaigns.get(id).await?
            && !campaign.is_over()
        {
            self.erasures.enqueue(order, RETRY_DELAY).await?;
            return Ok(false);
        }
        let who = ContactKey::Phone(order.phone);
        let known = self.contacts.get(&who).await?.unwrap_or_default();
        let person = DataSubject {
            key: order.phone.canonical(),
            user_id: known.user_id,
        };
        let (mut files, mut waits) = (0, None);
        for id in self.campaigns.list_ids().await? {
            let Some(campaign) = self.campaigns.get(&id).await? else {
                continue;
            };
            match self.erase_from_campaign(&campaign, &person).await? {
                CampaignErasure::NotFound => {}
                CampaignErasure::Erased => files += 1,
                CampaignErasure::Deferred => waits = Some(id),
            }
        }
        let is_it = |number: &str| mentions(number, &person);
        let rows = self.ledger.erase(is_it).await?;
        let callbacks = self.callbacks.erase(is_it).await?;
        let letters = self.inbox.erase(is_it).await?;
        tracing::info!(files, rows, callbacks, letters, "erased somebody");
        if let Some(campaign) = waits {
            let how_far =
                format!("waits until campaign {campaign} is over; everything else is erased");
            self.contacts.set_erasure_stage(&who, &how_far).await?;
            let later = ErasureJob {
                phone: order.phone,
                waits_for: Some(campaign),
            };
            self.erasures.enqueue(&later, RETRY_DELAY).await?;
            return Ok(false);
        }
        if let Some(user_id) = person.user_id {
            self.contacts
                .erase(&ContactKey::User(user_id), cloud::now())
                .await?;
        }
        self.contacts.erase(&who, cloud::now()).await?;
        Ok(true)
    }

    async fn erase_from_campaign(
        &self,
        campaign: &Campaign,
        person: &DataSubject,
    ) -> Result<CampaignErasure, Error> {
        let mut found = CampaignErasure::NotFound;
        for index in 0..campaign.files.len() {
            if !self.file_contains(campaign, index, person).await? {
                continue;
            }
            if !campaign.is_over() {
                return Ok(CampaignErasure::Deferred);
            }
            self.rewrite_file(campaign, index, person).await?;
            self.files
                .delete_versions(&rejects_key(&campaign.id, index), None)
                .await?;
            found = CampaignErasure::Erased;
        }
        if self.erase_from_exclude_list(campaign, person).await? {
            found = CampaignErasure::Erased;
        }
        if found == CampaignErasure::Erased {
            for index in 0..campaign.files.len() {
                self.files
                    .delete_versions(&report_key(&campaign.id, index), None)
                    .await?;
            }
            self.files
                .delete_versions(&summary_key(&campaign.id), None)
                .await?;
            self.erase_from_preview(campaign, person).await?;
        }
        Ok(found)
    }

    async fn erase_from_preview(
        &self,
        campaign: &Campaign,
        person: &DataSubject,
    ) -> Result<(), Error> {
        let id = &campaign.id;
        if let Some(mut preview) = self.imports.get_preview(id).await? {
            let rows = preview.sample.len();
            preview
                .sample
                .retain(|row| row.to.canonical() != person.key);
            if preview.sample.len() < rows {
                self.imports.write_preview(id, &preview).await?;
            }
        }
        Ok(())
    }
}

/// What was found of somebody in a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CampaignErasure {
    NotFound,
    Erased,
    /// Something, in a campaign whose rows are still to be found by their place.
    Deferred,
}

/// Whether somebody is named in a text: by a number in any spelling, or by WhatsApp's id.
fn mentions(text: &str, person: &DataSubject) -> bool {
    if person
        .user_id
        .as_deref()
        .is_some_and(|id| text.contains(id))
    {
        return true;
    }
    let numbers = text.split(|c: char| !c.is_ascii_digit());
    let long_enough = numbers.filter(|digits| (7..=15).contains(&digits.len()));
    long_enough
        .filter_map(|digits| phone::parse(&format!("+{digits}"), None).ok())
        .any(|phone: Phone| phone.canonical() == person.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_found_in_any_spelling_and_nobody_else_is() {
        let person = DataSubject {
            key: phone::parse("+5511987654321", None)
                .expect("a phone")
                .canonical(),
            user_id: Some("BR.1".into()),
        };
        for text in [
            r#"{"from":"551187654321"}"#,
            "+5511987654321",
            r#"{"user_id":"BR.1"}"#,
        ] {
            assert!(mentions(text, &person), "{text}");
        }
        for text in ["15511987654321", "5511987654322", "98765", ""] {
            assert!(!mentions(text, &person), "{text}");
        }
    }
}
