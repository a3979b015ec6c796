//! The one-screen report of a run for each finding: what a person reads, and that it says no number twice.

use sockbench::testing::diagnose::settle;
use sockbench::testing::report::{Page, render_run};

use super::firing::firing;
use crate::snapshot;

#[test]
fn each_finding_reads_like_this() {
    for (id, page) in pages() {
        snapshot::matches("pages", id, &page);
    }
}

#[test]
fn no_page_says_a_number_twice() {
    let mut faults = Vec::new();
    for (id, page) in pages() {
        let mut said: Vec<String> = Vec::new();
        for number in prose(&page).flat_map(numbers) {
            // Ports that ran out until the end are free T after it, and T after they ran out.
            if said.contains(&number) && !(number == "60 s" && page.contains("all ports are free 60 s after")) {
                faults.push(format!("{id}: {number}\n{page}"));
            }
            said.push(number);
        }
    }
    assert!(faults.is_empty(), "{} numbers are said twice:\n{}", faults.len(), faults.join("\n"));
}

fn pages() -> impl Iterator<Item = (&'static str, String)> {
    firing().into_iter().map(|(id, mut run)| {
        settle(&mut run);
        (id.word(), render_run(&run, &Page::plain()))
    })
}

/// The lines that say something: not what was asked for, nor a table, a formula (its operands are figures of other lines),
/// or a remedy (its command has the figure of its sentence).
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let is_asked = |line: &&str| line.contains("http://") || line.contains(", 60 s") || line.starts_with("     connection");
    let is_row = |line: &&str| line.get(12..).is_some_and(|cells| !cells.contains(char::is_alphabetic));
    let is_formula = |line: &&str| line.contains(" / ");
    let above = page.lines().take_while(|line| !line.starts_with("  what helps"));
    above.filter(move |line| !is_asked(line) && !is_row(line) && !is_formula(line))
}

/// Numbers of two digits or more with their units; one digit says little.
fn numbers(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().map(|word| word.trim_matches([',', ';', ':', '(', ')', '.'])).collect();
    let is_number = |word: &str| word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ','));
    let digits = |word: &str| word.chars().filter(char::is_ascii_digit).count();
    let unit = |n: usize| words.get(n + 1).filter(|next| ["%", "s", "ms"].contains(next)).copied().unwrap_or_default();
    let long = words.iter().enumerate().filter(|(_, word)| is_number(word) && digits(word) > 1);
    long.map(|(n, word)| format!("{word} {}", unit(n))).collect()
}
