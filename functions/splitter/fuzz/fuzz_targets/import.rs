//! Feeds arbitrary bytes to the import. It must not panic, hang or use unbounded memory, and its counts must add up.
#![no_main]

use std::cell::OnceCell;
use std::io::Cursor;

use campaign::import::row::SeenNumbers;
use campaign::lifecycle::campaign::{Campaign, FileInfo};
use campaign::message::Message;
use libfuzzer_sys::fuzz_target;
use recipients::chunks::decode_chunk;
use recipients::{RecipientReader, read_exclude_list};
use tokio::runtime::{Builder, Runtime};

/// Records per byte of input: gzip and workbooks may unpack to a thousand times their size.
const MAX_RECORDS_PER_BYTE: u64 = 1100;

thread_local! {
    static CONTEXT: OnceCell<(Runtime, Campaign)> = const { OnceCell::new() };
}

fuzz_target!(|bytes: &[u8]| {
    CONTEXT.with(|context| {
        let (runtime, campaign) = context.get_or_init(create_context);
        runtime.block_on(import(bytes.to_vec(), campaign));
    });
});

fn create_context() -> (Runtime, Campaign) {
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .expect("runtime");
    let message = serde_json::json!({
        "type": "template",
        "template": {
            "name": "t",
            "language": {"code": "en"},
            "components": [{"type": "body", "parameters": [{"type": "text", "text": "{{name|there}}"}]}],
        },
    });
    let message = Message::new(message).expect("message");
    let file = FileInfo {
        name: "fuzz".into(),
        size: 1,
    };
    let mut campaign = Campaign::new("c1".parse().expect("id"), "Fuzz".into(), message, file, 0);
    campaign.files[0].options.default_region = Some("BR".into());
    (runtime, campaign)
}

async fn import(bytes: Vec<u8>, campaign: &Campaign) {
    let max_records = (bytes.len() as u64 + 1) * MAX_RECORDS_PER_BYTE;
    let _ = read_exclude_list(Cursor::new(bytes.clone()), &campaign.files[0].options).await;
    if let Ok(rows) = decode_chunk(bytes.clone().into(), 1) {
        rows.for_each(drop);
    }
    let file = Cursor::new(bytes);
    let opened = RecipientReader::open(file, campaign, 0, SeenNumbers::default(), 0).await;
    let Ok(mut recipients) = opened else {
        return;
    };
    let mut verdicts = 0u64;
    while let Ok(Some(_)) = recipients.next_verdict().await {
        verdicts += 1;
        assert!(
            verdicts <= max_records,
            "more records than the bytes can hold"
        );
    }
    let counts = recipients.counts();
    assert!(counts.rows >= verdicts && counts.rows <= verdicts + 1);
    assert_eq!(
        counts.rows,
        counts.rejected + counts.duplicates + counts.suppressed + counts.enqueued
    );
}
