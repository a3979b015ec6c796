//! A comparison on one screen: the answer, what it rests on, the figures.

use super::Page;
use crate::model::comparison::{Compared, Comparison, Difference, EndpointRows, Pair, PercentilesFrom, Row, SideInfo, Source};
use crate::model::figures::{self, counted};
use crate::report::names::shortened_apart;
use crate::report::style::{Tone, shortened, wrapped};
use crate::report::table::{Align, Cell, Column, Table, or_dash};

/// Most endpoints shown; the document has all.
const ENDPOINTS: usize = 4;
/// Lines of one pair: fewer endpoints are shown where they would not fit.
const LINES: usize = 25;
/// Settings that differ and are shown.
const UNLIKE: usize = 2;
const NAME: usize = 34;
/// Characters of an endpoint's name, and of one that is a URL, the widest that fits.
const ENDPOINT: usize = 14;
const URLS: [usize; 2] = [28, 22];

/// All pairs, one below the other.
pub fn render_comparison(comparison: &Comparison, page: &Page) -> String {
    let shown = super::foreign::shown(comparison);
    let comparison = shown.as_ref().unwrap_or(comparison);
    let pages: Vec<String> = comparison.pairs.iter().map(|pair| render_pair(&comparison.base, pair, page)).collect();
    pages.join("\n")
}

fn render_pair(base: &SideInfo, pair: &Pair, page: &Page) -> String {
    let fits = |text: &String| text.lines().count() <= LINES;
    let mut shown = (1..=ENDPOINTS).rev().map(|endpoints| render_with(base, pair, endpoints, page));
    shown.find(fits).unwrap_or_else(|| render_with(base, pair, 1, page))
}

fn render_with(base: &SideInfo, pair: &Pair, endpoints: usize, page: &Page) -> String {
    let tone = tone(pair.verdict);
    let sentence = sentence(pair);
    let mut out = String::new();
    for line in wrapped(&sentence, 0, page.width).lines() {
        out += &format!("{}\n", page.style.paint(tone, line));
    }
    out += &page.labelled("base", &side(base));
    out += &page.labelled("other", &side(&pair.side));
    if let Some(text) = intervals(pair) {
        out += &page.labelled("intervals", &text);
    }
    out.push('\n');
    let tables: Vec<String> =
        within(pair, endpoints, page.width).iter().map(|table| table.render(page.style, page.width)).collect();
    out += &tables.join("\n");
    let careful = careful(pair, endpoints);
    if !careful.is_empty() {
        out.push('\n');
        out += &page.listed("careful", &careful);
    }
    out
}

/// What a verdict means.
pub(crate) fn tone(verdict: Difference) -> Tone {
    match verdict {
        Difference::None | Difference::Better => Tone::Good,
        Difference::Worse => Tone::Bad,
        Difference::Mixed | Difference::Untold => Tone::Warn,
    }
}

/// The answer, what it comes to in capitals.
pub(crate) fn sentence(pair: &Pair) -> String {
    let (answer, rest) = pair.sentence.split_at(pair.sentence.find(':').unwrap_or(0));
    format!("{}{rest}", answer.to_uppercase())
}

/// What the intervals rest on; none where there are none.
pub(crate) fn intervals(pair: &Pair) -> Option<String> {
    let (block_s, blocks) = pair.block_s.zip(pair.blocks)?;
    Some(format!("95 % sure to hold the change ({blocks} blocks of {} s)", figures::number(block_s)))
}

/// What a reader must know besides the figures.
pub(crate) fn careful(pair: &Pair, endpoints: usize) -> Vec<String> {
    let rest = pair.endpoints.len().saturating_sub(endpoints);
    let mut careful: Vec<String> = pair
        .environment
        .iter()
        .take(UNLIKE)
        .map(|u| format!("different: {}", u.in_words(|value| shortened(value, 24))))
        .collect();
    if pair.environment.len() > UNLIKE {
        careful.push(format!("different: {} (--json)", counted((pair.environment.len() - UNLIKE) as u64, "more setting")));
    }
    careful.extend(pair.careful.iter().map(|c| shortened(c, 140)));
    if rest > 0 {
        careful.push(format!("{} in --json", counted(rest as u64, "more endpoint")));
    }
    careful
}

/// Where the figures of a side come from, in one line.
pub(crate) fn side(info: &SideInfo) -> String {
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

/// How much the tables say; what is left out first is last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// the figures of the other side alone
    Figures,
    /// and by how much they changed
    Changes,
    /// and what that is, and the intervals
    All,
}

