//! What an invocation asks of the world around it. [`crate::aws_backend`] is the real one: AWS and Meta. The proof of the
//! ceiling (`tests/ceiling.rs`) has another, in virtual time, so that what is proven is the loop that runs.

use std::sync::Arc;
use std::time::Duration;

use campaign::delivery::batch::{Batch, Row};
use campaign::delivery::ledger::Transition;
use campaign::delivery::outcome::{ErrorInfo, Millis};
use campaign::delivery::requeue::SkipReason;
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{Campaign, MessageChoice};
use cloud::Error;
use cloud::ledger::Claim;
use secrecy::SecretString;

use crate::invocation::SendStats;

/// Whether calls of a campaign may start.
#[derive(Clone, Debug)]
pub enum SendGate {
    /// They may, with this token: it is at hand before the tick, so that the request leaves on it.
    Open(Arc<Campaign>, SecretString),
    /// Not before this time.
    CoolingDown(Millis),
    /// Its time has run out.
    Expired,
    /// It does not send.
    Stopped,
}

/// Somebody may be called.
#[derive(Clone, Debug, Default)]
pub struct SendPermission {
    /// Whether free-form messages may be sent to them, too.
    pub in_service_window: bool,
    /// Meta's id of theirs, where it is known.
    pub user_id: Option<String>,
}

/// A claimed row on its tick.
#[derive(Clone, Debug)]
pub struct PendingSend {
    /// Its campaign.
    pub campaign: Arc<Campaign>,
    /// The row.
    pub row: Row,
    /// Which attempt at it, from 1.
    pub number: u32,
    /// What they are sent.
    pub message_choice: MessageChoice,
    /// Meta's id of theirs, where it is known.
    pub user_id: Option<String>,
    /// What the API is asked with.
    pub token: SecretString,
}

/// What a call left.
#[derive(Clone, Debug, Default)]
pub struct SendResult {
    /// What it says about the slot's pace.
    pub pace_signal: PaceSignal,
    /// The row, where it is to be offered again, and when.
    pub retry: Option<(Millis, Row)>,
    /// How it ended, once that is recorded.
    pub outcome: Option<SendOutcome>,
}

/// How a call ended, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// The API took the message.
    Accepted,
    /// It refused for good.
    Rejected,
    /// Another try follows.
    Retried,
    /// The campaign stopped.
    Held,
    /// It may have been sent.
    Unconfirmed,
}

/// What a call says about the slot's pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaceSignal {
    /// Nothing.
    #[default]
    None,
    /// It was accepted.
    Accepted,
    /// It was too much.
    Throttled,
}

/// A batch from a queue.
#[derive(Clone, Debug)]
pub struct ReceivedBatch {
    /// The batch.
    pub batch: Batch,
    /// Its message.
    pub handle: MessageHandle,
}

/// A message of a queue.
#[derive(Clone, Debug)]
pub struct MessageHandle {
    /// The queue.
    pub priority: Priority,
    /// Deletes it.
    pub receipt: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
}

/// Which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Campaigns.
    Bulk,
    /// What somebody waits for, such as an answer.
    Urgent,
}

/// The world around an invocation.
pub trait SendBackend: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Millis;

    /// Whether calls may start, as known at most `age` ago.
    fn check_gate(
        &self,
        campaign: &CampaignId,
        age: Duration,
    ) -> impl Future<Output = Result<SendGate, Error>>;

    /// Asks whether this person may be called now, and notes it; `None` where they are not to be messaged after all.
    fn reserve_send(
        &self,
        campaign: &CampaignId,
        row: &Row,
    ) -> impl Future<Output = Result<Option<SendPermission>, Error>>;

    /// Claims a row, before the call.
    fn claim_row(
        &self,
        campaign: &CampaignId,
        row: &Row,
        owner: &str,
    ) -> impl Future<Output = Result<Claim, Error>>;

    /// Settles an attempt that makes no call.
    fn record_transition(
        &self,
        campaign: &CampaignId,
        row: &Row,
        attempt: u32,
        step: Transition,
        fault: &ErrorInfo,
    ) -> impl Future<Output = Result<(), Error>>;

    /// Settles a row that is not sent; tells whether it was open.
    fn skip_row(
        &self,
        campaign: &CampaignId,
        row: &Row,
        owner: &str,
        why: SkipReason,
    ) -> impl Future<Output = Result<bool, Error>>;

    /// Calls, decides, records.
    fn send_message(
        self: Arc<Self>,
        attempt: PendingSend,
    ) -> impl Future<Output = SendResult> + Send + 'static;

    /// Puts rows back into the queue.
    fn requeue(
        &self,
        lane: Priority,
        batch: Batch,
        delay: Duration,
    ) -> impl Future<Output = Result<(), Error>>;

    /// A batch of the urgent lane, if one is there.
    fn receive_urgent(&self) -> impl Future<Output = Result<Option<ReceivedBatch>, Error>>;

    /// The next batch, hidden from others for a while; `None` where there is none.
    fn receive_bulk(&self) -> impl Future<Output = Result<Option<ReceivedBatch>, Error>>;

    /// Lets a batch that could not be served come again, the later the more often that happened.
    fn delay_redelivery(&self, pulled: &MessageHandle) -> impl Future<Output = Result<(), Error>>;

    /// Takes figures, once a minute or so.
    fn emit_metrics(&self, figures: &SendStats);

    /// Deletes batches that are done.
    fn delete_messages(
        &self,
        lane: Priority,
        receipts: &[String],
    ) -> impl Future<Output = Result<(), Error>>;
}
