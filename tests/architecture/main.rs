//! Holds the floors of `docs/ARCHITECTURE.md`: who may import whom, which places are pure, how long a file may be.
//!
//! The sources are read as text. Comments, strings and character literals are blanked first, so that prose may name
//! what code must not; `use` trees are unfolded, so that `use crate::{load::user, sys}` counts as two imports.

#![expect(clippy::unwrap_used, reason = "an unreadable source tree is a failed test")]

use std::fmt;
use std::fs;
use std::path::Path;

mod cycles;
mod figures;
mod source;
mod words;

use source::{blanked, paths_used};

/// Lines of one source file.
const FILE_LINES: usize = 450;

/// A place and the floor it lies on. A file imports only from lower floors and from its own place.
const FLOORS: &[(&str, u8, Purity)] = &[
    ("model", 0, Purity::Pure),
    ("sys", 1, Purity::Any),
    ("http1", 2, Purity::Pure),
    ("stats", 2, Purity::Pure),
    ("evloop", 2, Purity::Pure),
    ("remedy", 2, Purity::Pure),
    ("diagnose", 3, Purity::Pure),
    ("gates", 3, Purity::Pure),
    ("compare", 4, Purity::Pure),
    ("merge", 4, Purity::Pure),
    ("report", 4, Purity::Pure),
    ("explain", 4, Purity::Pure),
    ("dist", 4, Purity::Pure),
    ("watch", 4, Purity::Pure),
    ("server", 5, Purity::Any),
    ("load", 5, Purity::Any),
    ("observe", 5, Purity::Any),
    ("live", 5, Purity::Any),
    ("study", 6, Purity::Any),
    ("cli", 7, Purity::Any),
    ("main", 7, Purity::Any),
    ("testing", 8, Purity::Any),
    ("lib", 8, Purity::Any),
];

/// Pure files inside impure places, by the start of their path.
const PURE_FILES: &[&str] = &[
    "server/buffers",
    "server/conn",
    "server/counters",
    "server/exposition",
    "server/route",
    "load/user",
    "load/pacer",
    "load/source",
    "live/answer",
    "live/client",
    "live/course",
    "live/metrics",
    "live/otlp",
    "study/analysis",
    "study/windows_ports",
    "study/rehearse/accident",
    "study/rehearse/judge",
    "study/rehearse/rows",
];

/// What pure code must not touch. Address types of `std::net` are plain data and fine.
const IMPURE: &[&str] = &[
    "mio",
    "socket2",
    "nix",
    "libc",
    "netlink_sys",
    "procfs",
    "signal_hook",
    "core_affinity",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::os",
    "std::thread",
    "std::process",
    "std::fs",
    "std::env",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "Instant::now",
    "SystemTime::now",
    "thread::spawn",
    "thread::sleep",
];

/// Leftovers; split so that this file does not contain them.
const MARKERS: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];
const MACROS: &[&str] = &[concat!("todo", "!"), concat!("unimple", "mented!"), concat!("dbg", "!")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purity {
    Pure,
    Any,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    UnknownPlace,
    Upward { to: String },
    Sideways { to: String },
    Impure { what: String },
    TooLong { lines: usize },
    Leftover { what: String },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPlace => write!(f, "lies in no place of the floor table"),
            Self::Upward { to } => write!(f, "imports crate::{to}, which lies on a higher floor"),
            Self::Sideways { to } => write!(f, "imports crate::{to}, a neighbour on the same floor"),
            Self::Impure { what } => write!(f, "is pure, but uses {what}"),
            Self::TooLong { lines } => write!(f, "has {lines} lines, more than {FILE_LINES}"),
            Self::Leftover { what } => write!(f, "still contains {what}"),
        }
    }
}

#[test]
fn the_sources_keep_to_the_floors() {
    let mut faults = Vec::new();
    for (name, source) in sources() {
        faults.extend(faults_of(&name, &source).into_iter().map(|f| format!("src/{name} {f}")));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// What `src/testing.rs` lists is shown to the tests, so the compiler cannot say that nothing uses it.
#[test]
fn the_list_for_tests_names_what_tests_use() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut users = String::new();
    for dir in ["tests", "benches", "examples", "fuzz"] {
        walk(&root.join(dir), &mut |path| users += &blanked(&fs::read_to_string(path).unwrap()));
    }
    // Examples in the docs are tests as well.
    for (_, source) in sources() {
        let doc = source.lines().filter_map(|l| l.trim_start().strip_prefix("///").or_else(|| l.strip_prefix("//!")));
        users.extend(doc.filter(|l| !l.contains('`')).flat_map(|l| [l, "\n"]));
    }
    let list = blanked(&fs::read_to_string(root.join("src/testing.rs")).unwrap());
    let names: Vec<String> = paths_used(&list, "testing.rs")
        .iter()
        .filter(|path| path.starts_with("crate::"))
        .map(|path| path.rsplit("::").next().unwrap().to_owned())
        .collect();
    assert!(names.len() > 100, "{names:?}");
    let unused: Vec<&String> = names.iter().filter(|name| !has_word(&users, name)).collect();
    assert!(unused.is_empty(), "in src/testing.rs, but no test uses it: {unused:?}");
}

#[test]
fn no_files_need_each_other_in_a_circle() {
    let circles: Vec<String> = cycles::cycles(&sources()).iter().map(|group| group.join(" - ")).collect();
    assert!(circles.is_empty(), "{} circles:\n{}", circles.len(), circles.join("\n"));
}

/// Every source with its path below `src/`.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    walk(&src, &mut |path| {
        let name = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        sources.push((name, fs::read_to_string(path).unwrap()));
    });
    assert!(sources.len() > 10, "found only {} sources below {}", sources.len(), src.display());
    sources
}