/// Each table with as much as `width` columns hold. A host and its port tell URLs apart: figures give way first.
fn within(pair: &Pair, endpoints: usize, width: usize) -> Vec<Table> {
    let are_urls = pair.endpoints.iter().any(|e| e.name.contains("://"));
    let rooms: &[usize] = if are_urls { &[URLS[0], URLS[1], ENDPOINT] } else { &[ENDPOINT] };
    let details = [Detail::All, Detail::Changes, Detail::Figures];
    let mut forms = rooms.iter().flat_map(|room| details.map(|detail| tables_with(pair, endpoints, detail, *room)));
    let mut shown = forms.next().unwrap_or_default();
    for less in forms {
        for (table, less) in shown.iter_mut().zip(less).filter(|(table, _)| table.width() > width) {
            *table = less;
        }
    }
    shown
}

/// The figures of both sides; then those by endpoint, where there are several.
pub(crate) fn tables(pair: &Pair, endpoints: usize) -> Vec<Table> {
    tables_with(pair, endpoints, Detail::All, URLS[0])
}

fn tables_with(pair: &Pair, endpoints: usize, detail: Detail, room: usize) -> Vec<Table> {
    let mut columns = vec![("", Align::Left), ("base", Align::Right), ("other", Align::Right)];
    columns.extend((detail >= Detail::Changes).then_some(("change", Align::Right)));
    columns.extend((detail == Detail::All).then_some(("95 % interval", Align::Right)));
    columns.push(("", Align::Left));
    let mut table = Table::with_columns(columns).indented(2);
    // A count that is the same on both sides, and decides nothing, takes no line.
    let tells = |row: &&Row| row.outcome.is_some() || row.base != row.other || row.what == Compared::RateRps;
    for row in pair.totals.iter().filter(tells) {
        let interval = row
            .interval
            .map_or_else(String::new, |[low, high]| format!("{} .. {}", figures::signed_share(low), figures::signed_share(high)));
        let (tone, word) = match row.outcome {
            Some(Difference::Better) => (Tone::Good, "better"),
            Some(Difference::Worse) => (Tone::Bad, "worse"),
            Some(_) if row.is_small() => (Tone::Faint, "small"),
            Some(_) if row.is_unclear() => (Tone::Faint, "unclear"),
            Some(_) => (Tone::Faint, "same"),
            None => (Tone::Faint, "not judged"),
        };
        let mut cells: Vec<Cell> =
            vec![label(row.what).into(), value(row.what, row.base).into(), value(row.what, row.other).into()];
        cells.extend((detail >= Detail::Changes).then(|| Cell::from(change(row))));
        cells.extend((detail == Detail::All).then(|| Cell::from(interval)));
        cells.push(Cell::toned(tone, word));
        table.row_of(cells);
    }
    let mut tables = vec![table];
    if pair.endpoints.len() > 1 {
        let differs =
            |e: &&EndpointRows| e.rows.iter().any(|r| matches!(r.outcome, Some(Difference::Better | Difference::Worse)));
        let (first, then): (Vec<_>, Vec<_>) = pair.endpoints.iter().partition(differs);
        let shown: Vec<&EndpointRows> = first.into_iter().chain(then).take(endpoints).collect();
        let names = shortened_apart(shown.iter().map(|e| e.name.as_str()), room);
        let cell = |endpoint: &EndpointRows, what| {
            let row = endpoint.rows.iter().find(|r| r.what == what);
            let Some(row) = row else { return Cell::from("-") };
            let by = row.change.filter(|_| detail >= Detail::Changes).map_or_else(String::new, figures::signed_share);
            let text = [value(what, row.other), by].join(" ").trim_end().to_owned();
            let word = |word: &str| if detail == Detail::All { format!("{text} {word}") } else { text.clone() };
            match row.outcome {
                Some(Difference::Better) => Cell::toned(Tone::Good, word("better")),
                Some(Difference::Worse) => Cell::toned(Tone::Bad, word("worse")),
                _ => text.into(),
            }
        };
        let columns: [Column<(&EndpointRows, String)>; 5] = [
            ("in other", Align::Left, &|(_, name)| name.into()),
            ("req/s", Align::Right, &|(e, _)| cell(e, Compared::RateRps)),
            ("p50 ms", Align::Right, &|(e, _)| cell(e, Compared::P50Ms)),
            ("p95 ms", Align::Right, &|(e, _)| cell(e, Compared::P95Ms)),
            ("failed", Align::Right, &|(e, _)| cell(e, Compared::FailedShare)),
        ];
        tables.push(Table::of(shown.into_iter().zip(names), &columns).indented(2));
    }
    tables
}

