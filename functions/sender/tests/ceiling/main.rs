//! No second holds more sends than the budget, and the budget is used. Tested with the sender's own loop in virtual time:
//! Lambda, SQS, DynamoDB and the Cloud API are simulated, with cold starts, throttling, slow responses, errors, retries,
//! early returns, processes that are killed, connections that take time and die, pauses, cooldowns, urgent messages, and an
//! event source that reaches its concurrency bit by bit. A run of hours takes seconds.
//!
//! - this file: what is asserted
//! - `scenario`: the conditions of a run
//! - `run`: runs a scenario and measures it; every run asserts the ceiling
//! - `numbers`: a campaign over up to 32 numbers
//! - `lambda`: the platform, which starts and kills processes and invokes the sender
//! - `virtual_aws`: the queue, the ledger, and how long requests take
//! - `backend`: what the sender sees of them
//! - `wire`: the same in real time, with the real client, over TLS
//!
//! The short runs are part of `cargo test`. Those of a million sends and those in real time (`--ignored`) are part of
//! `cargo xtask verify`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed unwrap is a failed test, and a run prints its measurements"
)]

mod backend;
mod lambda;
mod numbers;
mod run;
mod scenario;
mod virtual_aws;
mod wire;

use std::time::Duration;

use campaign::delivery::pacing::Rate;

use crate::run::run;
use crate::scenario::Scenario;

const RATES: [Rate; 3] = [rate(80, 1), rate(1000, 1), rate(100, 10)];

const fn rate(slots: u32, per_slot: u32) -> Rate {
    Rate { slots, per_slot }
}

#[test]
fn no_second_exceeds_the_budget_under_any_failure() {
    let rates = [rate(1, 1), rate(2, 1), rate(3, 7), rate(20, 1)];
    for (index, rate) in rates.into_iter().enumerate() {
        for seed in 0..4 {
            let rows = 400 * rate.budget().min(20);
            run(Scenario::faulty(rate, rows, seed + 4 * index as u64));
        }
    }
}

#[test]
fn small_files_use_the_budget() {
    for (rows, median_ms) in [(2_000, 300), (2_000, 2_000), (10_000, 300), (10_000, 2_000)] {
        let measured = run(Scenario::faultless(RATES[0], rows, median_ms));
        let least = if median_ms == 300 { 0.99 } else { 0.97 };
        assert!(
            measured.budget_use >= least,
            "{rows} {median_ms} {measured:?}"
        );
    }
    run(Scenario::faultless(RATES[0], 100, 300));
}

#[test]
fn small_files_use_the_budget_after_the_ramp() {
    // The file's last second, when the slots end one after the other, is one of 17 seconds after the ramp, or of 117.
    for (rows, median_ms, least) in [
        (2_000, 300, 0.96),
        (2_000, 2_000, 0.96),
        (10_000, 300, 0.99),
        (10_000, 2_000, 0.99),
    ] {
        let measured = run(Scenario::faultless(RATES[0], rows, median_ms).with_ramp());
        let used = measured.use_after_ramp.unwrap();
        assert!(used >= least, "{rows} {median_ms} {measured:?}");
    }
}

#[test]
fn connections_that_close_after_every_request_cost_no_row_and_no_ceiling() {
    for rate in [rate(5, 1), rate(2, 10)] {
        for requests_per_connection in [0, 1] {
            run(Scenario {
                requests_per_connection,
                ..Scenario::faultless(rate, 500, 300)
            });
        }
    }
}

#[test]
fn new_budget_while_sending_takes_effect_within_two_seconds() {
    let changes = [
        (rate(80, 1), rate(20, 1)),
        (rate(20, 1), rate(80, 1)),
        (rate(8, 10), rate(80, 1)),
        (rate(80, 1), rate(8, 10)),
        (rate(5, 4), rate(10, 1)),
    ];
    for (index, (old, new)) in changes.into_iter().enumerate() {
        for seed in 0..4 {
            let rows = 60 * (old.budget() + new.budget());
            let mut scenario = Scenario::faulty(old, rows, seed + 4 * index as u64);
            scenario.deployment = Some((Duration::from_secs(45 + seed), new));
            run(scenario);
        }
    }
}

#[test]
fn throttling_slows_the_slot_down() {
    let unthrottled = Scenario {
        error_share: 0.3,
        ..Scenario::faultless(rate(4, 1), 2_000, 300)
    };
    let throttled = Scenario {
        throttle_share: 1.0,
        ..unthrottled
    };
    let (full, slow) = (run(unthrottled), run(throttled));
    assert!(slow.budget_use < full.budget_use / 2.0, "{full:?} {slow:?}");
}

#[test]
#[ignore = "a million sends, many times: cargo xtask verify"]
fn million_sends_stay_below_the_ceiling() {
    for rate in RATES {
        for seed in 0..3 {
            run(Scenario::faulty(rate, 1_000_000, seed));
        }
    }
}

#[test]
#[ignore = "a million sends, many times: cargo xtask verify"]
fn million_sends_use_the_budget() {
    for rate in RATES {
        for (median_ms, least) in [(300, 0.99), (2_000, 0.97)] {
            let faultless = Scenario::faultless(rate, 1_000_000, median_ms);
            let measured = run(faultless);
            assert!(measured.budget_use >= least, "{rate:?} {median_ms}");
            // The end of the run waits for the last retries. Each is due after up to eight seconds, some rows are retried
            // more than once: up to half a minute, which is 3 % of a run of 15 minutes.
            let with_errors = Scenario {
                error_share: 0.01,
                aws_error_share: 0.000_01,
                ..faultless
            };
            let measured = run(with_errors);
            assert!(measured.budget_use >= least - 0.03, "{rate:?} {median_ms}");
        }
    }
}

#[test]
#[ignore = "a million sends, many times: cargo xtask verify"]
fn million_sends_use_the_budget_after_the_ramp() {
    for rate in RATES {
        let measured = run(Scenario::faultless(rate, 1_000_000, 300).with_ramp());
        assert!(measured.use_after_ramp >= Some(0.99), "{rate:?}");
    }
}

/// The table of the documentation: how long the ramp takes, and what it costs, for fewer and faster slots, too.
#[test]
#[ignore = "many times 200,000 sends: cargo xtask verify"]
fn fifth_of_a_million_sends_use_the_budget_after_the_ramp() {
    for rate in [
        rate(40, 1),
        rate(4, 10),
        rate(80, 1),
        rate(8, 10),
        rate(500, 1),
        rate(50, 10),
        rate(1000, 1),
        rate(100, 10),
    ] {
        let measured = run(Scenario::faultless(rate, 200_000, 300).with_ramp());
        // 1,000 slots are there after 199 s; the file then lasts for 100 s more, and the slots end within two.
        assert!(measured.use_after_ramp >= Some(0.97), "{rate:?}");
    }
}

/// How often the other end answers late, resets connections and closes them: as in `cargo xtask verify --only wire`, but
/// with virtual queues and tables, whose emulators need more than one small machine has at 80 sends a second.
#[test]
#[ignore = "minutes in real time: cargo xtask verify"]
fn sends_over_tls_use_the_budget() {
    for rate in [rate(80, 1), rate(8, 10)] {
        for handshake_ms in [20, 100, 400] {
            let measured = wire::run_over_tls(rate, handshake_ms);
            assert!(measured.busiest_second <= 80, "{measured:?}");
            assert_eq!(measured.repeats, 0, "{measured:?}");
            assert!(measured.use_after_ramp >= 0.97, "{measured:?}");
        }
    }
}
