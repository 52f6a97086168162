//! Progress of what takes longer than two seconds: a spinner or a bar on a terminal, a line every ten seconds elsewhere.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a step reports where nobody watches a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Bars of steps that run at the same time stand below each other.
fn bars() -> &'static MultiProgress {
    static BARS: std::sync::OnceLock<MultiProgress> = std::sync::OnceLock::new();
    BARS.get_or_init(MultiProgress::new)
}

/// Prints a line above all bars.
pub(crate) fn print_line(line: &str) {
    if bars().println(line).is_err() || bars().is_hidden() {
        eprintln!("{line}");
    }
}

/// A step that is under way.
pub(crate) struct Step {
    name: String,
    bar: ProgressBar,
    started: Instant,
    status: Arc<Mutex<String>>,
    ticker: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Step {
    /// Begins a step, named by what it does: "deploy (sam deploy)".
    pub(crate) fn begin(name: &str) -> Self {
        let bar = bars().add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        let status = Arc::new(Mutex::new(String::new()));
        let ticker = bar.is_hidden().then(|| {
            eprintln!("  … {name}");
            print_lines(name.to_owned(), Arc::clone(&status))
        });
        Self {
            name: name.to_owned(),
            bar,
            started: Instant::now(),
            status,
            ticker,
        }
    }

    /// Shows how far the step is: "213 of 364 crates, aws-sdk-s3".
    pub(crate) fn set_status(&self, status: &str) {
        self.bar.set_message(status.to_owned());
        status.clone_into(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends the step with a line that stays; gives the time it took.
    pub(crate) fn finish(self) -> Duration {
        let took = self.started.elapsed();
        let line = format!("  ✓ {} ({:.1} s)", self.name, took.as_secs_f64());
        drop(self);
        print_line(&line);
        took
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        if let Some((stop, thread)) = self.ticker.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

/// Prints a line every ten seconds until the sender that is returned is dropped.
fn print_lines(name: String, status: Arc<Mutex<String>>) -> (Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = channel::<()>();
    let started = Instant::now();
    let thread = std::thread::spawn(move || {
        while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) =
            stopped.recv_timeout(LINE_INTERVAL)
        {
            let status = status.lock().unwrap_or_else(PoisonError::into_inner);
            eprintln!("    {name}: {} s {status}", started.elapsed().as_secs());
        }
    });
    (stop, thread)
}
