//! Every public callback payload, and how Crier parses it. Payloads: `callbacks/pywa` (test data of david-lev/pywa) and
//! `callbacks/facebook-openapi` (examples of Meta's own description), each with its licence.

use std::fmt::Write;
use std::path::Path;

use whatsapp::account_notification::PauseTarget;
use whatsapp::callback::{Event, Update, parse_callback};
use whatsapp::status::MessageStatus;

/// One line per file: how each of its updates is parsed.
const EXPECTED: &str = include_str!("callbacks/table.txt");

#[test]
fn public_payloads_parse_as_the_table_says() {
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
    let mut actual = String::new();
    for path in files {
        let updates = parse_callback(&std::fs::read(&path).expect("a file"));
        let descriptions: Vec<String> = updates.iter().map(describe).collect();
        let file = path.strip_prefix(&folder).expect("below it").display();
        writeln!(actual, "{file}: {}", descriptions.join("; ")).expect("text");
    }
    assert_eq!(
        actual,
        EXPECTED,
        "the table is {}",
        folder.join("table.txt").display()
    );
}

/// Describes an update in a few words.
fn describe(update: &Update) -> String {
    match &update.event {
        Event::Status(update) => {
            let row = update.correlation_id.as_ref().map_or("no row", |_| "a row");
            match &update.status {
                MessageStatus::Failed(error) => {
                    format!("status failed {}, {row}", error.code.unwrap_or_default())
                }
                status => format!("status {status:?}, {row}"),
            }
        }
        Event::Message(message) => {
            let mut text = format!("message {}", message.kind);
            let parts = [
                ("from", message.from.phone.is_some()),
                ("user_id", message.from.user_id.is_some()),
                ("name", message.name.is_some()),
                ("text", message.text.is_some()),
                ("payload", message.payload.is_some()),
                ("reply_to", message.reply_to.is_some()),
                ("new_phone", message.new_phone.is_some()),
                ("service_window", message.opens_service_window()),
            ];
            for (name, _) in parts.iter().filter(|(_, is_present)| *is_present) {
                write!(text, " +{name}").expect("text");
            }
            text
        }
        Event::Call(call) => {
            let mut text = "call".to_owned();
            let parts = [
                ("from", call.from.phone.is_some()),
                ("user_id", call.from.user_id.is_some()),
            ];
            for (name, _) in parts.iter().filter(|(_, is_present)| *is_present) {
                write!(text, " +{name}").expect("text");
            }
            text
        }
        Event::Preference(preference) => {
            format!(
                "preference {}, opted out: {}",
                preference.category, preference.opted_out
            )
        }
        Event::Account(notification) => {
            let pauses = match &notification.pauses {
                PauseTarget::Nothing => "nothing".to_owned(),
                PauseTarget::Template { name, language } => format!("template {name} {language}"),
                PauseTarget::Number { phone } => {
                    format!(
                        "the number {}",
                        phone.as_deref().unwrap_or("that is not named")
                    )
                }
                PauseTarget::Account => "every campaign".to_owned(),
            };
            format!(
                "account event {} pauses {pauses}: {}",
                notification.event, notification.text
            )
        }
        Event::Error(error) => format!("error {}", error.code.unwrap_or_default()),
        Event::Other => format!(
            "stored raw as {}",
            update.key.split('#').next().unwrap_or_default()
        ),
    }
}
