//! The help pages, as a person sees them. The program prints them and ends; nothing else is started.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use crate::snapshot;

fn help(words: &[&str]) -> String {
    // No terminal anywhere: its width would decide where lines break.
    let out = Command::new(env!("CARGO_BIN_EXE_sockbench")).args(words).stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{words:?}: {out:?}");
    String::from_utf8(out.stdout).unwrap()
}

/// The commands that the first page lists.
fn commands() -> Vec<String> {
    let page = help(&["--help"]);
    let (_, list) = page.split_once("\nCommands:\n").unwrap();
    let lines = list.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("    "));
    lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).filter(|name| name != "help").collect()
}

#[test]
fn every_help_page_reads_well() {
    snapshot::matches("help", "sockbench", &help(&["--help"]));
    let commands = commands();
    assert!(commands.len() >= 6, "{commands:?}");
    for command in &commands {
        snapshot::matches("help", &format!("{command}, short"), &help(&[command, "-h"]));
        snapshot::matches("help", &format!("{command}, long"), &help(&[command, "--help"]));
    }
}

/// `help` takes the flag that every other command has.
#[test]
fn help_of_help_is_help() {
    for flag in ["-h", "--help"] {
        assert_eq!(help(&["help", flag]), help(&["help"]), "{flag}");
        assert_eq!(help(&["help", "load", flag]), help(&["help", "load"]), "{flag}");
    }
}

/// The flags that a page lists: `  -o, --output <DIR>`.
fn flags(page: &str) -> BTreeSet<String> {
    let listed = page.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    listed.flat_map(mentioned).collect()
}

/// Everything in a text that is written as a long flag is.
fn mentioned(text: &str) -> Vec<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    text.split(word).filter(|w| w.len() > 3 && w.starts_with("--") && !w.starts_with("---")).map(str::to_owned).collect()
}

#[test]
fn a_page_names_no_flag_that_is_not_there() {
    // k6's; another name of --conns.
    let foreign = ["--summary-export", "--users"];
    let commands = commands();
    let of: BTreeMap<&str, BTreeSet<String>> = commands.iter().map(|c| (c.as_str(), flags(&help(&[c, "--help"])))).collect();
    for command in &commands {
        assert!(of[command.as_str()].contains("--help"), "{command}: {:?}", of[command.as_str()]);
        for form in ["-h", "--help"] {
            let page = help(&[command, form]);
            for flag in mentioned(&page) {
                // Of another command, where the page names it.
                let elsewhere =
                    of.iter().any(|(other, flags)| page.contains(&format!("sockbench {other}")) && flags.contains(&flag));
                let known = of[command.as_str()].contains(&flag) || elsewhere || foreign.contains(&flag.as_str());
                assert!(known, "{command} {form}: {flag} is no flag of it\n{page}");
            }
        }
    }
}

#[test]
fn a_short_page_fits_one_screen() {
    for command in commands() {
        let page = help(&[&command, "-h"]);
        let (lines, widest) = (page.lines().count(), page.lines().map(|l| l.chars().count()).max());
        assert!(lines <= 40 && widest <= Some(80), "{command}: {lines} lines, {widest:?} columns\n{page}");
    }
}
