//! The regions of source code that the compiler put counters into, and how often each of them ran.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use llvm_profparser::coverage_mapping::read_object_file;
use llvm_profparser::instrumentation_profile::types::InstrumentationProfile;
use llvm_profparser::{Counter, CounterType, ExprKind, FunctionRecordV3, RegionKind};

/// A line and a column, both from 1 on.
pub(crate) type Position = (usize, usize);

/// Code from one position to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) start: Position,
    pub(crate) end: Position,
    pub(crate) count: u64,
}

/// How often each span of a file ran.
type Counts = BTreeMap<(Position, Position), u64>;

/// The regions of each file. Each instance of a generic function has its own counters, and each crate into which a
/// function was inlined: a region's count is the sum.
pub(crate) fn read(program: &Path, profile: &Path) -> Result<BTreeMap<PathBuf, Vec<Region>>> {
    let profile = llvm_profparser::parse(profile)
        .with_context(|| format!("read the counters in {}", profile.display()))?;
    let version = profile.version().context("counters without a version")?;
    let counters = sum_counters(&profile);
    let mapping = read_object_file(program, version)?;
    let mut files: BTreeMap<PathBuf, Counts> = BTreeMap::new();
    for function in &mapping.cov_fun {
        let paths = mapping.get_files_from_id(function.header.filenames_ref);
        // Without a record nothing calls the function, and the linker left it out.
        let counters = counters.get(&function.header.name_hash);
        let counters = counters.map_or(&[][..], Vec::as_slice);
        for region in &function.regions {
            if region.kind != RegionKind::Code {
                continue;
            }
            let path = paths.get(region.file_id).context("a region without file")?;
            let start = (region.loc.line_start, region.loc.column_start);
            let end = (region.loc.line_end, region.loc.column_end);
            let count = value(function, region.count, counters);
            let sum = files.entry(path.clone()).or_default().entry((start, end));
            *sum.or_default() += u64::try_from(count).unwrap_or_default();
        }
    }
    ensure!(!files.is_empty(), "the program has no counters");
    let regions = files.into_iter().map(|(path, counts)| {
        let regions = counts
            .into_iter()
            .map(|((start, end), count)| Region { start, end, count });
        (path, regions.collect())
    });
    Ok(regions.collect())
}

/// The counters of each function, by the hash of its name. A function that was inlined into several crates is there
/// several times.
fn sum_counters(profile: &InstrumentationProfile) -> HashMap<u64, Vec<u64>> {
    let mut sums: HashMap<u64, Vec<u64>> = HashMap::new();
    for record in profile.records() {
        let Some(name) = record.name_hash else {
            continue;
        };
        let sum = sums.entry(name).or_default();
        sum.resize(sum.len().max(record.counts().len()), 0);
        for (sum, count) in sum.iter_mut().zip(record.counts()) {
            *sum = sum.saturating_add(*count);
        }
    }
    sums
}

/// The compiler counts as little as it can, and says how the rest follows.
fn value(function: &FunctionRecordV3, counter: Counter, counters: &[u64]) -> i64 {
    let at = |id: u64| usize::try_from(id).unwrap_or(usize::MAX);
    match counter.kind {
        CounterType::Zero => 0,
        CounterType::ProfileInstrumentation => counters
            .get(at(counter.id))
            .map_or(0, |count| i64::try_from(*count).unwrap_or(i64::MAX)),
        CounterType::Expression(_) => {
            let Some(expression) = function.expressions.get(at(counter.id)) else {
                return 0;
            };
            let left = value(function, expression.lhs, counters);
            let right = value(function, expression.rhs, counters);
            match expression.kind {
                ExprKind::Add => left.saturating_add(right),
                ExprKind::Subtract => left.saturating_sub(right),
            }
        }
    }
}
