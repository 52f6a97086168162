//! A POST's statuses by row: Meta packs up to 1,000 updates into one, and a row's go into one write.

use std::collections::HashMap;

use campaign::delivery::outcome::Millis;
use campaign::id::CorrelationId;
use cloud::ledger::StatusUpdate;
use whatsapp::callback::{Event, Update};
use whatsapp::contact::ContactIds;
use whatsapp::status::{MessageStatus, StatusCallback};

/// What a POST says of one attempt at one row.
#[derive(Debug, PartialEq)]
pub(crate) struct RowStatusUpdate {
    pub(crate) correlation_id: CorrelationId,
    pub(crate) update: StatusUpdate,
    pub(crate) recipient: ContactIds,
}

/// Gathers the statuses of each attempt; `now` stands in for a time that is missing.
pub(crate) fn group_by_row(updates: &[Update], now: Millis) -> Vec<RowStatusUpdate> {
    let mut rows: HashMap<&CorrelationId, (StatusUpdate, ContactIds)> = HashMap::new();
    for update in updates {
        if let Event::Status(report) = &update.event
            && let Some(tracker) = &report.correlation_id
        {
            let (reports, recipient) = rows.entry(tracker).or_default();
            recipient.clone_from(&report.recipient);
            merge_status(reports, report, now);
        }
    }
    rows.into_iter()
        .map(|(tracker, (reports, recipient))| RowStatusUpdate {
            correlation_id: tracker.clone(),
            update: reports,
            recipient,
        })
        .collect()
}

fn merge_status(reports: &mut StatusUpdate, report: &StatusCallback, now: Millis) {
    let at = report.at.unwrap_or(now);
    if reports.wamid.is_empty() {
        reports.wamid.clone_from(&report.wamid);
    }
    if reports.category.is_none() {
        reports.category.clone_from(&report.price_category);
    }
    match &report.status {
        MessageStatus::Sent => set_earliest(&mut reports.sent_at, at),
        MessageStatus::Delivered => set_earliest(&mut reports.delivered_at, at),
        // `delivered` may be left out when a message is read at once: whoever counts takes the one for the other.
        MessageStatus::Read | MessageStatus::Played => set_earliest(&mut reports.read_at, at),
        MessageStatus::Failed(fault) => {
            reports.failed.get_or_insert_with(|| (at, fault.clone()));
        }
        MessageStatus::Other => {}
    }
}

/// The earliest time counts, whatever the order in the POST.
fn set_earliest(known: &mut Option<Millis>, at: Millis) {
    *known = Some(known.map_or(at, |known| known.min(at)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn update(tracker: &str, status: MessageStatus, at: Millis) -> Update {
        let report = StatusCallback {
            correlation_id: tracker.parse().ok(),
            wamid: "wamid.1".into(),
            status,
            at: Some(at),
            recipient: ContactIds::default(),
            price_category: None,
        };
        Update {
            key: String::new(),
            raw: Value::Null,
            event: Event::Status(report),
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
            .map(|RowStatusUpdate { update: r, .. }| (r.sent_at, r.delivered_at, r.read_at))
            .collect();
        let expected = [
            (Some(10), Some(20), Some(30)),
            (None, None, None),
            (None, None, Some(5)),
        ];
        assert_eq!(times, expected);
    }
}
