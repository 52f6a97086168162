//! The phone numbers of an installation. Each has a budget, a bulk queue, an urgent queue and a sender of its own, which one
//! stack deploys together. The tags of its bulk queue register it, so no number is registered without a queue, and none is
//! forgotten when its stack is deleted.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use campaign::delivery::batch::{Batch, Batcher, RoutedRows};
use campaign::delivery::number_choice::{CampaignNumber, NumberChoice};
use campaign::delivery::pacing::Rate;
use campaign::id::NumberId;
use campaign::import::phone::CanonicalPhone;
use campaign::lifecycle::campaign::Campaign;
use futures::future::try_join_all;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::batch_queue::BatchQueue;
use crate::cached::Cached;
use crate::{Error, ErrorKind, env};

/// A number that is registered, or gone, is noticed within this time.
const MAX_AGE: Duration = Duration::from_secs(60);

/// What the names of bulk queues have in them: the logical id in the templates, between the stack's name and a random part.
const BULK_QUEUE: &str = "-SendsQueue-";

/// CloudFormation shortens the name of a long stack in the name of a queue, which has 80 characters at most.
const MAX_PREFIX_CHARS: usize = 40;

/// The tags of a bulk queue: the name of the installation's main stack, and the number.
const INSTALLATION_TAG: &str = "installation";
const NUMBER_TAG: &str = "phone_number_id";
const BUDGET_TAG: &str = "tps_budget";
const SLOTS_TAG: &str = "slots";
const URGENT_QUEUE_TAG: &str = "urgent_queue_url";

const LIST: &str = "list the numbers";

/// A phone number of the installation, with the queues of its sender.
#[derive(Clone, Debug)]
pub struct SenderNumber {
    /// Its id.
    pub id: NumberId,
    /// Its budget, as sends of its sender's slots.
    pub rate: Rate,
    /// The queue of its campaigns' rows.
    pub bulk: BatchQueue,
    /// The queue of what recipients wait for.
    pub urgent: BatchQueue,
}

impl SenderNumber {
    /// The number of this process's environment.
    pub fn from_env(sqs: &Client) -> Result<Self, env::InvalidVariable> {
        let queue = |variable| Ok(BatchQueue::new(sqs.clone(), env::required(variable)?));
        Ok(Self {
            id: env::parsed("PHONE_NUMBER_ID")?,
            rate: env::send_rate()?,
            bulk: queue("SENDS_QUEUE_URL")?,
            urgent: queue("URGENT_QUEUE_URL")?,
        })
    }

    /// The number of a campaign.
    pub fn of_campaign(&self) -> CampaignNumber {
        CampaignNumber {
            id: self.id.clone(),
            budget: self.rate.budget(),
        }
    }

    /// Enqueues a batch before those of campaigns.
    pub async fn enqueue_urgent(&self, batch: Batch, delay: Duration) -> Result<(), Error> {
        self.urgent.enqueue_urgent(batch, delay, &self.bulk).await
    }
}

/// The numbers of the installation.
#[derive(Debug)]
pub struct Numbers {
    first: Arc<SenderNumber>,
    registry: Registry,
}

/// How the numbers are found.
#[derive(Debug)]
enum Registry {
    /// They are known.
    Fixed(Vec<Arc<SenderNumber>>),
    /// By the tags of their queues.
    Queues {
        client: Client,
        installation: String,
        known: Mutex<Option<Cached<Vec<Arc<SenderNumber>>>>>,
    },
}

impl Numbers {
    /// The numbers that are registered for an installation; `first` is that of campaigns that name none.
    pub fn registered(client: Client, installation: String, first: SenderNumber) -> Self {
        Self {
            first: Arc::new(first),
            registry: Registry::Queues {
                client,
                installation,
                known: Mutex::default(),
            },
        }
    }

    /// These numbers.
    pub fn fixed(first: SenderNumber, further: Vec<SenderNumber>) -> Self {
        let first = Arc::new(first);
        let further = further.into_iter().map(Arc::new);
        Self {
            registry: Registry::Fixed([Arc::clone(&first)].into_iter().chain(further).collect()),
            first,
        }
    }

    /// Reads the environment: the first number of this process, and the installation's name.
    pub fn from_env(sqs: &Client) -> Result<Self, env::InvalidVariable> {
        let first = SenderNumber::from_env(sqs)?;
        let installation = env::required("INSTALLATION")?;
        Ok(Self::registered(sqs.clone(), installation, first))
    }

