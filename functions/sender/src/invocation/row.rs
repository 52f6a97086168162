//! One row of a batch: claim, permission, and the send on its tick.

use std::sync::Arc;
use std::time::Duration;

use campaign::contacts::contact::CONSENT_MAX_AGE_MS;
use campaign::delivery::batch::Row;
use campaign::delivery::ledger::{self, Claim, OtherClaim, Transition};
use campaign::delivery::outcome::ErrorInfo;
use campaign::delivery::requeue::SkipReason;
use campaign::id::{CampaignId, NumberId};
use campaign::lifecycle::campaign::{Campaign, MessageChoice};
use campaign::time::Millis;
use cloud::Error;
use secrecy::SecretString;
use tokio::time::Instant;
use tracing::instrument;
use whatsapp::connection_pool::ConnectionState;

use super::numbers::{Sender, known_number};
use super::{BatchRef, Invocation, REQUEUE_RESERVE_MS, rate_changed};
use crate::send_backend::{Departure, PendingSend, SendBackend, SendGate};

/// The greatest age of the campaign's state when a send starts; the rest of two seconds is for the request to leave. It is
/// greater than [`super::CLAIM_GATE_MAX_AGE`], so that normally nothing is read on the tick: a read would delay the send.
const SEND_GATE_MAX_AGE: Duration = Duration::from_millis(1_800);

/// A check that took longer is repeated: what it found may be that old when the request leaves.
const MAX_GATE_CHECK: Duration = Duration::from_millis(200);

/// A request that is not written this long after the campaign was checked is not written at all: with
/// [`SEND_GATE_MAX_AGE`], two seconds after the state on which it acts.
const DEPARTURE_LIMIT: Duration = Duration::from_millis(200);

/// The same for a send that opens its own connection, which acts on a state that was just read.
const OWN_CONNECTION_LIMIT: Duration = Duration::from_millis(1_800);

/// A row is not sent if it was claimed longer ago. Its lease of 150 seconds must outlive the response.
const MAX_CLAIM_AGE: Duration = Duration::from_secs(100);

/// The greatest age of the permission to message a recipient when the send starts.
const CONSENT_MAX_AGE: Duration = Duration::from_millis(CONSENT_MAX_AGE_MS);

/// How often the runtime must run its tasks from the signal that a request is being written until it is written: HTTP/2
/// has a task for the body and one for the connection. It is twice that number, because an idle turn costs nothing.
const YIELDS_UNTIL_WRITTEN: usize = 4;

/// A row that waits for its tick.
#[derive(Debug)]
struct ClaimedRow {
    row: Row,
    attempt: u32,
    batch: BatchRef,
    message_choice: MessageChoice,
    user_id: Option<String>,
    /// When the permission to message the recipient was checked.
    reserved_at: Instant,
    claimed_at: Instant,
}

/// Whether a message follows.
enum Reserved {
    /// It does: which one, and the recipient's business-scoped id, if known.
    For((MessageChoice, Option<String>)),
    /// The row is settled.
    ForNobody,
    /// From this number.
    ForOther(NumberId),
}

/// What a send needs that is cleared: its campaign, its token, and when its request must have left.
type Clearance = (Arc<Campaign>, SecretString, Instant);

fn old_claim() -> Error {
    Error::new("send", "the claim is too old; the row is tried again")
}

