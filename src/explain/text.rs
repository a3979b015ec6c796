//! A text of any size, line by line: lines that can say nothing are passed over fast, the others are read and put together
//! to events, events of one kind are counted. Memory stays bounded, whatever the text.

use std::collections::HashMap;

use memchr::{memchr, memchr_iter, memrchr};

use super::answers::Answers;
use super::asides::Asides;
use super::codes::Condition;
use super::container;
use super::events::{Event, Events};
use super::evidence::{Around, Evidence};
use super::lexicon::lexicon;
use super::line;
use super::normal::printable;
use super::sockets::Sockets;
use super::summary;
use super::usage::Usage;
use crate::model::explanation::{Os, Side};
use crate::model::order::Order as _;

/// Longer lines are cut.
pub(super) const LINE_BYTES: usize = 64 * 1024;
/// Kinds of events that are distinguished; further ones count as other lines.
const KINDS_MAX: usize = 2_000;

/// Reads a text in pieces.
///
/// ```
/// use sockbench::testing::explain::{Known, TextReader};
/// let mut text = TextReader::new(Known::default());
/// text.feed(b"connect: connection ref");
/// text.feed(b"used\nall is well\n");
/// let e = text.finish().expect("an error");
/// assert_eq!((e.readings[0].count, e.other_lines), (1, 1));
/// ```
#[derive(Debug, Default)]
pub struct TextReader {
    pub(super) known: super::Known,
    around: Around,
    events: Events,
    pub(super) kinds: Kinds,
    pub(super) sockets: Sockets,
    pub(super) answers: Answers,
    pub(super) asides: Asides,
    pub(super) usage: Usage,
    /// the start of a line whose end has not come yet
    rest: Vec<u8>,
    /// its end has not come, and it is longer than what is kept
    is_cutting: bool,
    /// a line of Gatling's errors, which breaks long messages: the rest comes on the next line
    broken: Option<String>,
    /// it shows that programs ran in containers
    pub(super) of_containers: bool,
    /// requests that got no status, as vegeta counts them beside a list of errors without counts
    unanswered: Option<u64>,
    lines: u64,
    saying: u64,
    pub(super) cut: u64,
}

impl TextReader {
    /// For a text of which `known` is known.
    pub fn new(known: super::Known) -> Self {
        Self { known, around: Around { os: known.os, side: None }, ..Self::default() }
    }

