//! Lambda: processes that are started, reused, frozen and killed, and what invokes them.
//!
//! - this file: one function, its processes and its invocations
//! - `stalling`: an invocation whose process stands still now and then
//! - [`sources`]: queues, streams, uploads and schedules that invoke functions

pub mod sources;
mod stalling;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use campaign::delivery::pacing::Rate;
use lambda_runtime::Context;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use self::stalling::Stalling;
use crate::aws::{Aws, Host, KillPoint, StallPoint};
use crate::clock::{self, with_skew};
use crate::functions::{self, Environment, Function, Handler, SECOND_RATE};
use crate::meta::Meta;
use crate::random::Random;

/// What goes wrong with processes. Shares are from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessFaults {
    /// A process dies during an invocation, at one of its requests.
    pub killed: f64,
    /// A process stands still for a while, before an invocation or in the middle of it.
    pub stalled: f64,
    /// An invocation has little time, as if it had worked for long.
    pub hasty: f64,
    /// An invocation is throttled although there is room.
    pub throttled: f64,
    /// The most that the clock of a process is wrong by, in milliseconds.
    pub skew_ms: u64,
}

/// Why an invocation has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// All of the function's processes are busy.
    Throttled,
    /// The process died.
    Died,
    /// It took longer than the function may.
    TimedOut,
    /// The function returned an error.
    Failed(String),
}

/// All functions of a deployed stack. Clones are the same.
#[derive(Clone)]
pub struct Lambda(Rc<Shared>);

struct Shared {
    aws: Aws,
    meta: Meta,
    random: Random,
    rate: Cell<Rate>,
    faults: Cell<ProcessFaults>,
    processes: Cell<u64>,
    invocations: Cell<u64>,
    lost: RefCell<BTreeSet<String>>,
    functions: RefCell<Vec<Rc<Deployed>>>,
}

/// A deployed function.
struct Deployed {
    function: Function,
    timeout: Duration,
    slots: Arc<Semaphore>,
    idle: RefCell<Vec<Process>>,
}

/// A process between two invocations.
struct Process {
    host: Host,
    skew_ms: i64,
    rate: Rate,
    handler: Handler,
}

/// The timeouts of the template. `GLOBAL` is that of functions without one.
const GLOBAL: u64 = 30;
const TIMEOUTS: [(Function, u64); 10] = [
    (Function::Api, GLOBAL),
    (Function::Counter, GLOBAL),
    (Function::Erase, 900),
    (Function::Forward, 120),
    (Function::Reconciler, 280),
    (Function::Report, 900),
    (Function::Sender, 900),
    (Function::SecondSender, 900),
    (Function::Splitter, 900),
    (Function::Webhook, GLOBAL),
];

/// More concurrent invocations than anything here needs.
const UNRESERVED: usize = 100;

impl Lambda {
    /// The functions of a stack with this rate.
    pub fn new(aws: &Aws, meta: &Meta, random: &Random, rate: Rate) -> Self {
        let functions = TIMEOUTS.map(|(function, seconds)| {
            let reserved = match function {
                Function::Sender => rate.slots as usize,
                Function::SecondSender => SECOND_RATE.slots as usize,
                _ => UNRESERVED,
            };
            Rc::new(Deployed {
                function,
                timeout: Duration::from_secs(seconds),
                slots: Arc::new(Semaphore::new(reserved)),
                idle: RefCell::default(),
            })
        });
        Self(Rc::new(Shared {
            aws: aws.clone(),
            meta: meta.clone(),
            random: random.fork("lambda"),
            rate: Cell::new(rate),
            faults: Cell::default(),
            processes: Cell::new(0),
            invocations: Cell::new(0),
            lost: RefCell::default(),
            functions: RefCell::new(functions.to_vec()),
        }))
    }

    /// Sets what goes wrong with processes.
    pub fn set_faults(&self, faults: ProcessFaults) {
        self.0.faults.set(faults);
    }

    /// The invocations that died, took too long or stood still.
    pub fn lost_invocations(&self) -> BTreeSet<String> {
        self.0.lost.borrow().clone()
    }

    /// The deployed rate.
    pub fn rate(&self) -> Rate {
        self.0.rate.get()
    }

    /// Deploys another rate: new processes start with it; invocations of the old ones go on to their end.
    pub fn deploy(&self, rate: Rate) {
        let old = self.0.rate.replace(rate);
        let sender = self.deployed(Function::Sender);
        if rate.slots > old.slots {
            sender.slots.add_permits((rate.slots - old.slots) as usize);
        } else {
            sender
                .slots
                .forget_permits((old.slots - rate.slots) as usize);
        }
        for function in self.0.functions.borrow().iter() {
            function.idle.borrow_mut().clear();
        }
    }

