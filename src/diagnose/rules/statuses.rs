//! The rule about statuses of 400 and above, and failures at the target that no other rule names.

use super::capacity::more_workers;
use super::lighter::round_rate;
use super::prelude::*;
use super::status_class::{Class, Step};
use super::target::{alone, evidence, hidden, in_part, less_load};
use super::unfinished::one_by_hand;
use crate::model::order::distinct;
use crate::model::outcome::{Failure, Party, status_words};
use crate::model::time::per_second;
use crate::remedy::software::error_log;

pub(in crate::diagnose) fn errors(run: &RunResult, _: &Indicators) -> Ruling {
    let rows = Rows::are(run, |kind| matches!(kind, Kind::Status | Kind::OtherAtTarget));
    let Some(row) = rows.largest() else { return hidden(run, FailureSide::Target) };
    let course = Course::of(run, &rows);
    let of_all = rows.count() as f64 / run.totals.requests.max(1) as f64;
    let class = row.failure().and_then(Failure::status).and_then(Class::of);
    let whole = class.is_some() && is_whole(run, row);
    let mut text = format!("{} of the requests failed: {} at {}. ", share(of_all), rows.in_words(), rows.endpoints());
    if let Some(meanwhile) = course.share.filter(|_| course.is_part()) {
        text += &format!("They came{}: {} of the requests of that time. ", course.in_words(), share(meanwhile));
    }
    text += match (class, row.party) {
        (Some(class), _) => class.meaning(whole),
        (None, Party::Path) => "No answer came: the path to the target failed.",
        (None, Party::TargetMachine) => "No answer came: the target's machine refused.",
        (None, _) => "No answer came: call and errno name what failed.",
    };
    let turn = Turn::of(run, &rows, &course);
    if let Some(turn) = turn {
        text += &format!(" {}", turn.meaning());
    }
    let onset = class.filter(|class| class.can_be_of_the_load() && turn.is_none());
    if let Some(onset) = onset.and_then(|_| Onset::of(run, &course, whole)) {
        text += &format!(" {}", onset.meaning());
    }
    let limits = rows.0.iter().find_map(|row| row.limit_fields.as_deref());
    if let Some(fields) = limits {
        text += &format!(" It says when: {fields}.");
    }
    let against = Against { run, row, rows: &rows, share: of_all };
    let remedies = against.remedies(class.map_or(&[Step::ByHand, Step::Alone], |class| class.steps(whole)));
    Ok(in_part(evidence(Found::new(title(run, &rows, &course, turn), text), &rows), &course)
        .with("share", of_all)
        .with("every_nth", turn.map(|turn| turn.every))
        .with("name", name_of(row).into_owned())
        .with("limit_fields", limits.map(str::to_owned))
        .with("endpoints", rows.endpoints())
        .remedies(remedies))
}

/// Which status, since when, and its share of the answers.
fn title(run: &RunResult, rows: &Rows<'_>, course: &Course, turn: Option<Turn>) -> String {
    let when = course.in_words();
    let statuses = distinct(rows.0.iter().map(|row| row.failure().and_then(Failure::status)));
    let answers = (run.totals.requests - run.totals.failures.min(run.totals.requests)).saturating_add(rows.count());
    let part = share(rows.count() as f64 / answers.max(1) as f64);
    let many = format!("{part} of {}", counted(answers, "answer"));
    match statuses[..] {
        [Some(status)] => {
            let what = status_words(status);
            if rows.count() >= answers {
                format!("every answer was {what}: {} in all", count(answers))
            } else if let Some(turn) = turn {
                format!("{} was {what}: {}", turn.in_words("answer"), turn.counted())
            } else if course.is_part() && course.share.is_some_and(|share| share >= ALL_SHARE) {
                format!("every answer{when} was {what}: {many}")
            } else {
                format!("{many} were {what}{}", course.all_in_words())
            }
        }
        _ if statuses.contains(&None) => {
            format!("{} failed at the target{when}: {}", counted(rows.count(), "request"), rows.in_words())
        }
        _ => format!("{many} were errors{}: {}", course.all_in_words(), rows.in_words()),
    }
}

