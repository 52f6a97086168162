//! One set of dependency features for every build (`crates/workspace-hack`).
//!
//! Cargo compiles a dependency once for each set of features that it is asked for, and the features depend on which
//! packages are built together: `cargo test --package sender` and `sam build`, which builds one function after the
//! other, would compile the AWS SDK again and again. So one crate, which every build contains, asks for all of them:
//! those of release builds always, those of tests behind its feature `tests`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, bail, ensure};

use crate::build::FUNCTIONS;
use crate::paths::root;
use crate::process::cargo;

/// Packages beside the functions whose tests are run alone.
const LIBRARIES: [&str; 4] = ["cloud", "whatsapp", "recipients", "simulator"];

/// The one function that uses nothing of AWS: with all of these features it would compile the whole SDK.
const CONSOLE: &str = "console";

/// What the build scripts of dependencies share with other dependencies.
const OF_BUILD_SCRIPTS: [&str; 2] = ["regex", "regex-automata"];

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
    let functions = functions.iter().filter(|package| **package != CONSOLE);
    let functions: Vec<&str> = functions.copied().collect();
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
    ensure!(
        tree.status.success(),
        "cargo tree failed: {}",
        String::from_utf8_lossy(&tree.stderr)
    );
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
    let dependencies = dependencies(release, tests)?;
    let (mut always, mut build, mut feature) = (String::new(), String::new(), String::new());
    for dependency in &dependencies {
        let requirement = dependency.requirement();
        let optional = if dependency.is_optional {
            ", optional = true"
        } else {
            ""
        };
        writeln!(always, "{} = {{ {requirement}{optional} }}", dependency.key)?;
        if OF_BUILD_SCRIPTS.contains(&dependency.name.as_str()) {
            writeln!(build, "{} = {{ {requirement} }}", dependency.key)?;
        }
        for entry in dependency.test_entries() {
            writeln!(feature, "    {entry:?},")?;
        }
    }
    Ok(format!(
        "{HEAD}{always}\n[build-dependencies]\n{build}\n[features]\ntests = [\n{feature}]\n"
    ))
}

/// One line of the manifest.
struct Dependency {
    /// Its name in the manifest: two versions of a package need two.
    key: String,
    name: String,
    version: String,
    features: Vec<String>,
    /// Whether only tests ask for it.
    is_optional: bool,
    /// Features that only tests ask for, where it is not optional.
    test_features: Vec<String>,
}

impl Dependency {
    /// What stands between the braces.
    fn requirement(&self) -> String {
        let package = if self.key == self.name {
            String::new()
        } else {
            format!("package = {:?}, ", self.name)
        };
        let (version, features) = (&self.version, &self.features);
        format!("{package}version = {version:?}, default-features = false, features = {features:?}")
    }

    /// Its entries in the feature `tests`.
    fn test_entries(&self) -> Vec<String> {
        if self.is_optional {
            return vec![format!("dep:{}", self.key)];
        }
        let features = self.test_features.iter();
        features
            .map(|feature| format!("{}/{feature}", self.key))
            .collect()
    }
}

/// The lines of the manifest, in the order of names and versions.
fn dependencies(release: &Features, tests: &Features) -> Result<Vec<Dependency>> {
    let ids: BTreeSet<&String> = release.keys().chain(tests.keys()).collect();
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for id in &ids {
        *versions.entry(split(id)?.0).or_default() += 1;
    }
    let mut dependencies = Vec::new();
    for id in ids {
        let (name, version) = split(id)?;
        let is_alone = versions.get(name) == Some(&1);
        let key = if is_alone {
            name.to_owned()
        } else {
            format!("{name}-{version}").replace('.', "-")
        };
        let (always, tested) = (release.get(id), tests.get(id));
        let features = always.or(tested).into_iter().flatten();
        let is_new = |feature: &&String| !always.is_some_and(|always| always.contains(*feature));
        let test_features = tested.into_iter().flatten().filter(is_new);
        dependencies.push(Dependency {
            key,
            name: name.to_owned(),
            version,
            features: features.cloned().collect(),
            is_optional: always.is_none(),
            test_features: test_features.cloned().collect(),
        });
    }
    Ok(dependencies)
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
