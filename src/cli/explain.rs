//! `sockbench explain`: an error text, Locust's CSV files or a stored run -> cause, arithmetic, remedies.

use std::fs::{self, File};
use std::io::{IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{EXIT_FAILED, Exit, files, one_of, page};
use crate::explain::{self, KNOWN_TEXTS, Known, NothingKnown, Rates, TextReader, locust_csv as locust};
use crate::model::by_name;
use crate::model::document::plain;
use crate::model::explanation::{Explanation, Os};
use crate::model::figures::{count, counted};
use crate::model::order::Order as _;
use crate::model::result::{RunResult, SCHEMA};
use crate::model::study::{STUDY_SCHEMA, StudyResult};
use crate::model::units;
use crate::remedy::quoted;
use crate::report::text::render_explanation;
use crate::sys::sysctl;

/// Longest document that is read, bytes: a run.json of a day is far smaller.
const INPUT_BYTES: u64 = 256 * 1024 * 1024;
/// Longest text that is read, bytes.
const TEXT_BYTES: u64 = 16 * 1024 * 1024 * 1024;
/// A text is read in pieces of so many bytes.
const PIECE_BYTES: u64 = 256 * 1024;

/// What is read, where nothing was.
const KNOWN_IN_SHORT: &str = "give the whole error line, a trace, a log, or a summary of Locust, k6, wrk, ab or another tool; all that is known: sockbench explain --help";

/// One in so many bytes may be none of a text: a bell, letters of another encoding.
const ODD_SHARE: usize = 20;

/// Explain an error text of any tool, Locust's failures CSV, or a stored run: which call, which limit, what to do.
#[derive(Debug, clap::Args)]
#[command(after_help = EXPLAIN_CODES, after_long_help = known_texts())]
pub(crate) struct Args {
    /// A file, a result directory, or the error text itself (after -- where it begins with a dash); -, or nothing behind a pipe, reads standard input
    #[arg(value_name = "FILE|TEXT|-")]
    input: Vec<String>,
    /// Source ports to one destination [default: of the system]
    #[arg(long, value_name = "PORTS", value_parser = clap::value_parser!(u32).range(1..=65_535 * 256), help_heading = "Arithmetic")]
    pool: Option<u32>,
    /// How long a port stays in use after its connection [default: of the system]
    #[arg(long, value_name = "DURATION", value_parser = units::duration, help_heading = "Arithmetic")]
    hold: Option<Duration>,
    /// New connections per second before the failures
    #[arg(long, value_name = "N", value_parser = rate, help_heading = "Arithmetic")]
    rate: Option<f64>,
    /// Failing calls per second while nothing succeeds [default: the rate]
    #[arg(long, value_name = "N", value_parser = rate, help_heading = "Arithmetic")]
    fail_rate: Option<f64>,
    /// New connections per second after recovery [default: the rate]
    #[arg(long, value_name = "N", value_parser = rate, help_heading = "Arithmetic")]
    recovered_rate: Option<f64>,
    /// Length of the run [default: two hold times]
    #[arg(long, value_name = "DURATION", value_parser = units::duration, help_heading = "Arithmetic")]
    duration: Option<Duration>,
    /// The system that the text comes from [default: what the text shows]
    #[arg(long, value_parser = one_of::<Os>(["windows", "linux", "macos"]))]
    os: Option<Os>,
    /// The answer as JSON (sockbench-explain/1), to a file or, with - or alone, to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<String>,
    /// Show every reading, remedy and assumption
    #[arg(short = 'v', long)]
    verbose: bool,
    /// No colours
    #[arg(long)]
    no_color: bool,
}

const EXPLAIN_CODES: &str = "Exit codes: 0 the text was read, and the answer says what failed, or that no connection did; 1 it was read, and \
     the reason is not in it; 2 it could not be read, or an argument is wrong";

fn known_texts() -> String {
    format!("Known are:\n  {}\n\n{EXPLAIN_CODES}", KNOWN_TEXTS.join("\n  "))
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|r: &f64| r.is_finite() && *r > 0.0).ok_or_else(|| format!("{text:?}: not a rate above 0"))
}

