//! A rehearsal on the terminal: the exhaustion beside its prediction, then one row for each remedy, best first. One
//! screen; with `-v` every figure and how to apply each remedy.

use super::style::{Style, Tone, wrapped};
use super::table::Align::{Left, Right};
use super::table::{Cell, Column, Table, or_dash};
use super::text::{Detail, Page};
use crate::model::figures::{self, count, instant, number, rate, seconds};
use crate::model::rehearsal::{Accident, ConnectUs, Course, Effect, Rehearsal, Row};

/// Longest text in the last column.
const NOTE_WIDTH: usize = 23;

/// The exhaustion before it is run: what it is, and the prediction.
pub fn render_prediction(a: &Accident) -> String {
    let (pool, hold, most) = (a.pool, figures::hold(a.hold_s), rate(f64::from(a.pool) / a.hold_s));
    let (cps, lasts) = (number(a.rate_cps), seconds(a.duration_s));
    format!(
        "port exhaustion, scaled down: {pool} ports, T = {hold}, {cps} connections/s for {lasts}\n\
         sustained at most: {pool} / {hold} = {most}/s\n\n"
    ) + &line("", ["runs out", "works again", "made", "failed", "runs out again"])
        + &course("predicted", &a.predicted)
}

/// The prediction alone, in one line.
pub fn render_predicted(a: &Accident) -> String {
    let at = |t: Option<f64>| t.map_or_else(|| "never".into(), instant);
    let c = &a.predicted;
    let (out, again) = (at(c.first_failure_s), at(c.recovered_s));
    format!(
        "predicted: ports run out at {out}, connections work again at {again}; {} made, {} failed",
        count(c.successes),
        count(c.failures)
    )
}

/// What was measured, and the remedies.
pub fn render_rehearsal(r: &Rehearsal, page: &Page) -> String {
    let style = page.style;
    let mut out = String::new();
    if let Some(a) = &r.accident {
        out += &course("measured", &a.measured);
        out += &seconds_of(a, style);
        out.push('\n');
    }
    out += &format!(
        "{}\n",
        style.paint(Tone::Heading, &format!("remedies, each in a private network namespace, Linux {}", r.kernel))
    );
    match page.detail {
        Detail::Brief => {
            out += &brief(r, page);
            let elsewhere: Vec<&str> = r.rows.iter().filter(|row| row.asked == 0).map(|row| row.remedy.as_str()).collect();
            if !elsewhere.is_empty() {
                out += &wrapped(&format!("not of this system, computed: {}", elsewhere.join(", ")), 2, page.width);
            }
            out += &page.toned("more", Tone::Faint, "-v every figure and how to apply each remedy");
        }
        Detail::Full => {
            out += &table(r).render(style, page.width);
            out += &how_to_apply(r, page);
        }
    }
    out += &format!("rehearsed in {}; no setting of this host was changed\n", seconds(r.duration_s));
    out
}

/// Remedies that came out alike.
struct Alike<'a> {
    effect: Effect,
    predicted: String,
    made: String,
    note: String,
    remedies: Vec<&'a str>,
}

impl Alike<'_> {
    fn is_like(&self, other: &Self) -> bool {
        (self.effect, &self.predicted, &self.made, &self.note) == (other.effect, &other.predicted, &other.made, &other.note)
    }
}

/// Verdict, predicted and made, and the remedies of which that is true: those that came out alike share a row.
fn brief(r: &Rehearsal, page: &Page) -> String {
    let mut alike: Vec<Alike<'_>> = Vec::new();
    for row in [&r.baseline].into_iter().chain(r.rows.iter().filter(|row| row.asked > 0)) {
        let one = Alike {
            effect: row.verdict,
            predicted: or_dash(row.predicted, count),
            made: or_dash(row.made, |n| format!("{} of {}", count(n), count(row.asked))),
            note: note(row),
            remedies: vec![&row.remedy],
        };
        match alike.iter_mut().find(|a| a.is_like(&one)) {
            Some(a) => a.remedies.extend(one.remedies),
            None => alike.push(one),
        }
    }
    let mut t = Table::new([("", Left), ("predicted", Right), ("made", Right), ("remedies", Left)]).indented(2);
    for Alike { effect, predicted, made, note, remedies } in alike {
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        t.row([Cell::toned(tone(effect), verdict(effect)), predicted.into(), made.into(), (remedies.join(", ") + &note).into()]);
    }
    t.render(page.style, page.width)
}

