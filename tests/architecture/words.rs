//! One word for one thing: no comment, string, page, snapshot or document has a word that the glossary of
//! `docs/CONTRIBUTING.md` replaces. Names in code are not prose, nor is what stands in backticks or is filled in.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::source::blanked;
use super::{sources, walk_files};

/// What to write, and what not: words and phrases, each form of them.
const GLOSSARY: &[(&str, &[&str])] = &[
    ("ephemeral port, source port", &["local port number", "local port numbers"]),
    ("in use", &["held", "stands held"]),
    ("TIME_WAIT", &["the time wait", "time-wait state"]),
    ("recurs", &["echo", "echoes", "echoed", "echoing"]),
    ("established, opened", &["come to stand", "comes to stand", "came to stand"]),
    ("reports, says", &["told", "tells"]),
    ("slow, expensive", &["dear", "dearer", "dearest", "grow dear", "grows dear"]),
    ("reproduces", &["re-make", "re-makes", "re-made", "re-making", "remake", "remakes", "remaking"]),
    ("fix", &["mend", "mends", "mended", "mending"]),
    ("slowdown, saturation", &["full up", "full wear"]),
    ("program", &["programme", "programmes"]),
    ("lack of, shortage", &["want of"]),
    ("again", &["anew", "afresh"]),
];

/// File, word, reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("docs/CONTRIBUTING.md", "", "the glossary itself"),
    ("src/sys/child.rs", "echo", "a shell's command"),
    ("src/observe/observer.rs", "held", "a lock is held"),
    ("src/sys/output_file.rs", "held", "a lock is held"),
];

#[derive(Debug, PartialEq)]
struct Fault {
    line: usize,
    word: &'static str,
    write: &'static str,
}

#[test]
fn prose_keeps_to_the_glossary() {
    let mut faults = Vec::new();
    let mut used = vec![false; EXCEPTIONS.len()];
    let texts = texts();
    for (name, text) in &texts {
        for fault in faults_of(text) {
            let excepted = EXCEPTIONS.iter().position(|(file, word, _)| file == name && (word.is_empty() || *word == fault.word));
            match excepted {
                Some(i) => used[i] = true,
                None => faults.push(format!("{name}:{}: \"{}\": write {}", fault.line, fault.word, fault.write)),
            }
        }
    }
    assert!(texts.len() > 300, "found only {} texts", texts.len());
    assert!(faults.is_empty(), "{} words:\n{}", faults.len(), faults.join("\n"));
    let stale: Vec<_> = EXCEPTIONS.iter().zip(used).filter(|(_, used)| !used).collect();
    assert!(stale.is_empty(), "exceptions that nothing needs: {stale:?}");
}

/// The glossary that people read and this one are the same.
#[test]
fn every_word_of_the_written_glossary_is_looked_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/CONTRIBUTING.md")).unwrap();
    let (_, words) = page.split_once("## Words").unwrap();
    let rows = words.lines().skip_while(|l| !l.starts_with("|---")).skip(1).take_while(|l| l.starts_with('|'));
    let cells: Vec<Vec<&str>> = rows.map(|row| row.split('|').map(str::trim).collect()).collect();
    assert!(cells.len() >= 5, "{words}");
    for row in cells {
        for pair in row[1..].chunks(3).filter(|c| c.len() >= 2 && !c[0].is_empty()) {
            let (write, not) = (pair[0], pair[1]);
            let known =
                GLOSSARY.iter().find(|(good, _)| *good == write).unwrap_or_else(|| panic!("\"{write}\": not in GLOSSARY"));
            let missing: Vec<&str> = not.split(", ").filter(|bad| !known.1.contains(bad)).collect();
            assert!(missing.is_empty(), "{write}: {missing:?}");
        }
    }
}

