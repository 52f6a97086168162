//! Everything the simulator knows, and what happens to a send. A send is decided on arrival and answered later.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::account::Account;
use crate::call_log::{Call, CallLog};
use crate::callback_queue::{AcceptedMessage, CallbackQueue};
use crate::limits::Limits;
use crate::magic_numbers::{self, Behavior};
use crate::post_stats::PostStats;
use crate::send::{self, ResponseBody, SendRequest, SendResponse};
use crate::settings::Settings;
use crate::validation::{self, ApiError};

/// Everything the simulator knows.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) settings: Settings,
    pub(crate) call_log: CallLog,
    pub(crate) callback_queue: CallbackQueue,
    pub(crate) post_stats: PostStats,
    pub(crate) account: Account,
    /// Inbound messages so far.
    pub(crate) inbound_messages: u64,
    /// Ids of the callbacks that Crier forwarded.
    pub(crate) forwarded: BTreeSet<String>,
    limits: Limits,
    accepted_messages: u64,
}

/// The details of an error that a magic number triggers.
const MAGIC_NUMBER: &str = "a magic number";

/// Why a message was not accepted.
enum Failure {
    /// The API's error, and the HTTP status that it comes with.
    Refused(ApiError, u16),
    /// HTTP status and body of a response that the API did not write.
    NotFromApi(u16, ResponseBody),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let status = send::documented_status(error.code);
        Failure::Refused(error, status)
    }
}

impl Model {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Decides a send and records it in the call log. `started_at_ms` is the simulator's start since the Unix epoch.
    pub(crate) fn handle_send(
        &mut self,
        request: &SendRequest<'_>,
        latency: Duration,
        started_at_ms: u64,
    ) -> SendResponse {
        let callback_data = request.body["biz_opaque_callback_data"]
            .as_str()
            .unwrap_or_default();
        // Crier writes `campaign:row:attempt`.
        let row = callback_data
            .rsplit_once(':')
            .map_or(callback_data, |(row, _attempt)| row);
        let to = request.body["to"].as_str().unwrap_or_default();
        let mut code = None;
        let mut accepted = false;
        let response = match self.decide(request, row) {
            Ok(behavior) => {
                accepted = true;
                let message = AcceptedMessage {
                    number: request.phone_number_id,
                    wamid: &self.next_wamid(),
                    wa_id: to.trim_start_matches('+'),
                    callback_data,
                    behavior,
                    answered_at: request.at + latency,
                };
                let body = self.accept(to, message, started_at_ms);
                SendResponse::accepted(body, behavior, latency)
            }
            Err(Failure::Refused(error, status)) => {
                code = Some(error.code);
                SendResponse::refused(&error, status, latency)
            }
            Err(Failure::NotFromApi(status, body)) => {
                SendResponse::not_from_api(status, body, latency)
            }
        };
        self.call_log.record(Call {
            at_us: request.at.as_micros() as u64,
            answered_us: (request.at + response.delay).as_micros() as u64,
            number: request.phone_number_id.to_owned(),
            to: to.to_owned(),
            row: row.to_owned(),
            accepted,
            code,
            body: request.body.clone(),
        });
        response
    }

    /// Whether the message is accepted, and if so how the number behaves.
    fn decide(
        &mut self,
        request: &SendRequest<'_>,
        row: &str,
    ) -> Result<Option<Behavior>, Failure> {
        let settings = &self.settings;
        validation::validate_caller(settings, request.phone_number_id, request.authorization)?;
        let to = validation::validate_request(&request.body)?;
        let number = request.phone_number_id;
        if !self
            .limits
            .try_throughput(request.at, number, settings.throughput)
        {
            return Err(refusal(
                130429,
                "Cloud API message throughput has been reached",
            ));
        }
        if !self.limits.try_pair(request.at, to) {
            return Err(refusal(
                131056,
                "Too many messages to this person in a short time",
            ));
        }
        if let Some(code) = settings.refuse {
            return Err(refusal(code, "every call is refused"));
        }
        let is_early = self.call_log.calls_for_row(row) < 2;
        match magic_numbers::behavior_of(to).or_else(|| random_fault(settings.fault_share)) {
            Some(Behavior::Refuse(code)) => Err(refusal(code, MAGIC_NUMBER)),
            Some(Behavior::RefuseTwice(code)) if is_early => {
                let status = send::client_error_status(code);
                Err(Failure::Refused(api_error(code, MAGIC_NUMBER), status))
            }
            Some(Behavior::RefuseTwiceWithServerError(code)) if is_early => Err(server_error(code)),
            Some(Behavior::RefuseWithServerError(code)) => Err(server_error(code)),
            Some(Behavior::TimeOut) => Err(Failure::NotFromApi(200, ResponseBody::NoResponse)),
            Some(Behavior::DropConnection) => {
                Err(Failure::NotFromApi(200, ResponseBody::Truncated))
            }
            Some(Behavior::BadGateway) => {
                Err(Failure::NotFromApi(502, ResponseBody::Text("Bad Gateway")))
            }
            other => Ok(other),
        }
    }

    /// A new id for an accepted message.
    fn next_wamid(&mut self) -> String {
        self.accepted_messages += 1;
        format!("wamid.SIM{:016}", self.accepted_messages)
    }

    /// Schedules the statuses of an accepted message. Returns what the API answers. `to` is as in the request.
    fn accept(&mut self, to: &str, message: AcceptedMessage<'_>, started_at_ms: u64) -> Value {
        let AcceptedMessage {
            wamid,
            wa_id,
            behavior,
            ..
        } = message;
        self.callback_queue
            .schedule(&self.settings, message, started_at_ms);
        let message_status = match behavior {
            Some(Behavior::HeldForQuality | Behavior::HeldThenDropped) => {
                "held_for_quality_assessment"
            }
            _ => "accepted",
        };
        let mut contact = json!({"input": to, "wa_id": wa_id});
        if self.settings.user_ids {
            contact["user_id"] = format!("XX.{wa_id}").into();
        }
        json!({
            "messaging_product": "whatsapp",
            "contacts": [contact],
            "messages": [{"id": wamid, "message_status": message_status}],
        })
    }
}

fn random_fault(share: f64) -> Option<Behavior> {
    let faults = magic_numbers::RANDOM_FAULTS;
    (rand::random::<f64>() < share).then(|| faults[rand::random_range(0..faults.len())])
}

/// With the documented status.
fn refusal(code: i64, details: &str) -> Failure {
    api_error(code, details).into()
}

fn server_error(code: i64) -> Failure {
    Failure::Refused(
        api_error(code, MAGIC_NUMBER),
        send::server_error_status(code),
    )
}

fn api_error(code: i64, details: &str) -> ApiError {
    ApiError {
        code,
        details: details.to_owned(),
    }
}