pub(crate) fn run(mut args: Args) -> Result<u8, Exit> {
    if args.input.is_empty()
        && let Some(text) = args.json.take()
    {
        args.json = Some("-".into());
        // `explain --json TEXT`: the text was taken for the file to write. `-` is standard input then.
        args.input.push(text);
    }
    if args.input.is_empty() {
        if std::io::stdin().is_terminal() {
            return Err(Exit::usage("nothing to explain")
                .hint("sockbench explain 'OSError(10048, ...)', a file, or - for standard input"));
        }
        args.input.push("-".into());
    }
    files::check(&files::Asked::of("--json", args.json.as_deref().map(Path::new)).into_iter().collect::<Vec<_>>())?;
    let known = Known {
        pool: args.pool,
        hold_s: args.hold.map(|d| d.as_secs_f64()).filter(|s| *s > 0.0),
        os: args.os,
        tw_reuse: sysctl::read_sysctls().0.tcp_tw_reuse,
        rates: Rates {
            rate_cps: args.rate,
            fail_rate_cps: args.fail_rate,
            recovered_rate_cps: args.recovered_rate,
            duration: args.duration,
        },
    };
    let is_path = |word: &String| Path::new(word).exists() || looks_like_a_file(word);
    if args.input.len() > 1 && args.input.iter().all(is_path) {
        let all = args.input.join(", ");
        return Err(Exit::usage(format!("{all}: one at a time")).hint("files together: cat FILE... | sockbench explain -"));
    }
    let input = args.input.join(" ");
    let explanation = match input.as_str() {
        "-" => explain_stream(std::io::stdin(), None, &known)?,
        text => {
            let path = Path::new(text);
            if path.is_dir() {
                explain_file(&file_of(path)?, &known)?
            } else if path.exists() {
                // Pipes too: `explain <(command)`, /dev/stdin.
                explain_file(path, &known)?
            } else if looks_like_a_file(text) {
                return Err(no_such_file(text));
            } else {
                explain_whole(text, &known)?
            }
        }
    };
    write(&explanation, &args)?;
    Ok(0)
}

/// The file of a directory that says what failed: a run, a study, or what Locust's --csv PREFIX wrote, where it is of one run.
/// Errors: there is none, or there are several.
fn file_of(dir: &Path) -> Result<PathBuf, Exit> {
    if let Some(run) = ["run.json", "study.json"].map(|name| dir.join(name)).into_iter().find(|p| p.is_file()) {
        return Ok(run);
    }
    let bad = |why: &str| Exit::usage(format!("{}: {why}", dir.display()));
    let mut names: Vec<PathBuf> = fs::read_dir(dir).map_err(|e| bad(&files::words(&e)))?.flatten().map(|e| e.path()).collect();
    names.order_by(Ord::cmp);
    let of = |kind: locust::Kind| {
        let is_one = |p: &&PathBuf| p.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.ends_with(kind.suffix()));
        names.iter().filter(is_one).collect::<Vec<_>>()
    };
    // The one with the reasons first; the others are read beside it.
    let kinds = [locust::Kind::Failures, locust::Kind::Exceptions, locust::Kind::Stats];
    let found = kinds.into_iter().map(of).find(|files| !files.is_empty());
    match found.as_deref() {
        Some([one]) => Ok((*one).clone()),
        Some([first, ..]) => Err(bad("the files of several runs of Locust")
            .hint(format!("sockbench explain {}", quoted(&first.display().to_string())))),
        _ if dir.join("watch.json").is_file() => {
            Err(bad("a watched command, and no run").hint(format!("{} has its report", dir.join("report.txt").display())))
        }
        _ => Err(bad("neither run.json, study.json nor Locust's PREFIX_failures.csv in it")
            .hint("a directory that a run was given with -o, or one of its files by name")),
    }
}

fn no_such_file(text: &str) -> Exit {
    Exit::usage(format!("{text}: no such file")).hint("a file, a result directory, or the error text in quotes")
}

/// A missing file must not be explained as if its name were an error text. Error texts of one word have no slash and no
/// lower-case extension: `ECONNRESET`, `EADDRNOTAVAIL:99`.
fn looks_like_a_file(text: &str) -> bool {
    let path = Path::new(text);
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    !text.contains(char::is_whitespace)
        && (text.contains('/') || !extension.is_empty() && extension.len() <= 5 && text.chars().all(is_word))
}

