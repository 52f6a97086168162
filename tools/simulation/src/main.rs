//! Runs lives from seeds.

use std::time::Instant;

use simulation::aws::Resources;
use simulation::world;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(Ok(first)), Some(Ok(count))) = (arguments.next(), arguments.next()) else {
        eeprintln!("usage: simulation <first seed> <seeds> [1: show the history]");
        std::process::exit(2);
    };
    let shows_history = arguments.next().is_some();
    let resources = Resources::load();
    let started = Instant::now();
    let mut failed = 0;
    for seed in first..first + count {
        let life = world::run(seed, &resources);
        if shows_history {
            eprintln!("{}", life.history);
        }
        if shows_history || !life.violations.is_empty() {
            eprintln!("{}", life.steps.join("\n"));
        }
        failed += u64::from(!life.violations.is_empty());
        eprintln!(
            "seed {seed} ({}): {} requests, {} calls, {:.0} virtual s, trace {}, {:.1} s",
            life.kind, life.requests, life.calls, life.virtual_time.as_secs_f64(), life.trace,
            started.elapsed().as_secs_f64()
        );
        for violation in &life.violations {
            eprintln!("  {violation}");
        }
    }
    eprintln!("{failed} of {count} failed");
}
