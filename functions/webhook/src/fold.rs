//! A POST's statuses by row: Meta packs up to 1,000 updates into one, and a row's go into one write.

use std::collections::HashMap;

use campaign::id::Tracker;
use campaign::outcome::Millis;
use cloud::ledger::Reports;
use whatsapp::callback::{Event, Person, Update};
use whatsapp::report::{Report, Status};

/// What a POST says of one attempt at one row.
#[derive(Debug, PartialEq)]
pub(crate) struct RowReports {
    pub(crate) tracker: Tracker,
    pub(crate) reports: Reports,
    pub(crate) recipient: Person,
}

/// Gathers the statuses of each attempt; `now` stands in for a time that is missing.
pub(crate) fn by_row(updates: &[Update], now: Millis) -> Vec<RowReports> {
    let mut rows: HashMap<&Tracker, (Reports, Person)> = HashMap::new();
    for update in updates {
        if let Event::Status(report) = &update.event
            && let Some(tracker) = &report.tracker
        {
            let (reports, recipient) = rows.entry(tracker).or_default();
            recipient.clone_from(&report.recipient);
            add(reports, report, now);
        }
    }
    rows.into_iter()
        .map(|(tracker, (reports, recipient))| RowReports {
            tracker: tracker.clone(),
            reports,
            recipient,
        })
        .collect()
}

fn add(reports: &mut Reports, report: &Report, now: Millis) {
    let at = report.at.unwrap_or(now);
    if reports.wamid.is_empty() {
        reports.wamid.clone_from(&report.wamid);
    }
    if reports.category.is_none() {
        reports.category.clone_from(&report.category);
    }
    match &report.status {
        Status::Sent => first(&mut reports.sent_at, at),
        Status::Delivered => first(&mut reports.delivered_at, at),
        // `delivered` may be left out when a message is read at once: whoever counts takes the one for the other.
        Status::Read | Status::Played => first(&mut reports.read_at, at),
        Status::Failed(fault) => {
            reports.failed.get_or_insert_with(|| (at, fault.clone()));
        }
        Status::Other => {}
    }
}

/// The earliest time counts, whatever the order in the POST.
fn first(known: &mut Option<Millis>, at: Millis) {
    *known = Some(known.map_or(at, |known| known.min(at)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn update(tracker: &str, status: Status, at: Millis) -> Update {
        let report = Report {
            tracker: tracker.parse().ok(),
            wamid: "wamid.1".into(),
            status,
            at: Some(at),
            recipient: Person::default(),
            category: None,
        };
        Update {
            key: String::new(),
            raw: Value::Null,
            event: Event::Status(report),
        }
    }

    #[test]
    fn a_rows_statuses_become_one_write_in_any_order() {
        let statuses = [
            update("c1:1:1", Status::Read, 30),
            update("c1:1:1", Status::Delivered, 20),
            update("c1:1:1", Status::Sent, 10),
            update("c1:2:1", Status::Read, 5),
            update("c1:1:2", Status::Other, 1),
        ];
        let mut rows = by_row(&statuses, 99);
        rows.sort_by_key(|row| row.tracker.to_string());
        let times: Vec<_> = rows
            .iter()
            .map(|RowReports { reports: r, .. }| (r.sent_at, r.delivered_at, r.read_at))
            .collect();
        let expected = [
            (Some(10), Some(20), Some(30)),
            (None, None, None),
            (None, None, Some(5)),
        ];
        assert_eq!(times, expected);
    }
}
