//! Runs a program of tests, and counts what passed and failed.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::ops::AddAssign;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths::dev;
use crate::process::check_interrupted;
use crate::progress::{Step, print_line};

/// Lines of a failed part that are shown; all of them are in its log.
const SHOWN_LINES: usize = 400;

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.passed += more.passed;
        self.failed += more.failed;
    }
}

/// Runs tests with their names as progress; their output goes to `.dev/logs/test-{name}.log`, and is shown where one fails.
pub(crate) fn run_tests(name: &str, command: &mut Command) -> Result<Counts> {
    check_interrupted()?;
    let step = Step::begin(&format!("test {name}"));
    fs::create_dir_all(dev().join("logs"))?;
    let path = dev().join(format!("logs/test-{name}.log"));
    let mut log = File::create(&path)?;
    let errors = log.try_clone()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .with_context(|| format!("start {:?}", command.get_program()))?;
    let output = child.stdout.take().context("the tests have no output")?;
    let (mut counts, mut last) = (Counts::default(), VecDeque::new());
    for line in BufReader::new(output).lines() {
        let line = line?;
        writeln!(log, "{line}")?;
        counts += count(&line);
        step.set_status(&format!(
            "{} passed, {} failed",
            counts.passed, counts.failed
        ));
        // The functions' metrics would bury what a test says.
        if !line.contains("\"CloudWatchMetrics\":") {
            last.push_back(line);
        }
        if last.len() > SHOWN_LINES {
            last.pop_front();
        }
    }
    let status = child.wait()?;
    check_interrupted()?;
    if !status.success() || counts.failed > 0 {
        drop(step);
        last.iter().for_each(|line| print_line(line));
        bail!("tests failed; all of the output is in {}", path.display());
    }
    step.finish();
    Ok(counts)
}

/// What a line of a test's output says of one test: cargo's, TAP's, or Playwright's.
fn count(line: &str) -> Counts {
    let is_test = line.starts_with("test ") && !line.starts_with("test result");
    let listed = line.trim_start();
    let has_passed =
        is_test && line.ends_with("... ok") || line.starts_with("ok ") || listed.starts_with('✓');
    let has_failed = is_test && line.ends_with("... FAILED")
        || line.starts_with("not ok ")
        || listed.starts_with('✘');
    Counts {
        passed: u64::from(has_passed),
        failed: u64::from(has_failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_tests_and_not_their_summary() {
        let output = "running 2 tests\ntest a::b ... ok\ntest c ... FAILED\ntest d ... ignored, slow\n\
                      test result: FAILED. 1 passed; 1 failed; 1 ignored";
        let mut counts = Counts::default();
        output.lines().for_each(|line| counts += count(line));
        assert_eq!((counts.passed, counts.failed), (1, 1));
    }
}
