//! The rule about statuses of 400 and above, and failures at the target that no other rule names.

use super::capacity::more_workers;
use super::lighter::round_rate;
use super::prelude::*;
use super::status_class::{Class, Step};
use super::target::{alone, evidence, hidden, in_part, less_load};
use super::unfinished::one_by_hand;
use crate::model::order::distinct;
use crate::model::outcome::{Failure, Party, status_words};
use crate::remedy::software::error_log;

pub(in crate::diagnose) fn errors(run: &RunResult, _: &Indicators) -> Ruling {
    let rows = Rows::are(run, |kind| matches!(kind, Kind::Status | Kind::OtherAtTarget));
    let Some(row) = rows.largest() else { return hidden(run, FailureSide::Target) };
    let course = Course::of(run, &rows);
    let of_all = rows.count() as f64 / run.totals.requests.max(1) as f64;
    let class = row.failure().and_then(Failure::status).and_then(Class::of);
    let whole = class.is_some_and(|class| is_whole(run, row) && !(class == Class::Unavailable && has_taken_some(run, row)));
    let mut text = format!("{} of the requests failed: {} at {}. ", share(of_all), rows.in_words(), rows.endpoints());
    if let Some(meanwhile) = course.share.filter(|_| course.is_part()) {
        text += &format!("They came{}: {} of the requests of that time. ", course.in_words(), share(meanwhile));
    }
    text += match (class, row.party) {
        (Some(Class::Address), _) if whole && own_flags(run).is_some() => {
            "The server of this run has nothing at this path: it is the address that was asked for, not the load."
        }
        (Some(class), _) => class.meaning(whole),
        (None, Party::Path) => "No answer came: the path to the target failed.",
        (None, Party::TargetMachine) => "No answer came: the target's machine refused.",
        (None, _) => "No answer came: call and errno name what failed.",
    };
    let turn = Turn::of(run, &rows, &course);
    if let Some(turn) = turn {
        text += &format!(" {}", turn.meaning());
    }
    let onset = class.filter(|class| class.can_be_of_the_load(whole) && turn.is_none());
    if let Some(onset) = onset.and_then(|_| Onset::of(run, row, &rows, whole)) {
        text += &format!(" {}", onset.meaning());
    }
    let limits = rows.0.iter().find_map(|row| row.limit_fields.as_deref());
    if let Some(fields) = limits {
        text += &format!(" It says when: {fields}.");
    }
    let against = Against { run, row, same: like(run, row), share: of_all, at_times: class.is_some() && !whole };
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

/// The rows of this one's status, method and endpoint.
fn like<'a>(run: &'a RunResult, row: &ErrorRow) -> Rows<'a> {
    Rows::of(run, |e| (e.call, e.cause, &e.method, &e.endpoint) == (row.call, row.cause, &row.method, &row.endpoint))
}

/// The endpoint of this row.
fn endpoint_of<'a>(run: &'a RunResult, row: &ErrorRow) -> Option<&'a Endpoint> {
    run.endpoints.iter().find(|e| (&e.method, &e.name) == (&row.method, &row.endpoint))
}

/// No answer of this row's endpoint had another status.
fn is_whole(run: &RunResult, row: &ErrorRow) -> bool {
    let same = like(run, row).count();
    endpoint_of(run, row).is_none_or(|e| e.status.values().sum::<u64>() <= same)
}

/// Requests were taken, and had no answer yet: they timed out, or waited at the end for longer than any that was refused.
fn has_taken_some(run: &RunResult, row: &ErrorRow) -> bool {
    let refused_ms = run.totals.failed_latency_ms.map_or(0.0, |l| l.max).max(LATE_MS);
    let waits = run.totals.in_flight.is_some_and(|f| f.waited_max_ms > refused_ms);
    waits || !Rows::of(run, |e| e.endpoint == row.endpoint && Kind::of(e) == Kind::AnswerTimeout).is_empty()
}

/// A request in flight for less may be an ordinary one.
const LATE_MS: f64 = 1000.0;

/// What the load was when a status came first.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Onset {
    /// from the first request on, with so many users
    FromTheFirst { users: u32 },
    /// the same with one user
    OfOne,
    /// while users were being added
    AsUsersRose { at_s: f64, users: u32, of: u32 },
    /// in mid-run, and the users were as many as before, or more before
    InMidRun { at_s: f64, were_more: bool },
}

