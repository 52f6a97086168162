//! The numbers that messages are sent from: those that are registered, and which of them a campaign names.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use campaign::delivery::number_choice::CampaignNumber;
use campaign::id::NumberId;
use campaign::time::Millis;
use cloud::numbers::SenderNumber;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whatsapp::account::NumberFacts;

use crate::Api;
use crate::account::NumberView;
use crate::openapi::RequestErrors;
use crate::problem::Problem;
use crate::templates::{AccountFacts, MAX_AGE_MS};

/// The most numbers of a campaign.
pub(crate) const MAX_NUMBERS: usize = 32;

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
    /// Its quality, throughput level and limit, as Meta describes them; null while Meta cannot be asked.
    pub number: Option<NumberView>,
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
    let views = numbers.iter().map(|number| api.number_view(number));
    Ok(Json(NumberList {
        numbers: join_all(views).await,
    }))
}

impl Api {
    async fn number_view(&self, number: &SenderNumber) -> SenderNumberView {
        // The rest is useful also where Meta cannot be asked.
        let facts = self.number_facts(&number.id).await.ok();
        SenderNumberView {
            id: number.id.to_string(),
            is_first: number.id == self.numbers.first().id,
            budget: number.rate.budget(),
            slots: number.rate.slots,
            number: facts.map(|facts| NumberView::new(facts.number, facts.asked_at)),
        }
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
