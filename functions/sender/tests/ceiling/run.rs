//! Runs a scenario from the first send to the last and measures it.

use std::sync::Arc;
use std::time::Duration;

use campaign::delivery::pacing::Rate;

use crate::lambda;
use crate::scenario::Scenario;
use crate::virtual_aws::VirtualAws;

/// What a run showed.
#[derive(Debug)]
pub(crate) struct Measurement {
    sends: usize,
    /// The most sends in any half-open second.
    busiest_second: usize,
    /// When the last send was, from the start.
    pub(crate) duration: Duration,
    /// Share of the budget that was used between the first send and the last.
    pub(crate) budget_use: f64,
    /// The same from the end of the ramp; `None` if the run was shorter.
    pub(crate) use_after_ramp: Option<f64>,
}

/// Runs a scenario. Fails if a row is lost or sent twice, or if any second exceeds the budget.
pub(crate) fn run(scenario: Scenario) -> Measurement {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let (sends, rate_changed_at) = runtime.block_on(async {
        let aws = VirtualAws::new(scenario, None);
        lambda::run_until_all_settled(Arc::clone(&aws)).await;
        (aws.take_sends(), aws.rate_visible_at())
    });
    let measured = measure(&scenario, &sends);
    assert!(measured.sends >= scenario.rows as usize);
    let (old, new) = (scenario.rate, scenario.deployment.map(|(_, rate)| rate));
    let larger = old.budget().max(new.map_or(0, Rate::budget));
    assert!(measured.busiest_second <= larger as usize, "{scenario:?}");
    if let Some(new) = new {
        let (deployed_at, _) = scenario.deployment.unwrap();
        assert!(
            rate_changed_at >= deployed_at,
            "the new rate was not published"
        );
        let published = rate_changed_at + Duration::from_secs(2);
        let after = &sends[sends.partition_point(|at| *at < published)..];
        let busiest = busiest_second(after);
        assert!(busiest <= new.budget() as usize, "{busiest} {scenario:?}");
        assert!(!after.is_empty(), "the deployment came after the end");
    }
    measured
}

fn measure(scenario: &Scenario, sends: &[Duration]) -> Measurement {
    let budget = scenario.rate.budget();
    let (first, last) = (sends[0], *sends.last().unwrap());
    let use_since = |start| share_of_budget(scenario.rate, sends, start);
    let measured = Measurement {
        duration: last,
        sends: sends.len(),
        busiest_second: busiest_second(sends),
        budget_use: use_since(first).unwrap_or(1.0),
        // A second for the wait at the beginning of the last invocation.
        use_after_ramp: use_since(scenario.ramp() + Duration::from_secs(2)),
    };
    println!(
        "{:>9} sends at {:>4} TPS ({} slots), responses after {:>4} ms: busiest second {:>4} of {:>4}, {:.2} % used, {:.2} % after the ramp, {:.0} s",
        measured.sends,
        budget,
        scenario.rate.slots,
        scenario.median.as_millis(),
        measured.busiest_second,
        budget,
        measured.budget_use * 100.0,
        measured.use_after_ramp.unwrap_or_default() * 100.0,
        (last - first).as_secs_f64(),
    );
    measured
}

/// Share of the budget that is used from `start` to the last send; `None` if that is no time.
pub(crate) fn share_of_budget(rate: Rate, sends: &[Duration], start: Duration) -> Option<f64> {
    let count = sends.iter().filter(|at| **at >= start).count();
    let span = sends.last()?.checked_sub(start)?;
    let possible = f64::from(rate.budget()) * span.as_secs_f64();
    (possible > 0.0).then(|| count as f64 / possible)
}

pub(crate) fn busiest_second(sends: &[Duration]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, at) in sends.iter().enumerate() {
        while sends[first] + Duration::from_secs(1) <= *at {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}