/// No answer of this row's endpoint had another status.
fn is_whole(run: &RunResult, row: &ErrorRow) -> bool {
    let same = Rows::of(run, |e| (e.call, e.cause, &e.endpoint) == (row.call, row.cause, &row.endpoint)).count();
    run.endpoints.iter().filter(|e| e.name == row.endpoint).all(|e| e.status.values().sum::<u64>() <= same)
}

/// What the load was when a status came first.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Onset {
    /// from the first request on, with so many users
    FromTheFirst { users: u32 },
    /// with one user, who is no load
    OfOne,
    /// while users were being added
    AsUsersRose { at_s: f64, users: u32, of: u32 },
    /// in mid-run, and the users were as many as before
    InMidRun { at_s: f64 },
}

/// Users that were added so many seconds before the first failure can have brought it.
const ROSE_S: f64 = 2.0;

impl Onset {
    /// None where the run has no seconds, or an open loop's rate is what rises.
    fn of(run: &RunResult, course: &Course, whole: bool) -> Option<Self> {
        let users_at = |t_s: f64| run.series.iter().find(|p| p.t_s > t_s).or(run.series.last()).map(|p| p.users_asked);
        let most = run.series.iter().map(|p| p.users_asked).max()?;
        if most <= 1 {
            return Some(Self::OfOne);
        }
        let Some(at_s) = course.since_s else {
            return whole.then_some(Self::FromTheFirst { users: users_at(0.0)? });
        };
        if run.plan.is_open_loop() {
            return None;
        }
        let (before, users) = (users_at((at_s - ROSE_S).max(0.0))?, users_at(at_s)?);
        let rises = users > before || (users < most && users > users_at(0.0)?);
        Some(if rises { Self::AsUsersRose { at_s, users, of: most } } else { Self::InMidRun { at_s } })
    }

    fn meaning(self) -> String {
        match self {
            Self::OfOne => "It came with 1 user: load is not the cause.".into(),
            Self::FromTheFirst { users } => {
                format!("It came from the first request on, with {}: load is hardly the cause.", counted(users, "user"))
            }
            Self::AsUsersRose { at_s, users, of } => {
                format!("It began at {}, as users rose to {} of {of}: load is the likely cause.", seconds(at_s), count(users))
            }
            Self::InMidRun { at_s } => {
                format!("It began at {}, and the load was the same before: something else changed.", seconds(at_s))
            }
        }
    }
}

/// What to do about one class of status, in the order of its table.
struct Against<'a> {
    run: &'a RunResult,
    row: &'a ErrorRow,
    rows: &'a Rows<'a>,
    share: f64,
}

