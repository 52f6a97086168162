//! Which further numbers there are. The tags of a number's bulk queue describe it, so no number is registered without a queue,
//! and none is forgotten when its stack is deleted. SQS answers few questions about tags a second (SQS quotas, "tagging
//! actions"), so the reconciler alone asks, and stores what it finds in one item of the campaigns table (`id` and `part` =
//! `numbers`), which everybody else reads.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use campaign::delivery::pacing::Rate;
use campaign::id::NumberId;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::batch_queue::BatchQueue;
use crate::cached::Cached;
use crate::dynamodb::{Item, get_value, text, to_attribute};
use crate::rates::RateKeeper;
use crate::sender_number::SenderNumber;
use crate::{Error, ErrorKind, now};

/// A change of the item is noticed within this time.
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
const READ: &str = "read the numbers";
const STORE: &str = "store the numbers";

/// The further numbers, as they are stored.
#[derive(Debug)]
pub struct NumberRegistry {
    sqs: aws_sdk_sqs::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
    known: Mutex<Option<Cached<Vec<Arc<SenderNumber>>>>>,
}

/// A number, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RegisteredNumber {
    id: NumberId,
    slots: u32,
    per_slot: u32,
    sends_queue_url: String,
    urgent_queue_url: String,
}

impl RegisteredNumber {
    fn rate(&self) -> Rate {
        Rate {
            slots: self.slots,
            per_slot: self.per_slot,
        }
    }
}

#[derive(Default, Deserialize)]
struct RegistryItem {
    #[serde(default)]
    numbers: Vec<RegisteredNumber>,
}

impl NumberRegistry {
    /// The registry in the campaigns table of that name.
    pub fn new(
        sqs: aws_sdk_sqs::Client,
        dynamodb: aws_sdk_dynamodb::Client,
        table: String,
    ) -> Self {
        Self {
            sqs,
            dynamodb,
            table,
            known: Mutex::default(),
        }
    }

    /// The numbers, from knowledge that is at most a minute old; while the table does not answer, an older one.
    pub async fn get(&self) -> Result<Vec<Arc<SenderNumber>>, Error> {
        let mut known = self.known.lock().await;
        if let Some(numbers) = known.as_ref().and_then(|known| known.get(MAX_AGE)) {
            return Ok(numbers);
        }
        let read_at = Instant::now();
        match self.read().await {
            Ok(stored) => {
                let numbers: Vec<_> = stored.iter().map(|stored| self.connect(stored)).collect();
                *known = Some(Cached::new(numbers.clone(), read_at));
                Ok(numbers)
            }
            Err(error) => known.as_ref().map(Cached::value).ok_or(error),
        }
    }

    /// Finds the numbers of an installation by the tags of their queues, stores them, and publishes their budgets; that of the
    /// `first` number is published by functions of its own stack.
    pub async fn refresh(&self, installation: &str, first: &NumberId) -> Result<(), Error> {
        let looked_at = now();
        let stored = self.read().await?;
        let found = self.find(installation, &stored).await?;
        if found != stored {
            self.store(&found).await?;
        }
        // With a smaller concurrency no sender of the new budget can start before those of the old one end. The tags change
        // before the sender, which refers to the queue.
        for number in found.iter().filter(|number| number.id != *first) {
            let (client, table) = (self.dynamodb.clone(), self.table.clone());
            let keeper = RateKeeper::new(client, table, number.id.clone(), number.rate());
            keeper.started_at(looked_at).publish().await?;
        }
        Ok(())
    }

