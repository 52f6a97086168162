//! Compares our phone numbers with those of Google's libphonenumber, region by region.
//!
//! `cargo xtask test` lets the Python port of libphonenumber write its results (`phones.py`), and passes
//! their path in `CRIER_PHONES`.
#![expect(clippy::print_stdout, reason = "prints how many numbers agree")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use campaign::import::phone;
use serde::Deserialize;

/// The differences that we want: numbers that libphonenumber rejects or reads differently.
const EXPECTED_DIFFERENCES: &str = include_str!("phones-differences.txt");

/// libphonenumber has more than this many regions; fewer in the test data would mean that some are missing.
const MIN_REGIONS: usize = 240;

/// One result of libphonenumber.
#[derive(Deserialize)]
struct Case {
    region: String,
    text: String,
    default: Option<String>,
    e164: Option<String>,
}

/// In how many of a region's cases both agree.
#[derive(Clone, Copy, Default)]
struct Agreement {
    equal: u32,
    total: u32,
}

#[test]
#[ignore = "needs the results of the Python port: cargo xtask test"]
fn numbers_equal_those_of_libphonenumber() {
    let path = std::env::var("CRIER_PHONES").unwrap();
    let cases = std::fs::read_to_string(path).unwrap();
    let mut regions: BTreeMap<String, Agreement> = BTreeMap::new();
    let mut differences = BTreeSet::new();
    for line in cases.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let difference = find_difference(&case);
        let agreement = regions.entry(case.region).or_default();
        agreement.total += 1;
        agreement.equal += u32::from(difference.is_none());
        differences.extend(difference);
    }
    println!("{}", format_agreement(&regions));
    for difference in &differences {
        println!("{difference}");
    }
    assert!(regions.len() > MIN_REGIONS, "some regions are missing");
    let expected: BTreeSet<String> = EXPECTED_DIFFERENCES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    assert_eq!(differences, expected);
}

/// A line as in `phones-differences.txt`; `None` if we agree with libphonenumber.
fn find_difference(case: &Case) -> Option<String> {
    let default = case.default.as_deref();
    let ours = phone::parse(&case.text, default.and_then(phone::parse_region));
    if ours.map(|phone| phone.to_string()).ok() == case.e164 {
        return None;
    }
    let default = default.unwrap_or("-");
    let theirs = case.e164.as_deref().unwrap_or("invalid");
    let ours = ours.map_or_else(|problem| format!("{problem:?}"), |phone| phone.to_string());
    Some(format!(
        "{} {default} {} libphonenumber: {theirs} ours: {ours}",
        case.region, case.text
    ))
}

/// The agreement in each region, eight regions a line, and in total.
fn format_agreement(regions: &BTreeMap<String, Agreement>) -> String {
    let mut text = String::new();
    let mut sum = Agreement::default();
    for (index, (region, Agreement { equal, total })) in regions.iter().enumerate() {
        let end = if index % 8 == 7 { '\n' } else { ' ' };
        let _ = write!(text, "{region} {equal:>3}/{total:<3}{end}");
        sum.equal += equal;
        sum.total += total;
    }
    let Agreement { equal, total } = sum;
    let count = regions.len();
    let _ = write!(
        text,
        "\n{equal} of {total} numbers of {count} regions agree"
    );
    text
}
