//! The fuzzer: feeds arbitrary bytes to the import. It starts from the files of `tests/corpus` and from the inputs that
//! earlier runs found, which are kept in one archive and unpacked into a folder that Git ignores.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::paths::{dev, root};
use crate::process::{catch_interrupts, run_shown};
use crate::setup;

/// The inputs of earlier runs.
const ARCHIVE: &str = "fuzz/corpus.tar.gz";

/// Where they are unpacked, and where the fuzzer adds new ones.
const CORPUS: &str = "fuzz/corpus/import";

/// Resident memory that counts as a leak: an import of a few kilobytes needs a tenth of it.
const MAX_MEMORY_MB: u32 = 512;

/// Time for one input that counts as a hang.
const MAX_SECONDS_PER_INPUT: u32 = 10;

/// How long to fuzz, and what to do with the inputs found.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds to run
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// Minimize the corpus after the run and write it back to the archive (needs GNU tar)
    #[arg(long)]
    save: bool,
}

/// Runs the fuzzer; fails on a panic, a hang or a leak.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    unpack()?;
    let mut fuzz = cargo_fuzz("run")?;
    fuzz.args([CORPUS, "../../tests/corpus", "--"]).args([
        format!("-max_total_time={}", options.seconds),
        format!("-rss_limit_mb={MAX_MEMORY_MB}"),
        format!("-timeout={MAX_SECONDS_PER_INPUT}"),
        "-max_len=65536".to_owned(),
        "-print_final_stats=1".to_owned(),
    ]);
    run_shown(&mut fuzz)?;
    if options.save {
        run_shown(cargo_fuzz("cmin")?.arg(CORPUS))?;
        pack()?;
    }
    Ok(())
}

/// A command of cargo-fuzz about the target `import`.
fn cargo_fuzz(command: &str) -> Result<Command> {
    let mut fuzz = Command::new(setup::install_cargo_fuzz()?);
    // cargo-fuzz passes unstable flags, which the stable compiler accepts with RUSTC_BOOTSTRAP as long as no sanitizer is
    // asked for. A sanitizer checks unsafe code, and this workspace has none.
    fuzz.current_dir(splitter())
        .env("RUSTC_BOOTSTRAP", "1")
        .args([command, "--sanitizer", "none", "import"]);
    Ok(fuzz)
}

/// Adds the archive's inputs to those that are there.
fn unpack() -> Result<()> {
    let corpus = splitter().join(CORPUS);
    fs::create_dir_all(&corpus).with_context(|| format!("create {}", corpus.display()))?;
    let mut tar = Command::new("tar");
    tar.current_dir(splitter())
        .args(["-xzf", ARCHIVE, "-C", "fuzz/corpus"]);
    run_shown(&mut tar)
}

/// Writes the archive. The same inputs give the same bytes: sorted, numbered, without times and owners. Numbers instead
/// of libFuzzer's names, which are hashes, because hashes do not compress.
fn pack() -> Result<()> {
    let folder = dev().join("fuzz-corpus");
    let _ = fs::remove_dir_all(&folder);
    number_files(&splitter().join(CORPUS), &folder.join("import"))?;
    let mut tar = Command::new("tar");
    tar.current_dir(splitter())
        .args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0"])
        .args(["--numeric-owner", "--mode=u=rwX,go=rX", "--format=ustar"])
        .args(["--use-compress-program=gzip -9n", "-cf", ARCHIVE, "-C"])
        .arg(&folder)
        .arg("import");
    run_shown(&mut tar)
}

/// Copies the inputs to `0001`, `0002` and so on, in the order of their content.
fn number_files(from: &Path, to: &Path) -> Result<()> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(from)? {
        inputs.push(fs::read(entry?.path())?);
    }
    inputs.sort();
    inputs.dedup();
    fs::create_dir_all(to)?;
    for (index, input) in inputs.iter().enumerate() {
        fs::write(to.join(format!("{:04}", index + 1)), input)?;
    }
    Ok(())
}

fn splitter() -> PathBuf {
    root().join("functions/splitter")
}
