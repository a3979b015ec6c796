//! Rules about the port budget while nothing failed yet: connections that are not kept, a high peak, a dear search.

use super::exhaustion;
use crate::diagnose::command::{count, cps, load_with, number, percent, s};
use crate::diagnose::indicators::{Holding, Indicators, Rows, held_against, kernel_searches, wearing_within};
use crate::diagnose::remedies::{advice, closes_idle, for_ports, for_search, target_keeps};
use crate::diagnose::rule::{Found, Ruling};
use crate::diagnose::thresholds::{
    BUDGET_HIGH_SHARE, FORBIDS_ANSWERS, FORBIDS_SHARE, SEARCH_ADDED_US, SEARCH_ALONE_US, SEARCH_NEAR, SEARCH_PORT_US,
    SEARCH_SHARE, SEARCH_TIMES,
};
use crate::model::outcome::{Call, Cause, Failure, ProtocolFault};
use crate::model::result::{ErrorRow, Holder, RunResult};

/// target-forbids-keepalive.
pub(in crate::diagnose) fn forbids_keepalive(run: &RunResult, seen: &Indicators) -> Ruling {
    if !run.plan.keepalive {
        return Ruling::Clear;
    }
    let (t, closes) = (&run.totals, run.closes);
    // A broken answer ends its connection for another reason, and so does an end without an answer.
    let answers = t.requests.saturating_sub(run.count_errors(|e| !e.local && e.call != Call::Http));
    let broken_off = Rows::of(run, is_broken_off).count();
    if answers < FORBIDS_ANSWERS {
        return Ruling::Undecided(format!("only {answers} answers came: too few to tell"));
    }
    let announced = closes.announced_by_target.min(answers);
    // Unannounced ends count as well; each connection can only be ended once.
    let ended = announced.max(closes.server.saturating_sub(broken_off).min(t.connections_opened));
    let share = ended as f64 / answers as f64;
    if share < FORBIDS_SHARE {
        return Ruling::Clear;
    }
    let how = if announced * 2 >= ended {
        "announced it in the answer (Connection: close, or HTTP/1.0)"
    } else if closes_idle(run) {
        "closed it without saying so, as an idle timeout shorter than the users' pauses does"
    } else {
        "closed it without saying so"
    };
    let per = t.requests_per_connection.unwrap_or(1.0);
    let rate = t.connections_opened as f64 / seen.duration_s;
    let side = if seen.ports.closed_by_client > 0.5 {
        "The client reads the last byte and closes first, so the client keeps the TIME_WAIT and loses a source port each time"
    } else {
        "The target closes first, so the TIME_WAIT stays there and this side loses no port"
    };
    let mut text = format!(
        "The target was asked to keep connections and ended them after {} of the answers: it {how}. So {} took {}, {}/s, and each \
         answer pays for a new handshake. {side}.",
        percent(share),
        count(t.requests, "request"),
        count(t.connections_opened, "connection"),
        cps(rate)
    );
    if let Some(b) = seen.ports.budget.filter(|b| !b.hold.is_zero() && seen.ports.closed_by_client > 0.5) {
        text += &format!(
            " That is {} of the {}/s that {} ports held {} sustain.",
            percent(seen.ports.wearing_cps / b.ceiling_cps().max(1e-9)),
            cps(b.ceiling_cps()),
            b.pool,
            s(b.hold.as_secs_f64())
        );
    }
    if !closes_idle(run) {
        text += " Flask's development server and other HTTP/1.0 servers do this to Windows clients as well: there 16384 ports held 120 s sustain 136.5/s.";
    }
    let opened = count(t.connections_opened, "connection");
    let kept = format!("{} instead of {}", count(run.plan.users, "connection"), t.connections_opened);
    let mut remedies = vec![target_keeps(run, kept)];
    let short = load_with(&run.plan, |p| p.keepalive = false);
    // Ports are worth a word where this wears them out.
    if seen.ports.budget.is_some_and(|b| seen.ports.wearing_cps > BUDGET_HIGH_SHARE * b.ceiling_cps()) {
        remedies.extend(for_ports(run).into_iter().filter(|r| r.name.as_deref() == Some("ring")));
    }
    remedies.push(advice(
        "ask for a connection per request, so that the plan says what happens anyway",
        short,
        format!("{opened} again, and the port budget told before the run"),
    ));
    Found::new(format!("the target ends the connection after {} of its answers although asked to keep it", percent(share)), text)
        .with("answers", answers)
        .with("announced_by_target", closes.announced_by_target)
        .with("closed_by_target", closes.server)
        .with("share", share)
        .with("requests_per_connection", per)
        .with("connections_opened", t.connections_opened)
        .with("rate_cps", rate)
        .remedies(remedies)
        .ruling()
}

