//! Rust source as the assertions see it: files, modules, functions. It reads lines as rustfmt writes them, so that no parser
//! is needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub(super) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// One Rust file of a crate.
pub(super) struct SourceFile {
    /// Relative to the workspace.
    pub(super) path: String,
    /// Module path below the crate: `["delivery", "batch"]`; empty for `lib.rs` and `main.rs`.
    pub(super) module: Vec<String>,
    /// The lines outside `#[cfg(test)]` items.
    pub(super) lines: Vec<String>,
}

/// The files of every `src` folder of the workspace, by crate folder. Modules that are compiled for tests only are left out.
pub(super) fn crates() -> BTreeMap<String, Vec<SourceFile>> {
    let mut crates = BTreeMap::new();
    for group in ["crates", "functions", "tools"] {
        for folder in sorted_entries(&workspace().join(group)) {
            let source = folder.join("src");
            let name = format!("{group}/{}", file_name(&folder));
            if source.is_dir() {
                let files = crate_files(&name, &source);
                crates.insert(name, files);
            }
        }
    }
    crates
}

fn crate_files(name: &str, source: &Path) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut test_modules = Vec::new();
    for path in rust_files(source) {
        let relative = path.strip_prefix(source).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let module = module_path(relative);
        let (lines, tests) = split_tests(&text);
        test_modules.extend(
            tests
                .into_iter()
                .map(|child| [module.clone(), vec![child]].concat()),
        );
        files.push(SourceFile {
            path: format!("{name}/src/{}", relative.display()),
            module,
            lines,
        });
    }
    files.retain(|file| {
        !test_modules
            .iter()
            .any(|tests| file.module.starts_with(tests))
    });
    files
}

/// Every Rust file below `folder`.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in sorted_entries(folder) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// What a folder has, in the order of the names.
pub(super) fn sorted_entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn module_path(relative: &Path) -> Vec<String> {
    let mut parts: Vec<String> = relative
        .with_extension("")
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if matches!(
        parts.last().map(String::as_str),
        Some("lib" | "main" | "mod")
    ) {
        parts.pop();
    }
    parts
}

/// The lines outside `#[cfg(test)]` items, and the names of modules that a `#[cfg(test)] mod name;` declares.
fn split_tests(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut kept, mut test_modules) = (Vec::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            kept.push(line.to_owned());
            continue;
        }
        for line in lines.by_ref() {
            let declaration = line
                .strip_suffix(';')
                .and_then(|line| line.rsplit_once("mod "));
            test_modules.extend(declaration.map(|(_, name)| name.to_owned()));
            if line == "}" || (line.ends_with(';') && !line.starts_with([' ', '#'])) {
                break;
            }
        }
    }
    (kept, test_modules)
}

/// A function outside tests.
pub(super) struct Function {
    pub(super) name: String,
    /// Counted from 1, in the lines outside tests.
    pub(super) line: usize,
    /// From the signature to the closing brace.
    pub(super) length: usize,
}

/// The functions of a file, nested ones too.
pub(super) fn functions(lines: &[String]) -> Vec<Function> {
    let mut functions = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        let indent = &line[..line.len() - line.trim_start().len()];
        let (end, declaration) = (format!("{indent}}}"), format!("{indent})"));
        let is_end = |(offset, line): (usize, &String)| {
            (offset == 0 && line.ends_with(['}', ';']))
                || *line == end
                || (line.starts_with(&declaration) && line.ends_with(';'))
        };
        let last = lines[index..].iter().enumerate().position(is_end);
        functions.push(Function {
            name,
            line: index + 1,
            length: last.map_or(1, |last| last + 1),
        });
    }
    functions
}

fn function_name(line: &str) -> Option<String> {
    let mut rest = line.trim_start();
    while let Some((word, after)) = rest.split_once(' ') {
        if word == "fn" {
            let end = after.find(|c: char| !is_word(c))?;
            return Some(after[..end].to_owned());
        }
        if !(word.starts_with("pub") || matches!(word, "const" | "async" | "unsafe")) {
            return None;
        }
        rest = after;
    }
    None
}

/// Whether a character may be part of an identifier.
pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}
