//! What went wrong with a campaign's rows, by cause, with what to do about it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use campaign::lifecycle::counters::{Counters, FailureCause, FailureState};
use serde::Serialize;
use utoipa::ToSchema;
use whatsapp::error_code::describe_code;
use whatsapp::retry_advice::retry_advice;

use crate::Api;
use crate::extract::CampaignPath;
use crate::openapi::{FailureStateName, NotFound, RequestErrors, RetryStateName};
use crate::preview_view::RowProblemView;
use crate::problem::Problem;

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailureList {
    /// The causes, most rows first.
    pub causes: Vec<FailureView>,
    /// Rows of all causes.
    pub total: u64,
    /// Why rows of the last file could not be used, most rows first.
    pub rejected_at_import: Vec<RowProblemView>,
}

/// Rows with the same cause.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailureView {
    /// How they ended.
    #[schema(value_type = FailureStateName)]
    pub state: &'static str,
    /// WhatsApp's error code.
    pub code: Option<i64>,
    /// Why Crier did not send it, for skipped rows: `suppressed`, `outside_service_window`, `window_never_opens`, `cancelled` or `expired`.
    pub skipped: Option<&'static str>,
    /// How many rows.
    pub rows: u64,
    /// What it means for a recipient, as a sentence.
    pub meaning: Option<String>,
    /// Whether sending them again makes sense, and why.
    pub retry: RetryAdvice,
}

/// Whether sending rows again makes sense.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetryAdvice {
    /// Whether it does.
    pub makes_sense: bool,
    /// Why, or what to do first.
    pub reason: String,
    /// The body of `POST /v1/campaigns/{id}/retries` that chooses exactly these rows; null where the rows cannot be chosen.
    pub request: Option<RetryRequest>,
}

/// A body of `POST /v1/campaigns/{id}/retries`.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetryRequest {
    /// The state.
    #[schema(value_type = Vec<RetryStateName>)]
    pub states: Vec<&'static str>,
    /// The error code.
    pub codes: Vec<i64>,
    /// The new campaign waits for its start.
    pub manual_start: bool,
}

/// Gets what went wrong, by cause: how many rows, what it means, and whether sending them again makes sense.
///
/// The numbers come from the counters, so they are there while the campaign sends.
#[utoipa::path(
    get, path = "/v1/campaigns/{id}/failures", operation_id = "getFailures", tag = "results",
    params(CampaignPath),
    responses((status = 200, body = FailureList, description = "Causes, most rows first"), RequestErrors, NotFound)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn get_failures(
    State(api): State<Arc<Api>>,
    CampaignPath { id }: CampaignPath,
) -> Result<Json<FailureList>, Problem> {
    let (_, progress) = api.find_progress(&id).await?;
    let preview = api.imports.get_preview(&id).await?;
    let problems = preview.map(|preview| preview.problems).unwrap_or_default();
    let causes = causes(&progress.counters);
    Ok(Json(FailureList {
        total: causes.iter().map(|cause| cause.rows).sum(),
        causes,
        rejected_at_import: problems.into_iter().map(RowProblemView::from).collect(),
    }))
}

fn causes(counters: &Counters) -> Vec<FailureView> {
    let failures = &counters.failures;
    let mut causes: Vec<FailureView> = failures.iter().map(failure_view).collect();
    // Rows that were counted by an earlier version have no cause in the counters; a recount adds it.
    for (state, rows) in [
        (FailureState::Rejected, counters.rejected),
        (FailureState::Undelivered, counters.undelivered),
        (FailureState::Unconfirmed, counters.unconfirmed),
        (FailureState::Skipped, counters.skipped),
    ] {
        let known = failures.iter().filter(|(known, ..)| *known == state);
        let known: u64 = known.map(|(.., rows)| rows).sum();
        let missing = u64::try_from(rows)
            .unwrap_or_default()
            .saturating_sub(known);
        if missing > 0 {
            causes.push(failure_view((state, FailureCause::Other, missing)));
        }
    }
    // Rows are chosen by state and code. Those without a code can be chosen only together with the whole state.
    let states: Vec<&str> = causes.iter().map(|cause| cause.state).collect();
    for cause in causes.iter_mut().filter(|cause| cause.code.is_none()) {
        let same = states.iter().filter(|state| **state == cause.state);
        if same.count() > 1 {
            cause.retry.request = None;
        }
    }
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.rows));
    causes
}

fn failure_view((state, cause, rows): (FailureState, FailureCause, u64)) -> FailureView {
    let (code, skipped) = match cause {
        FailureCause::Code(code) => (Some(code), None),
        FailureCause::Skipped(reason) => (None, Some(reason)),
        FailureCause::Other => (None, None),
    };
    let meaning = match (code, skipped) {
        (Some(code), _) => describe_code(code).map(str::to_owned),
        (None, Some(reason)) => reason
            .text()
            .split_once(": ")
            .map(|(_, meaning)| meaning.to_owned()),
        (None, None) => None,
    };
    FailureView {
        state: state.name(),
        code,
        skipped: skipped.map(|reason| reason.name()),
        rows,
        meaning,
        retry: advice(state, code),
    }
}

fn advice(state: FailureState, code: Option<i64>) -> RetryAdvice {
    let (makes_sense, reason) = match (state, code) {
        (FailureState::Unconfirmed, _) => (
            false,
            "The message may have been sent: whoever gets it again may get it twice. Wait for WhatsApp's callbacks first.".to_owned(),
        ),
        (FailureState::Skipped, _) => (
            false,
            "Crier did not send these on purpose. Send them again only if the reason is gone.".to_owned(),
        ),
        (FailureState::Rejected | FailureState::Undelivered, Some(code)) => retry_advice(code),
        (FailureState::Rejected | FailureState::Undelivered, None) => (
            true,
            "WhatsApp gave no reason. Look at some of these rows, then send them again.".to_owned(),
        ),
    };
    let request = RetryRequest {
        states: vec![state.name()],
        codes: code.into_iter().collect(),
        manual_start: true,
    };
    RetryAdvice {
        makes_sense,
        reason,
        request: Some(request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_a_known_cause_are_shown_too() {
        let counters = Counters {
            rejected: 3,
            ..Counters::default()
        };
        let causes = causes(&counters);
        assert_eq!((causes.len(), causes[0].rows, causes[0].code), (1, 3, None));
    }

    #[test]
    fn rows_that_cannot_be_chosen_alone_have_no_request() {
        let known = serde_json::json!({"rejected:131026": 2});
        let counters = Counters {
            rejected: 5,
            undelivered: 1,
            failures: serde_json::from_value(known).expect("counts"),
            ..Counters::default()
        };
        let causes = causes(&counters);
        let request_of = |state: &str, code: Option<i64>| {
            let mut all = causes.iter();
            let cause = all.find(|cause| cause.state == state && cause.code == code);
            cause.expect("a cause").retry.request.is_some()
        };
        assert!(request_of("rejected", Some(131_026)));
        assert!(!request_of("rejected", None));
        assert!(request_of("undelivered", None));
    }

    #[test]
    fn number_without_whatsapp_is_not_worth_another_try_and_a_limit_is() {
        let advice = |code| advice(FailureState::Rejected, Some(code));
        let unreachable = advice(131_026);
        assert!(!unreachable.makes_sense, "{unreachable:?}");
        let request = unreachable.request.expect("a body");
        assert_eq!(
            (request.states, request.codes),
            (vec!["rejected"], vec![131_026])
        );
        assert!(advice(130_429).makes_sense);
    }
}
