//! The fuzzer: any bytes into the import, for as long as wanted. Begins with the corpus of `tests/` and with what
//! earlier runs found worth keeping.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::process::{catch_interrupts, openly};
use crate::{root, setup};

/// A resident set beyond this is growth: an import of a few kilobytes takes a tenth.
const MEMORY_MB: u32 = 512;

/// One input taking longer than this hangs.
const SECONDS_PER_INPUT: u32 = 10;

/// How long to look.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds to run
    #[arg(long, default_value_t = 600)]
    seconds: u32,
}

/// Runs it; fails where it finds a panic, a hang or growth.
pub(crate) fn run(options: &Options) -> Result<()> {
    catch_interrupts();
    let mut fuzz = Command::new(setup::cargo_fuzz()?);
    // Instrumentation is unstable in name only; without a sanitizer the stable compiler has what it needs.
    fuzz.current_dir(root().join("functions/splitter"))
        .env("RUSTC_BOOTSTRAP", "1")
        .args([
            "run",
            "--sanitizer",
            "none",
            "import",
            "fuzz/corpus/import",
            "../../tests/corpus",
            "--",
        ])
        .args([
            format!("-max_total_time={}", options.seconds),
            format!("-rss_limit_mb={MEMORY_MB}"),
            format!("-timeout={SECONDS_PER_INPUT}"),
            "-max_len=65536".to_owned(),
            "-print_final_stats=1".to_owned(),
        ]);
    openly(&mut fuzz)
}
