//! A rehearsal on the terminal: the accident with its prediction, then one table of remedies, best first.

use super::figures::seconds;
use super::style::{Style, Tone};
use super::table::{Align, Cell, Table};
use crate::model::rehearsal::{Accident, Course, Rehearsal, Row, Verdict};

/// What will be done, before it is done: the prediction comes first.
pub fn render_prediction(accident: &Accident) -> String {
    format!(
        "accident in small: {} ports, each held {:.0} s, {:.0} connections/s for {:.1} s; the sustained ceiling is {:.1}/s\n  predicted: {}\n",
        accident.pool,
        accident.hold_s,
        accident.rate_cps,
        accident.duration_s,
        f64::from(accident.pool) / accident.hold_s,
        course(&accident.predicted)
    )
}

/// The whole rehearsal.
pub fn render_rehearsal(r: &Rehearsal, style: Style) -> String {
    let mut out = String::new();
    if let Some(a) = &r.accident {
        out += &format!("  measured:  {}\n", course(&a.measured));
        out += &seconds_of(a, style);
    }
    out += &format!(
        "\n{}\n",
        style.paint(Tone::Heading, &format!("remedies, each in a private network namespace; Linux {}", r.kernel))
    );
    out += &table(r).render(style);
    out += &format!("\n{}\n", style.paint(Tone::Heading, "how to apply them"));
    for row in r.rows.iter().filter(|r| matches!(r.verdict, Verdict::Helps | Verdict::AtAPrice | Verdict::NotRun)) {
        out += &format!("  {}: {}\n", row.remedy, row.what);
        if !row.commands.linux.is_empty() {
            out += &format!("    Linux    {}\n", style.paint(Tone::Command, &row.commands.linux));
        }
        if !row.commands.windows.is_empty() {
            out += &format!("    Windows  {}\n", style.paint(Tone::Command, &row.commands.windows));
        }
        if !row.price.is_empty() {
            out += &format!("    price    {}\n", row.price);
        }
    }
    out += &format!("\nrehearsed in {}; nothing outside the namespaces was touched\n", seconds(r.duration_s));
    out
}

fn course(c: &Course) -> String {
    let Some(first) = c.first_failure_s else { return format!("no failure, {} connections made", c.successes) };
    let back = c.recovered_s.map_or_else(|| "not good again in this time".into(), |r| format!("good again at {r:.2} s"));
    let echo = match &c.echo_s[..] {
        [] => String::new(),
        all => format!(", failing again at {} s", all.iter().map(|e| format!("{e:.2}")).collect::<Vec<_>>().join(" and ")),
    };
    format!("first failure at {first:.2} s, {back}{echo}; {} made, {} failed", c.successes, c.failures)
}

/// One line: a mark a second, full when all failed.
fn seconds_of(a: &Accident, style: Style) -> String {
    let marks: String = a
        .seconds
        .iter()
        .map(|s| match (s.made, s.failed) {
            (0, 0) => ' ',
            (_, 0) => '.',
            (0, _) => '#',
            _ => '+',
        })
        .collect();
    format!("  by second: {}   (. made, + some failed, # all failed)\n", style.paint(Tone::Warn, &marks))
}

fn table(r: &Rehearsal) -> Table {
    let (left, right) = (Align::Left, Align::Right);
    let mut t = Table::new([
        ("remedy", left),
        ("verdict", left),
        ("predicted", right),
        ("measured", right),
        ("asked", right),
        ("conns", right),
        ("conn/s", right),
        ("connect p50", right),
        ("p99 us", right),
        ("TW client", right),
        ("TW server", right),
        ("failures", left),
    ])
    .indented(2);
    t.row(cells(&r.baseline, "without"));
    t.rule();
    for row in &r.rows {
        t.row(cells(row, verdict(row.verdict)));
    }
    t
}

fn verdict(v: Verdict) -> &'static str {
    match v {
        Verdict::Helps => "helps",
        Verdict::AtAPrice => "at a price",
        Verdict::NoEffect => "no effect",
        Verdict::NotRun => "not run",
    }
}

fn cells(row: &Row, word: &str) -> [Cell; 12] {
    let tone = match row.verdict {
        Verdict::Helps => Tone::Good,
        Verdict::AtAPrice => Tone::Warn,
        Verdict::NoEffect => Tone::Bad,
        Verdict::NotRun => Tone::Faint,
    };
    let count = |n: Option<u64>| Cell::from(n.map_or_else(|| "-".into(), |n| n.to_string()));
    let side = |n: Option<u32>| count(n.map(u64::from));
    let us = |f: fn(&crate::model::rehearsal::ConnectUs) -> f64| {
        Cell::from(row.connect_us.as_ref().map_or_else(|| "-".into(), |c| format!("{:.0}", f(c))))
    };
    let failures: Vec<String> = row.errors.iter().map(|e| format!("{} {} {}", e.count, e.call.word(), e.name)).collect();
    let failures = if row.verdict == Verdict::NotRun { row.reason.clone() } else { failures.join(", ") };
    [
        row.remedy.clone().into(),
        Cell::toned(tone, word),
        row.predicted.to_string().into(),
        count(row.made),
        row.asked.to_string().into(),
        count(row.connections),
        row.rate_cps.map_or_else(|| "-".into(), |r| format!("{r:.0}")).into(),
        us(|c| c.p50),
        us(|c| c.p99),
        side(row.time_wait.client),
        side(row.time_wait.server),
        failures.into(),
    ]
}
