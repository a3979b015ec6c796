//! The page of a rehearsal: the exhaustion as predicted and as measured, then each remedy in the same way.

use maud::{Markup, html};

use super::charts;
use super::findings::commands;
use super::shell::{Top, page, section};
use crate::model::figures::{count, number, rate, seconds};
use crate::model::rehearsal::{Accident, Course, Effect, Rehearsal, Row};
use crate::report::chart::{Axis, AxisSide, Chart, Color, Marker, PageChart, Reference, Series, Shape};
use crate::report::rehearsal_text::{self, table, tone, verdict};
use crate::report::style::visible;
use crate::report::table::{Align, Table, tone_class};

/// A rehearsal.
pub fn render_rehearsal(r: &Rehearsal) -> String {
    let sentence = sentence(r);
    let top = Top {
        kind: "sockbench rehearse",
        sentence: &sentence,
        what: format!("port exhaustion and its remedies, each in a private network namespace, in {}", seconds(r.duration_s)),
        when: format!("{}, sockbench {}, Linux {}", r.started_at, env!("CARGO_PKG_VERSION"), r.kernel),
        ..Top::default()
    };
    let body = html! {
        @if let Some(a) = &r.accident { (section("exhaustion", "The exhaustion, predicted and measured", &accident(a))) }
        (section("remedies", "Remedies: prediction against measurement", &bars(r)))
        (section("figures", "All figures", &table(r).to_html()))
        (section("apply", "How to apply them", &how(r)))
    };
    page(&top, &body).file()
}

/// `4 of 20 remedies help, 3 more at a price; without one 50 of 300 connections were made`
fn sentence(r: &Rehearsal) -> String {
    let n = |verdict: Effect| r.rows.iter().filter(|row| row.verdict == verdict).count() as u64;
    let made = r.baseline.made.map_or_else(|| "none".to_owned(), count);
    format!(
        "{} of {} remedies help, {} at a price; without one {made} of {} connections were made",
        count(n(Effect::Helps)),
        count(r.rows.len() as u64),
        count(n(Effect::AtAPrice)),
        count(r.baseline.asked)
    )
}

fn accident(a: &Accident) -> Markup {
    let text = format!(
        "{} ports, each in use for T = {}, {} connections/s for {}: at most {}/s can be sustained",
        count(a.pool),
        seconds(a.hold_s),
        number(a.rate_cps),
        seconds(a.duration_s),
        rate(f64::from(a.pool) / a.hold_s)
    );
    html! {
        p { (text) }
        (courses(a).to_html())
        div class="charts" { (charts::figure(&chart(a))) }
    }
}

fn courses(a: &Accident) -> Table {
    let right = Align::Right;
    let heads = ["runs out", "works again", "runs out again", "made", "failed"].map(|head| (head, right));
    let mut table = Table::with_columns([("", Align::Left)].into_iter().chain(heads));
    for (label, c) in [("predicted", &a.predicted), ("measured", &a.measured)] {
        let [out, works, made, failed, again] = rehearsal_text::courses(c);
        table.row([label.into(), out.into(), works.into(), again.into(), made.into(), failed.into()]);
    }
    table
}

fn chart(a: &Accident) -> PageChart {
    let mut chart = Chart::over_time("Connections, second by second", Axis::linear("per second"));
    let points = |column: fn(&crate::model::rehearsal::AccidentSecond) -> u64| {
        a.seconds.iter().map(|s| (s.t_s, Some(column(s) as f64))).collect()
    };
    chart.series.push(Series::line("made", Color::Blue, points(|s| s.made)).shaped(Shape::Area));
    chart.series.push(Series::line("failed", Color::Vermillion, points(|s| s.failed)));
    let sustained = f64::from(a.pool) / a.hold_s;
    chart.references.push(Reference {
        value: sustained,
        side: AxisSide::Left,
        label: format!("sustained: {}/s", rate(sustained)),
    });
    chart.markers = predicted(&a.predicted);
    chart.subtitle = "vertical lines: as predicted".into();
    PageChart { id: "exhaustion", chart, missing: "no second was recorded".into() }
}

fn predicted(c: &Course) -> Vec<Marker> {
    let mark = |x: f64, label: &str| Marker { x, label: label.to_owned() };
    let mut marks: Vec<Marker> = c.first_failure_s.map(|t| mark(t, "runs out")).into_iter().collect();
    marks.extend(c.recovered_s.map(|t| mark(t, "works again")));
    marks.extend(c.echo_s.iter().map(|t| mark(*t, "runs out again")));
    marks
}

/// A row for each remedy: two bars, as predicted and as made.
fn bars(r: &Rehearsal) -> Markup {
    let ran = |row: &&Row| row.asked > 0;
    html! {
        ul class="bars" { @for row in [&r.baseline].into_iter().chain(&r.rows).filter(ran) { li {
            span class="name" { (visible(&row.remedy)) }
            span class={ "stamp " (tone_class(tone(row.verdict)).unwrap_or("")) } { (verdict(row.verdict)) }
            (bar("predicted", row.predicted, row.asked))
            (bar("made", row.made, row.asked))
        } } }
        @for row in r.rows.iter().filter(|row| row.asked == 0) {
            p class="note" { (visible(&row.remedy)) ": not run here; " (visible(&row.what)) }
        }
    }
}

fn bar(label: &str, value: Option<u64>, of: u64) -> Markup {
    let text = value.map_or_else(|| format!("{label}: -"), |n| format!("{label}: {} of {}", count(n), count(of)));
    html! {
        span class={ "bar " (label) } {
            svg viewBox={ "0 0 " (of) " 1" } preserveAspectRatio="none" aria-hidden="true" { rect width=(value.unwrap_or(0)) height="1" {} }
            span { (text) }
        }
    }
}

fn how(r: &Rehearsal) -> Markup {
    let applied = |row: &&Row| matches!(row.verdict, Effect::Helps | Effect::AtAPrice | Effect::NotRun);
    html! {
        @for row in r.rows.iter().filter(applied) {
            article class="finding info" {
                h3 { (visible(&row.remedy)) " " span class={ "stamp " (tone_class(tone(row.verdict)).unwrap_or("")) } { (verdict(row.verdict)) } }
                p { (visible(&row.what)) }
                @if !row.reason.is_empty() { p class="note" { (visible(&row.reason)) } }
                @if !row.price.is_empty() { p class="note" { "price: " (visible(&row.price)) } }
                (commands(&row.commands.linux, Some(&row.commands.windows), row.commands.macos.as_deref()))
            }
        }
    }
}
