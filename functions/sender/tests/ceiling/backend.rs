//! A virtual process: AWS and the Cloud API as one sender sees them. Its connections are its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use campaign::delivery::batch::{Batch, Row};
use campaign::delivery::ledger::{Claim, Transition};
use campaign::delivery::outcome::ErrorInfo;
use campaign::delivery::pacing::Rate;
use campaign::delivery::rate_change::{RateRecord, Role};
use campaign::delivery::requeue::SkipReason;
use campaign::id::{CampaignId, NumberId};
use campaign::time::Millis;
use cloud::Error;
use sender::send_backend::{
    Departure, DepartureSignal, MessageHandle, PaceSignal, PendingSend, Priority, ReceivedBatch,
    Recipient, SendBackend, SendGate, SendResult,
};
use sender::send_stats::SendStats;
use tokio::time::{Instant, sleep};
use whatsapp::client::Client;
use whatsapp::connection_pool::{
    ConnectionPool, ConnectionState, NotReady, Opened, PooledConnection,
};

use crate::virtual_aws::{Gate, VirtualAws};
use crate::wire;

/// A connection, and the requests after which the other end closes it.
#[derive(Clone)]
pub(crate) struct VirtualConnection {
    requests_left: Arc<AtomicU32>,
}

impl VirtualConnection {
    /// Whether the connection carries one more request.
    fn carries_request(&self) -> bool {
        let left = self.requests_left.load(Ordering::Relaxed);
        self.requests_left
            .store(left.saturating_sub(1), Ordering::Relaxed);
        left > 0
    }
}

/// How a process reaches the Cloud API.
enum Internet {
    Virtual(ConnectionPool<VirtualConnection>),
    Real(Client),
}

/// What became of a message.
pub(crate) enum Answer {
    /// Nothing: no connection was ready.
    NoConnection,
    /// Certainly not sent.
    NotSent,
    Accepted,
    Refused {
        throttled: bool,
    },
    /// Perhaps sent.
    Unconfirmed,
}

/// A process of the sender.
pub(crate) struct VirtualProcess {
    pub(crate) aws: Arc<VirtualAws>,
    internet: Internet,
    pub(crate) rate: Rate,
    started: Millis,
    registered: Mutex<Option<RateRecord>>,
    /// What was last read of the campaign and of the rate, and when.
    gate: Mutex<Option<(Instant, Option<Gate>)>>,
}

impl VirtualProcess {
    pub(crate) fn new(aws: &Arc<VirtualAws>, rate: Rate) -> Arc<Self> {
        let internet = match &aws.api_url {
            Some(url) => Internet::Real(wire::new_client(url, rate)),
            None => Internet::Virtual(virtual_connections(aws, rate)),
        };
        Arc::new(Self {
            aws: Arc::clone(aws),
            internet,
            rate,
            started: aws.to_millis(aws.elapsed()),
            registered: Mutex::new(None),
            gate: Mutex::new(None),
        })
    }

    /// Waits until senders of another rate have stopped. Returns whether this one may send.
    pub(crate) async fn wait_for_rate(&self) -> bool {
        let invoked_at = self.now();
        sleep(self.aws.random_duration(2, 12)).await;
        let role = Role::Sender { invoked_at };
        let registered = self.aws.register_rate(self.rate, self.started, role);
        let Some(not_before) = registered.await else {
            return false;
        };
        *self.registered.lock().unwrap() = self.aws.rate_record();
        sleep(Duration::from_millis(not_before.saturating_sub(self.now()))).await;
        true
    }

    /// What is known of the campaign now; `None` if senders keep another rate.
    fn read_gate(&self) -> Option<Gate> {
        let is_current = self.aws.rate_record() == *self.registered.lock().unwrap();
        is_current.then(|| self.aws.gate())
    }

    /// Sends a message over a virtual connection.
    async fn send_virtually(
        &self,
        connections: &ConnectionPool<VirtualConnection>,
        pending: &PendingSend,
        departure: &DepartureSignal,
    ) -> Answer {
        let aws = &self.aws;
        let connection = match take_connection(connections) {
            Ok(connection) => connection,
            Err(NotReady::Failed(_)) => return Answer::NotSent,
            Err(NotReady::Opening) => return Answer::NoConnection,
        };
        if connection.may_open {
            sleep(aws.random_handshake()).await;
        }
        if Instant::now() > pending.leave_by {
            return Answer::NotSent;
        }
        aws.record_send(pending.row.row);
        departure.send(Departure::OnTheWire);
        sleep(aws.random_response_time()).await;
        drop(connection);
        match aws.happens(aws.scenario.error_share) {
            true => Answer::Refused {
                throttled: aws.happens(aws.scenario.throttle_share),
            },
            false => Answer::Accepted,
        }
    }

