//! What goes wrong between a process and a service: how often, and which request next.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::random::Random;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// DynamoDB.
    DynamoDb,
    /// SQS.
    Sqs,
    /// S3.
    S3,
    /// Secrets Manager.
    SecretsManager,
    /// `EventBridge` Scheduler.
    Scheduler,
    /// `EventBridge`.
    EventBridge,
}

/// All services.
pub const SERVICES: [Service; 6] = [
    Service::DynamoDb,
    Service::Sqs,
    Service::S3,
    Service::SecretsManager,
    Service::Scheduler,
    Service::EventBridge,
];

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is refused; nothing happens.
    Refused,
    /// The service executes the request, then the connection breaks.
    AnswerLost,
    /// The service executes the request and the answer never arrives.
    NoAnswer,
    /// The connection breaks in the middle of the answer's body. Of `GetObject` only: other answers are short.
    BodyCut,
    /// The request arrives late. A client that has given up meanwhile does not prevent it.
    RequestDelayed(Duration),
    /// The answer arrives late.
    AnswerDelayed(Duration),
    /// The service asks for fewer requests.
    Throttled,
    /// The service fails.
    InternalError {
        /// Whether it has executed the request.
        is_applied: bool,
    },
    /// Some entries of a batch are left undone, within a successful answer.
    Partial,
}

impl Fault {
    /// The name of all such faults.
    pub fn kind(self) -> &'static str {
        match self {
            Fault::Refused => "refused request",
            Fault::AnswerLost | Fault::NoAnswer | Fault::BodyCut => "lost answer",
            Fault::RequestDelayed(_) => "late request",
            Fault::AnswerDelayed(_) => "late answer",
            Fault::Throttled => "throttled request",
            Fault::InternalError { .. } => "failed request",
            Fault::Partial => "partial batch",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Refused => formatter.write_str("refused"),
            Fault::AnswerLost => formatter.write_str("answer lost"),
            Fault::NoAnswer => formatter.write_str("no answer"),
            Fault::BodyCut => formatter.write_str("body cut"),
            Fault::RequestDelayed(delay) => write!(formatter, "request delayed {delay:?}"),
            Fault::AnswerDelayed(delay) => write!(formatter, "answer delayed {delay:?}"),
            Fault::Throttled => formatter.write_str("throttled"),
            Fault::InternalError { is_applied: true } => formatter.write_str("error, applied"),
            Fault::InternalError { is_applied: false } => formatter.write_str("error"),
            Fault::Partial => formatter.write_str("partial"),
        }
    }
}

/// The probabilities of what goes wrong with a request; the default is that nothing does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// [`Fault::Refused`].
    pub refused: f64,
    /// [`Fault::AnswerLost`], [`Fault::NoAnswer`] or [`Fault::BodyCut`].
    pub answer_lost: f64,
    /// [`Fault::RequestDelayed`] or [`Fault::AnswerDelayed`].
    pub delayed: f64,
    /// [`Fault::Throttled`].
    pub throttled: f64,
    /// [`Fault::InternalError`].
    pub internal_error: f64,
    /// [`Fault::Partial`], of requests with several entries.
    pub partial: f64,
    /// SQS only: a message stays visible when it is received.
    pub duplicated: f64,
    /// SQS only: messages are received in another order.
    pub reordered: f64,
    /// SQS only: a short poll asks the wrong servers and finds nothing.
    pub missed: f64,
}

impl Rates {
    /// Everything goes wrong with the same probability.
    pub fn uniform(rate: f64) -> Self {
        Self {
            refused: rate,
            answer_lost: rate,
            delayed: rate,
            throttled: rate,
            internal_error: rate,
            partial: rate,
            duplicated: rate,
            reordered: rate,
            missed: rate,
        }
    }

    fn draw(&self, random: &Random, operation: &str) -> Option<Fault> {
        let fault = if random.chance(self.refused) {
            Fault::Refused
        } else if random.chance(self.answer_lost) {
            match operation {
                "GetObject" => *random.pick(&[Fault::AnswerLost, Fault::NoAnswer, Fault::BodyCut]),
                _ => *random.pick(&[Fault::AnswerLost, Fault::NoAnswer]),
            }
        } else if random.chance(self.delayed) {
            let ranges = [0..2_000, 2_000..20_000, 20_000..300_000];
            let delay = random.millis(random.pick(&ranges).clone());
            *random.pick(&[Fault::RequestDelayed(delay), Fault::AnswerDelayed(delay)])
        } else if random.chance(self.throttled) {
            Fault::Throttled
        } else if random.chance(self.internal_error) {
            let is_applied = random.chance(0.5);
            Fault::InternalError { is_applied }
        } else if random.chance(self.partial) {
            Fault::Partial
        } else {
            return None;
        };
        random.parts().next(fault.kind()).then_some(fault)
    }
}

/// The switch of all faults. They may be changed at any time.
#[derive(Debug)]
pub struct Faults(Mutex<State>);

#[derive(Debug)]
struct State {
    random: Random,
    rates: BTreeMap<Service, Rates>,
    forced: BTreeMap<String, Vec<Fault>>,
    latency_ms: Range<u64>,
}

/// What happens to one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    pub(super) fault: Option<Fault>,
    pub(super) latency_there: Duration,
    pub(super) latency_back: Duration,
}

impl Faults {
    pub(super) fn new(random: Random) -> Self {
        Self(Mutex::new(State {
            random,
            rates: BTreeMap::new(),
            forced: BTreeMap::new(),
            latency_ms: 1..8,
        }))
    }

    /// Sets the rates of one service.
    pub fn set(&self, service: Service, rates: Rates) {
        self.lock().rates.insert(service, rates);
    }

    /// Sets the rates of all services.
    pub fn set_all(&self, rates: Rates) {
        for service in SERVICES {
            self.set(service, rates);
        }
    }

    /// From now on nothing goes wrong.
    pub fn quiet(&self) {
        let mut state = self.lock();
        state.rates.clear();
        state.forced.clear();
    }

    /// The rates of a service.
    pub fn rates(&self, service: Service) -> Rates {
        self.lock().rates.get(&service).copied().unwrap_or_default()
    }

    /// Lets the next requests of this operation, such as `UpdateItem`, fail so, one after the other.
    pub fn force(&self, operation: &str, faults: &[Fault]) {
        let mut state = self.lock();
        let forced = state.forced.entry(operation.into()).or_default();
        forced.extend(faults);
    }

    /// Sets the latency of each half of a request. Zero would be no time at all, in which nothing else happens.
    pub fn set_latency_ms(&self, latency_ms: Range<u64>) {
        assert!(latency_ms.start > 0, "requests take at least 1 ms");
        self.lock().latency_ms = latency_ms;
    }

    pub(super) fn draw(&self, service: Service, operation: &str) -> Draw {
        let state = &mut *self.lock();
        let forced = state.forced.get_mut(operation);
        let forced = forced.filter(|faults| !faults.is_empty());
        let forced = forced.map(|faults| faults.remove(0));
        let rates = state.rates.get(&service).copied().unwrap_or_default();
        let latency = || {
            // One answer of a hundred is slow.
            let factor = if state.random.chance(0.01) { 20 } else { 1 };
            state.random.millis(state.latency_ms.clone()) * factor
        };
        let (latency_there, latency_back) = (latency(), latency());
        Draw {
            fault: forced.or_else(|| rates.draw(&state.random, operation)),
            latency_there,
            latency_back,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
