//! The rule about connections that the target's machine refused.

use super::prelude::*;
use super::target::{evidence, hidden};
use crate::model::body::Body;
use crate::model::plan::Unreached;

pub(in crate::diagnose) fn refused(run: &RunResult, seen: &Indicators) -> Ruling {
    let rows = Rows::are(run, Kind::is_refused);
    if rows.is_empty() {
        return hidden(run, FailureSide::Target);
    }
    let to = run.plan.target.addr;
    let own = Rows::kind(run, Kind::SelfConnect).count();
    let real = rows.count() - own;
    let range = run.host.sysctls.ip_local_port_range;
    let inside = range.is_some_and(|[lo, hi]| (lo..=hi).contains(&to.port()));
    // Those after the target went away have no other reason.
    let went = seen.gone.is_some_and(|gone| rows.first_s() >= gone.since_s);
    let (first, last) = (seconds(rows.first_s()), seconds(rows.last_s()));
    let away = run.totals.away.filter(|_| seen.refusing == Some(Refusing::ForAWhile));
    let mut text = match (real, seen.refusing.unwrap_or(Refusing::Always)) {
        (1.., _) if went => format!("{} to {to} were refused from then on. ", counted(real, "connection")),
        (0, _) => format!("Nothing listened at {to}, but no connection was refused. "),
        (_, Refusing::AtFirst(until)) => format!(
            "Nothing listened at {to} until {}, and everything was accepted after that: the target started later than the run. ",
            seconds(until)
        ),
        (_, Refusing::ForAWhile) => match away {
            Some(away) => format!(
                "Nothing was answered from {} to {}, and nothing listened at {to} meanwhile: the target restarted, or closed its listener \
                 for a while. ",
                seconds(away.from_s),
                seconds(away.to_s)
            ),
            None => format!(
                "Nothing listened at {to} from {first} to {last}, and it did before and after: the target restarted, or closed its \
                 listener for a while. "
            ),
        },
        (_, Refusing::NowAndThen) => format!(
            "Nothing listened at {to} at times between {first} and {last}, while other connections were made: the target restarts again \
             and again, or a balancer before it sends some connections where nothing listens. "
        ),
        (_, Refusing::ToTheEnd) => format!(
            "Nothing listened at {to} any more from {first} on; requests were answered before: the target stops, or closed its listener. "
        ),
        (_, Refusing::Always) => format!("Nothing listens at {to}: its machine answered every SYN with RST. "),
    };
    if own > 0 {
        text += &format!(
            "{} connected to {}: the target's port lies inside the range of source ports, and the kernel picked that very port. ",
            counted(own, "socket"),
            if own == 1 { "itself" } else { "themselves" }
        );
    } else if inside {
        text += "Its port lies inside the range of source ports, where a connection to a dead port can even connect to itself. ";
    }
    if !went {
        text += "The network works and this machine had a source port. A full backlog would drop SYNs, not refuse them. ";
    }
    text += "Windows shows WSAECONNREFUSED 10061.";
    text += &others(run);
    let when = Course::of(run, &rows).in_words();
    let title = match (real, own) {
        (0, 1) => format!("1 connection to {to} connected to itself: nothing listens there"),
        (0, own) => format!("{} connections to {to} connected to themselves: nothing listens there", count(own)),
        (real, 0) => format!("{} to {to} refused{when} (ECONNREFUSED)", counted(real, "connection")),
        (real, own) => {
            format!("{} to {to} refused{when}, and {} connected to themselves", counted(real, "connection"), count(own))
        }
    };
    Ok(evidence(Found::new(title, text), &rows)
        .with("self_connects", own)
        .with("port_in_local_range", u32::from(inside))
        .with("when", seen.refusing.map(<&str>::from))
        .with("away_from_s", away.map(|a| a.from_s))
        .with("away_to_s", away.map(|a| a.to_s))
        .remedies(match seen.refusing {
            _ if went => Vec::new(),
            Some(Refusing::AtFirst(_)) => vec![when_it_listens(run, "start the load when the target listens")],
            refusing => remedies(run, &rows, refusing, inside),
        })
        .caused_only_by(if went { vec![Id::TargetGone] } else { Vec::new() }))
}

/// What the other addresses of the target's name did before the run.
fn others(run: &RunResult) -> String {
    let target = &run.plan.target;
    if target.resolved.len() < 2 {
        return String::new();
    }
    let tried: Vec<String> = target.unreached.iter().filter(|u| u.addr != target.addr).map(Unreached::in_words).collect();
    let name = format!(" {} has {} addresses", target.host, target.resolved.len());
    if tried.is_empty() { format!("{name}, and only this one was tried.") } else { format!("{name}: {} too.", tried.join(", ")) }
}

/// The run again, as soon as something listens.
pub(super) fn when_it_listens(run: &RunResult, action: &str) -> Remedy {
    let again = load_with(&run.plan, |_| ());
    let url = quoted(&format!("http://{}/", run.plan.target.authority));
    let wait = format!("until curl -s -o /dev/null {url}; do sleep 0.1; done");
    let line = format!("{wait}; {again}");
    advice(action, Command { line, change: Some(wait) }, "0 refused")
}

fn own_server(run: &RunResult, rows: &Rows<'_>) -> Remedy {
    let own_server = load_with(&run.plan, |p| {
        p.target.own_server = true;
        p.mix = vec![MixEntry { path: "/health".into(), weight: 1 }];
        (p.method, p.body) = ("GET".into(), Body::default());
        p.allow_remote = false;
    });
    advice(
        "run the same load against sockbench's own server, to see whether this machine is the reason",
        own_server,
        format!("0 of {} refused", counted(rows.count(), "connection")),
    )
}

/// What was back before the end listens now: why it did not is in its log.
fn remedies(run: &RunResult, rows: &Rows<'_>, refusing: Option<Refusing>, inside: bool) -> Vec<Remedy> {
    let to = run.plan.target.addr;
    let mut remedies = Vec::new();
    let look = advice(
        "see whether anything listens there: if not, start the target; if so, correct the address",
        format!("ss -ltnp 'sport = :{}'", to.port()),
        "1 line or more with the process that listens",
    );
    if refusing != Some(Refusing::ForAWhile) {
        remedies.push(look);
    }
    if run.totals.requests > run.totals.failures {
        remedies.push(advice(
            "find out why it stopped listening",
            log_since(run, rows.first_s()),
            format!("its end or restart between {} and {} of the run", seconds(rows.first_s()), seconds(rows.last_s())),
        ));
    }
    if refusing == Some(Refusing::Always) {
        remedies.push(when_it_listens(run, "start the load when the target listens"));
    }
    // A target that is back listens: this machine was not the reason.
    if refusing == Some(Refusing::ForAWhile) {
        remedies.push(advice(
            "run it again, without a restart",
            load_with(&run.plan, |_| ()),
            format!("0 of {} refused", counted(rows.count(), "connection")),
        ));
    } else {
        remedies.push(own_server(run, rows));
    }
    if inside {
        remedies.push(advice(
            "keep the kernel from giving the target's port to clients",
            load_after_sysctl(&run.plan, &[("net.ipv4.ip_local_reserved_ports", &to.port().to_string())], |_| ()),
            "no connection to itself; 1 port less in the pool",
        ));
    }
    remedies
}
