//! Messages that were accepted and then not delivered, but may be later.

use campaign::id::Tracker;
use campaign::outcome::{Circumstances, Fault, Outcome, Refusal, Step, next_step};
use whatsapp::code::{Seen, classify};

use crate::Webhook;

impl Webhook {
    /// Another try later, if the code says that it may help, the operator asked for it, and there is time.
    pub(crate) async fn offer_again(
        &self,
        tracker: &Tracker,
        fault: &Fault,
    ) -> Result<(), cloud::Error> {
        let Some(code) = fault.code else {
            return Ok(());
        };
        let refusal = Refusal {
            class: classify(code, Seen::Callback),
            fault: fault.clone(),
            wait: None,
        };
        let circumstances = Circumstances {
            attempt: tracker.attempt,
            now: cloud::now(),
            values_vary: true,
            name_varies: true,
            proven: true,
            jitter: 0.0,
        };
        let Step::Retry { not_before, .. } = next_step(Outcome::Refused(refusal), circumstances)
        else {
            return Ok(());
        };
        let campaign = self.campaigns.get(&tracker.campaign).await?;
        let asked = campaign.is_some_and(|campaign| {
            campaign.policy.retry_undelivered && !campaign.window.is_over(not_before)
        });
        if asked {
            self.ledger
                .reoffer(&tracker.campaign, tracker.row, tracker.attempt, not_before)
                .await?;
            // Also where the row moved before: the process of that time may have died right then.
            self.campaigns
                .reopen(&tracker.campaign, cloud::now())
                .await?;
        }
        Ok(())
    }
}
