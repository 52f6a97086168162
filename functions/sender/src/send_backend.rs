//! What an invocation needs from AWS and Meta. `AwsBackend` is the real implementation. The test of the ceiling
//! (`tests/ceiling`) has another one, in virtual time, so the loop under test is the loop that runs in Lambda.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campaign::delivery::batch::{Batch, Row};
use campaign::delivery::ledger::{Claim, Transition};
use campaign::delivery::outcome::ErrorInfo;
use campaign::delivery::requeue::SkipReason;
use campaign::id::{CampaignId, NumberId};
use campaign::lifecycle::campaign::{Campaign, MessageChoice};
use campaign::time::Millis;
use cloud::Error;
use secrecy::SecretString;
use tokio::sync::oneshot;
use tokio::time::Instant;
use whatsapp::connection_pool::ConnectionState;

use crate::send_stats::{SendOutcome, SendStats};

/// Whether a campaign may send.
#[derive(Clone, Debug)]
pub enum SendGate {
    /// It may, with this token. The token is fetched before the tick, so the request leaves on the tick.
    Allowed(Arc<Campaign>, SecretString),
    /// Not before this time.
    CoolingDown(Millis),
    /// The campaign's time has run out.
    Expired,
    /// The campaign does not send, or the number.
    Stopped,
    /// Another send rate applies now: this sender must end.
    RateChanged,
}

/// What is known of a recipient.
#[derive(Clone, Debug, Default)]
pub struct Recipient {
    /// Whether the customer service window of this sender's number is open for them, so that free-form messages may be sent,
    /// too.
    pub in_service_window: bool,
    /// Another number from which they hear.
    pub other_number: Option<NumberId>,
    /// Their business-scoped id, if known.
    pub user_id: Option<String>,
}

/// A claimed row on its tick.
#[derive(Clone, Debug)]
pub struct PendingSend {
    /// The row's campaign.
    pub campaign: Arc<Campaign>,
    /// The row.
    pub row: Row,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// Which of the campaign's messages is sent.
    pub message_choice: MessageChoice,
    /// The recipient's business-scoped id, if known.
    pub user_id: Option<String>,
    /// The access token of the request.
    pub token: SecretString,
    /// When the request must have left. Later it is not sent.
    pub leave_by: Instant,
    /// Until when the outcome may be recorded: shortly before Lambda kills the invocation.
    pub record_until: Millis,
}

/// What became of a request on its tick.
#[derive(Debug)]
pub enum Departure {
    /// It was written to an open connection.
    OnTheWire,
    /// No connection was open, so nothing was sent; the send can be tried again.
    NoConnection(Box<PendingSend>),
}

/// Tells the invocation, once, whether a request left. If it is dropped unused, nothing was sent, and that is recorded.
#[derive(Clone, Debug)]
pub struct DepartureSignal(Arc<Mutex<Option<oneshot::Sender<Departure>>>>);

impl DepartureSignal {
    /// A signal and its receiver.
    pub fn new() -> (Self, oneshot::Receiver<Departure>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(sender)))), receiver)
    }

    /// Only the first call has an effect.
    pub fn send(&self, departure: Departure) {
        let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = sender.take() {
            // Without a receiver the invocation is over.
            let _ = sender.send(departure);
        }
    }
}

/// What follows from a send.
#[derive(Clone, Debug, Default)]
pub struct SendResult {
    /// What it means for the slot's pace.
    pub pace_signal: PaceSignal,
    /// The row and the time of its next attempt, if there is to be one.
    pub retry: Option<(Millis, Row)>,
    /// How it ended; `None` if that could not be recorded.
    pub outcome: Option<SendOutcome>,
}

/// What a send means for the slot's pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaceSignal {
    /// Nothing.
    #[default]
    None,
    /// The message was accepted.
    Accepted,
    /// The API refused it because of too much throughput, or has trouble itself.
    Throttled,
}

/// A batch from a queue.
#[derive(Clone, Debug)]
pub struct ReceivedBatch {
    /// The batch.
    pub batch: Batch,
    /// The queue message that carried it.
    pub handle: MessageHandle,
}

