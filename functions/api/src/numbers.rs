//! The numbers that messages are sent from: those that are registered, and which of them a campaign names.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use campaign::delivery::number_choice::CampaignNumber;
use campaign::delivery::number_suspension::{NumberPause, NumberSuspension};
use campaign::id::{CampaignId, NumberId};
use campaign::lifecycle::campaign::PausedBy;
use campaign::time::Millis;
use cloud::import_queue::{ImportJob, Position};
use cloud::numbers::SenderNumber;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whatsapp::account::NumberFacts;

use crate::Api;
use crate::account::NumberView;
use crate::extract::NumberPath;
use crate::openapi::{NotFound, PausedByName, RequestErrors};
use crate::problem::Problem;
use crate::templates::{AccountFacts, MAX_AGE_MS};
use crate::time::format_time;
use crate::view::CooldownView;

/// The most numbers of a campaign.
pub(crate) const MAX_NUMBERS: usize = 32;

/// When a number is resumed, the rows of so many open campaigns are looked at within the request, so many at the same time.
const MAX_REQUEUED_CAMPAIGNS: usize = 500;
const CONCURRENT_REQUEUES: usize = 16;

const OPERATOR_PAUSED: &str =
    "An operator paused the number. POST /v1/numbers/{number}/resume lets it go on.";

/// The numbers.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberList {
    /// By id.
    pub numbers: Vec<SenderNumberView>,
}

/// A number that messages are sent from.
#[derive(Debug, Serialize, ToSchema)]
pub struct SenderNumberView {
    /// Its id at Meta (`phone_number_id`).
    #[schema(example = "100000000000001")]
    pub id: String,
    /// Whether it is the one of campaigns that name none.
    pub is_first: bool,
    /// Its send budget: messages per second, at most.
    pub budget: u32,
    /// How many senders share the budget.
    pub slots: u32,
    /// Messages a second that it sent in the last minute that is counted, which ended 70 seconds ago at most.
    #[schema(example = 39.8)]
    pub rate: f64,
    /// The pause, if it is paused: its rows wait until it is resumed.
    pub paused: Option<NumberPauseView>,
    /// The cool-down that WhatsApp asked for, if one is in force.
    pub cooldown: Option<CooldownView>,
    /// Its quality, throughput level and limit, as Meta describes them; null while Meta cannot be asked.
    pub number: Option<NumberView>,
}

/// A pause of a number.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberPauseView {
    /// Why, and what to do.
    pub reason: String,
    /// Who or what paused it.
    #[schema(value_type = PausedByName)]
    pub by: PausedBy,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: String,
}

/// What Meta said about a number, as it is cached.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct KnownNumber {
    asked_at: Millis,
    number: NumberFacts,
}

/// Lists the numbers that messages are sent from, each with its budget and with what Meta says about it.
///
/// A number is registered by deploying its stack (`infra/number.yaml`); that shows here within five minutes.
#[utoipa::path(
    get, path = "/v1/numbers", operation_id = "listNumbers", tag = "account",
    responses((status = 200, body = NumberList, description = "The numbers, by id"), RequestErrors)
)]
#[tracing::instrument(skip_all)]
pub async fn list_numbers(State(api): State<Arc<Api>>) -> Result<Json<NumberList>, Problem> {
    let numbers = api.numbers.all().await?;
    let mut records = api.numbers.records().all().await?;
    let with_record = numbers.iter().map(|number| {
        let record = records.remove(&number.id).unwrap_or_default();
        api.number_view(number, record.suspension)
    });
    let views: Vec<_> = with_record.collect();
    Ok(Json(NumberList {
        numbers: try_join_all(views).await?,
    }))
}

/// Pauses a number: nothing is sent from it, whatever the campaign.
///
/// No new message leaves later than two seconds after the answer. Nothing is lost: its rows wait, those of campaigns that start later, too, and other numbers of a campaign go on.
#[utoipa::path(
    post, path = "/v1/numbers/{number}/pause", operation_id = "pauseNumber", tag = "account",
    params(NumberPath),
    responses((status = 200, body = SenderNumberView, description = "The number is paused"), RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(%number))]
pub async fn pause_number(
    State(api): State<Arc<Api>>,
    NumberPath { number }: NumberPath,
) -> Result<Json<SenderNumberView>, Problem> {
    let sender = api.require_number(&number).await?;
    let pause = NumberPause {
        reason: OPERATOR_PAUSED.to_owned(),
        by: PausedBy::Operator,
        at: cloud::now(),
    };
    // If it is paused already, the earlier reason stays.
    api.numbers.records().pause(&number, &pause, None).await?;
    api.current_view(&sender).await
}

/// Ends the pause of a number, and its cool-down: its rows are sent.
///
/// What waited is put into the queue again at once; in installations with many campaigns, within five minutes.
#[utoipa::path(
    post, path = "/v1/numbers/{number}/resume", operation_id = "resumeNumber", tag = "account",
    params(NumberPath),
    responses((status = 200, body = SenderNumberView, description = "The number sends again"), RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(%number))]
pub async fn resume_number(
    State(api): State<Arc<Api>>,
    NumberPath { number }: NumberPath,
) -> Result<Json<SenderNumberView>, Problem> {
    let sender = api.require_number(&number).await?;
    api.numbers.records().resume(&number, cloud::now()).await?;
    // Also if it was not paused: an earlier request may have failed here.
    api.requeue_rows_of(&number).await?;
    api.current_view(&sender).await
}

impl From<NumberPause> for NumberPauseView {
    fn from(pause: NumberPause) -> Self {
        Self {
            reason: pause.reason,
            by: pause.by,
            since: format_time(pause.at),
        }
    }
}