/// Each file with its prose, everything else blanked.
fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let mut texts: Vec<(String, String)> =
        sources().into_iter().map(|(name, source)| (format!("src/{name}"), prose(&source))).collect();
    for dir in ["tests", "benches", "examples"] {
        // Strings of tests are input: what others wrote, and scripts.
        walk_files(&root.join(dir), "rs", &mut |path| texts.push((name(path), starting_with("//", &read(path)))));
    }
    walk_files(&root.join("scripts"), "sh", &mut |path| texts.push((name(path), starting_with("#", &read(path)))));
    for dir in ["src", "tests/snapshots"] {
        walk_files(&root.join(dir), "snap", &mut |path| texts.push((name(path), read(path))));
    }
    walk_files(&root.join("docs"), "md", &mut |path| texts.push((name(path), read(path))));
    texts.extend(["README.md", "CHANGELOG.md"].map(|file| (file.to_owned(), read(&root.join(file)))));
    // This file names what it looks for.
    texts.retain(|(name, _)| name != "tests/architecture/words.rs");
    texts
}

/// The comments and strings of a source; code is a mark that no phrase spans.
fn prose(source: &str) -> String {
    let code = blanked(source);
    let of = |(was, left): (char, char)| if left == ' ' || was == '\n' { was } else { '\0' };
    source.chars().zip(code.chars()).map(of).collect()
}

/// The lines that begin so; others are empty.
fn starting_with(mark: &str, source: &str) -> String {
    let kept = |line: &str| if line.trim_start().starts_with(mark) { line.to_owned() } else { "\0".into() };
    source.lines().map(kept).collect::<Vec<_>>().join("\n")
}

fn faults_of(text: &str) -> Vec<Fault> {
    let words = words(text);
    let of_row =
        |(write, all): &(&'static str, &'static [&'static str])| all.iter().map(|word| (*write, *word)).collect::<Vec<_>>();
    let mut by_first: HashMap<&str, Vec<(&str, &str)>> = HashMap::new();
    for (write, word) in GLOSSARY.iter().flat_map(of_row) {
        by_first.entry(word.split(' ').next().unwrap()).or_default().push((write, word));
    }
    let mut faults = Vec::new();
    for (i, (line, first)) in words.iter().enumerate() {
        for (write, word) in by_first.get(first.as_str()).into_iter().flatten() {
            let is_it = word.split(' ').enumerate().all(|(k, part)| words.get(i + k).is_some_and(|(_, w)| w == part));
            // "told apart" and "tells them apart" are what the field says.
            let apart = || *write == "reports, says" && words[i..].iter().take(4).any(|(_, next)| next == "apart");
            if is_it && !apart() {
                faults.push(Fault { line: *line, word, write });
            }
        }
    }
    faults
}

/// The words in lower case with their lines, without what is in backticks or filled in. What is between two sentences'
/// parts (code, a placeholder) is a word that nothing equals.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let mut quoted = false;
        let mut bare = String::new();
        let mut filled = 0_usize;
        for c in line.chars() {
            match c {
                '`' => quoted = !quoted,
                '{' => filled += 1,
                '}' => filled = filled.saturating_sub(1),
                '\0' => bare.push_str(" \0 "),
                c if quoted || filled > 0 => bare.push_str(if c.is_whitespace() { "" } else { "\u{1}" }),
                c => bare.push(c),
            }
        }
        for word in bare.split_whitespace() {
            let word = word.trim_matches(|c: char| !(c.is_alphanumeric() || c == '\0' || c == '\u{1}')).to_lowercase();
            // Marks of comments and tables stand between the words of a phrase.
            if !word.is_empty() {
                words.push((number, word));
            }
        }
    }
    words
}

#[test]
fn a_word_is_found_in_comments_and_strings_and_nowhere_else() {
    let source = "/// No connection came\n/// to stand, and it was Dear.\nfn told(held: u8) { print(\"{held} ports, as `echo` tells\"); }\n";
    let found: Vec<(usize, &str)> = faults_of(&prose(source)).iter().map(|f| (f.line, f.word)).collect();
    assert_eq!(found, [(1, "came to stand"), (2, "dear"), (3, "tells")]);
    assert_eq!(faults_of("Colours are told apart; a teller, an echolot; the ports in use\n"), []);
    assert_eq!(faults_of(&starting_with("#", "# held\necho held\n")).len(), 1);
}
