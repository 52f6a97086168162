//! What each fault does, as Crier's own clients see it.

use std::time::Duration;

use campaign::delivery::ledger::Claim;
use campaign::delivery::outcome::ErrorInfo;
use campaign::id::CampaignId;
use cloud::files::Files;
use cloud::ledger::Ledger;
use cloud::{Error, ErrorKind};
use simulation::aws::{Aws, Fault, Host, KillPoint, Rates, Resources};
use simulation::clock;
use simulation::random::Random;

const BASE_MS: u64 = 1_800_000_000_000;
const NOW: u64 = BASE_MS;

/// Runs a world and returns its result.
fn run<T: Send>(seed: u64, world: impl AsyncFnOnce(Aws) -> T + Send) -> T {
    let resources = Resources::load();
    clock::run(seed, BASE_MS, || async move {
        world(Aws::new(&Random::new(seed), &resources)).await
    })
}

fn ledger(aws: &Aws, host: &Host) -> Ledger {
    let client = cloud::aws::dynamodb(&aws.config(host));
    Ledger::new(client, "MessagesTable".into(), 90)
}

fn campaign() -> CampaignId {
    "c1".parse().expect("id")
}

/// Claims a row while these faults happen; also gives the requests and the virtual time it took.
fn claim_with(faults: &'static [Fault]) -> (Result<Claim, Error>, usize, Duration) {
    run(1, async |aws| {
        aws.faults().force("UpdateItem", faults);
        let ledger = ledger(&aws, &Host::new("sender", 1));
        let started = tokio::time::Instant::now();
        let claim = ledger.claim(&campaign(), 1, "me", NOW).await;
        (claim, aws.history().len(), started.elapsed())
    })
}

#[test]
fn claim_without_faults_takes_virtual_time() {
    let (claim, requests, elapsed) = claim_with(&[]);
    assert_eq!((claim.expect("claim"), requests), (Claim::Won(1), 1));
    assert!(elapsed >= Duration::from_millis(2), "{elapsed:?}");
}

#[test]
fn refused_and_throttled_requests_are_repeated() {
    for fault in [
        Fault::Refused,
        Fault::Throttled,
        Fault::InternalError { is_applied: false },
    ] {
        let faults = Vec::leak(vec![fault; 2]);
        let (claim, requests, _) = claim_with(faults);
        assert_eq!(claim.expect("claim"), Claim::Won(1), "{fault}");
        assert_eq!(requests, 3, "{fault}");
    }
}

#[test]
fn errors_have_their_class() {
    for (fault, kind) in [
        (Fault::Refused, ErrorKind::Unavailable),
        (Fault::Throttled, ErrorKind::Throttled),
        (Fault::NoAnswer, ErrorKind::TimedOut),
        (Fault::AnswerLost, ErrorKind::Unavailable),
        (
            Fault::InternalError { is_applied: true },
            ErrorKind::Unavailable,
        ),
    ] {
        let faults = Vec::leak(vec![fault; 3]);
        let (claim, requests, _) = claim_with(faults);
        assert_eq!(claim.expect_err("failed").kind, kind, "{fault}");
        assert_eq!(requests, 3, "{fault}");
    }
}

#[test]
fn claim_whose_answer_was_lost_is_recognised() {
    for fault in [
        Fault::AnswerLost,
        Fault::NoAnswer,
        Fault::InternalError { is_applied: true },
    ] {
        let (claim, requests, _) = claim_with(Vec::leak(vec![fault]));
        assert_eq!(claim.expect("claim"), Claim::Won(1), "{fault}");
        assert_eq!(requests, 2, "{fault}");
    }
}

#[test]
fn write_whose_answer_was_lost_is_recognised() {
    run(1, async |aws| {
        let (ledger, id) = (ledger(&aws, &Host::new("sender", 1)), campaign());
        ledger.claim(&id, 1, "me", NOW).await.expect("claim");
        let retry = async || {
            let error = ErrorInfo::transport("busy");
            ledger.schedule_retry(&id, 1, 1, NOW, &error).await
        };
        aws.faults().force("UpdateItem", &[Fault::AnswerLost]);
        assert!(retry().await.expect("retry"), "its own success");
        assert!(!retry().await.expect("retry"), "another one's success");
    });
}

#[test]
fn delays_last_and_long_ones_end_the_attempt() {
    let short = [Fault::AnswerDelayed(Duration::from_secs(8))];
    let (claim, requests, elapsed) = claim_with(Vec::leak(short.into()));
    assert_eq!((claim.expect("claim"), requests), (Claim::Won(1), 1));
    assert!(elapsed >= Duration::from_secs(8), "{elapsed:?}");
    let long = [Fault::AnswerDelayed(Duration::from_secs(30))];
    let (claim, requests, elapsed) = claim_with(Vec::leak(long.into()));
    assert_eq!((claim.expect("claim"), requests), (Claim::Won(1), 2));
    let expected = Duration::from_secs(10)..Duration::from_secs(12);
    assert!(expected.contains(&elapsed), "{elapsed:?}");
}

