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

use crate::paths::root;
use crate::progress::Step;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How long anything on this machine may take to come up or come down.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

/// How often conditions are checked.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

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
pub(crate) fn check_interrupted() -> Result<()> {
    if INTERRUPTED.load(Ordering::SeqCst) {
        bail!("stopped by Ctrl-C");
    }
    Ok(())
}

/// Checks a condition a few times a second until it gives a value; fails after `timeout`.
pub(crate) fn wait_for<T>(
    what: &str,
    timeout: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    let until = Instant::now() + timeout;
    loop {
        check_interrupted()?;
        if let Some(value) = condition() {
            return Ok(value);
        }
        if Instant::now() > until {
            bail!("{what}: not within {} s", timeout.as_secs());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// A process in a group of its own; the whole group is stopped when this is dropped.
pub(crate) struct RunningProcess {
    child: Option<Child>,
}

impl RunningProcess {
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

    /// Lets the process outlive us; gives its id.
    pub(crate) fn detach(mut self) -> u32 {
        let id = self.id();
        self.child = None;
        id
    }

    /// Whether the process ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for RunningProcess {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        stop_group(child.id());
        let _ = child.wait();
    }
}

/// Asks a process group to end, and kills it after eight seconds.
pub(crate) fn stop_group(id: u32) {
    send_signal("-TERM", id);
    let until = Instant::now() + Duration::from_secs(8);
    while Instant::now() < until && is_group_alive(id) {
        std::thread::sleep(Duration::from_millis(50));
        // A leader that ended stays a zombie until it is waited for, and counts as alive.
        if is_zombie(id) {
            break;
        }
    }
    send_signal("-KILL", id);
}

/// Whether a process of the group exists.
pub(crate) fn is_group_alive(id: u32) -> bool {
    send_signal("-0", id)
}

fn is_zombie(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

fn send_signal(name: &str, group: u32) -> bool {
    let group = format!("-{group}");
    let kill = Command::new("kill")
        .args([name, "--", &group])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    kill.is_ok_and(|status| status.success())
}

/// Runs a command to its end and shows progress; its output goes to `log` and is shown only where the command fails.
pub(crate) fn run_logged(what: &str, command: &mut Command, log: &Path) -> Result<()> {
    check_interrupted()?;
    let step = Step::begin(what);
    let out = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .status();
    let status = status.with_context(|| format!("{what}: start {:?}", command.get_program()))?;
    check_interrupted()?;
    if status.success() {
        step.finish();
        return Ok(());
    }
    drop(step);
    bail!(
        "{what} failed; the end of {}:\n{}",
        log.display(),
        last_lines(log)
    )
}

/// The last forty lines of a log.
pub(crate) fn last_lines(log: &Path) -> String {
    let output = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// Runs a command to its end with its output shown.
pub(crate) fn run_shown(command: &mut Command) -> Result<()> {
    check_interrupted()?;
    let status = command
        .status()
        .with_context(|| format!("start {:?}", command.get_program()))?;
    check_interrupted()?;
    if !status.success() {
        bail!("{:?} failed", command.get_program());
    }
    Ok(())
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

/// Cargo in the workspace.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root());
    cargo
}