fn explain_file(path: &Path, known: &Known) -> Result<Explanation, Exit> {
    let file = File::open(path).map_err(|e| Exit::usage(format!("{}: {e}", path.display())))?;
    explain_stream(file, Some(path), known)
}

/// By what the content is, not by how its file is called: documents are read whole, texts piece by piece.
fn explain_stream(mut input: impl Read, path: Option<&Path>, known: &Known) -> Result<Explanation, Exit> {
    let name = path.map_or_else(|| "standard input".to_owned(), |p| p.display().to_string());
    let bad = |e: std::io::Error| Exit::usage(format!("{name}: {e}"));
    let mut start = Vec::new();
    input.by_ref().take(PIECE_BYTES).read_to_end(&mut start).map_err(bad)?;
    let is_utf16 = start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]);
    if is_utf16 || is_document(&start) {
        input.take(INPUT_BYTES).read_to_end(&mut start).map_err(bad)?;
        if start.len() as u64 > INPUT_BYTES {
            return Err(Exit::usage(format!("{name}: more than {INPUT_BYTES} bytes")));
        }
        return explain_content(&as_text(start, &name)?, path, known);
    }
    refuse_binary(&start, &name)?;
    let mut reader = TextReader::new(*known);
    let mut read = 0_u64;
    while !start.is_empty() {
        reader.feed(&start);
        read += start.len() as u64;
        if read > TEXT_BYTES {
            return Err(Exit::usage(format!("{name}: more than {TEXT_BYTES} bytes"))
                .hint("give a part of it: tail -c 10G FILE | sockbench explain -"));
        }
        start.clear();
        input.by_ref().take(PIECE_BYTES).read_to_end(&mut start).map_err(bad)?;
    }
    if read == 0 {
        return Err(Exit::usage(format!("{name}: empty")).hint(KNOWN_IN_SHORT));
    }
    answer(reader)
}

/// A document of ours or of Locust: what it means depends on all of it.
fn is_document(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&start[..start.len().min(4096)]);
    let json = text.trim_start_matches('\u{feff}').trim_start();
    (json.starts_with('{') && json.contains("\"sockbench")) || locust::Kind::of(&text).is_some()
}

/// Programs, archives and images.
fn refuse_binary(bytes: &[u8], name: &str) -> Result<(), Exit> {
    let is_odd = |b: &&u8| b.is_ascii_control() && !b"\t\n\r\x1b\x0c\x08".contains(b);
    let odd = bytes.iter().filter(is_odd).count();
    let undecoded = String::from_utf8_lossy(bytes).matches(char::REPLACEMENT_CHARACTER).count();
    if bytes.contains(&0) || (odd + undecoded).saturating_mul(ODD_SHARE) > bytes.len() {
        return Err(Exit::usage(format!("{name}: not a text"))
            .hint("give an error text, a log, Locust's PREFIX_failures.csv, or a run.json"));
    }
    Ok(())
}

/// Text, also in UTF-16, as PowerShell's `>` writes it.
fn as_text(bytes: Vec<u8>, name: &str) -> Result<String, Exit> {
    if let Some(text) = utf16(&bytes) {
        return Ok(text);
    }
    refuse_binary(&bytes, name)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// UTF-16 with its mark.
fn utf16(bytes: &[u8]) -> Option<String> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let units = bytes[2..].chunks_exact(2).map(|b| unit([b[0], b[1]]));
    char::decode_utf16(units).collect::<Result<String, _>>().ok()
}

fn read(path: &Path) -> Result<String, Exit> {
    let bad = |why: String| Exit::usage(format!("{}: {why}", path.display()));
    let size = fs::metadata(path).map_err(|e| bad(e.to_string()))?.len();
    if size > INPUT_BYTES {
        return Err(bad(format!("{size} bytes: more than {INPUT_BYTES}")));
    }
    as_text(fs::read(path).map_err(|e| bad(e.to_string()))?, &path.display().to_string())
}

