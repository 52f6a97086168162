//! The phone numbers of an installation. Each has a budget, a bulk queue, an urgent queue and a sender of its own, which one
//! stack deploys together. The first is known from the environment, the others are registered ([`crate::number_registry`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use campaign::delivery::batch::{Batch, Batcher, RoutedRows};
use campaign::delivery::number_choice::NumberChoice;
use campaign::delivery::number_suspension::{NumberSuspension, NumberSuspensions};
use campaign::id::NumberId;
use campaign::import::phone::CanonicalPhone;
use campaign::lifecycle::campaign::Campaign;
use futures::future::try_join_all;

use crate::number_records::{NumberRecord, NumberRecords};
use crate::number_registry::NumberRegistry;
pub use crate::sender_number::SenderNumber;
use crate::{Error, ErrorKind, env};

/// The numbers of the installation.
#[derive(Debug)]
pub struct Numbers {
    first: Arc<SenderNumber>,
    further: Further,
    records: NumberRecords,
}

/// Where the further numbers are.
#[derive(Debug)]
enum Further {
    Fixed(Vec<Arc<SenderNumber>>),
    Registered(NumberRegistry),
}

impl Numbers {
    /// The numbers that are registered; `first` is that of campaigns that name none.
    pub fn registered(
        registry: NumberRegistry,
        first: SenderNumber,
        records: NumberRecords,
    ) -> Self {
        Self {
            first: Arc::new(first),
            further: Further::Registered(registry),
            records,
        }
    }

    /// These numbers.
    pub fn fixed(first: SenderNumber, further: Vec<SenderNumber>, records: NumberRecords) -> Self {
        Self {
            first: Arc::new(first),
            further: Further::Fixed(further.into_iter().map(Arc::new).collect()),
            records,
        }
    }

    /// Reads the environment: the first number of this process, and the table that names the others.
    pub fn from_env(
        sqs: &Client,
        dynamodb: &aws_sdk_dynamodb::Client,
    ) -> Result<Self, env::InvalidVariable> {
        let table = env::required("CAMPAIGNS_TABLE")?;
        let records = NumberRecords::new(dynamodb.clone(), table.clone());
        let registry = NumberRegistry::new(sqs.clone(), dynamodb.clone(), table);
        let first = SenderNumber::from_env(sqs)?;
        Ok(Self::registered(registry, first, records))
    }

    /// The number of campaigns that name none; in a sender, its own.
    pub fn first(&self) -> &Arc<SenderNumber> {
        &self.first
    }

    /// Their records.
    pub fn records(&self) -> &NumberRecords {
        &self.records
    }

    /// What stops the numbers of a campaign, by the records that were read.
    pub fn suspensions_of(
        &self,
        campaign: &Campaign,
        records: &BTreeMap<NumberId, NumberRecord>,
    ) -> NumberSuspensions {
        let nothing = NumberSuspension::default();
        let suspension = |id| {
            records
                .get(id)
                .map_or(&nothing, |record| &record.suspension)
        };
        NumberSuspensions::of(self.ids_of(campaign).into_iter().map(suspension))
    }

    /// The ids of the numbers of a campaign, at least one.
    pub fn ids_of<'a>(&'a self, campaign: &'a Campaign) -> Vec<&'a NumberId> {
        match campaign.numbers.as_slice() {
            [] => vec![&self.first.id],
            named => named.iter().map(|number| &number.id).collect(),
        }
    }

    /// Looks which numbers the installation has, and stores that for everybody.
    pub async fn refresh(&self, installation: &str) -> Result<(), Error> {
        match &self.further {
            Further::Fixed(_) => Ok(()),
            Further::Registered(registry) => {
                Box::pin(registry.refresh(installation, &self.first.id)).await
            }
        }
    }

    /// The further numbers, each with a stack of its own, as they were last registered.
    async fn further(&self) -> Result<Vec<Arc<SenderNumber>>, Error> {
        let further = match &self.further {
            Further::Fixed(numbers) => numbers.clone(),
            // Boxed: the request would make the futures of all callers large.
            Further::Registered(registry) => Box::pin(registry.get()).await?,
        };
        let is_other = |number: &Arc<SenderNumber>| number.id != self.first.id;
        Ok(further.into_iter().filter(is_other).collect())
    }

    /// All numbers, by id; from knowledge that is at most a minute old.
    pub async fn all(&self) -> Result<Vec<Arc<SenderNumber>>, Error> {
        let mut all = self.further().await?;
        all.push(Arc::clone(&self.first));
        all.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(all)
    }

    /// One number; `None` if it is not registered.
    pub async fn get(&self, id: &NumberId) -> Result<Option<Arc<SenderNumber>>, Error> {
        if *id == self.first.id {
            return Ok(Some(Arc::clone(&self.first)));
        }
        let all = self.all().await?;
        Ok(all.into_iter().find(|number| number.id == *id))
    }

