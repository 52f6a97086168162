//! Our verdicts on phone numbers beside those of Google's libphonenumber, region by region. `cargo xtask test` has the
//! Python port write its own (`phones.py`) and names them in `CRIER_PHONES`.
#![expect(clippy::print_stdout, reason = "a test that reports")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use campaign::import::phone;
use serde::Deserialize;

/// Differences that are meant: what libphonenumber refuses, or reads in another way, and we do on purpose.
const KNOWN: &str = include_str!("phones-differences.txt");

#[derive(Deserialize)]
struct Case {
    region: String,
    text: String,
    default: Option<String>,
    e164: Option<String>,
}

#[test]
#[ignore = "needs the Python port's verdicts: cargo xtask test"]
fn verdicts_agree_with_libphonenumber() {
    let path = std::env::var("CRIER_PHONES").unwrap();
    let cases = std::fs::read_to_string(path).unwrap();
    let mut regions: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let mut differences = BTreeSet::new();
    for line in cases.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let ours = phone::parse(
            &case.text,
            case.default.as_deref().and_then(phone::parse_region),
        );
        let (agree, all) = regions.entry(case.region.clone()).or_default();
        *all += 1;
        if ours.map(|phone| phone.to_string()).ok() == case.e164 {
            *agree += 1;
            continue;
        }
        let (default, theirs) = (
            case.default.as_deref().unwrap_or("-"),
            case.e164.as_deref().unwrap_or("invalid"),
        );
        let ours = ours.map_or_else(|problem| format!("{problem:?}"), |phone| phone.to_string());
        differences.insert(format!(
            "{} {default} {} libphonenumber: {theirs} ours: {ours}",
            case.region, case.text
        ));
    }
    println!("{}", report(&regions));
    differences
        .iter()
        .for_each(|difference| println!("{difference}"));
    assert!(regions.len() > 240, "every region is there");
    let known: BTreeSet<String> = KNOWN
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    assert_eq!(differences, known);
}

/// Regions in lines of eight, with the share that agrees.
fn report(regions: &BTreeMap<String, (u32, u32)>) -> String {
    let mut text = String::new();
    for (index, (region, (agree, all))) in regions.iter().enumerate() {
        let end = if index % 8 == 7 { '\n' } else { ' ' };
        let _ = write!(text, "{region} {agree:>3}/{all:<3}{end}");
    }
    let (agree, all) = regions
        .values()
        .fold((0, 0), |(agree, all), (a, b)| (agree + a, all + b));
    let _ = write!(
        text,
        "\n{agree} of {all} numbers of {} regions agree",
        regions.len()
    );
    text
}