    /// The next bytes; a line may be spread over several calls.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some(first_end) = memchr(b'\n', bytes) else { return self.keep(bytes) };
        let last_end = memrchr(b'\n', bytes).unwrap_or(first_end);
        let mut begin = 0;
        if !self.rest.is_empty() || self.is_cutting {
            self.keep(&bytes[..first_end]);
            self.end_of_rest();
            begin = first_end + 1;
        }
        if begin <= last_end {
            self.lines(&bytes[begin..=last_end]);
        }
        self.keep(&bytes[last_end + 1..]);
    }

    /// After the last byte.
    pub(super) fn ended(mut self) -> Self {
        self.end_of_rest();
        if let Some(line) = self.broken.take() {
            self.read(&line);
        }
        self.events.close();
        self.collect();
        self.asides.traces(self.events.of_servers);
        if let Some(n) = self.unanswered {
            self.kinds.count_the_only(n);
        }
        if self.answers.tool.is_some() {
            self.kinds.are_clients();
        }
        self.kinds.without_parts();
        self
    }

    /// The system that the text shows, or that is known.
    pub(super) fn os(&self) -> Option<Os> {
        let of_sockets = || self.sockets.tightest().and_then(|t| t.os);
        self.known.os.or_else(|| self.kinds.system()).or_else(of_sockets)
    }

    /// Lines that say nothing.
    pub(super) const fn other_lines(&self) -> u64 {
        self.lines.saturating_sub(self.saying).saturating_add(self.kinds.lost)
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES.saturating_sub(self.rest.len());
        self.is_cutting |= bytes.len() > room;
        self.rest.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_of_rest(&mut self) {
        let mut rest = std::mem::take(&mut self.rest);
        self.cut += u64::from(std::mem::take(&mut self.is_cutting));
        if !rest.is_empty() {
            // By the way of all lines: a text comes to the same in any pieces.
            rest.push(b'\n');
            self.lines(&rest);
        }
    }

    fn lines(&mut self, block: &[u8]) {
        self.of_containers = self.of_containers || container::shows(block);
        let mut at = 0;
        while at < block.len() {
            // The first line of a text is always read: it may be all there is.
            let is_open = self.events.is_open() || self.sockets.in_list || self.usage.is_open();
            if self.lines > 0 && !is_open && self.broken.is_none() {
                let next = lexicon().next_mark(&block[at..]).map_or(block.len(), |n| at + n);
                let start = memrchr(b'\n', &block[at..next]).map_or(at, |n| at + n + 1);
                self.pass_over(&block[at..start]);
                at = start;
                if next == block.len() {
                    self.pass_over(&block[at..]);
                    return;
                }
            }
            let end = memchr(b'\n', &block[at..]).map_or(block.len(), |n| at + n);
            self.line(&block[at..end]);
            at = end + 1;
        }
    }

    /// Counts lines that say nothing; empty ones are no lines.
    fn pass_over(&mut self, lines: &[u8]) {
        let mut start = 0;
        for end in memchr_iter(b'\n', lines) {
            self.lines += u64::from(end > start);
            start = end + 1;
        }
    }

    fn line(&mut self, bytes: &[u8]) {
        let bytes = if bytes.len() > LINE_BYTES {
            self.cut += 1;
            &bytes[..LINE_BYTES]
        } else {
            bytes
        };
        let line = printable(&String::from_utf8_lossy(bytes));
        self.lines += u64::from(!line.trim().is_empty());
        match self.broken.take() {
            Some(start) if summary::continues(&line) => {
                self.lines = self.lines.saturating_sub(1);
                return self.read(&summary::unbroken(&start, &line));
            }
            Some(start) => self.read(&start),
            None => {}
        }
        if summary::may_be_broken(&line) {
            self.broken = Some(line);
            return;
        }
        self.unanswered = summary::unanswered(&line).or(self.unanswered);
        self.read(&line);
    }

    fn read(&mut self, line: &str) {
        if self.usage.take(line) {
            return;
        }
        let is_answer = self.answers.take(line);
        self.asides.take(line);
        let said = self.sockets.take(line) || {
            let mut sightings = line::read(line, self.around);
            if self.answers.tool == Some("bombardier") {
                sightings.extend(summary::bombardier_timeout(line));
            }
            self.events.take(line, &sightings)
        };
        self.saying += u64::from(said || is_answer);
        self.collect();
    }

    fn collect(&mut self) {
        for event in self.events.done.drain(..) {
            self.kinds.add(event);
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Kinds {
    by_evidence: HashMap<Evidence, (usize, Event)>,
    lost: u64,
}

impl Kinds {
    pub(super) fn add(&mut self, event: Event) {
        let n = self.by_evidence.len();
        if n >= KINDS_MAX && !self.by_evidence.contains_key(&event.evidence) {
            self.lost = self.lost.saturating_add(event.count);
            return;
        }
        match self.by_evidence.entry(event.evidence) {
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert((n, event));
            }
            std::collections::hash_map::Entry::Occupied(mut known) => {
                let (_, known) = known.get_mut();
                let sum = known.count.saturating_add(event.count);
                known.count = if event.is_total { known.count.max(event.count) } else { sum };
            }
        }
    }

    /// The system that all events show which show one; none where they show several, as a document does.
    fn system(&self) -> Option<Os> {
        let mut shown = self.by_evidence.values().filter_map(|(_, e)| e.evidence.os);
        let first = shown.next()?;
        shown.all(|os| os == first).then_some(first)
    }

    /// A port in use is a client's in the summary of a load tool, where nothing else is said: it does not listen.
    fn are_clients(&mut self) {
        let in_use = self.by_evidence.values_mut().filter(|(_, e)| e.evidence.condition == Condition::InUse);
        for (_, event) in in_use {
            event.evidence.side = event.evidence.side.or(Some(Side::Client));
        }
    }

    /// Without what another kind of the same text says too.
    fn without_parts(&mut self) {
        let all: Vec<Condition> = self.by_evidence.keys().map(|e| e.condition).collect();
        self.by_evidence.retain(|e, _| e.condition.part_of().is_none_or(|whole| !all.contains(&whole)));
    }

    /// The only kind of a text happened as often as the text's own total says.
    fn count_the_only(&mut self, total: u64) {
        let mut all = self.by_evidence.values_mut();
        if let (Some((_, event)), None) = (all.next(), all.next())
            && event.count == 1
        {
            event.count = total;
        }
    }

    /// In the order of their first lines.
    pub(super) fn in_order(&self) -> Vec<&Event> {
        let mut all: Vec<&(usize, Event)> = self.by_evidence.values().collect();
        all.order_by_key(|(n, _)| *n);
        all.into_iter().map(|(_, e)| e).collect()
    }
}