fn walk(dir: &Path, found: &mut impl FnMut(&Path)) {
    walk_files(dir, "rs", found);
}

/// Every file below `dir` whose name ends in `.extension`, in order.
fn walk_files(dir: &Path, extension: &str, found: &mut impl FnMut(&Path)) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk_files(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found(&path);
        }
    }
}

/// Everything wrong with one source, `name` being its path below `src/`.
fn faults_of(name: &str, source: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let lines = source.lines().count();
    if lines > FILE_LINES {
        faults.push(Fault::TooLong { lines });
    }
    faults.extend(MARKERS.iter().filter(|m| has_word(source, m)).map(|m| Fault::Leftover { what: (*m).to_owned() }));
    let code = blanked(source);
    faults.extend(MACROS.iter().filter(|m| code.contains(*m)).map(|m| Fault::Leftover { what: (*m).to_owned() }));

    let place = name.split('/').next().unwrap_or(name).trim_end_matches(".rs");
    let Some((_, floor, purity)) = FLOORS.iter().find(|(p, ..)| *p == place) else {
        faults.push(Fault::UnknownPlace);
        return faults;
    };
    let uses = paths_used(&code, name);
    for path in &uses {
        let Some(to) = path.strip_prefix("crate::").and_then(|p| p.split("::").next()) else { continue };
        let Some((to, to_floor, _)) = FLOORS.iter().find(|(p, ..)| *p == to) else { continue };
        if *to == place {
            continue;
        }
        match to_floor.cmp(floor) {
            std::cmp::Ordering::Greater => faults.push(Fault::Upward { to: (*to).to_owned() }),
            std::cmp::Ordering::Equal if place != "main" => faults.push(Fault::Sideways { to: (*to).to_owned() }),
            _ => {}
        }
    }
    if *purity == Purity::Pure || PURE_FILES.iter().any(|p| name.starts_with(p)) {
        faults.extend(impurities(&uses));
    }
    faults.dedup();
    faults
}

fn impurities(uses: &[String]) -> Vec<Fault> {
    let mut found: Vec<Fault> = Vec::new();
    let impure_places: Vec<String> =
        FLOORS.iter().filter(|(_, _, p)| *p == Purity::Any).map(|(place, ..)| format!("crate::{place}")).collect();
    for path in uses {
        let is_pure_file = |p: &str| PURE_FILES.iter().any(|f| p.starts_with(&format!("crate::{}", f.replace('/', "::"))));
        let by_place = impure_places.iter().any(|p| starts_with_path(path, p)) && !is_pure_file(path);
        let by_crate = IMPURE.iter().any(|i| starts_with_path(path, i));
        let glob = path == "std::net::*";
        let fault = Fault::Impure { what: path.clone() };
        if (by_place || by_crate || glob) && !found.contains(&fault) {
            found.push(fault);
        }
    }
    found
}

fn starts_with_path(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let part_of_a_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !part_of_a_word(text[..at].chars().next_back()) && !part_of_a_word(text[at + word.len()..].chars().next())
    })
}

// The test of the test: each violation in a literal source, and what must not be mistaken for one.

fn faults(name: &str, source: &str) -> Vec<String> {
    faults_of(name, source).iter().map(ToString::to_string).collect()
}

#[test]
fn an_upward_import_is_caught_in_every_spelling() {
    let expected = ["imports crate::report, which lies on a higher floor"];
    for source in [
        "use crate::report::text;",
        "use crate::{model::time, report::text::render_run};",
        "use crate::{\n    model,\n    report::{self, json},\n};",
        "pub use crate::report as r;",
        "fn f() { crate::report::text::render_run(); }",
        "use super::super::report::text;",
        "mod tests { use crate::report; }",
    ] {
        assert_eq!(faults("stats/sparse.rs", source), expected, "{source}");
    }
    assert_eq!(faults("load/mod.rs", "use super::cli;"), ["imports crate::cli, which lies on a higher floor"]);
}

#[test]
fn a_sideways_import_is_caught() {
    assert_eq!(faults("stats/sparse.rs", "use crate::http1::Request;"), ["imports crate::http1, a neighbour on the same floor"]);
    assert_eq!(faults("load/worker.rs", "use crate::observe::ports;"), ["imports crate::observe, a neighbour on the same floor"]);
}

