//! Which file of a crate uses which, and the circles among them.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{SourceFile, is_word};

/// For each file of a crate, the files it uses: `use` declarations and paths in the code alike. `mod` declarations and
/// re-exports of a parent do not count; what goes through a re-export counts as a use of where the item is.
pub(super) fn uses(files: &[SourceFile]) -> BTreeMap<usize, BTreeSet<usize>> {
    let modules = Modules::new(files);
    let mut uses = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        let used: BTreeSet<usize> = paths(&code(&file.lines, false))
            .iter()
            .filter_map(|path| modules.file_of(&file.module, path, 0))
            .filter(|&used| used != index)
            .collect();
        uses.insert(index, used);
    }
    uses
}

/// The files that are in a circle: those that can be reached from themselves.
pub(super) fn circles(uses: &BTreeMap<usize, BTreeSet<usize>>) -> Vec<BTreeSet<usize>> {
    let reach: BTreeMap<usize, BTreeSet<usize>> = uses
        .keys()
        .map(|&file| (file, reachable(uses, file)))
        .collect();
    let mut circles = BTreeSet::new();
    for (file, reached) in &reach {
        if reached.contains(file) {
            let circle = reached.iter().filter(|other| reach[other].contains(file));
            circles.insert(circle.copied().collect::<BTreeSet<usize>>());
        }
    }
    circles.into_iter().collect()
}

fn reachable(uses: &BTreeMap<usize, BTreeSet<usize>>, from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut to_visit: Vec<usize> = uses[&from].iter().copied().collect();
    while let Some(file) = to_visit.pop() {
        if reached.insert(file) {
            to_visit.extend(&uses[&file]);
        }
    }
    reached
}

/// The modules of a crate that have a file, and what they re-export.
struct Modules {
    files: BTreeMap<Vec<String>, usize>,
    /// A module and a name in it, and the path the name is re-exported from.
    exports: BTreeMap<(Vec<String>, String), Vec<String>>,
}

impl Modules {
    fn new(files: &[SourceFile]) -> Self {
        let by_module = files.iter().enumerate();
        let by_module = by_module.map(|(index, file)| (file.module.clone(), index));
        let mut exports = BTreeMap::new();
        for file in files {
            for path in paths(&code(&file.lines, true)) {
                if let Some(name) = path.last() {
                    exports.insert((file.module.clone(), name.clone()), path);
                }
            }
        }
        Self {
            files: by_module.collect(),
            exports,
        }
    }

    /// The file of the item that `path` names in `module`; `None` for what is not of this crate.
    fn file_of(&self, module: &[String], path: &[String], depth: usize) -> Option<usize> {
        let mut at = module.to_vec();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (at, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    at.pop();
                    rest = &rest[1..];
                }
            }
            child => {
                at.push(child.to_owned());
                self.files.get(&at)?;
                rest = &path[1..];
            }
        }
        while let Some(part) = rest.first() {
            let child = [at.clone(), vec![part.clone()]].concat();
            if self.files.contains_key(&child) {
                (at, rest) = (child, &rest[1..]);
                continue;
            }
            let export = self.exports.get(&(at.clone(), part.clone()));
            return match export {
                Some(target) if depth < 8 => self
                    .file_of(&at, target, depth + 1)
                    .or_else(|| self.files.get(&at).copied()),
                _ => self.files.get(&at).copied(),
            };
        }
        self.files.get(&at).copied()
    }
}

/// The code of a file as one line without comments: its re-exports (`pub use`), or everything else.
fn code(lines: &[String], exports: bool) -> String {
    let mut text = String::new();
    let mut in_export = false;
    for line in lines {
        let line = line.split("//").next().unwrap_or_default();
        in_export |= line.starts_with("pub use ") || line.starts_with("pub(crate) use ");
        if in_export == exports {
            text.push_str(line);
            text.push(' ');
        }
        in_export &= !line.ends_with(';');
    }
    text
}

/// Every path of two or more parts, with the branches of braces unfolded: `crate::a::{b, c::d}` gives two.
fn paths(code: &str) -> Vec<Vec<String>> {
    let characters: Vec<char> = code.chars().collect();
    let mut paths = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        if is_word(characters[at]) {
            let begins = at == 0 || characters[at - 1] != ':';
            let mut found = Vec::new();
            at = read_path(&characters, at, &[], &mut found);
            if begins {
                paths.extend(found.into_iter().filter(|path| path.len() > 1));
            }
        } else {
            at += 1;
        }
    }
    paths
}

/// Reads the path at `at`, after `prefix`; gives where it ends.
fn read_path(
    code: &[char],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = prefix.to_vec();
    loop {
        let begin = at;
        while at < code.len() && is_word(code[at]) {
            at += 1;
        }
        path.push(code[begin..at].iter().collect());
        let after = |offset: usize| code.get(at + offset).copied().unwrap_or(' ');
        if (after(0), after(1)) != (':', ':') {
            found.push(path);
            return at;
        }
        if after(2) == '{' {
            return read_branches(code, at + 3, &path, found);
        }
        if !is_word(after(2)) {
            found.push(path);
            return at + 2;
        }
        at += 2;
    }
}

/// Reads what is in braces after `prefix::`; gives where it ends.
fn read_branches(
    code: &[char],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<Vec<String>>,
) -> usize {
    while at < code.len() && code[at] != '}' {
        if is_word(code[at]) {
            at = read_path(code, at, prefix, found);
            // `as Other`
            while at < code.len() && !matches!(code[at], ',' | '}') {
                at += 1;
            }
        } else {
            at += 1;
        }
    }
    at + 1
}
