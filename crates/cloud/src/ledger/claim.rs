//! Claims: a sender claims a row before it sends, so that no other sends the same row.

use campaign::delivery::ledger::{Claim, LedgerRow, PastAttempt, Transition, next_attempt};
use campaign::id::{CampaignId, RowNumber};
use campaign::time::Millis;

use super::Ledger;
use super::transition::TransitionResult;
use crate::dynamodb::{number, text, to_attribute};
use crate::{Error, ErrorKind, part_ttl};

/// What a new attempt removes from the item, beside what the rule does; the former attempt goes into the history.
const ATTEMPT_ATTRIBUTES: &[&str] = &[
    "not_before",
    "wamid",
    "wa_id",
    "message_status",
    "error_info",
    "sent_at",
    "delivered_at",
    "read_at",
    "category",
];

impl Ledger {
    /// Claims a row for `owner`, before the message is sent.
    #[tracing::instrument(skip_all, fields(campaign.id = %campaign, row))]
    pub async fn claim(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        owner: &str,
        now: Millis,
    ) -> Result<Claim, Error> {
        // Most rows are not in the ledger yet.
        let mut known = None;
        loop {
            let attempt = next_attempt(known.as_deref().map(LedgerRow::status));
            let begun = self.begin_attempt(campaign, row, known.as_deref(), owner, now);
            let TransitionResult::Refused(found) = begun.await? else {
                return Ok(Claim::Won(attempt));
            };
            let found = found.ok_or_else(|| {
                Error::with_kind(
                    "claim a row",
                    ErrorKind::ConditionFailed,
                    "the row has no item",
                )
            })?;
            if let Some(claim) = Claim::of(&found, owner, now) {
                if matches!(claim, Claim::Won(_)) {
                    crate::sometimes!("a claim whose response was lost is recognised");
                }
                return Ok(claim);
            }
            known = Some(found);
        }
    }

    /// Begins the first attempt at a row, or the one after the attempt in `known`.
    async fn begin_attempt(
        &self,
        campaign: &CampaignId,
        row: RowNumber,
        known: Option<&LedgerRow>,
        owner: &str,
        now: Millis,
    ) -> Result<TransitionResult, Error> {
        let action = "claim a row";
        let attempt = next_attempt(known.map(LedgerRow::status));
        let mut write = self
            .transition(campaign, row, Transition::Claim, attempt)
            .set("owner", text(owner))
            .set("claimed_at", number(now));
        if let Some(sender) = &self.sender {
            write = write.set("number", text(sender.as_str()));
        }
        let write = match known {
            None => write.set("expires_at", number(part_ttl(now, self.retention_days))),
            Some(row) => write
                .append("history", to_attribute(action, [PastAttempt::of(row)])?)
                .remove(ATTEMPT_ATTRIBUTES),
        };
        write.send(action).await
    }
}
