//! The fuzz targets, without cargo-fuzz: their seeds, what was found once, and what mutations make of these. A few thousand
//! inputs each, or for SOCKBENCH_FUZZ_S seconds in all, as continuous integration does. The inputs are always the same ones,
//! unless SOCKBENCH_FUZZ_SEED is another number. A failure shows the shrunk input; a file in `fuzz/regressions/TARGET/` keeps it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sockbench::testing::model::Stamp;
use sockbench::testing::sys::Clock;

use crate::targets::TARGETS;

/// What the inputs come from, so that a failure comes again: the same change fails or passes wherever it is tested.
const SEED: u64 = 0x5eed;
/// Inputs of each target in one go.
const CASES: u32 = 1500;
/// What parsers look for: a mutation puts them anywhere.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\0",
    b":",
    b",",
    b"\"",
    b"18446744073709551615",
    b"9223372036854775807",
    b"4294967296",
    b"-1",
    b"1e308",
    b"NaN",
    b"0",
    b"null",
    b"[]",
    b"{}",
    b"\xff\xfe",
    b"\xf0\x9f\x92\xa9",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 1\r\n",
    b" chunked,",
];

/// One change of a seed.
#[derive(Debug, Clone)]
enum Edit {
    Set(usize, u8),
    Insert(usize, usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    Digits(usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let (at, length) = (any::<usize>(), 0_usize..40);
    prop_oneof![
        (at, any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (any::<usize>(), 0..WORDS.len()).prop_map(|(at, word)| Edit::Insert(at, word)),
        (any::<usize>(), length.clone()).prop_map(|(at, n)| Edit::Remove(at, n)),
        (any::<usize>(), length).prop_map(|(at, n)| Edit::Repeat(at, n)),
        (any::<usize>(), 0..WORDS.len()).prop_map(|(at, word)| Edit::Digits(at, word)),
    ]
}

fn edited(seed: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for edit in edits {
        let within = |at: usize| at % (bytes.len() + 1);
        match *edit {
            Edit::Set(at, byte) => {
                let at = within(at);
                if let Some(b) = bytes.get_mut(at) {
                    *b = byte;
                }
            }
            Edit::Insert(at, word) => {
                let at = within(at);
                drop(bytes.splice(at..at, WORDS[word].iter().copied()));
            }
            Edit::Remove(at, n) => {
                let at = within(at);
                drop(bytes.drain(at..(at + n).min(bytes.len())));
            }
            Edit::Repeat(at, n) => {
                let at = within(at);
                let again = bytes[at..(at + n).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, again));
            }
            // The next number of the text becomes another.
            Edit::Digits(at, word) => {
                let at = within(at);
                if let Some(from) = bytes[at..].iter().position(u8::is_ascii_digit).map(|n| at + n) {
                    let to = bytes[from..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| from + n);
                    drop(bytes.splice(from..to, WORDS[word].iter().copied()));
                }
            }
        }
    }
    bytes
}

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Inputs that a target once failed on, by file name.
fn regressions(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(fuzz_dir().join("regressions").join(target)).into_iter().flatten();
    let mut all: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    all.sort();
    all.into_iter().map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

fn random(seed: u64, round: u64, target: usize) -> TestRng {
    let mut bytes = [0; 32];
    for (part, n) in bytes.chunks_exact_mut(8).zip([seed, round, target as u64, 0]) {
        part.copy_from_slice(&n.to_le_bytes());
    }
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

#[test]
fn each_target_has_seeds_a_program_and_the_place_for_what_was_found() {
    let manifest = std::fs::read_to_string(fuzz_dir().join("Cargo.toml")).unwrap();
    for (name, _, seeds) in TARGETS {
        assert!(!seeds.is_empty() && seeds.iter().all(|seed| !seed.is_empty()), "{name}: a seed is missing or empty");
        let program = std::fs::read_to_string(fuzz_dir().join(format!("fuzz_targets/{name}.rs"))).unwrap_or_default();
        assert!(!program.is_empty() && manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}: no program");
    }
    let names = |dir: &str| -> Vec<String> {
        let entries = std::fs::read_dir(fuzz_dir().join(dir)).into_iter().flatten();
        let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
        entries.map(|entry| stem(entry.unwrap().path())).filter(|name| name != "README").collect()
    };
    for name in names("fuzz_targets").into_iter().chain(names("regressions")) {
        assert!(TARGETS.iter().any(|(target, ..)| *target == name), "{name} is no target");
    }
}

#[test]
fn what_was_found_once_is_read_as_it_should() {
    for (name, target, _) in TARGETS {
        for (path, bytes) in regressions(name) {
            assert!(std::panic::catch_unwind(|| target(&bytes)).is_ok(), "{}", path.display());
        }
    }
}

#[test]
fn the_inputs_of_a_seed_are_always_the_same() {
    let inputs = |seed| {
        let mut runner = TestRunner::new_with_rng(Config::default(), random(seed, 0, 0));
        (0..20).map(|_| format!("{:?}", edit().new_tree(&mut runner).unwrap().current())).collect::<Vec<_>>()
    };
    assert_eq!(inputs(SEED), inputs(SEED));
    assert_ne!(inputs(SEED), inputs(SEED + 1));
}

#[test]
fn no_input_is_read_in_two_ways_or_ends_a_reader() {
    let seconds = std::env::var("SOCKBENCH_FUZZ_S").ok().and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
    let each = Duration::from_secs(seconds) / TARGETS.len() as u32;
    let start = std::env::var("SOCKBENCH_FUZZ_SEED").map_or(SEED, |s| s.parse().expect("SOCKBENCH_FUZZ_SEED: a number"));
    println!("SOCKBENCH_FUZZ_SEED={start}");
    for (number, (name, target, seeds)) in TARGETS.iter().enumerate() {
        for seed in *seeds {
            target(seed);
        }
        let found = regressions(name);
        let seeds: Vec<&[u8]> = seeds.iter().copied().chain(found.iter().map(|(_, bytes)| &bytes[..])).collect();
        let clock = Clock::start();
        let mut inputs = 0_u64;
        // A run's document is long: a few hundred of its kind in the short form.
        let cases = if seeds[0].len() > 10_000 { CASES / 30 } else { CASES };
        for round in 0.. {
            let config = Config { cases, failure_persistence: None, ..Config::default() };
            let mut runner = TestRunner::new_with_rng(config, random(start, round, number));
            let input = (0..seeds.len(), prop::collection::vec(edit(), 1..6));
            let ran = runner.run(&input, |(seed, edits)| {
                let bytes = edited(seeds[seed], &edits);
                let is_sound = std::panic::catch_unwind(|| target(&bytes)).is_ok();
                prop_assert!(is_sound, "{}", bytes.escape_ascii().to_string().chars().take(2000).collect::<String>());
                Ok(())
            });
            assert!(
                ran.is_ok(),
                "{name}, SOCKBENCH_FUZZ_SEED={start}, round {round}: {}\nkeep these bytes as a file in fuzz/regressions/{name}/",
                ran.unwrap_err()
            );
            inputs += u64::from(cases);
            if clock.now().since(Stamp::ZERO) >= each {
                break;
            }
        }
        println!("{name}: {inputs} inputs");
    }
}
