//! Files that need each other in a circle: none of them can be read, changed or tested first.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{blanked, paths_used};

/// Which file needs which, by paths below `src/`.
type Needs<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// The groups of files that need each other in a circle. A module and its own parent may: they are one thing in two files.
/// Tests and what only tests use do not count.
pub(crate) fn cycles(sources: &[(String, String)]) -> Vec<Vec<&str>> {
    let needs = needs(sources);
    let reached: BTreeMap<&str, BTreeSet<&str>> = needs.keys().map(|file| (*file, reached_from(file, &needs))).collect();
    let mut groups: Vec<Vec<&str>> = Vec::new();
    for file in needs.keys() {
        if groups.iter().any(|group| group.contains(file)) {
            continue;
        }
        let back = |other: &str| other != *file && reached[other].contains(file);
        let others: Vec<&str> = reached[file].iter().copied().filter(|other| back(other)).collect();
        if !others.is_empty() {
            groups.push(std::iter::once(*file).chain(others).collect());
        }
    }
    groups
}

fn needs(sources: &[(String, String)]) -> Needs<'_> {
    let files: BTreeMap<String, &str> =
        sources.iter().filter(|(name, _)| !is_test(name)).map(|(name, _)| (module(name), name.as_str())).collect();
    let mut needs = Needs::new();
    for (name, source) in sources.iter().filter(|(name, _)| !is_test(name)) {
        let own = module(name);
        let code = blanked(source);
        let code = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let targets = paths_used(code, name).into_iter().filter_map(|path| file_of(&path, &files));
        let others = targets.filter(|(there, _)| !are_parent_and_child(&own, there));
        needs.insert(name.as_str(), others.map(|(_, file)| file).filter(|file| file != name).collect());
    }
    needs
}

/// The file that `path` leads to, with its module: the longest part of the path that is one.
fn file_of<'a>(path: &str, files: &BTreeMap<String, &'a str>) -> Option<(String, &'a str)> {
    let mut module = path;
    loop {
        if let Some(file) = files.get(module) {
            return Some((module.to_owned(), file));
        }
        module = module.rsplit_once("::")?.0;
    }
}

/// `load/user.rs` is `crate::load::user`; `load/mod.rs` is `crate::load`.
fn module(name: &str) -> String {
    let path = name.trim_end_matches(".rs").trim_end_matches("/mod");
    format!("crate::{}", path.replace('/', "::"))
}

fn are_parent_and_child(a: &str, b: &str) -> bool {
    let is_parent = |parent: &str, child: &str| child.rsplit_once("::").is_some_and(|(above, _)| above == parent);
    is_parent(a, b) || is_parent(b, a)
}

fn is_test(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.ends_with("tests.rs") || file == "fixture.rs" || matches!(name, "lib.rs" | "main.rs")
}

fn reached_from<'a>(file: &'a str, needs: &Needs<'a>) -> BTreeSet<&'a str> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![file]);
    while let Some(next) = open.pop() {
        for other in needs.get(next).into_iter().flatten() {
            if reached.insert(*other) {
                open.push(other);
            }
        }
    }
    reached
}