    /// The number of campaigns that name none; in a sender, its own.
    pub fn first(&self) -> &Arc<SenderNumber> {
        &self.first
    }

    /// All numbers, by id; from knowledge that is at most a minute old.
    pub async fn all(&self) -> Result<Vec<Arc<SenderNumber>>, Error> {
        match &self.registry {
            Registry::Fixed(numbers) => Ok(numbers.clone()),
            Registry::Queues {
                client,
                installation,
                known,
            } => {
                let mut known = known.lock().await;
                if let Some(numbers) = known.as_ref().and_then(|known| known.get(MAX_AGE)) {
                    return Ok(numbers);
                }
                let read_at = Instant::now();
                let numbers = find_numbers(client, installation).await?;
                *known = Some(Cached::new(numbers.clone(), read_at));
                Ok(numbers)
            }
        }
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
        })
    }
}

/// The numbers from which one campaign is sent, at least one.
#[derive(Clone, Debug)]
pub struct CampaignSenders {
    numbers: Vec<Arc<SenderNumber>>,
    choice: NumberChoice,
}

impl CampaignSenders {
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

    /// Enqueues rows of the campaign, each in the bulk queue of its number; returns when SQS has stored all of them.
    pub async fn enqueue_rows(
        &self,
        campaign: &Campaign,
        rows: Vec<RoutedRows>,
        hops: u32,
    ) -> Result<(), Error> {
        let mut batches = vec![Vec::new(); self.numbers.len()];
        for RoutedRows { number, rows } in rows {
            batches[number].push(Batch {
                campaign: campaign.id.clone(),
                rows,
                hops,
            });
        }
        let with_rows = self.numbers.iter().zip(&batches);
        let with_rows = with_rows.filter(|(_, batches)| !batches.is_empty());
        let enqueue =
            with_rows.map(|(number, batches)| number.bulk.enqueue(batches, Duration::ZERO));
        try_join_all(enqueue).await.map(drop)
    }
}

async fn find_numbers(
    client: &Client,
    installation: &str,
) -> Result<Vec<Arc<SenderNumber>>, Error> {
    // The queues of further numbers are in stacks whose names begin with that of the main stack.
    let prefix: String = installation.chars().take(MAX_PREFIX_CHARS).collect();
    let queues = client.list_queues().queue_name_prefix(prefix);
    // With a maximum, the answer has a token where there are more (SQS API, "ListQueues").
    let pages = queues.max_results(1_000).into_paginator().items().send();
    let urls: Vec<String> = pages
        .collect::<Result<_, _>>()
        .await
        .map_err(Error::from_sdk(LIST))?;
    let bulk = urls.into_iter().filter(|url| url.contains(BULK_QUEUE));
    let found = try_join_all(bulk.map(|url| read_number(client, installation, url))).await?;
    let mut numbers: Vec<_> = found.into_iter().flatten().map(Arc::new).collect();
    numbers.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(numbers)
}

/// The number of a bulk queue; `None` if it is one of another installation, or its tags do not describe a number, which is
/// logged.
async fn read_number(
    client: &Client,
    installation: &str,
    url: String,
) -> Result<Option<SenderNumber>, Error> {
    let tags = client.list_queue_tags().queue_url(&url).send().await;
    let tags = tags
        .map_err(Error::from_sdk(LIST))?
        .tags
        .unwrap_or_default();
    if tags
        .get(INSTALLATION_TAG)
        .is_none_or(|tag| tag != installation)
    {
        return Ok(None);
    }
    let rate = || Rate::new(parse_tag(&tags, BUDGET_TAG)?, parse_tag(&tags, SLOTS_TAG)?).ok();
    let number = || {
        Some(SenderNumber {
            id: parse_tag(&tags, NUMBER_TAG)?,
            rate: rate()?,
            urgent: BatchQueue::new(client.clone(), parse_tag(&tags, URGENT_QUEUE_TAG)?),
            bulk: BatchQueue::new(client.clone(), url.clone()),
        })
    };
    let number = number();
    if number.is_none() {
        tracing::error!(
            url,
            "the tags of the queue describe no number; deploy its stack again"
        );
    }
    Ok(number)
}

fn parse_tag<T: FromStr>(tags: &HashMap<String, String>, name: &str) -> Option<T> {
    tags.get(name).and_then(|value| value.parse().ok())
}