impl<B: SendBackend> Invocation<'_, B> {
    /// Claims the row, checks the permission and sends on the next tick. Both come before the wait, so they do not delay the
    /// tick. The claim comes first: replies belong to the row that the contact names, so a batch that is delivered again must
    /// fail at its claim.
    #[instrument(skip_all, fields(campaign.id = %campaign.id, row = row.row))]
    pub(super) async fn try_row(
        &mut self,
        campaign: &Campaign,
        row: Row,
        batch: BatchRef,
    ) -> Result<(), Error> {
        let id = &campaign.id;
        let takes_over = match Box::pin(self.find_sender(campaign, &row)).await? {
            Sender::Own { takes_over } => takes_over,
            Sender::Other(other) => {
                self.pass_on(other, batch, id, row);
                return Ok(());
            }
            Sender::Nobody(reason) => return self.skip_row(id, &row, reason).await,
        };
        let claimed_at = Instant::now();
        match self.claim_row(id, &row).await? {
            Claim::Won(attempt) => {
                if claimed_at.elapsed() > MAX_CLAIM_AGE {
                    // The process stood still, and others may have messaged the recipient since: replies would count for a
                    // row that is not sent.
                    cloud::sometimes!("a claim is too old before the permission is checked");
                    self.hold_row(id, &row, attempt, "an old claim").await?;
                    return Err(old_claim());
                }
                let reserved_at = Instant::now();
                let reserved = self.reserve_or_skip(campaign, &row, attempt, takes_over);
                let permission = match reserved.await? {
                    Reserved::For(permission) => Some(permission),
                    Reserved::ForNobody => None,
                    Reserved::ForOther(other) => {
                        self.pass_on(other, batch, id, row);
                        return Ok(());
                    }
                };
                let Some((message_choice, user_id)) = permission else {
                    return Ok(());
                };
                let claimed = ClaimedRow {
                    row,
                    attempt,
                    batch,
                    message_choice,
                    user_id,
                    reserved_at,
                    claimed_at,
                };
                // On the heap, as the others: what waits for its tick is large.
                Box::pin(self.send_on_tick(id, claimed)).await
            }
            Claim::Settled => Ok(()),
            Claim::NotBefore(due) => {
                self.schedule_retry(batch, id, due, row);
                Ok(())
            }
            Claim::HeldByOther(other) => self.check_other_claim(id, row, batch, other).await,
        }
    }

    /// Checks that the recipient may be messaged, and with what. If not, the row is settled. The import checked the suppression
    /// list, too, but the recipient may have opted out since.
    async fn reserve_or_skip(
        &mut self,
        campaign: &Campaign,
        row: &Row,
        attempt: u32,
        takes_over: bool,
    ) -> Result<Reserved, Error> {
        let id = &campaign.id;
        let reason = match self.backend.reserve_send(id, row, takes_over).await {
            Ok(Some(recipient)) => {
                if let Some(other) = known_number(campaign, &recipient) {
                    cloud::sometimes!("another number has messaged a recipient just now");
                    let reason = "the recipient hears from another number since this moment";
                    self.hold_row(id, row, attempt, reason).await?;
                    return Ok(Reserved::ForOther(other));
                }
                match campaign.message_choice(recipient.in_service_window) {
                    MessageChoice::Nothing => SkipReason::OutsideServiceWindow,
                    choice => return Ok(Reserved::For((choice, recipient.user_id))),
                }
            }
            Ok(None) => SkipReason::Suppressed,
            Err(error) => {
                // Nothing was sent. If the row stayed claimed, it would look as if it might have been.
                self.hold_row(id, row, attempt, "an error before the send")
                    .await?;
                return Err(error);
            }
        };
        self.skip_claimed_row(id, row, attempt, reason).await?;
        Ok(Reserved::ForNobody)
    }

    /// Claims a row under a name of its own: the same row may come twice in one invocation, and the second claim must not
    /// pass for the first.
    async fn claim_row(&mut self, campaign: &CampaignId, row: &Row) -> Result<Claim, Error> {
        self.claim_count += 1;
        let owner = format!("{}/{}", self.limits.owner, self.claim_count);
        self.backend.claim_row(campaign, row, &owner).await
    }

    /// Marks the row as unconfirmed if the lease of the other sender has expired; else tries it again after that.
    #[instrument(skip_all, fields(campaign.id = %campaign, row = row.row, attempt = other.attempt))]
    async fn check_other_claim(
        &mut self,
        campaign: &CampaignId,
        row: Row,
        batch: BatchRef,
        other: OtherClaim,
    ) -> Result<(), Error> {
        if !ledger::lease_expired(other.claimed_at, self.backend.now()) {
            cloud::sometimes!("a row that another sender holds is put back");
            let due = other.claimed_at + ledger::CLAIM_LEASE_MS;
            self.schedule_retry(batch, campaign, due, row);
            return Ok(());
        }
        cloud::sometimes!("a sender finds the row of a dead sender");
        let error = ErrorInfo::transport(ledger::SENDER_DIED);
        let unconfirmed = Transition::MarkUnconfirmed;
        self.backend
            .record_transition(campaign, &row, other.attempt, unconfirmed, &error)
            .await
    }

    #[instrument(skip_all, fields(campaign.id = %campaign, row = row.row, reason = ?reason))]
    pub(super) async fn skip_row(
        &mut self,
        campaign: &CampaignId,
        row: &Row,
        reason: SkipReason,
    ) -> Result<(), Error> {
        let owner = &self.limits.owner;
        let was_unsettled = self.backend.skip_row(campaign, row, owner, reason).await?;
        self.stats.current.skipped += usize::from(was_unsettled);
        Ok(())
    }

    /// Sends on the next tick at which a connection is open. The tick counts from when the request has left: what happens
    /// before, above all on a busy machine, would otherwise bring two requests closer together than the rate allows.
    #[instrument(skip_all, fields(campaign.id = %id, row = claimed.row.row, attempt = claimed.attempt))]
    async fn send_on_tick(
        &mut self,
        id: &CampaignId,
        mut claimed: ClaimedRow,
    ) -> Result<(), Error> {
        loop {
            let connection = self.backend.wait_for_connection().await;
            let cleared = self.wait_for_clearance(id, &claimed, connection).await;
            let (campaign, token, leave_by) = match cleared {
                Ok(Some(clearance)) => clearance,
                Ok(None) => return Ok(()),
                Err(error) => {
                    // Nothing was sent. If the row stayed claimed, it would look as if it might have been.
                    let (row, attempt) = (&claimed.row, claimed.attempt);
                    self.hold_row(id, row, attempt, "an error before the send")
                        .await?;
                    return Err(error);
                }
            };
            let batch = claimed.batch;
            let pending = PendingSend {
                campaign,
                row: claimed.row,
                attempt: claimed.attempt,
                message_choice: claimed.message_choice,
                user_id: claimed.user_id,
                token,
                leave_by,
                record_until: self.limits.deadline.saturating_sub(REQUEUE_RESERVE_MS),
            };
            match self.start_send(pending, batch).await {
                Ok(Departure::NoConnection(pending)) => {
                    claimed.row = pending.row;
                    claimed.user_id = pending.user_id;
                }
                // A send that failed before it left uses up its tick, too: otherwise an API that cannot be reached would
                // be tried row after row without a pause.
                Ok(Departure::OnTheWire) | Err(_) => {
                    for _ in 0..YIELDS_UNTIL_WRITTEN {
                        tokio::task::yield_now().await;
                    }
                    let now = self.elapsed();
                    self.stats.count_send(now);
                    self.slot.record_send(now);
                    return Ok(());
                }
            }
        }
    }

    /// Waits for the tick and checks that the row may still be sent. `None` if it may not; that is recorded then.
    async fn wait_for_clearance(
        &mut self,
        id: &CampaignId,
        claimed: &ClaimedRow,
        connection: ConnectionState,
    ) -> Result<Option<Clearance>, Error> {
        let row = &claimed.row;
        let mut reserved_at = claimed.reserved_at;
        let (max_age, limit) = match connection {
            ConnectionState::Ready => (SEND_GATE_MAX_AGE, DEPARTURE_LIMIT),
            ConnectionState::OpenedBySend => (Duration::ZERO, OWN_CONNECTION_LIMIT),
        };
        loop {
            self.wait_for_tick().await;
            if claimed.claimed_at.elapsed() > MAX_CLAIM_AGE {
                return Err(old_claim());
            }
            let began = Instant::now();
            let gate = self.backend.check_gate(id, max_age).await?;
            if let SendGate::RateChanged = gate {
                return Err(rate_changed());
            }
            let SendGate::Allowed(campaign, token) = gate else {
                cloud::sometimes!("a campaign stopped between claim and send");
                let reason = "the campaign or the number stopped before the send";
                self.hold_row(id, row, claimed.attempt, reason).await?;
                return Ok(None);
            };
            if began.elapsed() > MAX_GATE_CHECK {
                continue;
            }
            let now = self.backend.now();
            let leaves_by = now + limit.as_millis() as Millis;
            let is_open = |at| campaign.schedule.is_open(row.to, at);
            if !(is_open(now) && is_open(leaves_by)) {
                cloud::sometimes!("the window of a recipient closed between claim and send");
                let reason = "the window closed before the send";
                self.hold_row(id, row, claimed.attempt, reason).await?;
                return Ok(None);
            }
            if reserved_at.elapsed() <= CONSENT_MAX_AGE {
                return Ok(Some((campaign, token, began + limit)));
            }
            // The tick or the checks took long: the recipient may have opted out in the meantime.
            cloud::sometimes!("the permission to message a recipient is checked again");
            reserved_at = Instant::now();
            if self.backend.reserve_send(id, row, false).await?.is_none() {
                cloud::sometimes!("a recipient opted out between claim and send");
                self.skip_claimed_row(id, row, claimed.attempt, SkipReason::Suppressed)
                    .await?;
                return Ok(None);
            }
        }
    }

    /// Waits for the next tick. A response that arrives meanwhile may delay it.
    async fn wait_for_tick(&mut self) {
        loop {
            let next = self.slot.next_send_at();
            tokio::time::sleep_until(self.process_started + next).await;
            self.reap_completed();
            if self.slot.next_send_at() <= next {
                return;
            }
        }
    }

    /// Gives a claim up and skips the row.
    async fn skip_claimed_row(
        &mut self,
        campaign: &CampaignId,
        row: &Row,
        attempt: u32,
        reason: SkipReason,
    ) -> Result<(), Error> {
        let skipped = self
            .backend
            .skip_claimed_row(campaign, row, attempt, reason)
            .await?;
        self.stats.current.skipped += usize::from(skipped);
        Ok(())
    }

    async fn hold_row(
        &self,
        campaign: &CampaignId,
        row: &Row,
        attempt: u32,
        reason: &str,
    ) -> Result<(), Error> {
        let error = ErrorInfo::transport(reason);
        self.backend
            .record_transition(campaign, row, attempt, Transition::Hold, &error)
            .await
    }
}
