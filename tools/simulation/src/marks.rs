//! Branches that must happen: the product marks them with `cloud::sometimes!("what happened")`, and a night of lives that
//! never reached one has not tried everything.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber, set_global_default};
use tracing::{Event, Metadata};

/// The target of the marks' events.
const TARGET: &str = "sometimes";

thread_local! {
    static REACHED: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
}

/// From now on notes the marks that are reached, on each thread its own.
pub fn listen() {
    // It fails if it was called before, which changes nothing.
    let _ = set_global_default(Listener);
}

/// The marks that this thread has reached since it was asked last.
pub fn take_reached() -> BTreeSet<&'static str> {
    REACHED.take()
}

/// Every mark in the sources of the functions and crates.
///
/// # Errors
///
/// If the sources cannot be read.
pub fn in_sources() -> io::Result<BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut marks = BTreeSet::new();
    for group in ["functions", "crates"] {
        for package in fs::read_dir(root.join(group))? {
            collect(&package?.path().join("src"), &mut marks)?;
        }
    }
    Ok(marks)
}

fn collect(folder: &Path, marks: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            collect(&path, marks)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            marks.extend(marks_in(&fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// The texts of the marks in a source; those in its documentation are none.
fn marks_in(source: &str) -> impl Iterator<Item = String> {
    let lines = source.lines().map(str::trim_start);
    let code = lines.filter(|line| !line.starts_with("//"));
    let marks = code.filter_map(|line| {
        let (_, rest) = line.split_once("sometimes!(\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    });
    marks.collect::<Vec<_>>().into_iter()
}

/// Hears the marks and nothing else.
struct Listener;

impl Subscriber for Listener {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.target() == TARGET {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn event(&self, event: &Event<'_>) {
        REACHED.with_borrow_mut(|reached| reached.insert(event.metadata().name()));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_in_code_only() {
        let source = "/// sometimes!(\"in a comment\")\n    cloud::sometimes!(\"a branch\");\n";
        assert_eq!(marks_in(source).collect::<Vec<_>>(), ["a branch"]);
    }
}