impl Api {
    /// The number of a path, or 404.
    async fn require_number(&self, id: &NumberId) -> Result<Arc<SenderNumber>, Problem> {
        let number = self.numbers.get(id).await?;
        number.ok_or_else(Problem::unknown_number)
    }

    /// Has the splitter enqueue the rows that waited for a number. What is left out here, or lost, the reconciler finds: the
    /// number was resumed after they were requeued.
    async fn requeue_rows_of(&self, number: &NumberId) -> Result<(), cloud::Error> {
        let open = self.campaigns.list_open_ids().await?;
        let requeues = stream::iter(open.into_iter().take(MAX_REQUEUED_CAMPAIGNS))
            .map(|id| self.requeue_if_sent_from(id, number))
            .buffer_unordered(CONCURRENT_REQUEUES);
        // Each is tried, whatever becomes of the others.
        let results: Vec<Result<(), cloud::Error>> = requeues.collect().await;
        results.into_iter().collect()
    }

    async fn requeue_if_sent_from(
        &self,
        id: CampaignId,
        number: &NumberId,
    ) -> Result<(), cloud::Error> {
        let Some(campaign) = self.campaigns.get(&id).await? else {
            return Ok(());
        };
        let is_its = self.numbers.ids_of(&campaign).contains(&number);
        if is_its && campaign.state(cloud::now()).may_send() {
            let job = ImportJob::requeue(id, Position::default());
            self.import_queue.enqueue(&job).await?;
        }
        Ok(())
    }

    async fn current_view(&self, number: &SenderNumber) -> Result<Json<SenderNumberView>, Problem> {
        let mut records = self.numbers.records().all().await?;
        let record = records.remove(&number.id).unwrap_or_default();
        Ok(Json(self.number_view(number, record.suspension).await?))
    }

    async fn number_view(
        &self,
        number: &SenderNumber,
        suspension: NumberSuspension,
    ) -> Result<SenderNumberView, cloud::Error> {
        let now = cloud::now();
        // The rest is useful also where Meta cannot be asked.
        let facts = self.number_facts(&number.id).await.ok();
        let cooldown = suspension.cooldown.filter(|cooldown| cooldown.until > now);
        Ok(SenderNumberView {
            id: number.id.to_string(),
            is_first: number.id == self.numbers.first().id,
            budget: number.rate.budget(),
            slots: number.rate.slots,
            rate: self.numbers.records().rate_now(&number.id, now).await?,
            paused: suspension.paused.map(NumberPauseView::from),
            cooldown: cooldown.map(CooldownView::from),
            number: facts.map(|facts| NumberView::new(facts.number, facts.asked_at)),
        })
    }

    /// What Meta says about a number; at most ten minutes ago, while Meta answers.
    async fn number_facts(&self, id: &NumberId) -> Result<KnownNumber, Problem> {
        if *id == self.numbers.first().id {
            let AccountFacts {
                asked_at, number, ..
            } = self.account_facts(MAX_AGE_MS).await?;
            return Ok(KnownNumber { asked_at, number });
        }
        let key = format!("number-{id}");
        let cached: Option<KnownNumber> = self.read_cached(&key).await?;
        let is_fresh = |known: &&KnownNumber| known.asked_at + MAX_AGE_MS > cloud::now();
        if let Some(known) = cached.as_ref().filter(is_fresh) {
            return Ok(known.clone());
        }
        let secret = self.secrets.get().await?;
        let asked = self.account.number_of(id.as_str(), &secret.access_token);
        match (asked.await, cached) {
            (Ok(number), _) => {
                let asked_at = cloud::now();
                let known = KnownNumber { asked_at, number };
                self.write_cached(&key, &known).await?;
                Ok(known)
            }
            (Err(_), Some(older)) => Ok(older),
            (Err(error), None) => Err(Problem::account_unavailable(&error)),
        }
    }

    /// A number that is registered, or a problem of the field at `pointer`.
    pub(crate) async fn find_number(
        &self,
        id: &NumberId,
        pointer: &str,
    ) -> Result<Arc<SenderNumber>, Problem> {
        if let Some(number) = self.numbers.get(id).await? {
            return Ok(number);
        }
        let all = self.numbers.all().await?;
        let known: Vec<&str> = all.iter().map(|number| number.id.as_str()).collect();
        let detail = format!(
            "must be the id of a number that is registered: {}; a further one has a stack of its own (infra/number.yaml)",
            known.join(", ")
        );
        Err(Problem::invalid_field(pointer, detail))
    }

    /// The numbers of a campaign, by their ids in the list at `pointer`.
    pub(crate) async fn find_numbers(
        &self,
        ids: &[String],
        pointer: &str,
    ) -> Result<Vec<CampaignNumber>, Problem> {
        if ids.len() > MAX_NUMBERS {
            let detail = format!("must have at most {MAX_NUMBERS} numbers");
            return Err(Problem::invalid_field(pointer, detail));
        }
        let mut numbers: Vec<CampaignNumber> = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let id = parse_number_id(id, &pointer)?;
            if numbers.iter().any(|number| number.id == id) {
                let detail = "is in the list already; name each number once";
                return Err(Problem::invalid_field(pointer, detail));
            }
            numbers.push(self.find_number(&id, &pointer).await?.to_campaign_number());
        }
        Ok(numbers)
    }
}

/// The id of a number in the field at `pointer`.
pub(crate) fn parse_number_id(id: &str, pointer: &str) -> Result<NumberId, Problem> {
    id.parse().map_err(|error| {
        Problem::invalid_field(pointer, format!("{error}; GET /v1/numbers lists the ids"))
    })
}
