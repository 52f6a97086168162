//! A campaign over many numbers: the batcher divides its rows, and each number sends its own.

use std::time::Duration;

use campaign::delivery::batch::{Batcher, RoutedRows, Row};
use campaign::delivery::number_choice::{CampaignNumber, NumberChoice};
use campaign::delivery::pacing::Rate;
use campaign::import::phone;

use crate::rate;
use crate::run::run;
use crate::scenario::Scenario;

/// Of each number, as for one that Meta has not upgraded.
const RATE: Rate = rate(8, 10);

/// How many rows each of so many equal numbers gets, cut as the splitter cuts them.
fn shares(numbers: usize, rows: u32) -> Vec<u32> {
    let number = |index: usize| CampaignNumber {
        id: (100_000_000_000_001 + index as u64)
            .to_string()
            .parse()
            .unwrap(),
        budget: RATE.budget(),
    };
    let numbers: Vec<_> = (0..numbers).map(number).collect();
    let mut batcher = Batcher::new(vec![RATE; numbers.len()], NumberChoice::new(&numbers));
    let mut shares = vec![0; numbers.len()];
    let mut count = |batches: Vec<RoutedRows>| {
        for batch in batches {
            shares[batch.number] += batch.rows.len() as u32;
        }
    };
    for row in 1..=rows {
        let to = phone::parse(&format!("+55119{:08}", 50_000_000 + row), None).unwrap();
        let values = Vec::new();
        batcher.push(Row { row, to, values });
        if batcher.ready_rows() >= 4_000 {
            count(batcher.take_ready());
        }
    }
    count(batcher.finish());
    shares
}

/// Sends the shares in virtual time, each from its number; every run asserts its ceiling. Gives how long the longest took.
fn send(shares: &[u32], scenario: impl Fn(u32, u64) -> Scenario) -> Duration {
    let runs = shares.iter().zip(0..);
    let times = runs.map(|(&rows, seed)| run(scenario(rows, seed)).duration);
    times.max().unwrap()
}

#[test]
fn twice_the_numbers_send_in_half_the_time() {
    let times = [1, 2, 4, 8].map(|numbers| {
        let shares = shares(numbers, 16_000);
        assert_eq!(shares.iter().sum::<u32>(), 16_000);
        send(&shares, |rows, _| Scenario::faultless(RATE, rows, 300)).as_secs_f64()
    });
    for pair in times.windows(2) {
        let ratio = pair[0] / pair[1];
        assert!((1.7..=2.1).contains(&ratio), "{times:?}");
    }
}

#[test]
#[ignore = "a million sends: cargo xtask verify"]
fn million_rows_are_shared_by_thirty_two_numbers() {
    for numbers in [2, 4, 8, 16, 32] {
        let shares = shares(numbers, 1_000_000);
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        let spread = f64::from(*most) / f64::from(*least) - 1.0;
        println!(
            "{numbers} numbers: {least} to {most} rows each, {:.2} % apart",
            spread * 100.0
        );
        assert!(spread < 0.02, "{shares:?}");
        if numbers == 32 {
            let took = send(&shares, |rows, seed| Scenario::faulty(RATE, rows, seed));
            println!(
                "the last of them sent its last row after {} s",
                took.as_secs()
            );
        }
    }
}