/// Users that were added so many seconds before the first failure can have brought it; in a slow ramp those that came last, for
/// so many at the most.
const ROSE_S: (f64, f64) = (2.0, 10.0);

impl Onset {
    /// None for an open loop, whose rate is its load and whose users are places for connections, where the run has no seconds, and
    /// where the first moment had good answers too: a limit takes a moment to be reached, however small the load.
    fn of(run: &RunResult, row: &ErrorRow, rows: &Rows<'_>, whole: bool) -> Option<Self> {
        if run.plan.is_open_loop() {
            return None;
        }
        let users_at = |t_s: f64| run.series.iter().find(|p| p.t_s > t_s).or(run.series.last()).map(|p| p.users_asked);
        let most = run.series.iter().map(|p| p.users_asked).max()?;
        // A failure is seen when its answer comes, and was sent before.
        let whole_ms = endpoint_of(run, row).and_then(|e| e.all_latency_ms).filter(|_| whole);
        let waited = whole_ms.or(run.totals.failed_latency_ms);
        let (least_s, waited_s) = waited.map_or((0.0, 0.0), |l| (l.min / 1000.0, l.p50 / 1000.0));
        let Some(at_s) = Course::after(run, rows, waited_s).since_s else {
            let users = users_at(0.0).filter(|_| whole)?;
            return Some(if most <= 1 { Self::OfOne } else { Self::FromTheFirst { users } });
        };
        let sent_s = at_s + (waited_s - least_s).max(0.0);
        let (before, users) = (users_at((at_s - look_back(run, sent_s)).max(0.0))?, users_at(sent_s)?);
        Some(if users > before {
            Self::AsUsersRose { at_s: sent_s, users, of: most }
        } else {
            Self::InMidRun { at_s, were_more: users < before }
        })
    }

    fn meaning(self) -> String {
        match self {
            Self::OfOne => "It came from the first request on, with 1 user: load is not the cause.".into(),
            Self::FromTheFirst { users } => {
                format!("It came from the first request on, with {}: load is hardly the cause.", counted(users, "user"))
            }
            Self::AsUsersRose { at_s, users, of } => {
                format!("It began at {}, as users rose to {} of {of}: load is the likely cause.", seconds(at_s), count(users))
            }
            Self::InMidRun { at_s, were_more } => {
                let number = if were_more { "higher" } else { "the same" };
                format!(
                    "It began at {}, and the number of users was {number} before: something ran full over time, or something else \
                     changed.",
                    seconds(at_s)
                )
            }
        }
    }
}

/// How long before `at_s` users that were added can have brought what began then: the next one was not due yet.
fn look_back(run: &RunResult, at_s: f64) -> f64 {
    let (least, most) = ROSE_S;
    let rises = run.series.windows(2).filter(|p| p[1].users_asked > p[0].users_asked && p[0].t_s <= at_s).map(|p| p[0].t_s);
    let (last, one_before) = rises.fold((f64::NAN, f64::NAN), |(last, _), t_s| (t_s, last));
    // Where users were added less than twice, no time lies between.
    (last - one_before).max(least).min(most)
}

