//! The statuses of a POST, grouped by row. Meta packs up to 1,000 updates into one POST, and the statuses of one row are
//! stored in one write.

use std::collections::HashMap;

use campaign::id::{CorrelationId, NumberId};
use campaign::time::Millis;
use cloud::ledger::StatusUpdate;
use whatsapp::callback::{Event, Update};
use whatsapp::contact::ContactIds;
use whatsapp::status::{MessageStatus, StatusCallback};

/// The statuses of one attempt to send a row.
#[derive(Debug, PartialEq)]
pub(crate) struct RowStatusUpdate {
    pub(crate) correlation_id: CorrelationId,
    pub(crate) update: StatusUpdate,
    pub(crate) recipient: ContactIds,
    /// Our number from which the message was sent, where Meta says so.
    pub(crate) number: Option<NumberId>,
}

/// Groups the statuses by attempt. A status without a time counts as of `now`.
pub(crate) fn group_by_row(updates: &[Update], now: Millis) -> Vec<RowStatusUpdate> {
    let mut rows: HashMap<&CorrelationId, (StatusUpdate, ContactIds, Option<NumberId>)> =
        HashMap::new();
    for update in updates {
        if let Event::Status(status) = &update.event
            && let Some(id) = &status.correlation_id
        {
            let (merged, recipient, number) = rows.entry(id).or_default();
            recipient.clone_from(&status.recipient);
            *number = update.our_number().map(|(id, _)| id);
            merge_status(merged, status, now);
        }
    }
    rows.into_iter()
        .map(|(id, (update, recipient, number))| RowStatusUpdate {
            correlation_id: id.clone(),
            update,
            recipient,
            number,
        })
        .collect()
}

fn merge_status(merged: &mut StatusUpdate, status: &StatusCallback, now: Millis) {
    let at = status.at.unwrap_or(now);
    if merged.wamid.is_empty() {
        merged.wamid.clone_from(&status.wamid);
    }
    if merged.category.is_none() {
        merged.category.clone_from(&status.price_category);
    }
    match &status.status {
        MessageStatus::Sent => set_earliest(&mut merged.sent_at, at),
        MessageStatus::Delivered => set_earliest(&mut merged.delivered_at, at),
        // Meta may omit `delivered` when a message is read at once. Counters treat `read` as `delivered`.
        MessageStatus::Read | MessageStatus::Played => set_earliest(&mut merged.read_at, at),
        MessageStatus::Failed(error) => {
            merged.failed.get_or_insert_with(|| (at, error.clone()));
        }
        MessageStatus::Other => {}
    }
}

/// The earliest time counts, whatever the order in the POST.
fn set_earliest(time: &mut Option<Millis>, at: Millis) {
    *time = Some(time.map_or(at, |time| time.min(at)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn update(id: &str, status: MessageStatus, at: Millis) -> Update {
        let status = StatusCallback {
            correlation_id: id.parse().ok(),
            wamid: "wamid.1".into(),
            status,
            at: Some(at),
            recipient: ContactIds::default(),
            price_category: None,
        };
        Update {
            key: String::new(),
            raw: Value::Null,
            event: Event::Status(status),
        }
    }

    #[test]
    fn statuses_of_one_row_become_one_write_in_any_order() {
        let statuses = [
            update("c1:1:1", MessageStatus::Read, 30),
            update("c1:1:1", MessageStatus::Delivered, 20),
            update("c1:1:1", MessageStatus::Sent, 10),
            update("c1:2:1", MessageStatus::Read, 5),
            update("c1:1:2", MessageStatus::Other, 1),
        ];
        let mut rows = group_by_row(&statuses, 99);
        rows.sort_by_key(|row| row.correlation_id.to_string());
        let times: Vec<_> = rows
            .iter()
            .map(|row| {
                let update = &row.update;
                (update.sent_at, update.delivered_at, update.read_at)
            })
            .collect();
        let expected = [
            (Some(10), Some(20), Some(30)),
            (None, None, None),
            (None, None, Some(5)),
        ];
        assert_eq!(times, expected);
    }
}
