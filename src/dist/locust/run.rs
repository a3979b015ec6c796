//! One test of a master as the worker sees it: what was asked for, what runs, and what the master does not have yet.

use std::collections::BTreeSet;
use std::time::Duration;

use super::message::{CLASSES, Spawn};
use super::stats::Unreported;
use crate::model::order::distinct;
use crate::model::time::Stamp;

/// Characters of a class's name that are repeated to a reader.
const NAME_CHARS: usize = 80;
/// What requests in flight get at least when a test ends: the master leaves 0.5 s after a `quit`.
pub(super) const GRACE: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) spawn: Spawn,
    /// classes that it has; none before it has begun
    pub(super) known: Option<Vec<String>>,
    pub(super) unreported: Unreported,
    /// reports that may not have arrived: each with the heartbeat of this connection that was sent after it
    pub(super) sent: Vec<(u64, Unreported)>,
    /// when it has lasted as long as a run may; none once that was said
    pub(super) longest: Option<Stamp>,
    /// the master waits for `spawning_complete`
    pub(super) is_spawning: bool,
    pub(super) at_work: Vec<(String, u32)>,
    pub(super) next_report: Stamp,
    /// it is ending, for this reason
    pub(super) ending: Option<Ending>,
    /// there is nothing that must end first
    pub(super) is_idle: bool,
    /// classes that were reported as unknown, as a reader sees them
    reported: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    Silence,
    Stop,
    Signal,
    Quit,
}

impl Run {
    /// Before it has begun; the master expects a report at `next_report`.
    pub(super) fn new(spawn: Spawn, next_report: Stamp) -> Self {
        Self {
            spawn,
            known: None,
            unreported: Unreported::default(),
            sent: Vec::new(),
            longest: None,
            is_spawning: true,
            at_work: Vec::new(),
            next_report,
            ending: None,
            is_idle: false,
            reported: BTreeSet::new(),
        }
    }

    /// The users that it is to have, by the classes that it has; none while or where it has none.
    pub(super) fn wanted(&self) -> Option<Vec<(String, u32)>> {
        let known = self.known.as_ref().filter(|_| !self.is_idle)?;
        let wanted = |class: &String| self.spawn.users.iter().find(|(c, _)| c == class).map_or(0, |(_, n)| *n);
        Some(known.iter().map(|class| (class.clone(), wanted(class))).collect())
    }

    /// What is to be said of classes that it does not have: of each once.
    pub(super) fn unknown(&mut self) -> Option<String> {
        let known = self.known.as_ref()?;
        let is_unknown = |(class, n): &&(String, u32)| *n > 0 && !known.contains(class);
        let unknown = self.spawn.users.iter().filter(is_unknown).map(|(class, _)| class.chars().take(NAME_CHARS).collect());
        let new: Vec<String> = distinct(unknown.filter(|class| !self.reported.contains(class)));
        let known = known.join(", ");
        if self.reported.len() + new.len() > CLASSES {
            return None;
        }
        let first = new.first()?.clone();
        let more = if new.len() > 1 { format!(" and {} more", new.len() - 1) } else { String::new() };
        self.reported.extend(new);
        Some(format!("class {first}{more}: not one of this worker's: {known}; sockbench locustfile prints classes that are"))
    }

    /// What requests in flight get at its end. Locust's own worker waits as long at a `quit`, though the master leaves 0.5 s
    /// after it; a signal and a master that is gone wait for nobody.
    pub(super) fn grace(&self, ending: Ending) -> Duration {
        match ending {
            Ending::Stop | Ending::Quit => self.spawn.stop_timeout.max(GRACE),
            Ending::Silence | Ending::Signal => GRACE,
        }
    }

    /// Whether reports are sent while it lasts: until it ends, and once more where the master has said `quit`.
    pub(super) fn reports(&self) -> bool {
        matches!(self.ending, None | Some(Ending::Quit))
    }

    /// Reports that may not have arrived go with the next one.
    pub(super) fn take_back(&mut self) {
        for (_, lost) in std::mem::take(&mut self.sent) {
            self.unreported.put_back(&lost);
        }
    }

    /// By class, as the master asked for them; those at work.
    pub(super) fn users(&self) -> Vec<(String, u32)> {
        let at_work = |class: &String| self.at_work.iter().find(|(c, _)| c == class).map_or(0, |(_, n)| *n);
        self.spawn.users.iter().map(|(class, _)| (class.clone(), at_work(class))).collect()
    }
}