/// An end of the connection inside an exchange.
fn is_broken_off(row: &ErrorRow) -> bool {
    let ended = |f: Failure| matches!(f.cause, Cause::Eof | Cause::Malformed(ProtocolFault::Truncated));
    !row.local && row.failure().is_some_and(ended)
}

/// port-budget-high.
pub(in crate::diagnose) fn budget_high(run: &RunResult, seen: &Indicators) -> Ruling {
    let figures = &seen.ports;
    if figures.exhausted > 0 || figures.busy > 0 {
        // Said by local-ports-exhausted or local-port-busy: "nothing failed yet" would not be true.
        return Ruling::Clear;
    }
    if seen.ports.closed_by_client <= 0.5 && run.plan.is_short_lived() {
        return Ruling::Clear;
    }
    let Some(b) = figures.budget else {
        return match (run.totals.connections_opened, figures.pool, &figures.hold) {
            (0, ..) => Ruling::Clear,
            (_, None, _) => Ruling::Undecided("the pool towards the destination was not observed".into()),
            (_, _, _) => Ruling::Undecided("how long a port stays held here could not be read".into()),
        };
    };
    if b.hold.is_zero() || b.pool == 0 {
        return Ruling::Clear;
    }
    let (p, t) = (f64::from(b.pool), b.hold.as_secs_f64());
    let ports = run.ports.as_ref();
    let established = ports.and_then(|p| p.states.established).map_or(0.0, f64::from);
    let reused_early = t < crate::diagnose::ports::budget::LINUX_HOLD_S;
    // Where TIME_WAIT may be taken again after T < 60 s, a port in TIME_WAIT is not a port that is missing: only the
    // open ones and those younger than T are.
    let share = if reused_early {
        (established + wearing_within(run, t)) / p
    } else {
        match ports.and_then(|p| p.peak_share.or_else(|| p.peak_used.map(|u| f64::from(u) / f64::from(b.pool)))) {
            Some(share) => share,
            None => {
                (established
                    + b.held_at(seen.ports.wearing_cps).min(run.totals.connections_opened as f64 * seen.ports.closed_by_client))
                    / p
            }
        }
    };
    let rate = seen.ports.wearing_cps;
    let ceiling = b.ceiling_cps();
    let opened = run.totals.connections_opened;
    let too_short = rate > ceiling && opened <= u64::from(b.pool);
    if share <= BUDGET_HIGH_SHARE && !too_short {
        return Ruling::Clear;
    }
    let at = b.exhausted_at(rate);
    let to = ports.map_or_else(|| run.plan.target.addr.to_string(), |p| p.destination.clone());
    let open_most = established > 0.5 * share * p;
    let stuck = ports.is_some_and(|p| p.holder() == Some(Holder::FinWait2));
    let mut text = if stuck {
        format!(
            "Connections that the client closed and the target did not (FIN_WAIT2, tcp_fin_timeout) hold {} of the {} source ports to \
             {to} at the peak; nothing failed yet. ",
            (share.min(1.0) * p).round(),
            b.pool
        )
    } else if open_most {
        format!("Open connections hold {} of the {} source ports to {to}; nothing failed yet. ", established, b.pool)
    } else {
        format!(
            "Connections that the client closed first hold {} of the {} source ports to {to} at the peak; nothing failed yet. ",
            (share.min(1.0) * p).round(),
            b.pool
        )
    };
    text += &format!(
        "Each stays held {}, so {} ports sustain {} new connections/s; this run made {}/s",
        s(t),
        b.pool,
        cps(ceiling),
        cps(rate)
    );
    match at {
        Some(at) if too_short => {
            text += &format!(
                " and ended after {}. At that rate the pool is used up after {}, nothing succeeds for {}, and the failures come back every {}.",
                s(seen.duration_s),
                s(at),
                s(t - at),
                s(t)
            );
        }
        Some(at) => text += &format!(", more than that: an empty pool lasts {} at this rate.", s(at)),
        None => text += &format!(". There is room for {}/s more.", cps((ceiling - rate).max(0.0))),
    }
    text += &format!(
        " On Windows the same rate would {} (16384 ports held 120 s sustain 136.5/s; the code is 10048).",
        if rate > 136.5 { "have failed" } else { "hold as well" }
    );
    let title = if too_short {
        format!(
            "{}/s is over the {}/s that {} ports sustain: a longer run fails after {}",
            cps(rate),
            cps(ceiling),
            b.pool,
            s(at.unwrap_or(0.0))
        )
    } else {
        format!("the peak held {} of the {} source ports to {to}", percent(share.min(1.0)), b.pool)
    };
    let mut remedies =
        if stuck { exhaustion::remedies_against(run, Some(Holding::By(Holder::FinWait2))) } else { for_ports(run) };
    if remedies.len() < 2 {
        remedies.push(advice(
            "watch the budget while it runs",
            format!("sockbench ports --to {to} --watch 1s"),
            "the share, and the seconds until the pool is used up",
        ));
        remedies.push(advice(
            "predict a rate before you run it",
            format!("sockbench ports --predict {} --pool {} --hold {t}s", rate.ceil(), b.pool),
            "ceiling, first failure, dead time, echoes",
        ));
    }
    Found::new(title, text)
        .with("pool", b.pool)
        .with("hold_s", t)
        .with("peak_share", share)
        .with("peak_used", ports.and_then(|p| p.peak_used))
        .with("ceiling_cps", ceiling)
        .with("rate_cps", rate)
        .with("exhausted_at_s", at)
        .with("connections_opened", opened)
        .remedies(remedies)
        .ruling()
}

