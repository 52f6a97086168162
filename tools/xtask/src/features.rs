//! One set of dependency features for every build (`crates/workspace-hack`).
//!
//! Cargo compiles a dependency once for each set of features that it is asked for, and the features depend on which
//! packages are built together: `cargo test --package sender` and `sam build`, which builds one function after the
//! other, would compile the AWS SDK again and again. So one crate, which every build contains, asks for all of them:
//! those of release builds always, those of tests behind its feature `tests`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::build::FUNCTIONS;
use crate::paths::root;
use crate::process::cargo;

/// Packages beside the functions whose tests are run alone.
const LIBRARIES: [&str; 4] = ["cloud", "whatsapp", "recipients", "simulator"];

/// What the build scripts of dependencies share with other dependencies.
const OF_BUILD_SCRIPTS: [&str; 2] = ["regex v1", "regex-automata v0.4"];

/// Rounds until nothing is added: a dependency added for one package may bring features for another.
const MAX_ROUNDS: usize = 8;

/// For each dependency, as `name v1.2.3`, the feature sets that builds ask for.
type FeatureSets = BTreeMap<String, BTreeSet<BTreeSet<String>>>;

/// For each dependency the features to ask for.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Fails where some package would be built with dependency features of its own.
pub(crate) fn check() -> Result<()> {
    let (release, tests) = missing()?;
    let Some(dependency) = release.keys().chain(tests.keys()).next() else {
        return Ok(());
    };
    bail!(
        "builds disagree about the features of {dependency}: run `cargo xtask features` and commit what it writes"
    )
}

/// Writes the crate's manifest anew.
pub(crate) fn write() -> Result<()> {
    let (mut release, mut tests) = (Features::new(), Features::new());
    for _ in 0..MAX_ROUNDS {
        let manifest = render(&release, &tests)?;
        fs::write(root().join("crates/workspace-hack/Cargo.toml"), manifest)?;
        let (more_release, more_tests) = missing()?;
        if more_release.is_empty() && more_tests.is_empty() {
            return Ok(());
        }
        release.extend(more_release);
        tests.extend(more_tests);
    }
    bail!("the features do not settle")
}

/// What is missing for release builds of single functions, and for tests of single packages.
fn missing() -> Result<(Features, Features)> {
    let functions = FUNCTIONS.map(|(package, _)| package);
    let builds = functions
        .iter()
        .map(|package| feature_sets(&["--package", package], "normal,build"));
    let release = unequal(&builds.collect::<Result<Vec<_>>>()?);
    let workspace = feature_sets(&["--workspace"], "normal,build,dev")?;
    let packages = functions.iter().chain(&LIBRARIES);
    let builds = packages.map(|package| feature_sets(&["--package", package], "normal,build,dev"));
    let tests = beyond(&builds.collect::<Result<Vec<_>>>()?, &workspace);
    Ok((release, tests))
}

/// Dependencies for which the builds that have them ask for unequal features, with all of these.
fn unequal(builds: &[FeatureSets]) -> Features {
    let mut all: BTreeMap<&str, BTreeSet<&BTreeSet<BTreeSet<String>>>> = BTreeMap::new();
    for (dependency, sets) in builds.iter().flatten() {
        all.entry(dependency).or_default().insert(sets);
    }
    let unequal = all.into_iter().filter(|(_, builds)| builds.len() > 1);
    let merged = |builds: BTreeSet<&BTreeSet<BTreeSet<String>>>| {
        builds.into_iter().flatten().flatten().cloned().collect()
    };
    unequal
        .map(|(dependency, builds)| (dependency.to_owned(), merged(builds)))
        .collect()
}

/// Dependencies that some build asks for with features other than the workspace's, with the largest set of these.
fn beyond(builds: &[FeatureSets], workspace: &FeatureSets) -> Features {
    let mut found = Features::new();
    for (dependency, sets) in builds.iter().flatten() {
        let Some(known) = workspace.get(dependency) else {
            continue;
        };
        if !sets.is_subset(known) {
            let largest = known.iter().max_by_key(|features| features.len());
            found.insert(dependency.clone(), largest.cloned().unwrap_or_default());
        }
    }
    found
}