    /// Records an outcome that is final.
    fn settle(&self, pending: &PendingSend, transition: Transition) {
        self.aws
            .apply_transition(pending.row.row, transition, pending.attempt, 0);
    }

    /// Schedules another attempt of a row that was certainly not sent.
    fn retry(&self, pending: PendingSend, pace_signal: PaceSignal) -> SendResult {
        let delay = self.aws.random_duration(1000, 8000).as_millis() as Millis;
        let due = self.now() + delay;
        self.aws
            .apply_transition(pending.row.row, Transition::Retry, pending.attempt, due);
        SendResult {
            pace_signal,
            retry: Some((due, pending.row)),
            outcome: None,
        }
    }
}

fn virtual_connections(aws: &Arc<VirtualAws>, rate: Rate) -> ConnectionPool<VirtualConnection> {
    let aws = Arc::clone(aws);
    ConnectionPool::new(rate.per_slot, move || {
        let aws = Arc::clone(&aws);
        Box::pin(async move { aws.open_connection().await })
    })
}

/// An open connection. Those that turn out to be closed are thrown away, as the real client does.
fn take_connection(
    connections: &ConnectionPool<VirtualConnection>,
) -> Result<PooledConnection<VirtualConnection>, NotReady> {
    loop {
        let pooled = connections.take()?;
        if pooled.may_open || pooled.connection.carries_request() {
            return Ok(pooled);
        }
        pooled.discard(true);
    }
}

impl VirtualAws {
    async fn open_connection(&self) -> Result<Opened<VirtualConnection>, ErrorInfo> {
        sleep(self.random_handshake()).await;
        if self.happens(self.scenario.connect_error_share) {
            return Err(ErrorInfo::transport("could not connect"));
        }
        Ok(Opened {
            connection: VirtualConnection {
                requests_left: Arc::new(AtomicU32::new(self.scenario.requests_per_connection)),
            },
            is_multiplexed: self.scenario.is_multiplexed,
        })
    }
}

/// A message of a virtual queue; its id is its receipt handle.
pub(crate) fn to_received_batch(priority: Priority, id: u64, batch: Batch) -> ReceivedBatch {
    let handle = MessageHandle {
        priority,
        receipt: id.to_string(),
        receive_count: 1,
    };
    ReceivedBatch { batch, handle }
}

impl SendBackend for VirtualProcess {
    fn now(&self) -> Millis {
        self.aws.to_millis(self.aws.elapsed())
    }

    fn own_number(&self) -> &NumberId {
        &self.aws.number
    }

    async fn check_gate(&self, _: &CampaignId, max_age: Duration) -> Result<SendGate, Error> {
        let known = *self.gate.lock().unwrap();
        let gate = match known.filter(|(read_at, _)| read_at.elapsed() <= max_age) {
            Some((_, gate)) => gate,
            None => {
                let read_at = Instant::now();
                self.aws.request(1, 8).await?;
                let gate = self.read_gate();
                if self.aws.happens(self.aws.scenario.slow_read_share) {
                    sleep(self.aws.random_duration(100, 5_000)).await;
                }
                *self.gate.lock().unwrap() = Some((read_at, gate));
                gate
            }
        };
        Ok(match gate {
            None => SendGate::RateChanged,
            Some(Gate::Open) => SendGate::Allowed(Arc::clone(&self.aws.campaign), "".into()),
            Some(Gate::Paused) => SendGate::Stopped,
            Some(Gate::CoolingDown(until)) => SendGate::CoolingDown(self.aws.to_millis(until)),
        })
    }

    async fn look_up_recipient(&self, _: &Row) -> Result<Recipient, Error> {
        self.aws.request(2, 12).await?;
        Ok(Recipient {
            in_service_window: true,
            ..Recipient::default()
        })
    }

    async fn reserve_send(
        &self,
        _: &CampaignId,
        row: &Row,
        _: bool,
    ) -> Result<Option<Recipient>, Error> {
        self.look_up_recipient(row).await.map(Some)
    }

