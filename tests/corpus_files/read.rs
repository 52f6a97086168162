//! Reads a file as an import does and compares what it gives.

use std::io::Cursor;

use campaign::import::row::{RowVerdict, SeenNumbers};
use campaign::lifecycle::campaign::{Campaign, FileInfo, ImportOptions};
use campaign::message::Message;
use recipients::RecipientReader;
use serde_json::Value;

use super::case::Expected;

/// A campaign with this message, whose file is read with these options.
pub(super) fn campaign_with(message: &Value, options: &ImportOptions) -> Campaign {
    let file = FileInfo {
        name: "corpus.csv".into(),
        size: 1,
    };
    let message = Message::new(message.clone()).unwrap();
    let mut campaign = Campaign::new("c1".parse().unwrap(), "Corpus".into(), message, file, 0);
    campaign.files[0].options = options.clone();
    campaign
}

/// What a file gives.
pub(super) async fn read_file(bytes: Vec<u8>, campaign: &Campaign) -> Expected {
    let mut seen = Expected::default();
    if let Err(error) = read_rows(bytes, campaign, &mut seen).await {
        seen.failure = error;
    }
    seen
}

async fn read_rows(bytes: Vec<u8>, campaign: &Campaign, seen: &mut Expected) -> Result<(), String> {
    let open = RecipientReader::open(Cursor::new(bytes), campaign, 0, SeenNumbers::default(), 0);
    let mut reader = open.await.map_err(|error| error.to_string())?;
    while let Some(verdict) = reader
        .next_verdict()
        .await
        .map_err(|error| error.to_string())?
    {
        match verdict {
            RowVerdict::Usable(row) => {
                let name = row.values.first().cloned().unwrap_or_default();
                seen.recipients.push((row.row, row.to.to_string(), name));
            }
            RowVerdict::Rejected(reject) => {
                let problem = reject.reason.to_string();
                seen.rejected.push((reject.row, reject.column, problem));
            }
            RowVerdict::Duplicate | RowVerdict::Excluded => seen.duplicates += 1,
        }
    }
    let format = reader.format();
    let delimiter = char::from(format.delimiter);
    seen.read_as = format!("{} {} {delimiter}", format.kind, format.encoding);
    Ok(())
}

/// Whether a file gives what is expected. Of a problem only a part of its text is compared.
pub(super) fn matches_expected(seen: &Expected, expected: &Expected) -> bool {
    let same_problem = |(seen, expected): (&(u32, String, String), &(u32, String, String))| {
        (seen.0, &seen.1) == (expected.0, &expected.1) && seen.2.contains(&expected.2)
    };
    let rejected = seen.rejected.iter().zip(&expected.rejected);
    seen.recipients == expected.recipients
        && seen.duplicates == expected.duplicates
        && seen.rejected.len() == expected.rejected.len()
        && rejected.into_iter().all(same_problem)
        && (expected.read_as.is_empty() || seen.read_as == expected.read_as)
        && seen.failure.is_empty() == expected.failure.is_empty()
        && seen.failure.contains(&expected.failure)
}