    /// The same; an error if it is not registered.
    pub async fn require(&self, id: &NumberId) -> Result<Arc<SenderNumber>, Error> {
        let unregistered = || {
            let reason = format!("the number {id} is not registered; deploy its stack again");
            Error::with_kind("find a number", ErrorKind::NotFound, reason)
        };
        self.get(id).await?.ok_or_else(unregistered)
    }

    /// The number that a recipient wrote to, or the first, if that is unknown or not registered any more.
    pub async fn written_to(&self, id: Option<&NumberId>) -> Result<Arc<SenderNumber>, Error> {
        let number = match id {
            Some(id) => self.get(id).await?,
            None => None,
        };
        Ok(number.unwrap_or_else(|| Arc::clone(&self.first)))
    }

    /// The numbers of a campaign.
    pub async fn of_campaign(&self, campaign: &Campaign) -> Result<CampaignSenders, Error> {
        let ids = campaign.numbers.iter().map(|number| &number.id);
        let mut numbers = try_join_all(ids.map(|id| self.require(id))).await?;
        if numbers.is_empty() {
            numbers.push(Arc::clone(&self.first));
        }
        Ok(CampaignSenders {
            numbers,
            choice: NumberChoice::new(&campaign.numbers),
            paused: BTreeSet::new(),
        })
    }
}

/// The numbers from which one campaign is sent, at least one.
#[derive(Clone, Debug)]
pub struct CampaignSenders {
    numbers: Vec<Arc<SenderNumber>>,
    choice: NumberChoice,
    paused: BTreeSet<NumberId>,
}

impl CampaignSenders {
    /// The same, but rows of numbers that are paused are not enqueued: they wait in the chunks.
    pub async fn without_paused(mut self, records: &NumberRecords) -> Result<Self, Error> {
        let records = records.all().await?.into_iter();
        let paused = records.filter(|(_, record)| record.suspension.paused.is_some());
        self.paused = paused.map(|(id, _)| id).collect();
        Ok(self)
    }

    /// The number for a recipient who knows none of them yet.
    pub fn for_recipient(&self, recipient: CanonicalPhone) -> &Arc<SenderNumber> {
        &self.numbers[self.choice.index(recipient)]
    }

    /// Makes batches of rows for them.
    pub fn batcher(&self) -> Batcher {
        let rates = self.numbers.iter().map(|number| number.rate);
        Batcher::new(rates.collect(), self.choice.clone())
    }

    /// Sends per second of all of them together.
    pub fn budget(&self) -> u32 {
        self.numbers.iter().map(|number| number.rate.budget()).sum()
    }

    /// Enqueues the only row of a campaign that has no file, in the urgent queue or behind campaigns.
    pub async fn enqueue_single_row(&self, campaign: &Campaign, urgent: bool) -> Result<(), Error> {
        let batch = campaign.single_row_batch();
        let Some(row) = batch.rows.first() else {
            return Ok(());
        };
        let number = self.for_recipient(row.to.canonical());
        match urgent {
            true => number.enqueue_urgent(batch, Duration::ZERO).await,
            false => number.bulk.enqueue(&[batch], Duration::ZERO).await,
        }
    }

    /// Whether no message waits in the bulk queue of any.
    pub async fn queues_are_empty(&self) -> Result<bool, Error> {
        let checks = self.numbers.iter().map(|number| number.bulk.is_empty());
        Ok(try_join_all(checks)
            .await?
            .into_iter()
            .all(|is_empty| is_empty))
    }

    /// Enqueues rows of the campaign, each in the bulk queue of its number, except those of paused numbers. Returns when SQS has
    /// stored them, with how many they are.
    pub async fn enqueue_rows(
        &self,
        campaign: &Campaign,
        rows: Vec<RoutedRows>,
        hops: u32,
    ) -> Result<u64, Error> {
        let mut batches = vec![Vec::new(); self.numbers.len()];
        for RoutedRows { number, rows } in rows {
            batches[number].push(Batch {
                campaign: campaign.id.clone(),
                rows,
                hops,
            });
        }
        let with_rows = self.numbers.iter().zip(&batches);
        let with_rows: Vec<_> = with_rows
            .filter(|(number, batches)| !batches.is_empty() && !self.paused.contains(&number.id))
            .collect();
        let rows = with_rows.iter().flat_map(|(_, batches)| *batches);
        let rows = rows.map(|batch| batch.rows.len() as u64).sum();
        let enqueue = with_rows
            .into_iter()
            .map(|(number, batches)| number.bulk.enqueue(batches, Duration::ZERO));
        try_join_all(enqueue).await?;
        Ok(rows)
    }
}
