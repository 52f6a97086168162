//! What was found in many lives.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::life::Life;

/// What is kept of a life.
#[derive(Debug, Serialize, Deserialize)]
pub struct Summary {
    seed: u64,
    kind: String,
    violations: Vec<(String, String)>,
    known: Vec<String>,
    /// A hash of everything that happened.
    pub trace: String,
    requests: usize,
    calls: usize,
    virtual_seconds: u64,
    marks: Vec<String>,
}

impl Summary {
    /// The summary of a life.
    pub fn new(seed: u64, life: &Life) -> Self {
        let violations = life.violations.iter();
        Self {
            seed,
            kind: life.kind.into(),
            violations: violations
                .map(|violation| (violation.promise.to_owned(), violation.what.clone()))
                .collect(),
            known: life.known.iter().map(ToString::to_string).collect(),
            trace: life.trace.clone(),
            requests: life.requests,
            calls: life.messages.len(),
            virtual_seconds: life.virtual_time.as_secs(),
            marks: life.marks.iter().map(ToString::to_string).collect(),
        }
    }

    /// As one process tells it to another.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As one process told it; `None` if it panicked.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub struct Results {
    /// Lives that broke a promise, or panicked.
    pub failed: u64,
    lives: u64,
    calls: usize,
    requests: usize,
    virtual_seconds: u64,
    by_promise: BTreeMap<String, Vec<u64>>,
    known: BTreeMap<String, Vec<u64>>,
    marks: BTreeMap<String, u64>,
}

impl Results {
    /// Takes the result of a life; what people must be told at once.
    pub fn take(&mut self, seed: u64, summary: Option<Summary>) -> Option<String> {
        self.lives += 1;
        let Some(summary) = summary else {
            return Some(self.fail(seed, "panicked", &[("no panic".into(), String::new())]));
        };
        self.calls += summary.calls;
        self.requests += summary.requests;
        self.virtual_seconds += summary.virtual_seconds;
        for fault in summary.known {
            self.known.entry(fault).or_default().push(seed);
        }
        for mark in summary.marks {
            *self.marks.entry(mark).or_default() += 1;
        }
        let title = format!("({}), {} messages", summary.kind, summary.calls);
        (!summary.violations.is_empty()).then(|| self.fail(seed, &title, &summary.violations))
    }

    fn fail(&mut self, seed: u64, title: &str, violations: &[(String, String)]) -> String {
        self.failed += 1;
        let mut text = format!("✗ seed {seed} {title}");
        for (promise, what) in violations {
            text.push_str(&format!("\n  {promise}: {what}"));
            let seeds = self.by_promise.entry(promise.clone()).or_default();
            if seeds.last() != Some(&seed) {
                seeds.push(seed);
            }
        }
        text.push_str(&format!("\n  cargo xtask simulate --seed {seed}"));
        text
    }

    /// Each promise that was broken, and the first seed whose life broke it.
    pub fn first_failures(&self) -> Vec<(&str, u64)> {
        let promises = self.by_promise.iter();
        promises
            .map(|(promise, seeds)| (promise.as_str(), seeds[0]))
            .collect()
    }

    /// The marks of the sources that no life reached.
    pub fn never_reached<'m>(&self, marks: &'m BTreeSet<String>) -> Vec<&'m String> {
        let mut missing: Vec<_> = marks.iter().collect();
        missing.retain(|mark| !self.marks.contains_key(*mark));
        missing
    }

    /// How often each mark was reached, the rarest first.
    pub fn marks(&self) -> String {
        let mut marks: Vec<_> = self.marks.iter().collect();
        marks.sort_by_key(|(_, lives)| **lives);
        let lines = marks
            .iter()
            .map(|(mark, lives)| format!("{lives:>8} lives  {mark}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The numbers.
    pub fn progress(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64();
        let mut text = format!(
            "{} lives in {seconds:.0} s ({:.1} a second): {} failed; {} messages, {} events, {:.0} virtual days",
            self.lives,
            self.lives as f64 / seconds,
            self.failed,
            self.calls,
            self.requests,
            self.virtual_seconds as f64 / 86_400.0
        );
        let lists = [("", &self.by_promise), ("known, ", &self.known)];
        for (prefix, list) in lists {
            for (name, seeds) in list {
                let (count, first) = (seeds.len(), seeds[0]);
                text.push_str(&format!("\n  {prefix}{name}: {count} seeds, first {first}"));
            }
        }
        text
    }
}