/// The features that a build of these packages asks for.
fn feature_sets(packages: &[&str], edges: &str) -> Result<FeatureSets> {
    let tree = cargo()
        .arg("tree")
        .args(packages)
        .args(["--edges", edges, "--prefix", "none"])
        .args(["--format", "{p} | {f}"])
        .output()
        .context("start cargo")?;
    let mut sets = FeatureSets::new();
    let ours = root().display().to_string();
    for line in String::from_utf8_lossy(&tree.stdout).lines() {
        let Some((package, features)) = line.split_once(" | ") else {
            continue;
        };
        if package.contains(&ours) {
            continue;
        }
        let package = package.replace(" (proc-macro)", "");
        let features = features.trim_end_matches(" (*)").split(',');
        let features = features
            .filter(|feature| !feature.is_empty())
            .map(str::to_owned);
        sets.entry(package).or_default().insert(features.collect());
    }
    Ok(sets)
}

const HEAD: &str = r#"# Written by `cargo xtask features`; `cargo xtask lint` fails where it is out of date.
[package]
name = "workspace-hack"
description = "One set of dependency features for every build: each dependency is compiled once"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

[lints]
workspace = true

# What release builds of the functions ask for. What is optional is asked for by tests only.
[dependencies]
"#;

/// The manifest that asks for these features.
fn render(release: &Features, tests: &Features) -> Result<String> {
    let all: BTreeSet<&String> = release.keys().chain(tests.keys()).collect();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for dependency in &all {
        *names.entry(split(dependency)?.0).or_default() += 1;
    }
    let (mut dependencies, mut build, mut feature) = (String::new(), String::new(), String::new());
    for dependency in all {
        let (name, version) = split(dependency)?;
        let alone = names.get(name) == Some(&1);
        let key = if alone {
            name.to_owned()
        } else {
            format!("{name}-{version}").replace('.', "-")
        };
        let package = if alone {
            String::new()
        } else {
            format!("package = \"{name}\", ")
        };
        let always = release.get(dependency);
        let features = always
            .or(tests.get(dependency))
            .cloned()
            .unwrap_or_default();
        let optional = if always.is_some() {
            ""
        } else {
            ", optional = true"
        };
        let line = format!(
            "{key} = {{ {package}version = \"{version}\", default-features = false, features = {features:?}"
        );
        let line = line
            .replace("{\"", "[\"")
            .replace("\"}", "\"]")
            .replace("= {}", "= []");
        writeln!(dependencies, "{line}{optional} }}")?;
        if OF_BUILD_SCRIPTS
            .iter()
            .any(|prefix| dependency.starts_with(prefix))
        {
            writeln!(build, "{line} }}")?;
        }
        match always {
            None => writeln!(feature, "    \"dep:{key}\",")?,
            Some(always) => {
                for more in tests
                    .get(dependency)
                    .into_iter()
                    .flatten()
                    .filter(|more| !always.contains(*more))
                {
                    writeln!(feature, "    \"{key}/{more}\",")?;
                }
            }
        }
    }
    Ok(format!(
        "{HEAD}{dependencies}\n[build-dependencies]\n{build}\n[features]\ntests = [\n{feature}]\n"
    ))
}

/// `tokio v1.54.1` as `tokio` and the version to ask for, `1` or `0.4`.
fn split(dependency: &str) -> Result<(&str, String)> {
    let (name, version) = dependency
        .split_once(" v")
        .context("a package has a name and a version")?;
    let mut parts = version.split('.');
    let major = parts.next().unwrap_or_default();
    let version = match (major, parts.next()) {
        ("0", Some(minor)) => format!("0.{minor}"),
        _ => major.to_owned(),
    };
    Ok((name, version))
}