#[test]
fn delayed_request_arrives_after_its_client_gave_up() {
    run(1, async |aws| {
        let delay = Duration::from_secs(60);
        aws.faults()
            .force("UpdateItem", &[Fault::RequestDelayed(delay)]);
        let ledger = ledger(&aws, &Host::new("sender", 1));
        let claim = ledger.claim(&campaign(), 1, "me", NOW).await;
        assert_eq!(claim.expect("claim"), Claim::Won(1));
        assert_eq!(aws.history().len(), 1, "only the repetition so far");
        tokio::time::sleep(delay).await;
        let late = aws.history().find(|entry| entry.fault.is_some());
        assert_eq!(late.len(), 1);
        assert_eq!(late[0].outcome, "400 ConditionalCheckFailedException");
    });
}

#[test]
fn killed_host_gets_no_answer() {
    for (is_applied, items) in [(false, 0), (true, 1)] {
        run(1, async |aws| {
            let host = Host::new("sender", 1);
            host.kill_at(KillPoint {
                request: 1,
                is_applied,
            });
            let (ledger, id) = (ledger(&aws, &host), campaign());
            tokio::select! {
                _ = ledger.claim(&id, 1, "me", NOW) => panic!("the dead have no answer"),
                () = host.died() => {}
            }
            assert!(host.is_dead());
            assert_eq!(aws.dynamodb().all_items("MessagesTable").len(), items);
        });
    }
}

#[test]
fn host_dies_whatever_else_happens_to_its_request() {
    for fault in [Fault::Refused, Fault::Throttled, Fault::AnswerLost] {
        run(1, async |aws| {
            aws.faults().force("UpdateItem", &[fault]);
            let host = Host::new("sender", 1);
            host.kill_at(KillPoint {
                request: 1,
                is_applied: true,
            });
            let (ledger, id) = (ledger(&aws, &host), campaign());
            tokio::select! {
                _ = ledger.claim(&id, 1, "me", NOW) => panic!("the dead have no answer"),
                () = host.died() => {}
            }
            assert_eq!(host.requests(), 1, "{fault}");
        });
    }
}

#[test]
fn presigned_upload_expires() {
    run(1, async |aws| {
        let client = cloud::aws::s3(&aws.config(&Host::new("api", 1)));
        let files = Files::new(client, aws.s3().bucket().into());
        let upload = cloud::files::Upload::File(0);
        let signed = files
            .sign_upload(&campaign(), upload, 3, Duration::from_secs(900))
            .await
            .expect("signed");
        let put = |bytes: &[u8]| {
            let answer = aws
                .s3()
                .send_presigned("PUT", &signed.url, &signed.headers, bytes);
            answer.status
        };
        assert_eq!(put(b"four"), 403, "another size");
        assert_eq!(put(b"a,b"), 200);
        assert_eq!(put(b"a,b"), 412, "exists already");
        tokio::time::sleep(Duration::from_secs(901)).await;
        assert_eq!(put(b"a,b"), 403, "expired");
        let events = aws.s3().take_events();
        assert_eq!(events.len(), 1);
        assert!(events[0].key.ends_with("/input.csv"), "{}", events[0].key);
    });
}

/// The history of a world with faults.
fn history(seed: u64) -> (String, String) {
    run(seed, async |aws| {
        aws.faults().set_all(Rates::uniform(0.05));
        let tasks = (0..4).map(|number| {
            let aws = aws.clone();
            async move {
                let host = Host::new("sender", number);
                let ledger = ledger(&aws, &host);
                for row in 0..20 {
                    let owner = host.label().to_owned();
                    let _ = ledger.claim(&campaign(), row, &owner, cloud::now()).await;
                }
            }
        });
        futures::future::join_all(tasks).await;
        (aws.history().hash(), aws.history().render())
    })
}

#[test]
fn same_seed_has_the_same_history() {
    // What the first world initializes for all changes the order of its hash maps.
    history(0);
    for seed in 0..5 {
        let (hash, text) = history(seed);
        let (again, text_again) = history(seed);
        for (line, line_again) in text.lines().zip(text_again.lines()) {
            assert_eq!(line, line_again);
        }
        assert_eq!(hash, again);
        assert_ne!(hash, history(seed + 100).0);
    }
}

/// In a process of its own, as `same_seed_has_the_same_history_in_other_processes` calls it.
#[test]
#[ignore = "is part of another test"]
fn history_of_a_process() {
    let (hash, _) = history(3);
    eprintln!("history {hash}");
}

#[test]
fn same_seed_has_the_same_history_in_other_processes() {
    let hash = || {
        let program = std::env::current_exe().expect("program");
        let output = std::process::Command::new(program)
            .args([
                "history_of_a_process",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .output();
        let errors = String::from_utf8(output.expect("output").stderr).expect("text");
        let mut lines = errors.lines();
        let hash = lines.find_map(|line| line.strip_prefix("history "));
        hash.map(str::to_owned).expect("a hash")
    };
    let first = hash();
    for _ in 0..3 {
        assert_eq!(hash(), first);
    }
}
