//! Files as customers export them, each with what it must give. The files are in `corpus/`; this writes them from what is
//! written here, and the fuzzer starts with them, too:
//!
//! ```text
//! CRIER_WRITE_CORPUS=1 cargo test -p integration corpus
//! ```
//!
//! - [`case`]: one file and what it must give; [`encode`]: its bytes; [`read`]: reads it as an import does
//! - [`encodings`], [`dialects`], [`workbooks`], [`phone_numbers`], [`values`], [`unusable`], [`exports`]: the files
//! - [`any_dialect`]: random tables in random dialects

mod any_dialect;
mod case;
mod dialects;
pub(crate) mod encode;
mod encodings;
mod exports;
mod phone_numbers;
mod read;
mod unusable;
mod values;
mod workbooks;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use self::case::Case;
use self::read::{campaign_with, matches_expected, read_file};

fn all_cases() -> Vec<Case> {
    [
        encodings::encoding_cases(),
        dialects::dialect_cases(),
        workbooks::workbook_cases(),
        phone_numbers::phone_cases(),
        values::value_cases(),
        unusable::unusable_cases(),
        exports::export_cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[tokio::test]
async fn every_corpus_file_gives_its_expected_rows() {
    let write = std::env::var_os("CRIER_WRITE_CORPUS").is_some();
    let mut wrong = Vec::new();
    for case in all_cases() {
        let path = folder().join(case.file);
        if write {
            std::fs::write(&path, &case.bytes).unwrap();
        }
        let bytes = std::fs::read(&path).unwrap();
        let seen = read_file(bytes, &campaign_with(&case.message, &case.options)).await;
        if !matches_expected(&seen, &case.expected) {
            let (file, expected) = (case.file, case.expected);
            wrong.push(format!(
                "{file}\n  seen     {seen:?}\n  expected {expected:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} files:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_corpus_file_has_its_case() {
    let named: BTreeSet<String> = all_cases()
        .iter()
        .map(|case| case.file.to_owned())
        .collect();
    let entries = std::fs::read_dir(folder()).unwrap();
    let existing: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(named, existing);
    assert!(named.len() >= 60, "{} files", named.len());
}
