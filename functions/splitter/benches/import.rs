//! Bytes of a CSV → serialized batches, on one core.

use std::hint::black_box;

use campaign::batch::{Batch, Cutter};
use campaign::import::Verdict;
use campaign::message::Message;
use campaign::pacing::Rate;
use campaign::record::{Campaign, FileInfo};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use splitter::records::Records;

const ROWS: u64 = 100_000;

fn file() -> Vec<u8> {
    let mut file = String::from("name,phone,amount,city\n");
    for row in 0..ROWS {
        file.push_str(&format!(
            "\"Silva, Ana {row}\",+5511{},{}.50,São Paulo\n",
            910_000_000 + row,
            row % 1000
        ));
    }
    file.into_bytes()
}

fn campaign() -> Campaign {
    let message =
        serde_json::json!({"type": "text", "text": {"body": "Hi {{name}}, you owe {{amount}}"}});
    let message = Message::new(message).expect("message");
    let file = FileInfo {
        name: "bench.csv".into(),
        size: 1,
    };
    let id = "0198c0de-0000-7000-8000-000000000000".parse().expect("id");
    Campaign::new(id, "Bench".into(), message, file, 0)
}

async fn import(file: &[u8], campaign: &Campaign) -> usize {
    let mut cutter = Cutter::new(Rate {
        slots: 80,
        per_slot: 1,
    });
    let mut records = Records::open(file, campaign).await.expect("header");
    let mut bytes = 0;
    let mut write = |rows| {
        let batch = Batch {
            campaign: campaign.id.clone(),
            rows,
        };
        bytes += black_box(serde_json::to_string(&batch).expect("text")).len();
    };
    while let Some(verdict) = records.next().await.expect("read") {
        if let Verdict::Usable(row) = verdict
            && let Some(rows) = cutter.push(row)
        {
            write(rows);
        }
    }
    cutter.finish().into_iter().for_each(write);
    assert_eq!(records.counts().enqueued, ROWS);
    bytes
}

fn bench(criterion: &mut Criterion) {
    let (file, campaign) = (file(), campaign());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("runtime");
    let mut group = criterion.benchmark_group("import");
    group.throughput(Throughput::Elements(ROWS)).sample_size(20);
    group.bench_function("rows", |bencher| {
        bencher.to_async(&runtime).iter(|| import(&file, &campaign))
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