/// By what the content is, not by how its file is called.
fn explain_content(text: &str, path: Option<&Path>, known: &Known) -> Result<Explanation, Exit> {
    let name = path.map_or_else(|| "standard input".to_owned(), |p| p.display().to_string());
    let bad = |why: String| Exit::usage(format!("{name}: {}", plain(&why)));
    if text.trim_start().starts_with('{') {
        let schema = by_name::read::<Schema>(text).ok().and_then(|s| s.schema).unwrap_or_default();
        return match schema.as_str() {
            SCHEMA => {
                let run: RunResult = by_name::read(text).map_err(|e| bad(e.to_string()))?;
                Ok(explain::explain_run(&run, known))
            }
            STUDY_SCHEMA => {
                let study: StudyResult = by_name::read(text).map_err(|e| bad(e.to_string()))?;
                explain::explain_study(&study, known).ok_or_else(|| bad("a study without steps".into()))
            }
            // A rehearsal's or a forecast's failures are meant to be there.
            ours if ours.starts_with("sockbench") => Err(bad(format!("schema {ours}: no run and no study: nothing to explain"))
                .hint("give run.json or study.json; docs/JSON.md has the other documents")),
            // Another tool's JSON may still carry an error text.
            _ => explain_whole(text, known),
        };
    }
    let wrong = |e: locust::LocustError| bad(e.to_string());
    match locust::Kind::of(text) {
        Some(locust::Kind::Exceptions) => locust::explain_exceptions(text, known).map_err(wrong),
        Some(kind) => {
            let other = |wanted: locust::Kind| match path {
                _ if wanted == kind => Ok(Some(text.to_owned())),
                Some(path) => read_beside(path, kind, wanted),
                None => Ok(None),
            };
            let Some(failures) = other(locust::Kind::Failures)? else { return without_reasons(text, bad) };
            locust::explain_locust(&failures, other(locust::Kind::History)?.as_deref(), known).map_err(wrong)
        }
        None => explain_whole(text, known),
    }
}

/// What Locust's counts say, where the file with the reasons is not there.
fn without_reasons(text: &str, bad: impl Fn(String) -> Exit) -> Result<Explanation, Exit> {
    let (failures, of) = match locust::counts(text) {
        Some((requests, 0)) => {
            return Ok(explain::answered(format!("no failure: Locust counts none in {}", counted(requests, "request"))));
        }
        Some((requests, failures)) => (count(failures), format!(" of {}", counted(requests, "request"))),
        None => ("some".into(), String::new()),
    };
    let exit = bad(format!("Locust counts {failures} failed{of}, and this file does not say why"));
    Err(Exit { code: EXIT_FAILED, ..exit }.hint("give PREFIX_failures.csv, which says it"))
}

fn explain_whole(text: &str, known: &Known) -> Result<Explanation, Exit> {
    let mut reader = TextReader::new(*known);
    reader.feed(text.as_bytes());
    answer(reader)
}

#[derive(serde::Deserialize)]
struct Schema {
    schema: Option<String>,
}

/// Another of the files that Locust wrote at the same time; none when it is not there.
fn read_beside(path: &Path, kind: locust::Kind, wanted: locust::Kind) -> Result<Option<String>, Exit> {
    let prefix = path.file_name().and_then(|name| name.to_str()?.strip_suffix(kind.suffix()));
    let wanted = prefix.map(|prefix| path.with_file_name(format!("{prefix}{}", wanted.suffix())));
    wanted.filter(|p| p.is_file()).map(|p| read(&p)).transpose()
}

/// What the text says: of a failed connection, or of what it shows instead. Errors: it does not say why, exit 1.
fn answer(reader: TextReader) -> Result<Explanation, Exit> {
    reader.finish().or_else(|nothing| match nothing {
        NothingKnown::Answered(text) => Ok(explain::answered(text)),
        NothingKnown::Unexplained(_) => Err(unexplained(nothing.to_string())),
        NothingKnown::Unknown => Err(unexplained(nothing.to_string()).hint(KNOWN_IN_SHORT)),
    })
}

/// The text was read, and the reason is not in it.
fn unexplained(message: String) -> Exit {
    Exit { code: EXIT_FAILED, message, hint: None }
}

fn write(e: &Explanation, args: &Args) -> Result<(), Exit> {
    if let Some(to) = &args.json {
        let mut text = serde_json::to_string_pretty(e).map_err(|e| Exit::environment(format!("JSON: {e}")))?;
        text.push('\n');
        if files::is_stdout(Path::new(to)) {
            return files::to_stdout(text.as_bytes());
        }
        files::write(Path::new(to), text.as_bytes())?;
    }
    files::to_stdout(render_explanation(e, &page(args.no_color, args.verbose, None)).as_bytes())
}
