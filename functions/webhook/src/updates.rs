//! The updates of a POST, stored and applied.

use std::time::Duration;

use campaign::time::Millis;
use cloud::Error;
use cloud::callbacks::RawCallback;
use cloud::ledger::StatusUpdate;
use futures::stream::{self, StreamExt, TryStreamExt};
use tracing::{error, info, instrument};
use whatsapp::callback::{Event, Update};

use crate::Webhook;
use crate::row_statuses::{self, RowStatusUpdate};

/// The greatest age of a campaign's policy, which changes before its start alone.
const POLICY_MAX_AGE: Duration = Duration::from_secs(60);

/// The most updates that are applied at the same time.
const MAX_CONCURRENT_UPDATES: usize = 16;

impl Webhook {
    /// Stores the updates and acts on them, on what recipients wrote first. All of it can be repeated.
    pub(crate) async fn store_and_apply(&self, updates: &[Update]) -> Result<(), Error> {
        let now = cloud::now();
        let rows = row_statuses::group_by_row(updates, now);
        info!(
            updates = updates.len(),
            rows = rows.len(),
            "callbacks received"
        );
        let others: Vec<_> = updates
            .iter()
            .map(|update| self.apply_update(update, now))
            .collect();
        // What recipients wrote comes first: an opt-out must not wait behind a thousand statuses, nor fail with one of them.
        let applied: Vec<Result<Option<Millis>, Error>> = stream::iter(others)
            .buffer_unordered(MAX_CONCURRENT_UPDATES)
            .collect()
            .await;
        let statuses = stream::iter(rows)
            .map(|row| self.apply_statuses(row))
            .buffer_unordered(MAX_CONCURRENT_UPDATES)
            .try_collect::<()>();
        let raw = updates.iter().map(|update| RawCallback {
            key: update.key.clone(),
            json: update.raw.to_string(),
        });
        let stored = self.callbacks.store(raw.collect(), now);
        let noted = self.note_our_phones(updates);
        tokio::try_join!(statuses, stored, noted)?;
        let effective_times: Vec<Option<Millis>> = applied.into_iter().collect::<Result<_, _>>()?;
        // A send may have been in progress when a recipient opted out. The response tells Meta that no send follows.
        if let Some(effective_at) = effective_times.into_iter().flatten().max() {
            cloud::sometimes!("an opt-out waits until a send in progress has finished");
            let wait = effective_at.saturating_sub(cloud::now());
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        Ok(())
    }

    /// Applies an update that is no status of a row. Returns when an opt-out in it takes effect.
    async fn apply_update(&self, update: &Update, now: Millis) -> Result<Option<Millis>, Error> {
        match &update.event {
            Event::Message(message) => {
                let raw = update.raw["message"].to_string();
                self.on_message(message, &raw, now).await
            }
            Event::Call(call) => {
                self.on_call(call, now).await?;
                Ok(None)
            }
            Event::Preference(preference) => self.on_preference(preference, now).await,
            Event::Account(notification) => {
                self.on_account_event(&update.key, notification, now)
                    .await?;
                Ok(None)
            }
            Event::Error(error) => {
                error!(code = error.code, "Meta reports an error: {}", error.title);
                Ok(None)
            }
            Event::Status(_) | Event::Other => Ok(None),
        }
    }

    /// Leaves out that a message was delivered and read, where its campaign does not want to know of this row. `None` if
    /// nothing is left.
    async fn leave_out_delivery(
        &self,
        row: RowStatusUpdate,
    ) -> Result<Option<RowStatusUpdate>, Error> {
        let StatusUpdate {
            delivered_at,
            read_at,
            ..
        } = row.update;
        if delivered_at.or(read_at).is_none() {
            return Ok(Some(row));
        }
        let id = &row.correlation_id;
        let campaign = self
            .campaign_cache
            .get_with_max_age(&id.campaign, POLICY_MAX_AGE)
            .await?;
        if campaign.is_none_or(|campaign| campaign.policy.records_delivery(id.row)) {
            return Ok(Some(row));
        }
        cloud::sometimes!("the delivery of a row is not recorded, as its campaign says");
        let update = row.update.without_delivery();
        Ok(update.map(|update| RowStatusUpdate { update, ..row }))
    }

    #[instrument(skip_all, fields(
        campaign.id = %row.correlation_id.campaign,
        row = row.correlation_id.row,
        attempt = row.correlation_id.attempt,
    ))]
    async fn apply_statuses(&self, row: RowStatusUpdate) -> Result<(), Error> {
        let Some(row) = self.leave_out_delivery(row).await? else {
            return Ok(());
        };
        let RowStatusUpdate {
            correlation_id: id,
            update,
            ..
        } = &row;
        let is_applied = self
            .ledger
            .apply_status(&id.campaign, id.row, id.attempt, update)
            .await?;
        if !is_applied {
            cloud::sometimes!("a status no longer applies to its row");
        }
        match &update.failed {
            Some((at, error)) => self.on_failure(&row, *at, error).await,
            None => Ok(()),
        }
    }
}