/// What to do about one class of status, in the order of its table.
struct Against<'a> {
    run: &'a RunResult,
    row: &'a ErrorRow,
    /// all rows of its status, method and endpoint
    same: Rows<'a>,
    /// of all failures
    share: f64,
    /// other answers to the same request were good
    at_times: bool,
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
            if self.at_times {
                // What ran full, or a quota that is used up, stays so after the load.
                format!("{} without load too: it needs no load at that moment", name_of(self.row))
            } else {
                format!("{} without load: then it is not the load", name_of(self.row))
            },
        )
    }

    /// One user asks as fast as he is answered, which is a load too.
    fn alone(&self) -> Option<Remedy> {
        let now = format!("it was {} with {}", share(self.share), counted(self.run.plan.users, "user"));
        let says = if self.at_times { "does not need many users at once" } else { "is not the load's" };
        alone(self.run, format!("the same share of errors {says}: {now}"))
    }

    /// The same request of `/`, where that was not asked for; what there is where the run has its own server.
    fn root(&self) -> Option<Remedy> {
        let Self { run, row, .. } = *self;
        if own_flags(run).is_some() {
            let mix = ["/health", "/io", "/cpu"].map(|path| MixEntry { path: path.into(), weight: 1 });
            let command = load_with(&run.plan, |p| p.mix = mix.into());
            return Some(advice("ask for what its server has: /health, /io, /cpu", command, format!("no {}", name_of(row))));
        }
        let entry = MixEntry { path: row.endpoint.clone(), weight: 1 };
        let (host, path) = entry.host_and_path(&run.plan.target.authority);
        (path.split('?').next() != Some("/")).then(|| {
            let root = MixEntry { path: "/".into(), weight: 1 }.as_url(host).path;
            let name = name_of(row);
            advice(
                "see whether the target has a page at /",
                format!("curl -i {}", one_by_hand(run, &root)),
                format!("another answer: the path {} is wrong; {name} too says nothing more", row.endpoint),
            )
        })
    }

    /// None where the run names a site already: by a Host field, or by its URL.
    fn host(&self) -> Option<Remedy> {
        let plan = &self.run.plan;
        let entry = MixEntry { path: self.row.endpoint.clone(), weight: 1 };
        let by_field = plan.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        let is_named = by_field || entry.is_url() || plan.target.host.parse::<std::net::IpAddr>().is_err();
        (!is_named && own_flags(self.run).is_none()).then(|| {
            let command = load_with(plan, |p| p.headers.push(("Host".into(), "NAME".into())));
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
        let Self { run, row, ref same, .. } = *self;
        let (method, path, first_s) = (&row.method, &row.endpoint, same.first_s());
        let name = run.resources.target.as_ref().map_or("", |t| t.name.as_str());
        let (action, command) = match error_log(name) {
            Some(file) => (format!("read the last lines of {whose} for {method} {path}"), format!("tail -n 50 {file}")),
            None => {
                (format!("read {whose} for {method} {path}, from {} of the run on", seconds(first_s)), log_since(run, first_s))
            }
        };
        let part = share(same.count() as f64 / run.totals.requests.max(1) as f64);
        advice(action, command, format!("why {part} of the requests were {}", name_of(row)))
    }

    fn behind(&self) -> Remedy {
        let path = &self.row.endpoint;
        advice(
            "ask the server behind the proxy, without it",
            format!("curl -i {}", quoted(&format!("http://UPSTREAM{path}"))),
            "no answer, or a late one: that server is the cause; a quick one: the proxy's timeout or its limit of connections",
        )
    }

    /// The rate that was accepted all along; where none was, one request later.
    fn accepted(&self) -> Remedy {
        let Self { run, row, .. } = *self;
        let Some(accepted) = self.accepted_rate().filter(|rate| *rate >= LEAST_RATE) else {
            let once = load_with(&run.plan, |p| {
                (p.users, p.rate, p.requests, p.duration) = (1, 0.0, 1, Duration::ZERO);
                if p.mix.iter().any(|entry| entry.path == row.endpoint) {
                    p.mix.retain(|entry| entry.path == row.endpoint);
                }
            });
            return advice("wait until the limit is over, then try one request", once, "answered: the limit is per period");
        };
        let slower = round_rate(accepted);
        advice(
            format!("ask for what it accepted: {} req/s", rate(slower)),
            load_with(&run.plan, |p| p.rate = slower),
            format!("hardly a {}: it accepted {} req/s", name_of(row), rate(accepted)),
        )
    }

    /// The rate of all requests at which the row's endpoint gets as many as it accepted while it refused others, requests per
    /// second. None where nothing was accepted in some of that time: a quota for a longer period was used up.
    fn accepted_rate(&self) -> Option<f64> {
        let Self { run, row, ref same, .. } = *self;
        let of_it = endpoint_of(run, row).map_or(run.totals.requests, |e| e.requests).max(same.count());
        let part = of_it as f64 / run.totals.requests.max(1) as f64;
        // What came before the first refusal can be a store that is empty now.
        let starts = std::iter::once(0.0).chain(run.series.iter().map(|p| p.t_s));
        let then = || starts.clone().zip(&run.series).filter(|(from_s, p)| *from_s >= same.first_s() && p.t_s <= run.duration_s);
        let rates: Vec<f64> = then().map(|(_, p)| p.rps - p.failures_per_s / part).collect();
        let goes_on = rates.iter().filter(|rate| **rate > 0.0).count() as f64 >= ACCEPTED_SHARE * rates.len() as f64;
        (of_it > same.count() && goes_on && !rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64)
    }
}

/// Requests were accepted all along where they were in this share of the seconds.
const ACCEPTED_SHARE: f64 = 0.9;

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
