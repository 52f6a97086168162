//! Formatting, architecture, clippy, documentation, links, dependencies, the template.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::emulator::REGION;
use crate::features;
use crate::paths::{files, root};
use crate::process::{cargo, catch_interrupts, run_shown};
use crate::progress::Step;
use crate::setup::{DEPLOY, LINT};
use crate::template;

/// Lines that the README may have: it is a first page, not a manual.
const README_LINES: usize = 150;

/// Runs all checks, the quick ones first; the first that finds something ends the run.
pub(crate) fn run() -> Result<()> {
    catch_interrupts();
    run_shown(cargo().args(["fmt", "--all", "--check"]))?;
    check_step("dependency features", features::check)?;
    run_shown(cargo().args(["test", "--quiet", "--package", "xtask"]))?;
    check_step("unused dependencies", check_dependencies)?;
    check_step("links in Markdown", check_documents)?;
    LINT.install()?;
    check_licences()?;
    check_template()?;
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ];
    run_shown(cargo().args(clippy))?;
    check_documentation()
}

fn check_step(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    let step = Step::begin(name);
    check()?;
    step.finish();
    Ok(())
}

/// Documents private items, too: who changes a file reads them.
fn check_documentation() -> Result<()> {
    let document = |packages: &[&str]| {
        let mut doc = cargo();
        doc.env("RUSTDOCFLAGS", "--deny warnings")
            .args(["doc", "--no-deps", "--document-private-items"])
            .args(packages);
        run_shown(&mut doc)
    };
    // There are no examples; to ask for them turns on the tests' features, with which clippy has checked everything.
    document(&["--workspace", "--lib", "--examples"])?;
    document(&["--package", "xtask"])
}

fn check_licences() -> Result<()> {
    run_shown(
        Command::new(LINT.program("cargo-deny"))
            .current_dir(root())
            .args(["--log-level", "error", "check"])
            .args(["licenses", "bans", "sources"]),
    )
}

fn check_template() -> Result<()> {
    DEPLOY.install()?;
    let infra = root().join("infra");
    let env = [("SAM_CLI_TELEMETRY", "0"), ("AWS_DEFAULT_REGION", REGION)];
    run_shown(
        Command::new(DEPLOY.program("sam"))
            .current_dir(&infra)
            .envs(env)
            .args(["validate", "--lint"]),
    )?;
    run_shown(
        Command::new(LINT.program("cfn-lint"))
            .current_dir(&infra)
            .arg("template.yaml"),
    )?;
    check_step("facts of AWS in the template", template::check)
}

/// Fails where a package names a dependency that none of its files mentions.
fn check_dependencies() -> Result<()> {
    let metadata = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("start cargo")?;
    let metadata: Value = serde_json::from_slice(&metadata.stdout)?;
    let mut unused = BTreeSet::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        // Its dependencies are there for their features.
        if manifest.contains("workspace-hack") {
            continue;
        }
        let folder = Path::new(manifest).parent().unwrap_or(Path::new("."));
        let mut sources = String::new();
        for file in files(folder, "rs")? {
            sources.push_str(&fs::read_to_string(file)?);
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let name = dependency["rename"]
                .as_str()
                .or(dependency["name"].as_str());
            let name = name.unwrap_or_default();
            let is_used = sources.contains(&format!("{}::", name.replace('-', "_")));
            if !is_used && name != "workspace-hack" {
                unused.insert(format!("{manifest}: {name}"));
            }
        }
    }
    let unused = unused.into_iter().collect::<Vec<_>>().join("\n");
    ensure!(
        unused.is_empty(),
        "dependencies that no file mentions:\n{unused}"
    );
    Ok(())
}

/// Fails where a document links to a file or a heading that is not there, or the README is too long.
fn check_documents() -> Result<()> {
    let mut broken = Vec::new();
    for document in files(&root(), "md")? {
        let text = fs::read_to_string(&document)?;
        for target in link_targets(&text) {
            if !is_link_valid(&document, target) {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    ensure!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    let lines = fs::read_to_string(root().join("README.md"))?
        .lines()
        .count();
    ensure!(
        lines <= README_LINES,
        "README.md has {lines} lines, {README_LINES} are allowed"
    );
    Ok(())
}

/// What the document links to: the text between `](` and `)`, outside of code.
fn link_targets(text: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code || line.starts_with("    ") {
            continue;
        }
        let links = line.split("](").skip(1);
        targets.extend(links.filter_map(|rest| rest.split(')').next()));
    }
    targets
}

/// Whether a link leads to a file of the project, or to a heading of one. Links to other sites are not followed.
fn is_link_valid(document: &Path, target: &str) -> bool {
    if target.starts_with("https://") || target.starts_with("http://") {
        return true;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let folder = document.parent().unwrap_or(Path::new("."));
    let path = if file.is_empty() {
        document.to_owned()
    } else {
        folder.join(file)
    };
    if heading.is_empty() {
        return path.exists();
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| anchor(line.trim_start_matches('#')))
        .any(|anchor| anchor == heading)
}

/// A heading's anchor, as Git hosts make it: lower case, hyphens for spaces, no punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_links_outside_of_code() {
        let text = "see [a](docs/a.md#b-c) and [d](e)\n```\n[no](x)\n```\n    [no](y)\n";
        assert_eq!(link_targets(text), ["docs/a.md#b-c", "e"]);
    }

    #[test]
    fn anchors_are_those_of_git_hosts() {
        assert_eq!(
            anchor(" How to choose the TPS budget?"),
            "how-to-choose-the-tps-budget"
        );
    }
}
