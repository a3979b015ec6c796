//! How a command is stopped: asked once, then what it leaves behind, and ended by SIGKILL where that does not help.

use std::collections::HashSet;

/// A command that was asked has this long to write its summary.
const COMMAND_S: f64 = 30.0;
/// What it left behind has this long to end.
const LEFT_S: f64 = 2.0;
/// What SIGKILL has not ended this long after the command is left: it sleeps in the kernel.
const PATIENCE_S: f64 = 10.0;
/// Signals that are nearer together are one wish: a supervisor signals the process, then its group.
const APART_S: f64 = 1.0;

const TERM: i32 = 15;
const KILL: i32 = 9;

/// A stop from its beginning to the end of the last process. Times are seconds on one clock.
#[derive(Debug, Default)]
pub struct Stopping {
    began: Option<Began>,
    /// when somebody asked first, the time limit excepted
    asked_s: Option<f64>,
    /// somebody asked twice
    at_once: bool,
    /// when the command was first seen to have ended
    ended_s: Option<f64>,
    /// each is asked once: to many programs a second signal means "at once"
    told: HashSet<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Began {
    at_s: f64,
    signal: i32,
    /// every process in the foreground got it from the terminal
    from_terminal: bool,
}

impl Stopping {
    /// Somebody asks. The second time nothing is asked any more.
    pub fn on_signal(&mut self, now_s: f64, signal: i32, from_terminal: bool) {
        match self.asked_s {
            Some(first_s) => self.at_once |= now_s - first_s >= APART_S,
            None => self.asked_s = Some(now_s),
        }
        self.began.get_or_insert(Began { at_s: now_s, signal, from_terminal });
    }

    /// The time of the watch is over.
    pub fn on_time_limit(&mut self, now_s: f64) {
        self.began.get_or_insert(Began { at_s: now_s, signal: TERM, from_terminal: false });
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.began.is_some()
    }

    /// Whom to send which signal now: `command` is its process where it runs, `all` are all that run.
    pub fn signals(&mut self, now_s: f64, command: Option<u32>, all: &[u32]) -> Vec<(u32, i32)> {
        let Some(began) = self.began else { return Vec::new() };
        let (told_s, limit_s) = if let Some(pid) = command {
            // At a terminal somebody can ask again.
            if !self.at_once && (began.from_terminal || now_s - began.at_s < COMMAND_S) {
                let is_due = !began.from_terminal && self.told.insert(pid);
                return is_due.then_some((pid, began.signal)).into_iter().collect();
            }
            (0.0, 0.0)
        } else {
            let ended_s = *self.ended_s.get_or_insert(now_s);
            // Whoever got the signal from the terminal is ending by itself.
            let told_s = if began.from_terminal { ended_s + LEFT_S } else { ended_s };
            (told_s, told_s + LEFT_S)
        };
        if self.at_once || now_s >= limit_s {
            let rest = command.filter(|pid| !all.contains(pid));
            return all.iter().copied().chain(rest).map(|pid| (pid, KILL)).collect();
        }
        // A shell's jobs in the background ignore SIGINT.
        let due = all.iter().copied().filter(|pid| now_s >= told_s && self.told.insert(*pid));
        due.map(|pid| (pid, TERM)).collect()
    }

    /// Whether what still runs after the command is left to itself.
    pub fn has_given_up(&self, now_s: f64) -> bool {
        self.ended_s.is_some_and(|ended| now_s - ended >= PATIENCE_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: Option<u32> = Some(7);

    #[test]
    fn the_command_is_asked_once_then_what_it_left_and_then_all_are_ended() {
        let mut s = Stopping::default();
        assert_eq!(s.signals(1.0, COMMAND, &[7, 8]), []);
        s.on_signal(2.0, 2, false);
        assert_eq!(s.signals(2.0, COMMAND, &[7, 8]), [(7, 2)]);
        assert_eq!(s.signals(2.1, COMMAND, &[7, 8]), []);
        assert_eq!(s.signals(3.0, None, &[8]), [(8, TERM)]);
        assert_eq!(s.signals(3.5, None, &[8, 9]), [(9, TERM)], "a new one");
        assert_eq!(s.signals(5.0, None, &[8]), [(8, KILL)], "the command's pid may be another process's by now");
        assert!(!s.has_given_up(12.9) && s.has_given_up(13.0));
    }

    #[test]
    fn a_command_that_ignores_the_time_limit_is_ended() {
        let mut s = Stopping::default();
        s.on_time_limit(10.0);
        assert_eq!(s.signals(10.0, COMMAND, &[7, 8]), [(7, TERM)]);
        assert_eq!(s.signals(39.9, COMMAND, &[7, 8]), []);
        assert_eq!(s.signals(40.0, COMMAND, &[7, 8]), [(7, KILL), (8, KILL)]);
    }

    #[test]
    fn two_wishes_are_a_second_apart_and_the_time_limit_is_none() {
        let mut s = Stopping::default();
        s.on_time_limit(10.0);
        s.signals(10.0, COMMAND, &[7]);
        s.on_signal(12.0, 2, true);
        s.on_signal(12.1, TERM, false);
        assert_eq!(s.signals(12.2, COMMAND, &[7]), []);
        s.on_signal(13.0, 2, true);
        assert_eq!(s.signals(13.0, COMMAND, &[7]), [(7, KILL)]);
        assert_eq!(s.signals(13.1, None, &[8]), [(8, KILL)]);
    }

    #[test]
    fn what_the_terminal_has_signalled_is_left_to_end_by_itself_for_a_while() {
        let mut s = Stopping::default();
        s.on_signal(1.0, 2, true);
        assert_eq!(s.signals(90.0, COMMAND, &[7, 8]), [], "a long summary");
        assert_eq!(s.signals(91.0, None, &[8]), []);
        assert_eq!(s.signals(93.0, None, &[8]), [(8, TERM)]);
        assert_eq!(s.signals(95.0, None, &[8]), [(8, KILL)]);
    }
}