impl Against<'_> {
    fn remedies(&self, steps: &[Step]) -> Vec<Remedy> {
        steps.iter().flat_map(|step| self.step(*step)).collect()
    }

    fn step(&self, step: Step) -> Vec<Remedy> {
        let Self { run, row, .. } = *self;
        match step {
            Step::ByHand => vec![self.by_hand()],
            Step::Root => self.root().into_iter().collect(),
            Step::Host => self.host().into_iter().collect(),
            Step::Credentials => self.credentials().into_iter().collect(),
            Step::Methods => vec![self.methods()],
            Step::Log => vec![self.log("the target's log")],
            Step::ProxyLog => vec![self.log("the proxy's log and that of the server behind it")],
            Step::Behind => vec![self.behind()],
            Step::Room => take_more(run, row),
            Step::Accepted => vec![self.accepted()],
            Step::Alone => self.alone().into_iter().collect(),
        }
    }

    fn by_hand(&self) -> Remedy {
        advice(
            "send one by hand",
            format!("curl -i {}", one_by_hand(self.run, &self.row.endpoint)),
            format!("{} without load: then it is not the load", name_of(self.row)),
        )
    }

    fn alone(&self) -> Option<Remedy> {
        let now = format!("it was {} with {}", share(self.share), counted(self.run.plan.users, "user"));
        alone(self.run, format!("the same share of errors is not the load's: {now}"))
    }

    /// None where `/` was asked for.
    fn root(&self) -> Option<Remedy> {
        (self.row.endpoint != "/").then(|| {
            advice(
                "see whether the target has a page at /",
                format!("curl -i {}", quoted(&self.run.plan.url_of("/"))),
                format!(
                    "another status than {}: the path {} is wrong; the same: the Host is",
                    name_of(self.row),
                    self.row.endpoint
                ),
            )
        })
    }

    /// None where the run names a site already.
    fn host(&self) -> Option<Remedy> {
        let named = self.run.plan.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        (!named).then(|| {
            let command = load_with(&self.run.plan, |p| p.headers.push(("Host".into(), "NAME".into())));
            advice("name the site, where the target serves several", command, format!("no {}", name_of(self.row)))
        })
    }

    /// None where the run sends some: only those who know them can correct them.
    fn credentials(&self) -> Option<Remedy> {
        let (name, value) = match self.row.failure().and_then(Failure::status) {
            Some(407) => ("Proxy-Authorization", "Basic BASE64"),
            _ => ("Authorization", "Bearer TOKEN"),
        };
        let sent = |field: &str| self.run.plan.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(field));
        (!sent(name) && !sent("Cookie")).then(|| {
            let command = load_with(&self.run.plan, |p| p.headers.push((name.into(), value.into())));
            advice("send credentials (or -H 'Cookie: NAME=VALUE')", command, format!("no {}", name_of(self.row)))
        })
    }

    fn methods(&self) -> Remedy {
        let url = quoted(&self.run.plan.url_of(&self.row.endpoint));
        let change = Some("curl -I -X OPTIONS URL".to_owned());
        advice(
            "see which methods it accepts, and use one with -X",
            Command { line: format!("curl -I -X OPTIONS {url}"), change },
            format!("its field Allow names them; {} is not among them", self.row.method),
        )
    }

    fn log(&self, whose: &str) -> Remedy {
        let Self { run, row, rows, .. } = *self;
        let name = run.resources.target.as_ref().map_or("", |t| t.name.as_str());
        let command = error_log(name).map_or_else(|| log_since(run, rows.first_s()), |file| format!("tail -n 50 {file}"));
        advice(
            format!("read {whose} for {} {}, from {} of the run on", row.method, row.endpoint, seconds(rows.first_s())),
            command,
            format!("why {} of the requests failed", share(self.share)),
        )
    }

    fn behind(&self) -> Remedy {
        let path = &self.row.endpoint;
        advice(
            "ask the server behind the proxy, without it",
            format!("curl -i {}", quoted(&format!("http://UPSTREAM{path}"))),
            "no answer, or a late one: that server is the cause; a quick one: the proxy's timeout or its limit of connections",
        )
    }

    /// The rate that was accepted; where none was, one request later.
    fn accepted(&self) -> Remedy {
        let run = self.run;
        let accepted = per_second(run.totals.requests.saturating_sub(run.totals.failures), run.duration_s);
        if accepted < LEAST_RATE {
            let once = load_with(&run.plan, |p| (p.users, p.rate, p.requests, p.duration) = (1, 0.0, 1, Duration::ZERO));
            return advice("wait until the limit is over, then try one request", once, "answered: the limit is one of a time");
        }
        let slower = round_rate(accepted);
        advice(
            format!("ask for what it accepted: {} req/s", rate(slower)),
            load_with(&run.plan, |p| p.rate = slower),
            format!("hardly a {}: it accepted {} req/s", name_of(self.row), rate(accepted)),
        )
    }
}

/// A rate that can be asked for.
const LEAST_RATE: f64 = 0.1;

/// Against a full queue or a rate limit.
fn take_more(run: &RunResult, row: &ErrorRow) -> Vec<Remedy> {
    let mut remedies = Vec::new();
    if Pool::of(run, &row.endpoint).is_some() {
        let queue = own_flags(run).and_then(|f| f.queue).unwrap_or(limits::QUEUE) as u32;
        let longer = queue.max(run.plan.users / 2).saturating_mul(2);
        let longer_queue = advice(
            "give its pools a longer queue: requests wait instead of getting 503",
            serve_with(run, |f| f.queue = Some(longer as usize)),
            format!("503 only when {} wait in a pool", counted(longer, "job")),
        );
        // A queue shorter than the users refuses some of them however fast the workers are.
        let is_short = queue < run.plan.users;
        remedies.extend(is_short.then(|| longer_queue.clone()));
        remedies.extend(more_workers(run, &row.endpoint));
        remedies.extend((!is_short).then_some(longer_queue));
    }
    remedies.push(less_load(run, "none refused below the target's limit".into()));
    remedies
}
