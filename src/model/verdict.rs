//! The verdict of a run: one id for all kinds of runs, and the sentence that a report begins with.

/// The kinds of verdict, one list for all commands.
#[apply(kebab_case)]
#[derive(Default, strum::EnumString, strum::VariantNames)]
pub enum VerdictId {
    /// no limit was reached
    Healthy,
    /// this machine's source ports ran out, or were in use
    PortBound,
    /// this machine's file descriptors ran out
    FdBound,
    /// the load generator itself was the limit
    ClientBound,
    /// other programs took the CPU
    HostBound,
    /// the target is saturated
    TargetBound,
    /// the target fails: errors, resets, timeouts, hangs, malformed answers
    TargetFailing,
    /// the target went away, or was never there
    TargetGone,
    /// the facts do not say
    #[default]
    Undecided,
}

words!(VerdictId);

/// The verdict, in the result and as the first line of every report.
#[apply(sparse)]
#[derive(Default)]
pub struct Verdict {
    /// which
    pub id: VerdictId,
    /// the headline: one sentence that is true; empty before the diagnosis
    pub sentence: String,
    /// additive: the sentence as a report begins that says its last figures in lines of their own; absent where that is all
    /// of it
    pub short: Option<String>,
    /// additive, merged runs: the machines that the sentence is about, which it begins with, before a colon; absent where
    /// it is about all
    pub who: Option<String>,
    /// seconds from the run's start until it became so; absent where it was so from the start or the time is not known
    pub since_s: Option<f64>,
}

impl Verdict {
    /// One that says so, with no time.
    pub fn new(id: VerdictId, sentence: impl Into<String>) -> Self {
        Self { id, sentence: sentence.into(), ..Self::default() }
    }

    /// Of a merged run stored by an earlier version: the `machines` that the sentence begins with, as [`Self::who`] has them.
    pub(super) fn recover_who(&mut self, machines: &[&str]) {
        let Some(first) = machines.first().filter(|_| self.who.is_none()) else { return };
        let all = format!("all {} machines (first {first})", machines.len());
        let further = format!(" more of {} machines", machines.len());
        let is_who = |text: &str| {
            let counted = text.strip_suffix(&further).and_then(|named| named.rsplit_once(" and "));
            let named = counted.filter(|(_, more)| more.parse::<usize>().is_ok()).map_or(text, |(named, _)| named);
            text == all || named.split(", ").all(|name| machines.contains(&name))
        };
        let ends = self.sentence.match_indices(": ").map(|(at, _)| &self.sentence[..at]);
        self.who = ends.into_iter().find(|text| is_who(text)).map(str::to_owned);
    }

    /// The same with more at the end of its sentence.
    #[must_use]
    pub fn with_end(self, end: &str) -> Self {
        let longer = |text: String| text + end;
        Self { sentence: longer(self.sentence), short: self.short.map(longer), ..self }
    }
}