    async fn store(&self, found: &[RegisteredNumber]) -> Result<(), Error> {
        let numbers: Vec<&str> = found.iter().map(|number| number.id.as_str()).collect();
        tracing::info!(?numbers, "the numbers have changed");
        let update = self
            .dynamodb
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key()))
            .update_expression("SET numbers = :numbers")
            .expression_attribute_values(":numbers", to_attribute(STORE, found)?);
        let updated = update.send().await;
        updated.map(drop).map_err(Error::from_sdk(STORE))
    }

    async fn read(&self) -> Result<Vec<RegisteredNumber>, Error> {
        let get = self.dynamodb.get_item().table_name(&self.table);
        let item: Option<RegistryItem> = get_value(READ, get.set_key(Some(key()))).await?;
        Ok(item.unwrap_or_default().numbers)
    }

    fn connect(&self, stored: &RegisteredNumber) -> Arc<SenderNumber> {
        let queue = |url: &String| BatchQueue::new(self.sqs.clone(), url.clone());
        Arc::new(SenderNumber {
            id: stored.id.clone(),
            rate: stored.rate(),
            bulk: queue(&stored.sends_queue_url),
            urgent: queue(&stored.urgent_queue_url),
        })
    }

    async fn find(
        &self,
        installation: &str,
        stored: &[RegisteredNumber],
    ) -> Result<Vec<RegisteredNumber>, Error> {
        let mut found: BTreeMap<NumberId, RegisteredNumber> = BTreeMap::new();
        for url in self.list_bulk_queues(installation).await? {
            let Some(number) = self.read_tags(installation, url).await? else {
                continue;
            };
            match found.get(&number.id) {
                // Its ceiling is that of one sender. The one that is known stays.
                Some(other) => {
                    tracing::error!(number = %number.id, "two stacks have the number; delete one of them");
                    if !stored.contains(other) && stored.contains(&number) {
                        found.insert(number.id.clone(), number);
                    }
                }
                None => {
                    found.insert(number.id.clone(), number);
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// The queues of further numbers are in stacks whose names begin with that of the main stack.
    async fn list_bulk_queues(&self, installation: &str) -> Result<Vec<String>, Error> {
        let prefix = format!("{installation}-");
        let prefix: String = prefix.chars().take(MAX_PREFIX_CHARS).collect();
        // With a maximum, the answer has a token where there are more (SQS API, "ListQueues").
        let list = self.sqs.list_queues().queue_name_prefix(prefix);
        let pages = list.max_results(1_000).into_paginator().items().send();
        let urls: Vec<String> = pages
            .collect::<Result<_, _>>()
            .await
            .map_err(Error::from_sdk(LIST))?;
        let bulk = urls.into_iter().filter(|url| url.contains(BULK_QUEUE));
        Ok(bulk.collect())
    }

    /// The number of a bulk queue; `None` if it is another installation's, is being deleted, or has tags that describe no
    /// number, which is logged.
    async fn read_tags(
        &self,
        installation: &str,
        url: String,
    ) -> Result<Option<RegisteredNumber>, Error> {
        let tags = self.sqs.list_queue_tags().queue_url(&url).send().await;
        let tags = match tags.map_err(Error::from_sdk(LIST)) {
            Ok(answer) => answer.tags.unwrap_or_default(),
            Err(error) if matches!(error.kind, ErrorKind::Denied | ErrorKind::NotFound) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let is_ours = |tag: &String| tag == installation;
        if !tags.get(INSTALLATION_TAG).is_some_and(is_ours) {
            return Ok(None);
        }
        let number = parse_number(&tags, &url);
        if number.is_none() {
            tracing::error!(
                url,
                "the tags of the queue describe no number; deploy its stack again"
            );
        }
        Ok(number)
    }
}

fn parse_number(tags: &HashMap<String, String>, url: &str) -> Option<RegisteredNumber> {
    let rate = Rate::new(parse_tag(tags, BUDGET_TAG)?, parse_tag(tags, SLOTS_TAG)?);
    let Rate { slots, per_slot } = rate.ok()?;
    Some(RegisteredNumber {
        id: parse_tag(tags, NUMBER_TAG)?,
        slots,
        per_slot,
        sends_queue_url: url.to_owned(),
        urgent_queue_url: parse_tag(tags, URGENT_QUEUE_TAG)?,
    })
}

fn parse_tag<T: FromStr>(tags: &HashMap<String, String>, name: &str) -> Option<T> {
    tags.get(name).and_then(|value| value.parse().ok())
}

fn key() -> Item {
    [("id", text("numbers")), ("part", text("numbers"))]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}
