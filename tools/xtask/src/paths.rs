//! The folders that every command uses.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package
        .ancestors()
        .nth(2)
        .map_or_else(|| package.clone(), PathBuf::from)
}

/// `.dev`, which Git ignores: installed tools, logs, and the state of `cargo xtask up`.
pub(crate) fn dev() -> PathBuf {
    root().join(".dev")
}

/// Folders with what builds write and package managers install.
const GENERATED: [&str; 2] = ["target", "node_modules"];

/// The files of a folder and of those below with this extension, without generated and hidden folders.
pub(crate) fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && !GENERATED.contains(&&*name) {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
