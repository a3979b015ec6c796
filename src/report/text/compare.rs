//! A comparison on one screen: the answer, what it rests on, the figures.

use super::Page;
use crate::model::comparison::{Compared, Comparison, Difference, Pair, PercentilesFrom, Row, SideInfo, Source};
use crate::model::figures::{self, counted};
use crate::report::style::{Tone, shortened, wrapped};
use crate::report::table::{Align, Cell, Table};

/// Endpoints shown; the document has all.
const ENDPOINTS: usize = 4;
/// Settings that differ and are shown.
const UNLIKE: usize = 4;
const NAME: usize = 34;

/// All pairs, one below the other.
pub fn render_comparison(comparison: &Comparison, page: &Page) -> String {
    let shown = super::foreign::shown(comparison);
    let comparison = shown.as_ref().unwrap_or(comparison);
    let pages: Vec<String> = comparison.pairs.iter().map(|pair| render_pair(&comparison.base, pair, page)).collect();
    pages.join("\n")
}

fn render_pair(base: &SideInfo, pair: &Pair, page: &Page) -> String {
    let tone = match pair.verdict {
        Difference::None | Difference::Better => Tone::Good,
        Difference::Worse => Tone::Bad,
        Difference::Mixed | Difference::Untold => Tone::Warn,
    };
    let mut sentence = pair.sentence.clone();
    let end = sentence.find(':').unwrap_or(0);
    sentence = format!("{}{}", sentence[..end].to_uppercase(), &sentence[end..]);
    let mut out = String::new();
    for line in wrapped(&sentence, 0, page.width).lines() {
        out += &format!("{}\n", page.style.paint(tone, line));
    }
    out += &page.labelled("base", Tone::Normal, &side(base));
    out += &page.labelled("other", Tone::Normal, &side(&pair.side));
    if let (Some(block_s), Some(blocks)) = (pair.block_s, pair.blocks) {
        let text = format!("95 % by {} of {} s of the steady part", counted(blocks, "block"), figures::number(block_s));
        out += &page.labelled("intervals", Tone::Normal, &text);
    }
    out.push('\n');
    out += &table(pair, page);
    let rest = pair.endpoints.len().saturating_sub(ENDPOINTS);
    let mut careful: Vec<String> = pair
        .environment
        .iter()
        .take(UNLIKE)
        .map(|u| format!("{}: {} / {}", u.key, shortened(&u.base, 24), shortened(&u.other, 24)))
        .collect();
    if pair.environment.len() > UNLIKE {
        careful.push(format!("{} differ as well", counted((pair.environment.len() - UNLIKE) as u64, "more setting")));
    }
    careful.extend(pair.careful.iter().map(|c| shortened(c, 140)));
    if rest > 0 {
        careful.push(format!("{} are in --json", counted(rest as u64, "more endpoint")));
    }
    if !careful.is_empty() {
        out.push('\n');
        out += &page.listed("careful", &careful);
    }
    out
}

fn side(info: &SideInfo) -> String {
    let tool = match info.source {
        Source::Sockbench => "sockbench",
        Source::Locust => "Locust",
        Source::Oha => "oha",
        Source::K6 => "k6",
    };
    let from = match info.percentiles_from {
        Some(PercentilesFrom::IntervalLog) => ", all latencies",
        Some(PercentilesFrom::Series) => ", percentiles of each second",
        None => "",
    };
    let at = info.started_at.as_ref().map_or_else(String::new, |at| format!(", {at}"));
    format!("{}: {tool}, {}{from}{at}", shortened(&info.name, NAME), figures::seconds(info.duration_s))
}

fn table(pair: &Pair, page: &Page) -> String {
    let columns = [
        ("", Align::Left),
        ("base", Align::Right),
        ("other", Align::Right),
        ("change", Align::Right),
        ("95 % interval", Align::Right),
        ("", Align::Left),
    ];
    let mut table = Table::new(columns).indented(2);
    for row in &pair.totals {
        let interval = row.interval.map_or_else(String::new, |[low, high]| format!("{} .. {}", signed(low), signed(high)));
        let (tone, word) = match row.outcome {
            Some(Difference::Better) => (Tone::Good, "better"),
            Some(Difference::Worse) => (Tone::Bad, "worse"),
            Some(_) => (Tone::Faint, "chance"),
            None => (Tone::Normal, ""),
        };
        table.row([
            label(row.what).into(),
            value(row.what, row.base).into(),
            value(row.what, row.other).into(),
            change(row).into(),
            interval.into(),
            Cell::toned(tone, word),
        ]);
    }
    let mut out = table.render(page.style);
    if pair.endpoints.len() > 1 {
        let columns = [
            ("endpoint", Align::Left),
            ("req/s", Align::Right),
            ("p50 ms", Align::Right),
            ("p95 ms", Align::Right),
            ("failed", Align::Right),
        ];
        let mut table = Table::new(columns).indented(2);
        for endpoint in pair.endpoints.iter().take(ENDPOINTS) {
            let cell = |what| {
                let row = endpoint.rows.iter().find(|r| r.what == what);
                let Some(row) = row else { return Cell::from("-") };
                let text = format!("{} {}", value(what, row.other), change(row));
                match row.outcome {
                    Some(Difference::Better) => Cell::toned(Tone::Good, text + " better"),
                    Some(Difference::Worse) => Cell::toned(Tone::Bad, text + " worse"),
                    _ => text.into(),
                }
            };
            table.row([
                shortened(&endpoint.name, 14).into(),
                cell(Compared::RateRps),
                cell(Compared::P50Ms),
                cell(Compared::P95Ms),
                cell(Compared::FailedShare),
            ]);
        }
        out += &format!("\n{}", table.render(page.style));
    }
    out
}

fn label(what: Compared) -> &'static str {
    match what {
        Compared::RateRps => "req/s",
        Compared::P50Ms => "p50 ms",
        Compared::P95Ms => "p95 ms",
        Compared::P99Ms => "p99 ms",
        Compared::FailedShare => "failed",
        Compared::Connections => "connections",
        Compared::PortsPeak => "ports at the peak",
        Compared::ClientCpuUsPerRequest => "client CPU us/request",
        Compared::TargetCpuUsPerRequest => "target CPU us/request",
    }
}

fn value(what: Compared, value: f64) -> String {
    match what {
        Compared::RateRps => figures::rate(value),
        Compared::P50Ms | Compared::P95Ms | Compared::P99Ms => figures::ms(value),
        Compared::FailedShare => figures::share(value),
        Compared::Connections | Compared::PortsPeak => figures::count(value.max(0.0).round() as u64),
        Compared::ClientCpuUsPerRequest | Compared::TargetCpuUsPerRequest => figures::us(value),
    }
}

fn change(row: &Row) -> String {
    row.change.map_or_else(|| "-".to_owned(), signed)
}

/// `+5 %`, `-12 %`, `0 %`.
fn signed(change: f64) -> String {
    let text = figures::share(change.abs());
    match text.as_str() {
        "0 %" => text,
        _ if change < 0.0 => format!("-{text}"),
        _ => format!("+{text}"),
    }
}
