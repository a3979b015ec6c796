//! The help pages, as a person sees them. The program prints them and ends; nothing else is started.

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

#[test]
fn a_short_page_fits_one_screen() {
    for command in commands() {
        let page = help(&[&command, "-h"]);
        let (lines, widest) = (page.lines().count(), page.lines().map(|l| l.chars().count()).max());
        assert!(lines <= 40 && widest <= Some(80), "{command}: {lines} lines, {widest:?} columns\n{page}");
    }
}
