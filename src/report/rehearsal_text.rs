//! A rehearsal on the terminal: the accident with its prediction, then one table of remedies, best first.

use super::style::{Style, Tone};
use super::table::{Align, Cell, Table};
use crate::model::figures::seconds;
use crate::model::rehearsal::{Accident, Course, Effect, Rehearsal, Row};

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
    let applied = |r: &&Row| matches!(r.verdict, Effect::Helps | Effect::AtAPrice | Effect::NotRun);
    if r.rows.iter().any(|row| applied(&row)) {
        out += &format!("\n{}\n", style.paint(Tone::Heading, "how to apply them"));
    }
    for row in r.rows.iter().filter(applied) {
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
    t.row(cells(&r.baseline));
    t.rule();
    for row in &r.rows {
        t.row(cells(row));
    }
    t
}

fn verdict(v: Effect) -> &'static str {
    match v {
        Effect::Helps => "helps",
        Effect::AtAPrice => "at a price",
        Effect::NoEffect => "no effect",
        Effect::NotRun => "not run",
        Effect::Baseline => "without",
    }
}

fn cells(row: &Row) -> [Cell; 12] {
    let tone = match row.verdict {
        Effect::Helps => Tone::Good,
        Effect::AtAPrice => Tone::Warn,
        Effect::NoEffect | Effect::Baseline => Tone::Bad,
        Effect::NotRun => Tone::Faint,
    };
    let count = |n: Option<u64>| Cell::from(n.map_or_else(|| "-".into(), |n| n.to_string()));
    let side = |n: Option<u32>| count(n.map(u64::from));
    let us = |f: fn(&crate::model::rehearsal::ConnectUs) -> f64| {
        Cell::from(row.connect_us.as_ref().map_or_else(|| "-".into(), |c| format!("{:.0}", f(c))))
    };
    let failures: Vec<String> = row.errors.iter().map(|e| format!("{} {} {}", e.count, e.call.word(), e.name)).collect();
    let failures = if row.verdict == Effect::NotRun { row.reason.clone() } else { failures.join(", ") };
    [
        row.remedy.clone().into(),
        Cell::toned(tone, verdict(row.verdict)),
        count(row.predicted),
        count(row.made),
        // Nothing is asked for where nothing could be run.
        count(Some(row.asked).filter(|n| *n > 0)),
        count(row.connections),
        row.rate_cps.map_or_else(|| "-".into(), |r| format!("{r:.0}")).into(),
        us(|c| c.p50),
        us(|c| c.p99),
        side(row.time_wait.client),
        side(row.time_wait.server),
        failures.into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rehearsal::{Commands, REHEARSAL_SCHEMA, Sides};

    fn row(remedy: &str, verdict: Effect, asked: u64) -> Row {
        let ran = verdict != Effect::NotRun;
        Row {
            remedy: remedy.into(),
            what: "words".into(),
            asked,
            made: ran.then_some(50),
            errors: Vec::new(),
            rate_cps: None,
            connections: None,
            connect_us: None,
            time_wait: Sides::default(),
            predicted: ran.then_some(50),
            measured: ran.then_some(50),
            verdict,
            price: String::new(),
            reason: "a reason".into(),
            commands: Commands::default(),
            rehearsed_at: None,
        }
    }

    fn rendered(rows: Vec<Row>) -> String {
        let baseline = row("baseline", Effect::Baseline, 300);
        let (schema, kernel, started_at) = (REHEARSAL_SCHEMA.into(), "6.18".into(), String::new());
        let unavailable = Vec::new();
        let all = Rehearsal { schema, kernel, started_at, duration_s: 1.0, accident: None, baseline, rows, unavailable };
        render_rehearsal(&all, Style::Plain)
    }

    #[test]
    fn folklore_alone_has_nothing_to_apply() {
        let text = rendered(vec![row("fin-timeout", Effect::NoEffect, 300)]);
        assert!(text.contains("fin-timeout") && !text.contains("how to apply"), "{text}");
        assert!(rendered(vec![row("ring", Effect::Helps, 300)]).contains("how to apply them\n  ring: words"));
    }

    #[test]
    fn what_was_neither_asked_nor_predicted_is_no_zero() {
        let text = rendered(vec![row("windows-dynamic-port", Effect::NotRun, 0)]);
        let line = text.lines().find(|l| l.contains("windows-dynamic-port")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1..6], ["not", "run", "-", "-", "-"], "{text}");
        let without = text.lines().find(|l| l.contains("baseline")).unwrap();
        assert!(without.contains("without"), "{text}");
    }
}
