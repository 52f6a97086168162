//! The template obeys every fact, and each fact fails where it is broken.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::broken::broken;
use super::model::Checked;
use super::{FACTS, MAIN_TEMPLATE, NUMBER_FACTS, NUMBER_TEMPLATE, check_template};

static REAL: LazyLock<Checked> =
    LazyLock::new(|| Checked::read(MAIN_TEMPLATE).expect("the template"));

#[test]
fn template_obeys_every_fact() {
    for (name, fact) in FACTS {
        assert_eq!(fact(&REAL), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn template_of_a_further_number_obeys_its_facts() {
    check_template(NUMBER_TEMPLATE, NUMBER_FACTS).expect("the template");
}

#[test]
fn each_fact_fails_where_it_is_broken() {
    for (name, change, finding) in broken() {
        let (_, fact) = FACTS.iter().find(|(fact, _)| fact == name).expect(name);
        let mut checked = REAL.clone();
        change(&mut checked);
        let findings = fact(&checked);
        let is_found = findings.iter().any(|found| found.contains(finding));
        assert!(
            is_found,
            "{name} does not find `{finding}`, but {findings:?}"
        );
    }
}

#[test]
fn each_fact_is_shown_to_fail() {
    let shown: BTreeSet<_> = broken().map(|(name, ..)| *name).collect();
    let facts: BTreeSet<_> = FACTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(shown, facts);
}
