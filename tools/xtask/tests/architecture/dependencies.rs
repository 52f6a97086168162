//! Crates depend inwards: functions on the crates they share, and everything on the campaign's policy, which does no I/O.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// The names of each package's normal dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let packages = metadata.packages.iter();
    packages
        .map(|package| (package.name.to_string(), normal_dependencies(package)))
        .collect()
}

fn normal_dependencies(package: &Package) -> BTreeSet<String> {
    let dependencies = package.dependencies.iter();
    let normal = dependencies.filter(|dependency| dependency.kind == DependencyKind::Normal);
    normal.map(|dependency| dependency.name.clone()).collect()
}

/// Only fixes the features of dependencies, so that every build has the same.
const FEATURES: &str = "workspace-hack";

#[test]
fn dependencies_point_inwards() {
    let all = dependencies();
    let own = |package: &str| -> BTreeSet<&str> {
        let names = all[package].iter().map(String::as_str);
        names
            .filter(|name| all.contains_key(*name) && *name != FEATURES)
            .collect()
    };
    assert_eq!(own("campaign"), [].into());
    assert_eq!(own("tabular"), [].into());
    assert_eq!(own("whatsapp"), ["campaign"].into());
    assert_eq!(own("cloud"), ["campaign"].into());
    assert_eq!(
        own("recipients"),
        ["campaign", "cloud", "tabular", "whatsapp"].into()
    );
    assert_eq!(own("simulator"), ["whatsapp"].into());
    assert_eq!(own("xtask"), [].into());
    let shared = ["campaign", "cloud", "recipients", "tabular", "whatsapp"].into();
    for function in [
        "api",
        "console",
        "counter",
        "erase",
        "forward",
        "reconciler",
        "report",
        "sender",
        "splitter",
        "webhook",
    ] {
        assert!(own(function).is_subset(&shared), "{function}");
    }
}

#[test]
fn policy_does_no_io() {
    let all = dependencies();
    let policy: BTreeSet<&str> = all["campaign"].iter().map(String::as_str).collect();
    assert_eq!(
        policy,
        [
            "jiff",
            "rlibphonenumber",
            "serde",
            "serde_json",
            "sha2",
            "strum",
            "thiserror"
        ]
        .into()
    );
}
