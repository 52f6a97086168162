//! The platform: processes that start, are reused and are killed, and at most `slots` concurrent invocations, which the
//! event source reaches only bit by bit.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use campaign::delivery::pacing::{Rate, Slot};
use campaign::delivery::rate_change::Role;
use campaign::time::Millis;
use sender::invocation::{Invocation, InvocationLimits};
use sender::send_backend::{Priority, ReceivedBatch, SendBackend};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

use crate::backend::{VirtualProcess, to_received_batch};
use crate::virtual_aws::VirtualAws;

/// The sender's timeout in the template.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(900);

/// A process: its connections, its slot, and when it started.
struct Process {
    backend: Arc<VirtualProcess>,
    slot: Slot,
    started: Instant,
}

/// The processes and invocations of one function.
#[derive(Clone)]
struct Platform {
    aws: Arc<VirtualAws>,
    idle: Rc<RefCell<Vec<Process>>>,
    request_count: Rc<Cell<u64>>,
}

/// Invokes the sender with the queue's messages until every row is settled.
pub(crate) async fn run_until_all_settled(aws: Arc<VirtualAws>) {
    let scenario = aws.scenario;
    let platform = Platform {
        aws,
        idle: Rc::default(),
        request_count: Rc::default(),
    };
    let executions = LocalSet::new();
    let (urgent, repair) = (Arc::clone(&platform.aws), Arc::clone(&platform.aws));
    executions.spawn_local(async move { urgent.enqueue_urgent_rows().await });
    executions.spawn_local(async move { repair.repair().await });
    platform.start_executions(&executions, 0..scenario.rate.slots, Duration::ZERO);
    if let Some((at, rate)) = scenario.deployment {
        platform.start_executions(&executions, scenario.rate.slots..rate.slots, at);
        executions.spawn_local(platform.clone().publish_rate(at, rate));
    }
    executions.await;
}

impl Platform {
    /// Starts concurrent executions, as fast as the event source does.
    fn start_executions(&self, executions: &LocalSet, slots: Range<u32>, at: Duration) {
        let first = slots.start;
        for slot in slots {
            let platform = self.clone();
            let delay = at + self.aws.scenario.slot_delay(slot - first);
            executions.spawn_local(async move {
                sleep(delay).await;
                platform.run_execution(slot).await
            });
        }
    }

    /// The counter starts anew with the rate of the deployment, and publishes it to running senders.
    async fn publish_rate(self, at: Duration, rate: Rate) {
        sleep(at + Duration::from_millis(500)).await;
        let started = self.aws.to_millis(self.aws.elapsed());
        sleep(self.aws.random_duration(10, 1000)).await;
        self.aws.register_rate(rate, started, Role::Publisher).await;
    }

    /// One of the concurrent executions: one invocation after the other. It ends if a deployment has fewer.
    async fn run_execution(&self, slot: u32) {
        while !self.aws.all_settled() && slot < self.aws.deployed_rate().slots {
            let Some((id, batch)) = self.aws.receive(Priority::Bulk) else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            self.request_count.set(self.request_count.get() + 1);
            let owner = self.request_count.get().to_string();
            // Lambda decides on the invocation and on its configuration at the same time.
            let mut process = self.take_process(self.aws.deployed_rate()).await;
            let first = to_received_batch(Priority::Bulk, id, batch);
            if !process.backend.wait_for_rate().await {
                self.aws.pass_on(id);
            } else if self.invoke(&mut process, owner, first).await {
                self.idle.borrow_mut().push(process);
            }
        }
    }

    /// Any idle process, or a new one after a cold start. Now and then the platform throttles.
    async fn take_process(&self, rate: Rate) -> Process {
        let aws = &self.aws;
        if aws.happens(0.01) {
            sleep(aws.random_duration(1, 500)).await;
        }
        self.idle
            .borrow_mut()
            .retain(|process| process.backend.rate == rate);
        let count = self.idle.borrow().len();
        if count > 0 && !aws.happens(0.02) {
            let index = aws.random_duration(0, count as u64).as_millis() as usize;
            let process = self.idle.borrow_mut().swap_remove(index % count);
            return process;
        }
        sleep(aws.random_duration(20, 400)).await;
        let backend = VirtualProcess::new(aws, rate);
        Process {
            slot: Slot::new(rate),
            backend,
            started: Instant::now(),
        }
    }

    /// Invokes the sender. Returns whether the process survives.
    async fn invoke(&self, process: &mut Process, owner: String, first: ReceivedBatch) -> bool {
        let (aws, scenario) = (&self.aws, &self.aws.scenario);
        let backend = Arc::clone(&process.backend);
        let limits = InvocationLimits {
            owner,
            deadline: backend.now() + FUNCTION_TIMEOUT.as_millis() as Millis,
            urgent_poll_interval: Duration::from_millis(500) * process.backend.rate.slots,
            urgent_poll_phase: aws.random_duration(0, 1000).as_secs_f64(),
        };
        let invocation = Invocation::new(&backend, &mut process.slot, process.started, limits);
        let killed_after = match aws.happens(scenario.kill_share) {
            true => aws.random_duration(1, 120_000),
            false => FUNCTION_TIMEOUT,
        };
        tokio::select! {
            _ = invocation.run(first) => true,
            () = sleep(killed_after) => false,
        }
    }
}
