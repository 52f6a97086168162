//! The folders that every command uses.

use std::path::PathBuf;

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
