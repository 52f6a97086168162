//! What a failure needs: a life is lived again and again, each time without some of its parts, as long as it still fails.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::aws::Resources;
use crate::fork::Fork;
use crate::life;

/// What is left of a life.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The parts that the failure needs, in the order in which they happen.
    pub parts: Vec<String>,
    /// The parts that it does not need.
    pub omitted: BTreeSet<String>,
    /// How many lives were tried.
    pub lives: usize,
}

/// What is known of a life that was tried.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Trial {
    promises: Vec<String>,
    parts: Vec<String>,
}

/// Leaves out the parts of a life that breaking the promise does not need, for as long as there is time. Must be called on
/// the only thread.
pub fn shrink(seed: u64, promise: &str, resources: &Resources, time: Duration) -> Shrunk {
    let started = Instant::now();
    let mut shrunk = Shrunk {
        parts: try_without(seed, resources, &BTreeSet::new()).parts,
        omitted: BTreeSet::new(),
        lives: 1,
    };
    let mut size = shrunk.parts.len().div_ceil(2);
    while size > 0 {
        let mut has_shrunk = false;
        let mut index = 0;
        while index < shrunk.parts.len() && started.elapsed() < time {
            let end = (index + size).min(shrunk.parts.len());
            let mut omitted = shrunk.omitted.clone();
            omitted.extend(shrunk.parts[index..end].iter().cloned());
            let trial = try_without(seed, resources, &omitted);
            shrunk.lives += 1;
            if trial.promises.iter().any(|broken| broken == promise) {
                (shrunk.parts, shrunk.omitted) = (trial.parts, omitted);
                has_shrunk = true;
            } else {
                index = end;
            }
        }
        // What was needed with the others may not be without them.
        if size > 1 || !has_shrunk {
            size /= 2;
        }
    }
    shrunk
}

fn try_without(seed: u64, resources: &Resources, omitted: &BTreeSet<String>) -> Trial {
    let text = Fork::run(|| {
        let life = life::run_without(seed, resources, omitted.clone());
        let violations = life.violations.iter();
        let trial = Trial {
            promises: violations
                .map(|violation| violation.promise.to_owned())
                .collect(),
            parts: life.parts,
        };
        serde_json::to_string(&trial).unwrap_or_default()
    });
    // A life that panics has no output: it fails in another way.
    serde_json::from_str(&text.wait()).unwrap_or_default()
}
