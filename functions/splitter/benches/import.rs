//! From the bytes of a table to chunks, and from chunks to serialized batches: the work of both passes on one core, without
//! the bucket and the queue. The file has five columns, of which the message uses three.

use std::hint::black_box;
use std::io::Cursor;
use std::sync::Arc;

use campaign::delivery::batch::{Batch, Batcher, RoutedRows};
use campaign::delivery::number_choice::NumberChoice;
use campaign::delivery::pacing::Rate;
use campaign::import::preview::{Preview, PreviewBuilder};
use campaign::import::row::{RowVerdict, SeenNumbers};
use campaign::lifecycle::campaign::{Campaign, FileInfo};
use campaign::message::Message;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use encoding_rs::WINDOWS_1252;
use recipients::RecipientReader;
use recipients::chunks::{ChunkEncoder, MAX_CHUNK_ROWS, Verdict, decode_chunk};
use recipients::content_hash::ContentHasher;

const ROWS: u64 = 100_000;

fn sample_file() -> String {
    let mut file = String::from("name,phone,amount,city,plan\n");
    for row in 0..ROWS {
        file.push_str(&format!(
            "\"Silva, Ana {row}\",+5511{},{}.50,São Paulo,Basic\n",
            910_000_000 + row,
            row % 1000
        ));
    }
    file
}

fn campaign() -> Campaign {
    let message = serde_json::json!({"type": "text", "text": {"body": "Hi {{name}} in {{city}}, you owe {{amount}}"}});
    let message = Message::new(message).expect("message");
    let file = FileInfo {
        name: "bench.csv".into(),
        size: 1,
    };
    let id = "0198c0de-0000-7000-8000-000000000000".parse().expect("id");
    Campaign::new(id, "Bench".into(), message, file, 0)
}

/// The first pass: classifies every row, builds the preview, the hash and the chunks, which it returns.
async fn validate(file: &Arc<[u8]>, campaign: &Campaign) -> Vec<Vec<u8>> {
    let mut recipients = open(file, campaign).await;
    let mut preview = PreviewBuilder::default();
    let mut content = ContentHasher::new(campaign);
    let mut encoder = ChunkEncoder::new(&recipients, 0, MAX_CHUNK_ROWS);
    let mut chunks = Vec::new();
    while let Some(verdict) = recipients.next_verdict().await.expect("read") {
        preview.add_verdict(&verdict);
        chunks.extend(encoder.push(&recipients, &verdict));
        if let RowVerdict::Usable(row) = &verdict {
            content.add_row(row);
        }
    }
    chunks.extend(encoder.take_rest());
    assert_eq!(recipients.counts().enqueued, ROWS);
    black_box((preview.finish(Preview::default()), content.finish()));
    chunks
}

/// The second pass: reads the chunks, cuts batches and serializes them.
fn enqueue(chunks: &[Vec<u8>], campaign: &Campaign) -> usize {
    let rate = Rate {
        slots: 80,
        per_slot: 1,
    };
    let mut batcher = Batcher::new(vec![rate], NumberChoice::new(&[]));
    let mut bytes = 0;
    let mut write = |RoutedRows { rows, .. }| {
        let batch = Batch {
            campaign: campaign.id.clone(),
            rows,
            hops: 0,
        };
        bytes += black_box(cloud::message_body::encode(&batch).expect("text")).len();
    };
    let mut rows = 0;
    for chunk in chunks {
        for row in decode_chunk(chunk.clone().into(), 1).expect("chunk") {
            rows += 1;
            if let Verdict::Usable(row) = row.expect("row").verdict {
                batcher.push(row);
            }
        }
        batcher.take_ready().into_iter().for_each(&mut write);
    }
    batcher.finish().into_iter().for_each(write);
    assert_eq!(rows, ROWS);
    bytes
}

async fn open(file: &Arc<[u8]>, campaign: &Campaign) -> RecipientReader {
    let opened = RecipientReader::open(
        Cursor::new(Arc::clone(file)),
        campaign,
        0,
        SeenNumbers::default(),
        0,
    );
    opened.await.expect("header")
}

fn bench_import(criterion: &mut Criterion) {
    let (text, campaign) = (sample_file(), campaign());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("runtime");
    let mut group = criterion.benchmark_group("import");
    group.throughput(Throughput::Elements(ROWS)).sample_size(20);
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let files = [
        ("utf-8", text.clone().into_bytes()),
        ("windows-1252", WINDOWS_1252.encode(&text).0.into_owned()),
        ("utf-16le", utf16),
    ];
    for (encoding, file) in files {
        let file: Arc<[u8]> = file.into();
        group.bench_function(format!("validate/{encoding}"), |bencher| {
            bencher
                .to_async(&runtime)
                .iter(|| validate(&file, &campaign))
        });
    }
    let file: Arc<[u8]> = text.into_bytes().into();
    let chunks = runtime.block_on(validate(&file, &campaign));
    group.bench_function("enqueue", |bencher| {
        bencher.iter(|| enqueue(&chunks, &campaign));
    });
    group.finish();
}

criterion_group!(benches, bench_import);
criterion_main!(benches);
