//! Any bytes → verdicts: no panic, no hang, no growth; and what comes out adds up.
#![no_main]

use std::cell::OnceCell;
use std::io::Cursor;

use campaign::import::row::Numbers;
use campaign::message::Message;
use campaign::lifecycle::campaign::{Campaign, FileInfo};
use libfuzzer_sys::fuzz_target;
use recipients::{People, exclusions};
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static MADE: OnceCell<(Runtime, Campaign)> = const { OnceCell::new() };
}

fuzz_target!(|bytes: &[u8]| {
    MADE.with(|made| {
        let (runtime, campaign) = made.get_or_init(make);
        runtime.block_on(import(bytes.to_vec(), campaign));
    });
});

fn make() -> (Runtime, Campaign) {
    let runtime = Builder::new_current_thread().max_blocking_threads(1).build().expect("runtime");
    let message = serde_json::json!({"type": "template", "template": {"name": "t", "language": {"code": "en"}, "components": [
        {"type": "body", "parameters": [{"type": "text", "text": "{{name|there}}"}]}]}});
    let message = Message::new(message).expect("message");
    let file = FileInfo { name: "fuzz".into(), size: 1 };
    let mut campaign = Campaign::new("c1".parse().expect("id"), "Fuzz".into(), message, file, 0);
    campaign.options.default_region = Some("BR".into());
    (runtime, campaign)
}

async fn import(bytes: Vec<u8>, campaign: &Campaign) {
    // What the file holds, a thousand times over: gzip and workbooks may unpack to that.
    let most = (bytes.len() as u64 + 1) * 1100;
    let _ = exclusions(Cursor::new(bytes.clone()), &campaign.options).await;
    let Ok(mut people) = People::open(Cursor::new(bytes), campaign, Numbers::default(), 0).await else {
        return;
    };
    let mut verdicts = 0u64;
    while let Ok(Some(_)) = people.next().await {
        verdicts += 1;
        assert!(verdicts <= most, "more records than bytes");
    }
    let counts = people.counts();
    assert!(counts.rows >= verdicts && counts.rows <= verdicts + 1);
    assert_eq!(counts.rows, counts.rejected + counts.duplicates + counts.suppressed + counts.enqueued);
}
