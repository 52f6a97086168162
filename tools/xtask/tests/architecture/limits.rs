//! Files and functions stay small, and no two files of a crate use each other.

use super::cycles::{circles, uses};
use super::source::{self, SourceFile};

/// Lines of a file outside its tests.
const MAX_FILE_LINES: usize = 400;

/// Lines of a function, from its signature to its closing brace.
const MAX_FUNCTION_LINES: usize = 60;

/// What `find` finds in each file outside tests, as one line each.
fn find_in_files(find: impl Fn(&SourceFile) -> Vec<String>) -> Vec<String> {
    let crates = source::crates();
    assert!(
        crates.len() >= 16,
        "the crates are not where the test looks"
    );
    crates.values().flatten().flat_map(find).collect()
}

#[test]
fn no_file_is_longer_than_the_limit() {
    let too_long = find_in_files(|file| {
        let lines = file.lines.len();
        let problem = format!("{}: {lines} lines", file.path);
        (lines > MAX_FILE_LINES)
            .then_some(problem)
            .into_iter()
            .collect()
    });
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
}

#[test]
fn no_function_is_longer_than_the_limit() {
    let too_long = find_in_files(|file| {
        let functions = source::functions(&file.lines).into_iter();
        functions
            .filter(|function| function.length > MAX_FUNCTION_LINES)
            .map(|function| {
                let (name, lines) = (function.name, function.length);
                format!("{}:{}: {name} has {lines} lines", file.path, function.line)
            })
            .collect()
    });
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
}

#[test]
fn no_files_of_a_crate_use_each_other_in_a_circle() {
    let mut found = Vec::new();
    for files in source::crates().values() {
        for circle in circles(&uses(files)) {
            let paths: Vec<&str> = circle
                .iter()
                .map(|&file| files[file].path.as_str())
                .collect();
            found.push(paths.join(" ↔ "));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
