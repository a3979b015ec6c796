//! What all pages have in common: the head, the answer at the top, sections, and what is shown in the same way everywhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::report::chart::stylesheet;
use crate::report::style::{Tone, visible};
use crate::report::table::{Table, tone_class};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// No request to anywhere, whatever a name in the page might smuggle in.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
/// Characters of a window's title.
const TITLE_CHARS: usize = 120;

/// The top of a page.
#[derive(Default)]
pub(super) struct Top<'a> {
    /// what kind of page
    pub(super) kind: &'a str,
    /// the answer, one sentence
    pub(super) sentence: &'a str,
    /// what it means
    pub(super) tone: Tone,
    /// stamps, each a word with its tone
    pub(super) stamps: Vec<(String, Tone)>,
    /// what was run
    pub(super) what: String,
    /// when and with what
    pub(super) when: String,
    /// how much of the run is over, of one; none of one that has ended, or has no planned end
    pub(super) over: Option<f64>,
    /// the command that made it; may be empty
    pub(super) command: &'a str,
}

/// A page by its parts: written as a file, or shown while a run goes on.
#[derive(Debug, Clone)]
pub struct Document {
    title: String,
    header: Markup,
    main: Markup,
}

/// What the window is called: whole words.
fn title(top: &Top<'_>) -> String {
    let whole = format!("{}: {}", top.kind, visible(top.sentence));
    let Some((end, _)) = whole.char_indices().nth(TITLE_CHARS) else { return whole };
    let cut = whole[..end].rfind(' ').unwrap_or(end);
    format!("{} ..", whole[..cut].trim_end_matches([',', ';', ':', ' ']))
}

/// The page of `body` under `top`.
pub(super) fn page(top: &Top<'_>, body: &Markup) -> Document {
    let title = title(top);
    let header = html! {
        header class=[tone_class(top.tone)] {
            p class="kind" {
                (top.kind)
                @for (word, tone) in &top.stamps { " " span class={ "stamp " (tone_class(*tone).unwrap_or("")) } { (visible(word)) } }
            }
            h1 { (visible(top.sentence)) }
            p { (visible(&top.what)) }
            p class="note" { (visible(&top.when)) }
            @if let Some(share) = top.over { progress value=((share * 100.0).round() as u32) max="100" aria-label="part of the run that is over" {} }
            @if !top.command.is_empty() { (command("", top.command)) }
        }
    };
    Document { title, header, main: html! { main { (body) } } }
}

impl Document {
    /// The whole page, for a file.
    pub fn file(&self) -> String {
        self.whole(POLICY, None)
    }

    /// The whole page as it is now; its script follows `events`, and without scripts it is loaded again and again.
    pub fn live(&self, events: &str) -> String {
        self.whole(&format!("{POLICY}; connect-src 'self'"), Some(events))
    }

    /// What a page that follows puts in the place of what it shows.
    pub fn update(&self) -> String {
        html! { title { (self.title) } (self.header) (self.main) }.into_string()
    }

    fn whole(&self, policy: &str, events: Option<&str>) -> String {
        let document = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content={ "sockbench " (env!("CARGO_PKG_VERSION")) };
                    title { (self.title) }
                    style { (PreEscaped(stylesheet(":root"))) (PreEscaped(STYLE)) }
                    @if events.is_some() { noscript { meta http-equiv="refresh" content="2"; } }
                }
                body data-events=[events] {
                    (self.header)
                    (self.main)
                    footer { p class="note" { "made by sockbench " (env!("CARGO_PKG_VERSION")) "; this page asks no other machine for anything" } }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        document.into_string()
    }
}

/// A part with a heading; nothing where there is nothing in it.
pub(super) fn section(id: &str, title: &str, content: &Markup) -> Markup {
    html! { @if !content.0.is_empty() { section id=(id) { h2 { (title) } (content) } } }
}

/// Something to type, as it is; a button to copy it is added where scripts run.
pub(super) fn command(prompt: &str, text: &str) -> Markup {
    html! {
        div class="command" {
            @if !prompt.is_empty() { span class="prompt" { (prompt) } }
            pre tabindex="0" { code { (visible(text)) } }
        }
    }
}

/// Labelled lines.
pub(super) fn lines<L: AsRef<str>>(all: &[(L, Tone, String)]) -> Markup {
    html! {
        @if !all.is_empty() { dl { @for (label, tone, text) in all {
            dt { (visible(label.as_ref())) }
            dd class=[tone_class(*tone)] { (visible(text)) }
        } } }
    }
}

/// Sentences, one below the other.
pub(super) fn list(texts: &[String]) -> Markup {
    html! { @if !texts.is_empty() { ul { @for text in texts { li { (visible(text)) } } } } }
}

/// A table with a heading of its own.
pub(super) fn titled(title: &str, table: &Table) -> Markup {
    html! { h3 { (title) } (table.to_html()) }
}

/// A figure that is seen at once.
pub(super) struct Tile {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) tone: Tone,
}

/// Figures in a row.
pub(super) fn tiles(all: &[Tile]) -> Markup {
    html! {
        ul class="tiles" { @for tile in all {
            li { b class=[tone_class(tile.tone)] { (visible(&tile.value)) } span { (visible(&tile.label)) } }
        } }
    }
}