/// The price, else the most frequent failure, else why the row was not run; what is too long is left to `-v`.
fn note(row: &Row) -> String {
    let failure = || row.errors.iter().max_by_key(|e| e.count).map(|e| format!("{} {}", e.call.word(), e.name));
    // A burst is what the others are: a rate of its own is not comparable with theirs.
    let paced = row.paced_cps.map(|cps| format!("at {}/s", rate(cps)));
    let text = match row.verdict {
        Effect::AtAPrice => row.price.clone(),
        Effect::NotRun => row.reason.clone(),
        Effect::Baseline => failure().unwrap_or_default(),
        Effect::Helps | Effect::NoEffect => String::new(),
    };
    let text = [Some(text), paced].into_iter().flatten().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(", ");
    match (text.chars().count() <= NOTE_WIDTH, row.verdict) {
        (true, _) => text,
        (false, Effect::AtAPrice) => "price: see -v".into(),
        (false, _) => "reason: see -v".into(),
    }
}

fn how_to_apply(r: &Rehearsal, page: &Page) -> String {
    let is_applied = |row: &&Row| matches!(row.verdict, Effect::Helps | Effect::AtAPrice | Effect::NotRun);
    let mut applied = r.rows.iter().filter(is_applied).peekable();
    if applied.peek().is_none() {
        return String::new();
    }
    let mut out = format!("\n{}\n", page.style.paint(Tone::Heading, "how to apply them"));
    for row in applied {
        out += &wrapped(&format!("{}: {}", row.remedy, row.what), 2, page.width);
        for (system, command, goes_on) in [("Linux    ", &row.commands.linux, " \\"), ("Windows  ", &row.commands.windows, " ^")]
        {
            if !command.is_empty() {
                out += &page.typed(4, system, command, goes_on);
            }
        }
        if !row.price.is_empty() {
            out += &format!("    price    {}", wrapped(&row.price, 13, page.width).trim_start());
        }
    }
    out
}

/// One line of the exhaustion's table.
fn line(label: &str, [out, works, made, failed, again]: [impl std::fmt::Display; 5]) -> String {
    format!("  {label:<9} {out:>9}  {works:>11}  {made:>6}  {failed:>6}  {again}\n")
}

fn course(label: &str, c: &Course) -> String {
    line(label, courses(c))
}

/// When ports run out and connections work again, how many were made and failed, when ports run out again.
pub(super) fn courses(c: &Course) -> [String; 5] {
    let at = |t: Option<f64>| or_dash(t, instant);
    let again = c.echo_s.iter().copied().map(instant).collect::<Vec<_>>().join(", ");
    let again = or_dash(Some(again).filter(|text| !text.is_empty()), |text| text);
    [at(c.first_failure_s), at(c.recovered_s), count(c.successes), count(c.failures), again]
}

/// One line: a mark for each second.
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
    format!("  by second {}   . made, + some failed, # all failed\n", style.paint(Tone::Warn, &marks))
}

pub(super) fn table(r: &Rehearsal) -> Table {
    let count = |n: Option<u64>| Cell::from(or_dash(n, count));
    let us = |row: &Row, f: fn(&ConnectUs) -> f64| or_dash(row.connect_us.as_ref(), |c| figures::us(f(c))).into();
    let columns: [Column<Row>; 12] = [
        ("remedy", Left, &|row| row.remedy.clone().into()),
        ("verdict", Left, &|row| Cell::toned(tone(row.verdict), verdict(row.verdict))),
        ("predicted", Right, &|row| count(row.predicted)),
        ("measured", Right, &|row| count(row.made)),
        // Nothing is asked for where nothing could be run.
        ("asked", Right, &|row| count(Some(row.asked).filter(|n| *n > 0))),
        ("conns", Right, &|row| count(row.connections)),
        ("conn/s", Right, &|row| or_dash(row.rate_cps, rate).into()),
        ("connect p50", Right, &|row| us(row, |c| c.p50)),
        ("p99 us", Right, &|row| us(row, |c| c.p99)),
        ("TW client", Right, &|row| count(row.time_wait.client.map(u64::from))),
        ("TW server", Right, &|row| count(row.time_wait.server.map(u64::from))),
        ("failures", Left, &|row| failures(row).into()),
    ];
    let mut t = Table::of([], &columns).indented(2);
    t.add(&r.baseline, &columns);
    t.rule();
    r.rows.iter().for_each(|row| t.add(row, &columns));
    t
}

pub(super) fn verdict(v: Effect) -> &'static str {
    match v {
        Effect::Helps => "helps",
        Effect::AtAPrice => "at a price",
        Effect::NoEffect => "no effect",
        Effect::NotRun => "not run",
        Effect::Baseline => "without",
    }
}

