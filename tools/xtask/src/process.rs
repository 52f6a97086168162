//! Child processes that do not outlive us, and a Ctrl-C that lets us tidy up.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::root;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How long anything on this machine may take to come up or come down.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// From now on Ctrl-C ends waits with an error, and what was started is stopped on the way out.
pub(crate) fn catch_interrupts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let caught = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::SeqCst));
        if let Err(error) = caught {
            eprintln!("Ctrl-C will not tidy up: {error}");
        }
    });
}

/// Fails once Ctrl-C was pressed.
pub(crate) fn go_on() -> Result<()> {
    if INTERRUPTED.load(Ordering::SeqCst) {
        bail!("stopped by Ctrl-C");
    }
    Ok(())
}

/// Waits for a condition, looking a few times a second.
pub(crate) fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T> {
    let until = Instant::now() + patience;
    loop {
        go_on()?;
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() > until {
            bail!("{what}: not within {} s", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A process in a group of its own; the whole group is stopped when this is dropped.
pub(crate) struct Running {
    child: Option<Child>,
}

impl Running {
    /// Starts a process that writes to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::create(log).with_context(|| format!("create {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {:?}", command.get_program()))?;
        Ok(Self { child: Some(child) })
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Lets it run on without us.
    pub(crate) fn leave(mut self) -> u32 {
        let id = self.id();
        self.child = None;
        id
    }

    /// Whether it ended by itself.
    pub(crate) fn ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        stop_group(child.id());
        let _ = child.wait();
    }
}

/// Asks a process group to end, and makes it end.
pub(crate) fn stop_group(id: u32) {
    signal("-TERM", id);
    let until = Instant::now() + Duration::from_secs(8);
    while Instant::now() < until && signal("-0", id) {
        std::thread::sleep(Duration::from_millis(50));
        // A leader that ended stays a zombie until it is waited for, and counts as alive.
        if zombie(id) {
            break;
        }
    }
    signal("-KILL", id);
}

fn zombie(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

fn signal(name: &str, group: u32) -> bool {
    let group = format!("-{group}");
    let kill = Command::new("kill")
        .args([name, "--", &group])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    kill.is_ok_and(|status| status.success())
}

/// Runs a command to its end behind a spinner; its output goes to `log` and is shown only where it fails.
pub(crate) fn quietly(what: &str, command: &mut Command, log: &Path) -> Result<()> {
    go_on()?;
    let spinner = spinner(what);
    let out = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .status();
    let status = status.with_context(|| format!("{what}: start {:?}", command.get_program()))?;
    go_on()?;
    if status.success() {
        done(&spinner, what);
        return Ok(());
    }
    spinner.finish_and_clear();
    let output = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = output.lines().collect();
    let tail = lines[lines.len().saturating_sub(40)..].join("\n");
    bail!("{what} failed; the end of {}:\n{tail}", log.display())
}

/// Runs a command to its end with its output shown.
pub(crate) fn openly(command: &mut Command) -> Result<()> {
    go_on()?;
    let status = command
        .status()
        .with_context(|| format!("start {:?}", command.get_program()))?;
    go_on()?;
    if !status.success() {
        bail!("{:?} failed", command.get_program());
    }
    Ok(())
}

/// A spinner with the time that has gone by.
pub(crate) fn spinner(what: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} {elapsed}") {
        spinner.set_style(style);
    }
    spinner.set_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(120));
    if spinner.is_hidden() {
        eprintln!("  … {what}");
    }
    spinner
}

/// Ends a spinner with a line that stays.
pub(crate) fn done(spinner: &ProgressBar, what: &str) {
    let seconds = spinner.elapsed().as_secs_f64();
    spinner.finish_and_clear();
    eprintln!("  ✓ {what} ({seconds:.1} s)");
}

/// A port that nobody listens on right now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64
}

/// `cargo test` in the workspace.
pub(crate) fn cargo_test() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.arg("test").current_dir(root());
    cargo
}