    async fn claim_row(&self, _: &CampaignId, row: &Row, owner: &str) -> Result<Claim, Error> {
        self.aws.request(2, 12).await?;
        Ok(self.aws.claim(row.row, owner, self.now()))
    }

    async fn record_transition(
        &self,
        _: &CampaignId,
        row: &Row,
        attempt: u32,
        transition: Transition,
        _: &ErrorInfo,
    ) -> Result<(), Error> {
        self.aws.request(2, 12).await?;
        self.aws.apply_transition(row.row, transition, attempt, 0);
        Ok(())
    }

    async fn skip_claimed_row(
        &self,
        _: &CampaignId,
        _: &Row,
        _: u32,
        _: SkipReason,
    ) -> Result<bool, Error> {
        Ok(false)
    }

    async fn skip_row(
        &self,
        _: &CampaignId,
        _: &Row,
        _: &str,
        _: SkipReason,
    ) -> Result<bool, Error> {
        Ok(false)
    }

    fn renew_connections(&self) {
        match &self.internet {
            Internet::Virtual(connections) => connections.renew(),
            Internet::Real(client) => client.renew_connections(),
        }
    }

    async fn wait_for_connection(&self) -> ConnectionState {
        match &self.internet {
            Internet::Virtual(connections) => connections.wait_until_ready().await,
            Internet::Real(client) => client.wait_until_ready().await,
        }
    }

    async fn send_message(
        self: Arc<Self>,
        pending: PendingSend,
        departure: DepartureSignal,
    ) -> SendResult {
        let answer = match &self.internet {
            Internet::Virtual(connections) => {
                self.send_virtually(connections, &pending, &departure).await
            }
            Internet::Real(client) => wire::send(client, &self.aws, &pending, &departure).await,
        };
        let pace_signal = match answer {
            Answer::NoConnection => {
                departure.send(Departure::NoConnection(Box::new(pending)));
                return SendResult::default();
            }
            Answer::NotSent => return self.retry(pending, PaceSignal::None),
            Answer::Accepted => PaceSignal::Accepted,
            Answer::Refused { throttled: true } => PaceSignal::Throttled,
            Answer::Refused { throttled: false } | Answer::Unconfirmed => PaceSignal::None,
        };
        sleep(self.aws.random_duration(2, 12)).await;
        match answer {
            Answer::Refused { .. } => {
                self.aws.record_refusal(pending.row.row);
                return self.retry(pending, pace_signal);
            }
            Answer::Accepted => self.settle(&pending, Transition::Accept),
            _ => self.settle(&pending, Transition::MarkUnconfirmed),
        }
        SendResult {
            pace_signal,
            ..SendResult::default()
        }
    }

    async fn requeue(
        &self,
        _: Option<&NumberId>,
        priority: Priority,
        batch: Batch,
        delay: Duration,
    ) -> Result<(), Error> {
        self.aws.request(5, 30).await?;
        self.aws.enqueue(priority, batch.rows, delay);
        Ok(())
    }

    async fn receive_urgent(&self) -> Result<Option<ReceivedBatch>, Error> {
        self.aws.request(2, 12).await?;
        let received = self.aws.receive(Priority::Urgent);
        Ok(received.map(|(id, batch)| to_received_batch(Priority::Urgent, id, batch)))
    }

    async fn receive_bulk(&self) -> Result<Option<ReceivedBatch>, Error> {
        self.aws.request(5, 30).await?;
        let Some((id, batch)) = self.aws.receive(Priority::Bulk) else {
            sleep(Duration::from_secs(1)).await;
            return Ok(None);
        };
        Ok(Some(to_received_batch(Priority::Bulk, id, batch)))
    }

    async fn delay_redelivery(&self, handle: &MessageHandle) -> Result<(), Error> {
        self.aws.request(5, 30).await?;
        self.aws.delay_redelivery(handle.receipt.parse().unwrap());
        Ok(())
    }

    async fn add_sends(&self, _: Millis, _: u64) {}

    fn emit_metrics(&self, _: &SendStats) {}

    async fn delete_messages(&self, _: Priority, receipts: &[String]) -> Result<(), Error> {
        if receipts.is_empty() {
            return Ok(());
        }
        self.aws.request(5, 30).await?;
        for receipt in receipts {
            self.aws.delete(receipt.parse().unwrap());
        }
        Ok(())
    }
}
