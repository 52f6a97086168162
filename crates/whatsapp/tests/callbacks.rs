//! Every public callback payload, and what Crier makes of it. Payloads: `callbacks/pywa` (test data of david-lev/pywa) and
//! `callbacks/facebook-openapi` (examples of Meta's own description), each with its licence.

use std::fmt::Write;
use std::path::Path;

use whatsapp::account_notification::PauseTarget;
use whatsapp::callback::{Event, Update, parse_callback};
use whatsapp::status::MessageStatus;

/// File: what it is, per update.
const TABLE: &str = include_str!("callbacks/table.txt");

#[test]
fn every_public_payload_is_what_the_table_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/callbacks");
    let mut files: Vec<_> = ["facebook-openapi", "pywa"]
        .into_iter()
        .flat_map(|source| std::fs::read_dir(folder.join(source)).expect("a folder"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    let mut seen = String::new();
    for path in files {
        let updates = parse_callback(&std::fs::read(&path).expect("a file"));
        let what: Vec<String> = updates.iter().map(describe).collect();
        let file = path.strip_prefix(&folder).expect("below it").display();
        writeln!(seen, "{file}: {}", what.join("; ")).expect("text");
    }
    assert_eq!(
        seen,
        TABLE,
        "the table is {}",
        folder.join("table.txt").display()
    );
}

/// What an update is and does, in a few words.
fn describe(update: &Update) -> String {
    match &update.event {
        Event::Status(report) => {
            let row = report.correlation_id.as_ref().map_or("no row", |_| "a row");
            match &report.status {
                MessageStatus::Failed(fault) => {
                    format!("status failed {}, {row}", fault.code.unwrap_or_default())
                }
                status => format!("status {status:?}, {row}"),
            }
        }
        Event::Message(inbound) => {
            let mut text = format!("message {}", inbound.kind);
            let parts = [
                ("from", inbound.from.phone.is_some()),
                ("user id", inbound.from.user_id.is_some()),
                ("name", inbound.name.is_some()),
                ("text", inbound.text.is_some()),
                ("payload", inbound.payload.is_some()),
                ("answers", inbound.reply_to.is_some()),
                ("moves", inbound.new_phone.is_some()),
                ("window", inbound.opens_service_window()),
            ];
            for (name, _) in parts.iter().filter(|(_, there)| *there) {
                write!(text, " +{}", name.replace(' ', "_")).expect("text");
            }
            text
        }
        Event::Preference(preference) => {
            format!(
                "preference {}, stop: {}",
                preference.category, preference.opted_out
            )
        }
        Event::Account(notice) => {
            let stops = match &notice.pauses {
                PauseTarget::Nothing => "nothing".to_owned(),
                PauseTarget::Template { name, language } => format!("template {name} {language}"),
                PauseTarget::Account => "everything".to_owned(),
            };
            format!("notice {} stops {stops}: {}", notice.event, notice.text)
        }
        Event::Error(fault) => format!("fault {}", fault.code.unwrap_or_default()),
        Event::Other => format!(
            "kept raw as {}",
            update.key.split('#').next().unwrap_or_default()
        ),
    }
}