pub(super) fn tone(v: Effect) -> Tone {
    match v {
        Effect::Helps => Tone::Good,
        Effect::AtAPrice => Tone::Warn,
        Effect::NoEffect | Effect::Baseline => Tone::Bad,
        Effect::NotRun => Tone::Faint,
    }
}

fn failures(row: &Row) -> String {
    if row.verdict == Effect::NotRun {
        return row.reason.clone();
    }
    let each = row.errors.iter().map(|e| format!("{} {} {}", count(e.count), e.call.word(), e.name));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Call;
    use crate::model::rehearsal::{AccidentSecond, Commands, REHEARSAL_SCHEMA, RowError};

    fn row(remedy: &str, verdict: Effect, asked: u64) -> Row {
        let ran = verdict != Effect::NotRun;
        let made = ran.then_some(50);
        let row = Row::not_run(remedy, "words", Commands::default(), "a reason".into());
        Row { asked, made, predicted: made, measured: made, verdict, ..row }
    }

    fn rendered(rows: Vec<Row>, detail: Detail) -> String {
        let baseline = row("baseline", Effect::Baseline, 300);
        let (schema, kernel, started_at) = (REHEARSAL_SCHEMA.into(), "6.18".into(), String::new());
        let course = |t: f64| Course {
            first_failure_s: Some(t),
            recovered_s: Some(t + 2.0),
            echo_s: vec![t + 3.0, t + 6.0],
            failures: 650,
            successes: 400,
        };
        let seconds = [(100, 0), (40, 60), (0, 100)].map(|(made, failed)| AccidentSecond { t_s: 1.0, made, failed }).to_vec();
        let (predicted, measured) = (course(1.0), course(1.01));
        let accident = Accident { pool: 100, hold_s: 3.0, rate_cps: 100.0, duration_s: 10.5, predicted, measured, seconds };
        let before = render_prediction(&accident);
        let (accident, unavailable) = (Some(accident), Vec::new());
        let all = Rehearsal { schema, kernel, started_at, duration_s: 11.2, accident, baseline, rows, unavailable };
        before + &render_rehearsal(&all, &Page { detail, ..Page::plain() })
    }

    #[test]
    fn one_screen() {
        let priced = |name: &str, price: &str| Row { price: price.into(), ..row(name, Effect::AtAPrice, 300) };
        let error = RowError { call: Call::Connect, name: "EADDRNOTAVAIL".into(), count: 250 };
        let failing = Row { errors: vec![error], ..row("reuse-addr-alone", Effect::NoEffect, 300) };
        let windows = Row { what: "a wider range: 463 connections/s".into(), ..row("windows-dynamic-port", Effect::NotRun, 0) };
        let paced = Row { paced_cps: Some(40.0), ..row("tw-reuse", Effect::Helps, 300) };
        let rows = vec![
            row("keep-alive", Effect::Helps, 300),
            paced,
            priced("pace", "less load"),
            priced("linger-reset", &"x".repeat(40)),
            failing,
            windows,
        ];
        let command = format!("sysctl -w {}", ["net.ipv4.tcp_tw_reuse=1"; 6].join(" "));
        let commands = Commands { linux: command.clone(), windows: command, macos: None };
        let what = ["words"; 30].join(" ");
        let long = Row { commands, what: what.clone(), price: what, ..row("wait", Effect::AtAPrice, 300) };
        let full = rendered(rows.iter().cloned().chain([long]).collect(), Detail::Full);
        let text = rendered(rows, Detail::Brief);
        assert!([&text, &full].iter().all(|t| t.lines().all(|l| l.chars().count() <= Page::WIDTH)), "{text}\n{full}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_does_not_help_has_nothing_to_apply() {
        let text = rendered(vec![row("fin-timeout", Effect::NoEffect, 300)], Detail::Full);
        assert!(text.contains("fin-timeout") && !text.contains("how to apply"), "{text}");
        assert!(rendered(vec![row("ring", Effect::Helps, 300)], Detail::Full).contains("how to apply them\n  ring: words"));
    }

    #[test]
    fn what_was_neither_asked_nor_predicted_is_no_zero() {
        let text = rendered(vec![row("windows-dynamic-port", Effect::NotRun, 0)], Detail::Full);
        let line = text.lines().find(|l| l.contains("windows-dynamic-port")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1..6], ["not", "run", "-", "-", "-"], "{text}");
        let without = text.lines().find(|l| l.contains("baseline")).unwrap();
        assert!(without.contains("without"), "{text}");
    }
}
