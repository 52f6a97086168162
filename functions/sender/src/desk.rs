//! What an invocation asks of the world around it. [`crate::office`] is the real one: AWS and Meta. The proof of the
//! ceiling (`tests/ceiling.rs`) has another, in virtual time, so that what is proven is the loop that runs.

use std::sync::Arc;
use std::time::Duration;

use campaign::batch::{Batch, Row};
use campaign::id::CampaignId;
use campaign::ledger::Move;
use campaign::offer::Skipped;
use campaign::outcome::{Fault, Millis};
use campaign::record::{Campaign, Way};
use cloud::Error;
use cloud::ledger::Claim;
use secrecy::SecretString;

use crate::invocation::Figures;

/// Whether calls of a campaign may start.
#[derive(Clone, Debug)]
pub enum Look {
    /// They may, with this token: it is at hand before the tick, so that the request leaves on it.
    On(Arc<Campaign>, SecretString),
    /// Not before this time.
    Resting(Millis),
    /// Its time has run out.
    Expired,
    /// It does not send.
    Stopped,
}

/// Somebody may be called.
#[derive(Clone, Debug, Default)]
pub struct Permission {
    /// Whether free-form messages may be sent to them, too.
    pub in_window: bool,
    /// Meta's id of theirs, where it is known.
    pub user_id: Option<String>,
}

/// A claimed row on its tick.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its campaign.
    pub campaign: Arc<Campaign>,
    /// The row.
    pub row: Row,
    /// Which attempt at it, from 1.
    pub number: u32,
    /// What they are sent.
    pub way: Way,
    /// Meta's id of theirs, where it is known.
    pub user_id: Option<String>,
    /// What the API is asked with.
    pub token: SecretString,
}

/// What a call left.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// What it says about the slot's pace.
    pub echo: Echo,
    /// The row, where it is to be offered again, and when.
    pub again: Option<(Millis, Row)>,
    /// How it ended, once that is recorded.
    pub settled: Option<Settled>,
}

/// How a call ended, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The API took the message.
    Accepted,
    /// It refused for good.
    Rejected,
    /// Another try follows.
    Retried,
    /// The campaign stopped.
    Held,
    /// It may have been sent.
    Doubt,
}

/// What a call says about the slot's pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Echo {
    /// Nothing.
    #[default]
    None,
    /// It was accepted.
    Fine,
    /// It was too much.
    TooMuch,
}

/// A batch from a queue.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The batch.
    pub batch: Batch,
    /// Its message.
    pub handle: Handle,
}

/// A message of a queue.
#[derive(Clone, Debug)]
pub struct Handle {
    /// The queue.
    pub lane: Lane,
    /// Deletes it.
    pub receipt: String,
    /// How often it was received, this time included.
    pub times: u32,
}

/// Which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Campaigns.
    Bulk,
    /// What somebody waits for, such as an answer.
    Urgent,
}

/// The world around an invocation.
pub trait Desk: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Millis;

    /// Whether calls may start, as known at most `age` ago.
    fn look(
        &self,
        campaign: &CampaignId,
        age: Duration,
    ) -> impl Future<Output = Result<Look, Error>>;

    /// Asks whether this person may be called now, and notes it; `None` where they are not to be messaged after all.
    fn may_call(
        &self,
        campaign: &CampaignId,
        row: &Row,
    ) -> impl Future<Output = Result<Option<Permission>, Error>>;

    /// Claims a row, before the call.
    fn claim(
        &self,
        campaign: &CampaignId,
        row: &Row,
        owner: &str,
    ) -> impl Future<Output = Result<Claim, Error>>;

    /// Settles an attempt that makes no call.
    fn settle(
        &self,
        campaign: &CampaignId,
        row: &Row,
        attempt: u32,
        step: Move,
        fault: &Fault,
    ) -> impl Future<Output = Result<(), Error>>;

    /// Settles a row that is not sent; tells whether it was open.
    fn skip(
        &self,
        campaign: &CampaignId,
        row: &Row,
        owner: &str,
        why: Skipped,
    ) -> impl Future<Output = Result<bool, Error>>;

    /// Calls, decides, records.
    fn call(self: Arc<Self>, attempt: Attempt) -> impl Future<Output = Ended> + Send + 'static;

    /// Puts rows back into the queue.
    fn put_back(
        &self,
        lane: Lane,
        batch: Batch,
        delay: Duration,
    ) -> impl Future<Output = Result<(), Error>>;

    /// A batch of the urgent lane, if one is there.
    fn urgent(&self) -> impl Future<Output = Result<Option<Pulled>, Error>>;

    /// The next batch, hidden from others for a while; `None` where there is none.
    fn next(&self) -> impl Future<Output = Result<Option<Pulled>, Error>>;

    /// Lets a batch that could not be served come again, the later the more often that happened.
    fn release(&self, pulled: &Handle) -> impl Future<Output = Result<(), Error>>;

    /// Takes figures, once a minute or so.
    fn tell(&self, figures: &Figures);

    /// Deletes batches that are done.
    fn delete(&self, lane: Lane, receipts: &[String]) -> impl Future<Output = Result<(), Error>>;
}