fn label(what: Compared) -> &'static str {
    match what {
        Compared::RateRps => "req/s",
        Compared::P50Ms => "p50 ms",
        Compared::P95Ms => "p95 ms",
        Compared::P99Ms => "p99 ms",
        Compared::FailedShare => "failed",
        Compared::Connections => "connections",
        Compared::PortsPeak => "ports in use, peak",
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
    or_dash(row.change, figures::signed_share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::report::style::Style;

    /// Names of 1 to 60 characters, figures of 1 to 9 digits.
    #[test]
    fn no_name_and_no_figure_makes_a_line_longer_than_the_page() {
        for (name, digits) in (1..=60).step_by(7).flat_map(|n| (1..=9).map(move |d| (n, d))) {
            let mut comparison = fixture::comparison();
            let large = 10_f64.powi(digits) - 1.0;
            let grow = |rows: &mut Vec<Row>| {
                for row in rows {
                    (row.base, row.other, row.change) = (row.base.max(1.0), large, Some(large));
                    row.interval = row.interval.map(|_| [-large, large]);
                }
            };
            comparison.base.name = "b".repeat(name);
            for pair in &mut comparison.pairs {
                pair.side.name = "o".repeat(name);
                grow(&mut pair.totals);
                for (n, e) in pair.endpoints.iter_mut().enumerate() {
                    e.name = format!("/{n}{}", "p".repeat(name));
                    grow(&mut e.rows);
                }
            }
            let text = render_comparison(&comparison, &Page { style: Style::Plain, ..Page::default() });
            let longest = text.lines().map(|l| l.chars().count()).max().unwrap_or(0);
            assert!(longest <= Page::WIDTH, "{longest} columns for names of {name} and figures of {digits} digits:\n{text}");
        }
    }

    /// Two hosts, and paths of them that differ in the middle.
    #[test]
    fn endpoints_that_are_urls_keep_their_host_and_stay_apart() {
        for width in [60, 80, 100] {
            let mut comparison = fixture::comparison();
            let pair = &mut comparison.pairs[0];
            let row = pair.endpoints[0].clone();
            let urls = [8080, 8081].map(|port| ["a", "b"].map(|x| format!("http://127.0.0.1:{port}/long/{x}/path/health")));
            pair.endpoints = urls.into_iter().flatten().map(|name| EndpointRows { name, ..row.clone() }).collect();
            let tables = within(pair, ENDPOINTS, width);
            let text = tables[1].render(Style::Plain, 80);
            let names: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
            let hosts = ["127.0.0.1:8080/", "127.0.0.1:8081/"].map(|host| names.iter().filter(|n| n.starts_with(host)).count());
            assert_eq!(hosts, [2, 2], "{width}: {text}");
            assert!(names.iter().enumerate().all(|(n, name)| !names[..n].contains(name)), "{width}: {text}");
        }
    }

    /// A change without a word would be one that was judged, and is none.
    #[test]
    fn each_row_says_what_its_change_is() {
        let pair = fixture::comparison().pairs.remove(0);
        let text = tables(&pair, ENDPOINTS)[0].render(Style::Plain, 100);
        assert!(pair.totals.iter().any(|row| row.outcome.is_none()), "{text}");
        for line in text.lines().skip(2) {
            assert!(
                ["better", "worse", "same", "small", "unclear", "not judged"].iter().any(|word| line.trim_end().ends_with(word)),
                "{line}"
            );
        }
    }

    /// One screen for each pair, at 80 columns and at 60.
    #[test]
    fn a_comparison_reads_like_this() {
        for width in [80, 60] {
            let page = Page { width, style: Style::Plain, ..Page::default() };
            for pair in fixture::comparison().pairs {
                let one = Comparison { pairs: vec![pair], ..fixture::comparison() };
                let text = render_comparison(&one, &page);
                insta::assert_snapshot!(format!("compare-{}-{width}", one.pairs[0].side.name), text);
                assert!(text.lines().count() <= 25, "{} lines at {width}", text.lines().count());
                let longest = text.lines().map(|l| l.chars().count()).max().unwrap_or(0);
                assert!(longest <= 80, "{longest} columns at {width}");
            }
        }
    }
}