/// connect(2) over some seconds, weighted by how often it was called.
#[derive(Default, Clone, Copy)]
struct Cost {
    calls: f64,
    mean_sum: f64,
    p95_sum: f64,
    p50_sum: f64,
    seconds: u32,
}

impl Cost {
    fn add(&mut self, calls: f64, mean: f64, p95: f64, p50: f64) {
        self.calls += calls;
        self.mean_sum += mean * calls;
        self.p95_sum += p95 * calls;
        self.p50_sum += p50 * calls;
        self.seconds += 1;
    }

    fn mean(self) -> f64 {
        self.mean_sum / self.calls
    }

    fn p95(self) -> f64 {
        self.p95_sum / self.calls
    }

    fn p50(self) -> f64 {
        self.p50_sum / self.calls
    }
}

/// port-search-slow.
pub(in crate::diagnose) fn search_slow(run: &RunResult, seen: &Indicators) -> Ruling {
    if !kernel_searches(run) || seen.ports.wearing_cps <= 0.0 {
        return Ruling::Clear;
    }
    let Some(p) = seen.ports.pool.filter(|p| *p > 0) else {
        return Ruling::Undecided("the pool towards the destination was not observed".into());
    };
    let half = SEARCH_SHARE * f64::from(p);
    let (mut below, mut above, mut blind) = (Cost::default(), Cost::default(), 0_u32);
    let mut rate_above = 0.0;
    for (point, held) in held_against(run, half) {
        let (Some(mean), Some(p95)) = (point.connect_mean_us.or(point.connect_p50_us), point.connect_p95_us) else { continue };
        // A refused connect() has searched the whole range: that belongs to the exhaustion.
        if point.local_failures_per_s > 0.0 {
            continue;
        }
        let Some(held) = held else {
            blind += 1;
            continue;
        };
        let cost = if f64::from(held) > half { &mut above } else { &mut below };
        cost.add(point.connects.max(1) as f64, mean, p95, point.connect_p50_us.unwrap_or(mean));
        if f64::from(held) > half {
            rate_above += point.connects as f64;
        }
    }
    if above.seconds == 0 {
        let reached_half = run.ports.as_ref().and_then(|p| p.peak_used).is_none_or(|used| f64::from(used) > half);
        return if blind > 0 && reached_half {
            Ruling::Undecided(format!("ports held were not observed in {blind} of the seconds with connections"))
        } else {
            Ruling::Clear
        };
    }
    let alone = below.seconds == 0;
    let (mean, p95) = (above.mean(), above.p95());
    // On a machine without a free core one connect() can take 100 ms, and 100 ports cannot be the reason.
    let most = f64::from(p) * SEARCH_PORT_US;
    let dear = if alone {
        mean >= SEARCH_ALONE_US && most >= SEARCH_ALONE_US
    } else {
        let (m, q) = (below.mean(), below.p95());
        mean >= SEARCH_TIMES * m && mean - m >= SEARCH_ADDED_US && most >= SEARCH_ADDED_US && p95 >= SEARCH_TIMES * q
    };
    if !dear {
        return Ruling::Clear;
    }
    let rate = rate_above / f64::from(above.seconds);
    let search = seen.ports.budget.map(|b| b.search_cps()).filter(|c| c.is_finite());
    let before = if alone { String::new() } else { format!(", {} before", us(below.mean())) };
    let mut text = format!(
        "With more than half of the {p} ports held, connect() took {} in the mean{before} (p95 {}, p50 {}): the kernel first tries all ports of one parity, \
         and when these are used it walks the table for every connection. No error shows it, only the client's CPU per connection.",
        us(mean),
        us(p95),
        us(above.p50())
    );
    if let Some(search) = search {
        let near = (rate - search).abs() <= SEARCH_NEAR * search;
        let where_ = if near { "which is where this run flattened" } else { "whatever the hard ceiling is" };
        text += &format!(
            " The rate tends to flatten near half of the pool over T = {}/s, {where_}: {}/s in those seconds.",
            cps(search),
            cps(rate)
        );
    }
    text += " Windows keeps its free ports in a list and does not show this slope; it fails at the hard ceiling.";
    let mut remedies = for_search(run);
    if remedies.len() < 2 {
        remedies.push(advice(
            "predict the ceilings",
            format!("sockbench ports --predict {}", rate.ceil()),
            "the hard one, P/T, and the search's, half of it",
        ));
    }
    let title = if alone {
        format!("connect() takes {} with over half of {p} ports held: the port search is slow", us(mean))
    } else {
        format!(
            "connect() became {} times dearer ({} against {}) once half of {p} ports was held",
            number((mean / below.mean()).round()),
            us(mean),
            us(below.mean())
        )
    };
    let b = |v: f64| (!alone).then_some(v);
    Found::new(title, text)
        .with("pool", p)
        .with("mean_us", mean)
        .with("mean_us_below_half", b(below.mean()))
        .with("p95_us", p95)
        .with("p95_us_below_half", b(below.p95()))
        .with("p50_us", above.p50())
        .with("seconds_above_half", above.seconds)
        .with("rate_cps", rate)
        .with("search_cps", search)
        .remedies(remedies)
        .ruling()
}

fn us(v: f64) -> String {
    if v >= 1000.0 { format!("{} ms", number((v / 100.0).round() / 10.0)) } else { format!("{} us", number(v.round())) }
}