/// A queue message that was received.
#[derive(Clone, Debug)]
pub struct MessageHandle {
    /// The queue it came from.
    pub priority: Priority,
    /// The receipt handle, which deletes it.
    pub receipt: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
}

/// One of the two queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Rows of campaigns.
    Bulk,
    /// Messages that a recipient waits for, such as replies.
    Urgent,
}

/// AWS and Meta, as an invocation sees them.
pub trait SendBackend: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> Millis;

    /// The number that this sender sends from.
    fn own_number(&self) -> &NumberId;

    /// Whether a campaign may send, from knowledge that is at most `max_age` old.
    fn check_gate(
        &self,
        campaign: &CampaignId,
        max_age: Duration,
    ) -> impl Future<Output = Result<SendGate, Error>>;

    /// What is known of the recipient.
    fn look_up_recipient(&self, row: &Row) -> impl Future<Output = Result<Recipient, Error>>;

    /// Checks that the recipient may be messaged and notes that a send follows, in one step. `None` if the recipient is
    /// suppressed. With `takes_over`, the recipient hears from this sender's number from now on, whichever they know.
    fn reserve_send(
        &self,
        campaign: &CampaignId,
        row: &Row,
        takes_over: bool,
    ) -> impl Future<Output = Result<Option<Recipient>, Error>>;

    /// Claims a row, before its send.
    fn claim_row(
        &self,
        campaign: &CampaignId,
        row: &Row,
        owner: &str,
    ) -> impl Future<Output = Result<Claim, Error>>;

    /// Records a transition of an attempt for which this sender sends nothing.
    fn record_transition(
        &self,
        campaign: &CampaignId,
        row: &Row,
        attempt: u32,
        transition: Transition,
        error: &ErrorInfo,
    ) -> impl Future<Output = Result<(), Error>>;

    /// Gives the claim of an attempt up: the row is not sent. Returns whether it is skipped; a row that may have been sent
    /// stays unconfirmed.
    fn skip_claimed_row(
        &self,
        campaign: &CampaignId,
        row: &Row,
        attempt: u32,
        reason: SkipReason,
    ) -> impl Future<Output = Result<bool, Error>>;

    /// Records that a row that nobody has claimed is not sent. Returns whether the row was unsettled until now.
    fn skip_row(
        &self,
        campaign: &CampaignId,
        row: &Row,
        owner: &str,
        reason: SkipReason,
    ) -> impl Future<Output = Result<bool, Error>>;

    /// Opens connections to the API anew; an invocation begins.
    fn renew_connections(&self);

    /// Waits until a connection is open or could not be opened.
    fn wait_for_connection(&self) -> impl Future<Output = ConnectionState>;

    /// Sends the message over a connection that is open, and records the outcome. Signals when it leaves.
    fn send_message(
        self: Arc<Self>,
        pending: PendingSend,
        departure: DepartureSignal,
    ) -> impl Future<Output = SendResult> + Send + 'static;

    /// Puts rows back into their queue, or into that of another number.
    fn requeue(
        &self,
        number: Option<&NumberId>,
        priority: Priority,
        batch: Batch,
        delay: Duration,
    ) -> impl Future<Output = Result<(), Error>>;

    /// A batch of the urgent queue, if there is one.
    fn receive_urgent(&self) -> impl Future<Output = Result<Option<ReceivedBatch>, Error>>;

    /// A batch of the bulk queue, if there is one. It stays invisible to others for a while.
    fn receive_bulk(&self) -> impl Future<Output = Result<Option<ReceivedBatch>, Error>>;

    /// Makes a batch that failed visible again after a delay, which grows with the number of its receives.
    fn delay_redelivery(&self, handle: &MessageHandle) -> impl Future<Output = Result<(), Error>>;

    /// Adds to the number's sends of the minute that began at `minute`. It is for people to look at: an error is logged.
    fn add_sends(&self, minute: Millis, sends: u64) -> impl Future<Output = ()>;

    /// Emits metrics; about once a minute.
    fn emit_metrics(&self, stats: &SendStats);

    /// Deletes the messages of finished batches from their queue.
    fn delete_messages(
        &self,
        priority: Priority,
        receipts: &[String],
    ) -> impl Future<Output = Result<(), Error>>;
}