    /// Invokes a function and waits for its answer.
    pub async fn invoke(&self, function: Function, event: Value) -> Result<Value, NoAnswer> {
        let deployed = self.deployed(function);
        let slots = Arc::clone(&deployed.slots);
        let Ok(_slot) = slots.try_acquire_owned() else {
            return Err(NoAnswer::Throttled);
        };
        let faults = self.0.faults.get();
        if self
            .0
            .random
            .fault("throttled invocation", faults.throttled)
        {
            return Err(NoAnswer::Throttled);
        }
        let process = self.take_process(&deployed).await?;
        if self.0.random.fault("death", faults.killed) {
            process.host.kill_at(KillPoint {
                request: process.host.requests() + 1 + self.0.random.range(0..40),
                is_applied: self.0.random.chance(0.5),
            });
        }
        if self.0.random.fault("stall", faults.stalled) {
            process.host.stall_at(StallPoint {
                request: process.host.requests() + 1 + self.0.random.range(0..40),
                duration: self.0.random.millis(1_000..300_000),
            });
        }
        if self.0.random.fault("late start", faults.stalled) {
            sleep(self.0.random.millis(1_000..300_000)).await;
        }
        self.run(&deployed, process, event).await
    }

    async fn run(
        &self,
        deployed: &Deployed,
        process: Process,
        event: Value,
    ) -> Result<Value, NoAnswer> {
        let name = deployed.function.name();
        let hasty = self.0.faults.get().hasty;
        let timeout = match self.0.random.fault("little time", hasty) {
            true => self.0.random.millis(20_000..300_000).min(deployed.timeout),
            false => deployed.timeout,
        };
        let context = self.context(timeout);
        let id = context.request_id.clone();
        process.host.begin_invocation(&id);
        let handler = Rc::clone(&process.handler);
        // A process is one program: all of its tasks see its clock.
        let invocation = with_skew(
            process.skew_ms,
            async move { handler(event, context).await },
        );
        let invocation = Stalling::new(process.host.clone(), invocation);
        let answer = tokio::select! {
            biased;
            () = process.host.died() => Err(NoAnswer::Died),
            answer = invocation => answer.map_err(NoAnswer::Failed),
            () = sleep(timeout) => {
                process.host.kill();
                Err(NoAnswer::TimedOut)
            }
        };
        if process.host.is_dead() || process.host.has_stalled() {
            self.0.lost.borrow_mut().insert(id);
        }
        let label = process.host.label().to_owned();
        let history = self.0.aws.history();
        match &answer {
            Ok(_) => history.note(&label, name, "", "answered"),
            Err(error) => history.note(&label, name, "", &format!("{error:?}")),
        }
        if !process.host.is_dead() && process.rate == self.rate() {
            deployed.idle.borrow_mut().push(process);
        }
        answer
    }

    /// Any idle process, or a new one after a cold start.
    async fn take_process(&self, deployed: &Deployed) -> Result<Process, NoAnswer> {
        let random = &self.0.random;
        {
            let mut idle = deployed.idle.borrow_mut();
            if !idle.is_empty() && !random.chance(0.02) {
                let index = random.range(0..idle.len() as u64) as usize;
                return Ok(idle.swap_remove(index));
            }
        }
        sleep(random.millis(30..400)).await;
        self.0.processes.set(self.0.processes.get() + 1);
        let rate = self.rate();
        let host = Host::new(deployed.function.name(), self.0.processes.get());
        let skew = self.0.faults.get().skew_ms;
        let skew_ms = random.range(0..2 * skew + 1) as i64 - skew as i64;
        let environment = Environment {
            aws: self.0.aws.clone(),
            meta: self.0.meta.clone(),
            rate,
            host: host.clone(),
        };
        let start = with_skew(skew_ms, functions::start(deployed.function, environment));
        let handler = start.await.map_err(NoAnswer::Failed)?;
        Ok(Process {
            host,
            skew_ms,
            rate,
            handler,
        })
    }

    fn context(&self, timeout: Duration) -> Context {
        let mut context = Context::default();
        let number = self.0.invocations.get() + 1;
        self.0.invocations.set(number);
        context.request_id = format!("invocation-{number}");
        context.deadline = clock::now_ms() + timeout.as_millis() as u64;
        context.env_config = Arc::default();
        context
    }

    fn deployed(&self, function: Function) -> Rc<Deployed> {
        let functions = self.0.functions.borrow();
        let found = functions.iter().find(|other| other.function == function);
        Rc::clone(found.unwrap_or_else(|| panic!("{function:?} is not deployed")))
    }
}
