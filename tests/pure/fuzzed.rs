//! The fuzz targets, without cargo-fuzz: their seeds and what mutations make of them. A few thousand inputs each, or for
//! SOCKBENCH_FUZZ_S seconds in all, as continuous integration does. A failure shows the shrunk input, and stays a test as a seed.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sockbench::testing::model::time::Stamp;
use sockbench::testing::sys::clock::Clock;

use crate::targets::TARGETS;

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

#[test]
fn no_input_is_read_in_two_ways_or_ends_a_reader() {
    let seconds = std::env::var("SOCKBENCH_FUZZ_S").ok().and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
    let each = Duration::from_secs(seconds) / TARGETS.len() as u32;
    for (name, target, seeds) in TARGETS {
        for seed in *seeds {
            target(seed);
        }
        let clock = Clock::start();
        let mut inputs = 0_u64;
        // A run's document is long: a few hundred of its kind in the short form.
        let cases = if seeds[0].len() > 10_000 { CASES / 30 } else { CASES };
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        loop {
            let input = (0..seeds.len(), prop::collection::vec(edit(), 1..6));
            let ran = runner.run(&input, |(seed, edits)| {
                let bytes = edited(seeds[seed], &edits);
                let is_sound = std::panic::catch_unwind(|| target(&bytes)).is_ok();
                prop_assert!(is_sound, "{}", bytes.escape_ascii().to_string().chars().take(2000).collect::<String>());
                Ok(())
            });
            assert!(ran.is_ok(), "{name}: {}", ran.unwrap_err());
            inputs += u64::from(cases);
            if clock.now().since(Stamp::ZERO) >= each {
                break;
            }
        }
        println!("{name}: {inputs} inputs");
    }
}