#[test]
fn own_place_and_lower_floors_are_fine() {
    let source = "use super::sparse::Sparse;\nuse crate::stats::histogram;\nuse crate::model::time::Stamp;\nuse std::net::{IpAddr, SocketAddr};";
    assert_eq!(faults("stats/deep/inner.rs", source), [""; 0]);
    assert_eq!(faults("report/text.rs", "use crate::stats::sparse::Sparse;"), [""; 0]);
    assert_eq!(faults("main.rs", "fn main() { crate::cli::main(); }"), [""; 0]);
    assert_eq!(faults("load/worker.rs", "use mio::Poll;\nuse crate::sys::clock;\nuse super::user::User;"), [""; 0]);
}

#[test]
fn impure_imports_of_pure_places_are_caught() {
    for (source, what) in [
        ("use mio::Poll;", "mio::Poll"),
        ("use socket2::{Domain, Socket};", "socket2::Domain"),
        ("use std::net::TcpStream;", "std::net::TcpStream"),
        ("use std::net::{IpAddr, UdpSocket};", "std::net::UdpSocket"),
        ("use std::net::*;", "std::net::*"),
        ("use std::net;\nfn f() { net::TcpListener::bind(0); }", "std::net::TcpListener::bind"),
        ("use std::time::Instant;\nfn f() { Instant::now(); }", "std::time::Instant::now"),
        ("fn f() { std::time::SystemTime::now(); }", "std::time::SystemTime::now"),
        ("use std::thread;", "std::thread"),
        ("use crate::sys::clock::Clock;", "crate::sys::clock::Clock"),
    ] {
        let found = faults("report/text.rs", source);
        assert_eq!(found.first().map(String::as_str), Some(format!("is pure, but uses {what}").as_str()), "{source}");
    }
}

#[test]
fn pure_files_of_impure_places_are_held_too() {
    for file in [
        "server/conn.rs",
        "server/conn_tests.rs",
        "load/user/mod.rs",
        "load/pacer.rs",
        "study/analysis/mod.rs",
        "study/rehearse/judge.rs",
    ] {
        assert_eq!(faults(file, "use crate::sys::clock;"), ["is pure, but uses crate::sys::clock"], "{file}");
    }
    assert_eq!(faults("load/user.rs", "use super::worker::Worker;"), ["is pure, but uses crate::load::worker::Worker"]);
    assert_eq!(faults("load/user.rs", "use super::pacer::Pacer;"), [""; 0], "a pure neighbour is fine");
    assert_eq!(
        faults("load/user.rs", "mod tests {\n    use super::*;\n    fn f() { super::user(); }\n}"),
        [""; 0],
        "its own tests"
    );
    let outside = "mod tests { fn f() {} use super::super::worker::Worker; }";
    assert_eq!(faults("load/user.rs", outside), ["is pure, but uses crate::load::worker::Worker"]);
}

#[test]
fn long_files_and_leftovers_are_caught() {
    assert_eq!(faults("model/plan.rs", &"\n".repeat(FILE_LINES + 1)), ["has 451 lines, more than 450"]);
    assert_eq!(faults("model/plan.rs", concat!("// FIX", "ME later")), [concat!("still contains FIX", "ME")]);
    assert_eq!(faults("model/plan.rs", concat!("fn f() { todo", "!() }")), [concat!("still contains todo", "!")]);
    assert_eq!(faults("nowhere/x.rs", ""), ["lies in no place of the floor table"]);
}

#[test]
fn prose_and_literals_are_not_code() {
    let source = r##"
//! Not `use crate::cli;` here, nor mio::Poll.
/* use crate::cli; /* nested */ mio::Poll */
fn f<'a>(s: &'a str) -> char {
    let _ = ("use crate::cli;", r#"mio::Poll "quoted" "#, b"std::thread", "esc \" mio::Poll");
    let reuse = 1; // a word that ends in use
    '"'
}
"##;
    assert_eq!(faults("model/x.rs", source), [""; 0]);
}

#[test]
fn circles_are_found_and_a_parent_with_its_child_is_none() {
    let tree = |files: &[(&str, &str)]| -> Vec<(String, String)> {
        files.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned())).collect()
    };
    let three = tree(&[
        ("a/x.rs", "use super::y::Y;"),
        ("a/y.rs", "fn f() { crate::b::z::z(); }"),
        ("b/z.rs", "use crate::{a::x, c};"),
        ("c.rs", ""),
    ]);
    assert_eq!(cycles::cycles(&three), [["a/x.rs", "a/y.rs", "b/z.rs"]]);
    let apart = tree(&[("a/mod.rs", "use x::X;"), ("a/x.rs", "use super::A;\nuse crate::c::C;"), ("c.rs", "")]);
    assert_eq!(cycles::cycles(&apart), [[""; 0]; 0]);
    let in_tests =
        tree(&[("a.rs", "use crate::b::B;"), ("b.rs", "// use crate::a\n#[cfg(test)]\nmod tests { use crate::a::A; }")]);
    assert_eq!(cycles::cycles(&in_tests), [[""; 0]; 0]);
}
