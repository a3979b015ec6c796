//! The stamp of a run: whether its figures are what was asked for, and every reason why not.

use super::finding::{Finding, FindingId};

/// The reason of a run that somebody ended. Documents of earlier versions have this text only.
pub const STOPPED: &str = "stopped before its planned end";

/// The reasons of a run without latencies.
pub const NOT_STARTED: &str = "no request was started";
/// See [`NOT_STARTED`].
pub const UNANSWERED: &str = "no request was answered";
/// See [`NOT_STARTED`].
pub const EVERY_ANSWER_FAILED: &str = "every answer was an error";

/// Whether the figures are what was asked for; the decisive ones first.
#[apply(kebab_case)]
#[derive(strum::EnumString)]
pub enum RunStamp {
    /// local ports ran out
    PortBound,
    /// the client was the limit
    ClientBound,
    /// stopped early, or fell short of what was asked
    Incomplete,
    /// none of these
    Valid,
}

words!(RunStamp);

/// The stamp and all reasons; the stamp is the first that applies in the order of [`RunStamp`].
#[apply(record)]
#[allow(missing_docs, reason = "contract keys")]
pub struct Validity {
    pub stamp: RunStamp,
    pub reasons: Vec<String>,
    /// additive: what each of the reasons is about, in their order; empty in documents of earlier versions
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Doubt>,
    /// additive: somebody ended the run before its planned end; absent where nobody did
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
}

impl Validity {
    /// A stamp with these reasons.
    pub fn new(stamp: RunStamp, reasons: Vec<(Doubt, String)>) -> Self {
        let (kinds, reasons) = reasons.into_iter().unzip();
        Self { stamp, reasons, kinds, stopped: false }
    }

    /// Gives the reasons of a document of an earlier version, which has their texts only, their kinds. `findings` are those of the
    /// document; of merged runs each reason begins with the name of a machine.
    pub(super) fn recover_kinds(&mut self, findings: &[Finding], is_merged: bool) {
        let kind = |reason: &String| {
            if is_merged {
                return Doubt::Machines;
            }
            findings.iter().find(|f| f.title == *reason).map_or_else(|| by_text(reason), |f| Doubt::Finding(f.id))
        };
        let later = self.reasons.iter().skip(self.kinds.len()).map(kind);
        self.kinds.extend(later.collect::<Vec<_>>());
    }

    /// The reasons with what they are about; none where an earlier version did not record it.
    pub fn doubts(&self) -> impl Iterator<Item = (Option<Doubt>, &str)> {
        let kinds = self.kinds.iter().copied().map(Some).chain(std::iter::repeat(None));
        kinds.zip(self.reasons.iter().map(String::as_str))
    }
}

/// What a reason is about that is not the title of a finding.
fn by_text(reason: &str) -> Doubt {
    match reason {
        STOPPED => Doubt::Stopped,
        NOT_STARTED => Doubt::NotStarted,
        UNANSWERED => Doubt::Unanswered,
        EVERY_ANSWER_FAILED => Doubt::OnlyErrors,
        _ if reason.starts_with("ended after ") => Doubt::EndedEarly,
        _ if reason.starts_with("asked for the target to close first") => Doubt::NotClosedByTarget,
        _ if reason.ends_with(" had a connection at the same time") => Doubt::FewerUsers,
        _ if reason.contains(" could not begin: ") || reason.contains(" failures of this machine ") => Doubt::OwnFailures,
        _ => Doubt::Unrecorded,
    }
}

/// What a reason against the stamp `valid` is about.
#[apply(kebab_case)]
pub enum Doubt {
    /// a finding: the reason is its title
    Finding(FindingId),
    /// failures of this machine
    OwnFailures,
    /// the run was shorter than planned, or made fewer requests
    EndedEarly,
    /// somebody ended it
    Stopped,
    /// no request was started
    NotStarted,
    /// no request was answered
    Unanswered,
    /// every answer was an error
    OnlyErrors,
    /// fewer users had a connection at the same time than were asked for
    FewerUsers,
    /// the target was to close connections first, and did not
    NotClosedByTarget,
    /// merged runs: a machine, or what is missing of one
    Machines,
    /// stored by a version that did not record it, and none of the texts that are known
    Unrecorded,
}
