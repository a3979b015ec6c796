//! What several rules need of a report.

use super::program::{Keeps, Known};
use crate::model::address::Address;
use crate::model::budget::Budget;
use crate::model::explanation::{Certainty, FailedCall, Limit, Reading, Side};
use crate::model::finding::Remedy;
use crate::model::watch::{Destination, Server, WatchReport};
use crate::remedy::by_limit::{Network, for_program, kept_by_server};
use crate::remedy::placeholders::filled;

/// Lines of the output about a limit that is certain or likely, and the first of them. A server's own line about its end of a
/// connection, or about a worker of its own, is none about a connection of the command.
pub(super) fn said(report: &WatchReport, limit: Limit) -> (u64, Option<&Reading>) {
    let is_its_own = matches!(limit, Limit::Reset | Limit::TimedOut);
    let elsewhere = |r: &Reading| is_its_own && is_of_server(r);
    let of = |r: &&Reading| r.limit == limit && r.certainty != Certainty::Ambiguous && !elsewhere(r);
    let count = report.output.readings.iter().filter(of).map(|r| r.count).fold(0, u64::saturating_add);
    (count, report.output.readings.iter().find(of))
}

/// A line of a server about its own end.
pub(super) fn is_of_server(reading: &Reading) -> bool {
    reading.side == Some(Side::Server)
}

/// Lines that leave it open between several limits, this one among them.
pub(super) fn may_be(report: &WatchReport, limit: Limit) -> u64 {
    let open = |r: &&Reading| {
        let is_open = r.certainty == Certainty::Ambiguous || r.limit == Limit::Hidden;
        is_open && (r.limit == Limit::Hidden || r.alternatives.iter().any(|a| a.limit == limit))
    };
    report.output.readings.iter().filter(open).map(|r| r.count).fold(0, u64::saturating_add)
}

/// A port of this host at which nobody was seen to listen, and no look saw a socket of the command.
pub(super) fn nobody_listens(report: &WatchReport) -> Option<&Destination> {
    // Of another host it is a destination only once a socket was seen.
    let untouched = |d: &&Destination| d.server.is_none() && ended(d) == 0 && d.open_max == 0 && d.peak_used == 0;
    report.destinations.iter().find(untouched)
}

/// The command as a sentence names it: `wrk`, `the command`.
pub(super) fn name(report: &WatchReport) -> &str {
    match report.watched.program.as_deref() {
        // A library is not what the user typed.
        None | Some("Python requests" | "Node.js" | "Java") => "the command",
        Some(name) => name,
    }
}

/// What the command does with connections when nobody ends them.
pub(super) fn keeps(report: &WatchReport) -> Keeps {
    let known = report.watched.program.as_deref().and_then(Known::named);
    known.map_or(Keeps::Unknown, |known| known.keeps_with(&report.watched.words))
}

/// Remedies for a limit, phrased for the program.
pub(super) fn remedies(report: &WatchReport, limit: Limit, call: FailedCall, at: Option<&Destination>) -> Vec<Remedy> {
    let law = at.and_then(|d| Some(Budget::new(d.pool?, d.hold_s?))).filter(|b| !b.hold.is_zero());
    let network = if report.watched.sandbox { Network::Private } else { Network::Machine };
    let in_program = for_program(report.watched.program.as_deref(), limit, call, law, network);
    // A program that keeps its connections needs a server that does: where that one is known, its change comes first.
    let server = at
        .and_then(|d| d.server.as_ref())
        .filter(|_| limit == Limit::LocalPorts && matches!(keeps(report), Keeps::Yes | Keeps::ByDefault));
    let in_server = server.and_then(|s| kept_by_server(&s.name, law?.ceiling_cps()));
    let is_kept = in_server.is_some();
    // The program's own advice would be about a server that is not known.
    let in_program = in_program.into_iter().filter(|r| !is_kept || r.name.as_deref() != Some("keep-alive"));
    let address = address(report, limit, at);
    let fill = |r: Remedy| Remedy { command: filled(&r.command, address), ..r };
    in_server.into_iter().chain(in_program).map(fill).collect()
}

/// What commands are about: the address of the output's own lines, else the destination.
fn address<'a>(report: &'a WatchReport, limit: Limit, at: Option<&'a Destination>) -> Option<&'a Address> {
    let named = said(report, limit).1.and_then(|r| r.address.as_ref());
    let only = || match &report.destinations[..] {
        // The port that is in use is one of this side.
        [only] if limit != Limit::PortBusy => Some(&only.destination),
        _ => None,
    };
    named.or_else(|| at.map(|d| &d.destination)).or_else(only)
}

/// Connections that ended meanwhile: where the kernel's counter is nobody else's, all of them, else the least it can be.
pub(super) fn ended(d: &Destination) -> u64 {
    d.closed_by_client.saturating_add(d.closed_by_server).max(d.made.unwrap_or(0))
}

/// Of these, those that the server closed first: no port of the client stays in use.
pub(super) fn by_server(d: &Destination) -> u64 {
    ended(d) - d.closed_by_client
}

/// Nothing, or that a number of connections is the least it can be: one that the server closes first leaves no trace on this
/// side, and is seen only where its server is on this host, at the moment of a look.
pub(super) fn at_least(d: &Destination) -> &'static str {
    if d.made.is_none() && d.closed_by_server > 0 { "at least " } else { "" }
}

/// The servers that were seen.
pub(super) fn servers(report: &WatchReport) -> impl Iterator<Item = (&Destination, &Server)> {
    report.destinations.iter().filter_map(|d| d.server.as_ref().map(|s| (d, s)))
}
