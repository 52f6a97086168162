//! Shows which lines of the product a program ran that was built by `tools/coverage/rustc`. `cargo xtask simulate
//! --coverage` is the way to call it.

mod lines;
mod regions;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use lines::{Line, State};

/// The folders whose lines count.
const MEASURED: [&str; 3] = ["functions", "crates/campaign", "crates/cloud"];

const USAGE: &str =
    "usage: coverage <program> <profile> <folder for the lists> (in the workspace's root)";

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [program, profile, folder] = arguments.as_slice() else {
        bail!(USAGE);
    };
    let report = report(program, profile)?;
    fs::create_dir_all(folder)?;
    fs::write(folder.join("uncovered.txt"), report.uncovered)?;
    fs::write(folder.join("partly-covered.txt"), report.partly)?;
    Ok(std::io::stdout().write_all(report.table.as_bytes())?)
}

/// What is shown and written.
#[derive(Default)]
struct Report {
    table: String,
    /// `path:line: source text` of lines that did not run.
    uncovered: String,
    /// The same for lines of which a part did not run: a `?` that never failed, a closure that was never called.
    partly: String,
}

fn report(program: &Path, profile: &Path) -> Result<Report> {
    let root = std::env::current_dir()?;
    let mut report = Report::default();
    let (mut all, mut all_covered) = (0, 0);
    writeln!(
        report.table,
        "| file | lines | covered | % |\n|---|--:|--:|--:|"
    )?;
    for (path, regions) in regions::read(program, profile)? {
        let path = path.strip_prefix(&root).unwrap_or(&path);
        if !MEASURED.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        let source = fs::read_to_string(root.join(path))
            .with_context(|| format!("read {}", path.display()))?;
        let lines = lines::of_file(&source, &regions);
        let uncovered = list(path, &lines, State::Uncovered);
        let (count, covered) = (lines.len(), lines.len() - uncovered.lines().count());
        writeln!(report.table, "{}", row(path, count, covered))?;
        report.uncovered += &uncovered;
        report.partly += &list(path, &lines, State::Partly);
        all += count;
        all_covered += covered;
    }
    writeln!(
        report.table,
        "{}",
        row(Path::new("total"), all, all_covered)
    )?;
    Ok(report)
}

fn row(path: &Path, lines: usize, covered: usize) -> String {
    let percent = 100.0 * covered as f64 / lines.max(1) as f64;
    format!(
        "| {} | {lines} | {covered} | {percent:.1} |",
        path.display()
    )
}

fn list(path: &Path, lines: &[Line<'_>], state: State) -> String {
    let wanted = lines.iter().filter(|line| line.state == state);
    wanted
        .map(|line| format!("{}:{}: {}\n", path.display(), line.number, line.text.trim()))
        .collect()
}
