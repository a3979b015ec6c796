#!/usr/bin/env python3
"""CPU per request of sockbench's server and client beside a bare epoll pair, nginx, hyper, wrk, ab and h2load.

Server on the first core, client on the last (two), or both on the first (one), one after the other in alternating rounds; the
median of all rounds with lowest and highest. CPU time is the kernel's own account of each process (getrusage of a finished
client, /proc/PID/schedstat of every thread of a server), so it moves less than the rate when others use the machine. Every
round ends with a canary, the same short run each time: rounds whose canary falls below 85 % of the best are named.

Rows of the first table: kept connections, a connection a request which the server closes, and an open loop of 10,000 requests/s
(the last two with the first of --conns). Each further kind has a table of its own:
  small  what one request costs in time, and the memory of a client with 100 users. It comes first in a round, and waits up to 65 s
         for fewer than 100 sockets in TIME_WAIT; how many there were is a row
  late   p99 lateness of open loops of 30,000 and 60,000 requests/s: from the time at which a request was due until it was sent;
         waits like small, for fewer than 2,000
  idle   bytes of an idle kept connection in its server's own memory, up to 19,000 of them, more than the server has with one
  ring   CPU of a connection that the client closes: fresh ports against a ring that is all in TIME_WAIT, in private namespaces
  first  p99.9 in the first second of an open loop of 100,000 requests/s and after it
  pairs  the rate of two threads against two event loops beside that of one pair
  beside CPU per request as a part of the floor's that runs at the same time on the same core: what disturbs one disturbs the other,
         so these ratios lie closest together. With --floor also the pair of benches/peers beside the other one
Each ratio and each difference is of one round, to the floor (or what the table names) of that round. The 90 % interval is that of
the median, by order statistics, which takes five rounds or more. The further kinds are on two cores whatever --cores says.

usage: scripts/speed.py [--rounds N] [--seconds S] [--conns N,N,...] [--kinds KIND,...] [--cores two|one|both]
                        [--peers NAME,...] [--floor DIR] [--bench FILE] [--state FILE] [--minutes M]
                        [--json FILE] [--write FILE]
  --conns LIST  kept connections at once, one table row each, up to 19,000 where the limit of descriptors is 20,000;
                runs with more than 10,000 take 12 s at least, since opening them takes up to 5 [default: 100]
  --kinds LIST  of small, kept, short, open, late, idle, ring, first, pairs, beside: only these [default: all]
  --peers LIST  of nginx, hyper, wrk, ab, h2load: only these, or none [default: all that are there]
  --floor DIR   a folder with other programs floor_server and floor_client; "floor" then means these, and the pair of
                benches/peers is measured beside them as "floor in Rust", unless --peers names some
  --bench FILE  a sockbench that is built already
  --state FILE  keep each measurement there at once, and go on after the last one when called again
  --minutes M   end after so long, with the table of what is there [default: 120]
  --write FILE  put the result between the lines "<!-- speed.py -->" and "<!-- end of speed.py -->" of FILE
needs: cargo, taskset, and any of nginx, wrk, ab, h2load. What is missing is named. Loopback only; only own processes are ended.
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import million
import speed_rows as of
from speed_rows import CLIENT_CORE, CORES, FRESH_PORTS, OPEN_RATE, SERVER_CORE, TIMED_FLOOR, Server

ROOT = Path(__file__).resolve().parent.parent
PEERS = ("nginx", "hyper", "wrk", "ab", "h2load")
KINDS = {"kept": "kept", "short": "a connection a request", "open": f"open loop, {OPEN_RATE:,}/s"}
# Of each further kind, in the order of a round: what its figure is, its form, what it is compared with in the same round (None: nothing),
# and how.
RATIO = ("{:.3f}", lambda value, other: value / other)
FURTHER = {
    "small": ("ms or MiB", "{:,.2f}", None, None),
    # Before `idle`, whose ports are then in TIME_WAIT.
    "late": (f"p99 lateness, us, {of.LATE_CONNS} connections", "{:,.0f}", lambda who, how: (TIMED_FLOOR, how),
             (f"more than the {TIMED_FLOOR}, us", "{:+,.0f}", lambda value, other: value - other)),
    "idle": ("bytes an idle connection", "{:,.0f}", None, None),
    "ring": ("CPU us per connection, closed by the client", "{:.2f}", lambda who, how: ("sockbench", FRESH_PORTS),
             ("of sockbench on fresh ports", *RATIO)),
    "first": (f"p99.9 ms, {of.FIRST_RATE:,}/s over {of.FIRST_CONNS} connections", "{:.2f}", None, None),
    "pairs": (f"requests/s, {of.PAIRS_CONNS} connections", "{:,.0f}", lambda who, how: (who, "one pair, an end a core"),
              ("of the one pair", *RATIO)),
    "beside": ("CPU per request, part of the floor's at the same time", "{:.3f}", None, None),
}
ALL_KINDS = (*KINDS, *FURTHER)
# What a client cannot do: a connection of its own for each request, a rate, or so many connections at once.
CANNOT = {"short": {"h2load"}, "open": {"h2load", "ab", "wrk"}}
CONNS_MOST = {"ab": 1000}
FLOORS = ("floor", "floor in Rust")


def measurements(args, loads, servers):
    """(cores, connections, kind, what, who, server, client) of one round."""
    conns = [int(n) for n in args.conns.split(",")]
    reference = "wrk" if "wrk" in loads else "sockbench"
    rows = [(count, "kept") for count in conns] + [(conns[0], "short"), (conns[0], "open")]
    rows = [row for row in rows if row[1] in args.kinds.split(",")]
    for cores in ("two", "one") if args.cores == "both" else (args.cores,):
        for count, kind in rows:
            def at(name):
                return servers[f"{name}, closing" if name in FLOORS and kind == "short" else name]
            if kind != "open":
                for name in ("sockbench", "nginx", "hyper", *FLOORS):
                    if name in servers:
                        yield cores, count, kind, "server", name, at(name), reference
            for name in loads:
                if (name != TIMED_FLOOR or kind == "open") and name not in CANNOT.get(kind, ()) and count <= CONNS_MOST.get(name, count):
                    # All clients have the same server. A floor's client does not ask for the end of a connection: this server
                    # closes unasked.
                    yield cores, count, kind, "client", name, at(FLOORS[0] if kind == "short" else "sockbench"), name


def measure(args, loads, others, servers, done, keep):
    """Adds to `done` what is missing. `others`: of each further kind (who, how, what gives its figure). False: the time was over."""
    until = time.monotonic() + args.minutes * 60
    reference = loads["wrk" if "wrk" in loads else "sockbench"]
    for number in range(args.rounds):
        measured = False
        for kind, ways in others.items():
            # A single request comes before the connections of other clients, whose ports are then in TIME_WAIT.
            for who, how, run in ways if number % 2 == 0 or kind == "small" else reversed(ways):
                if (key := f"{number}/{kind}/{who}/{how}") not in done:
                    if time.monotonic() > until:
                        return False
                    done[key], measured = run(), True
                    keep()
        plan = list(measurements(args, loads, servers))
        # Every other round backwards: what comes first is not always the same.
        for cores, conns, kind, what, who, server, client in plan if number % 2 == 0 else reversed(plan):
            key = f"{number}/{cores}/{conns}/{kind}/{what}/{who}"
            if key in done:
                continue
            if time.monotonic() > until:
                return False
            core = CLIENT_CORE if cores == "two" else SERVER_CORE
            requests, client_cpu, server_cpu, wall = loads[client](server, kind, conns, core)
            if not requests:
                sys.exit(f"speed.py: {key}: no request was answered")
            cpu = server_cpu if what == "server" else client_cpu
            done[key], measured = [cpu / requests * 1e6, requests / wall], True
            keep()
        if measured:
            canary = reference(servers["sockbench"], "kept", 100, CLIENT_CORE)
            # A round that went on later is as good as its worse part.
            done[f"{number}/canary"] = min(canary[0] / canary[3], done.get(f"{number}/canary", math.inf))
            keep()
            print(f"round {number + 1} of {args.rounds}: canary {done[f'{number}/canary']:,.0f}/s", file=sys.stderr)
    return True


def table(done):
    """(cores, connections, kind, what) to {who: {round: [us, rate]}}."""
    rows = {}
    for key, value in done.items():
        if key.count("/") != 5:
            continue
        number, cores, conns, kind, what, who = key.split("/")
        rows.setdefault((cores, int(conns), kind, what), {}).setdefault(who, {})[number] = value
    return rows


def interval(values):
    """The 90 % interval of the median, by order statistics (the sign test); None with fewer than five values."""
    values, n, below = sorted(values), len(values), 0.0
    k = 0
    while k < n // 2 and below + math.comb(n, k) / 2**n <= 0.05:
        below += math.comb(n, k) / 2**n
        k += 1
    return (values[k - 1], values[n - k]) if k else None


def speeds(rows):
    yield "| cores | connections | CPU us per request | who | median | lowest..highest | of the floor | 90 % interval | requests/s |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for (cores, conns, kind, what), by_who in rows.items():
        for who, rounds in by_who.items():
            us = [v[0] for v in rounds.values()]
            floor = by_who.get("floor", {})
            ratios = [v[0] / floor[n][0] for n, v in rounds.items() if n in floor]
            of_floor = f"{statistics.median(ratios):.3f}" if ratios else "-"
            between = interval(ratios)
            of_floor += f" | {between[0]:.3f}..{between[1]:.3f}" if between else " | -"
            rate = statistics.median(v[1] for v in rounds.values())
            yield (f"| {cores} | {conns:,} | {what}, {KINDS[kind]} | {who} | {statistics.median(us):.2f} | {min(us):.2f}..{max(us):.2f} "
                   f"| {of_floor} | {rate:,.0f} |")


def further(done, kind):
    """The table of a further kind."""
    head, form, base, comparison = FURTHER[kind]
    ways = {}
    for key, value in done.items():
        parts = key.split("/")
        if len(parts) == 4 and parts[1] == kind:
            ways.setdefault((parts[2], parts[3]), {})[parts[0]] = value
    if not ways:
        return
    yield ""
    yield f"| who | how | {head} | lowest..highest |" + (f" {comparison[0]} |" if base else "") + " 90 % interval |"
    yield "|---|---|---|---|---|" + ("---|" if base else "")
    for (who, how), values in ways.items():
        low, middle, high = (form.format(f(values.values())) for f in (min, statistics.median, max))
        line = f"| {who} | {how} | {middle} | {low}..{high} |"
        # The interval is that of the last figure.
        show, last = form, list(values.values())
        if base:
            _, show, compare = comparison
            one = ways.get(base(who, how), {})
            last = [compare(v, one[n]) for n, v in values.items() if n in one]
            line += f" {show.format(statistics.median(last))} |" if last else " - |"
        between = interval(last)
        yield line + (" {}..{} |".format(*map(show.format, between)) if between else " - |")


def around(path):
    """What stands before and after the place for the result in a file, with its two marks."""
    begin, end = "<!-- speed.py -->\n", "<!-- end of speed.py -->\n"
    try:
        text = path.read_text()
    except OSError as error:
        sys.exit(f"speed.py: --write: {path}: {error.strerror}")
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        sys.exit(f"speed.py: --write: {path}: needs one line {begin.strip()} and after it one line {end.strip()}: nothing was measured")
    return text.split(begin)[0] + begin, end + text.split(end)[1]


def peers_folder():
    """The programs of benches/peers, built."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "peers"
    subprocess.run(["cargo", "build", "--release", "--quiet", "--target-dir", target], cwd=ROOT / "benches/peers", check=True)
    return target / "release"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--conns", default="100")
    parser.add_argument("--kinds", default=",".join(ALL_KINDS))
    parser.add_argument("--cores", choices=("two", "one", "both"), default="two")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--floor")
    parser.add_argument("--bench")
    parser.add_argument("--state")
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--json")
    parser.add_argument("--write")
    args = parser.parse_args()
    asked = [] if args.peers == "none" else args.peers.split(",")
    kinds = args.kinds.split(",")
    if unknown := [kind for kind in kinds if kind not in ALL_KINDS]:
        sys.exit(f"speed.py: --kinds: {', '.join(unknown)}: not one of {', '.join(ALL_KINDS)}")
    if unknown := [name for name in asked if name not in PEERS]:
        sys.exit(f"speed.py: --peers: {', '.join(unknown)}: not one of {', '.join(PEERS)}")
    if args.write:
        around(Path(args.write))
    limit, _ = million.raise_nofile()
    if (most := max(map(int, args.conns.split(",")))) > limit - million.BESIDE:
        sys.exit(f"speed.py: --conns: {most:,}: a process may open {limit:,} descriptors here")
    if not args.bench:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    bench = args.bench or str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/sockbench")
    built = peers_folder()
    floors = {"floor": args.floor or built}
    if args.floor and args.peers == ",".join(PEERS):
        floors["floor in Rust"] = built
    missing = [name for name in asked if name != "hyper" and not shutil.which(name)]
    peers = [name for name in asked if name not in missing]
    if "ring" in kinds and subprocess.run([bench, "sandbox", "--", "true"], stderr=subprocess.DEVNULL).returncode:
        kinds.remove("ring")
        missing.append("ring (no private network namespace here)")
    state = Path(args.state) if args.state else None
    done = json.loads(state.read_text()) if state and state.is_file() else {}

    def keep():
        if state:
            state.with_suffix(".new").write_text(json.dumps(done))
            state.with_suffix(".new").replace(state)

    with tempfile.TemporaryDirectory() as folder:
        servers = {}

        def serve(name, command_at):
            port = of.free_port()
            servers[name] = Server(name, command_at(port), port)

        try:
            serve("sockbench", lambda port: [bench, "server", "--listen", f"127.0.0.1:{port}", "--cpu-iterations", "1000", "--max-conns", "19900"])
            if "nginx" in peers:
                serve("nginx", lambda port: of.nginx_conf(folder, port))
            if "hyper" in peers:
                serve("hyper", lambda port: [f"{built}/hyper_server", str(port)])
            for name, where in floors.items():
                serve(name, lambda port, where=where: [f"{where}/floor_server", str(port), "-m", "ka"])
                serve(f"{name}, closing", lambda port, where=where: [f"{where}/floor_server", str(port), "-m", "sclose"])
            clients = of.Clients(bench, args.seconds)
            loads = {"sockbench": clients.sockbench}
            loads |= {name: getattr(clients, name) for name in ("wrk", "ab", "h2load") if name in peers}
            loads |= {name: clients.floor_of(where) for name, where in floors.items()}
            loads[TIMED_FLOOR] = clients.floor_of(built, "-t")
            own, floor, nginx = servers["sockbench"], floors["floor"], "nginx" in peers
            others = {
                "small": of.small(bench, floor, own, "wrk" in peers),
                "late": of.late(bench, built, own, args.seconds),
                "idle": of.idle(bench, folder, nginx, limit),
                "ring": of.ring(bench, floor),
                "first": of.first_seconds(bench, floor, servers),
                "pairs": of.pairs(bench, floor, args.seconds),
                "beside": of.beside(floor, floors.get("floor in Rust"), bench, folder, peers, args.seconds),
            }
            others = {kind: list(ways) for kind, ways in others.items() if kind in kinds}
            complete = measure(args, loads, others, servers, done, keep)
        finally:
            for server in servers.values():
                server.stop()

    canaries = {int(key.split("/")[0]) + 1: value for key, value in done.items() if key.endswith("/canary")}
    weak = [number for number, c in canaries.items() if c < 0.85 * max(canaries.values())]
    control = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    speed = table(done)
    lines = [*(speeds(speed) if speed else ()),
             *(line for kind in FURTHER for line in further(done, kind)), "",
             f"{args.rounds} alternating rounds of {args.seconds} s, {time.strftime('%Y-%m-%d')}, Linux {os.uname().release}, {len(CORES)} cores, "
             f"{control}; servers driven by {'wrk' if 'wrk' in loads else 'sockbench'}; canary "
             + (f"{min(canaries.values()):,.0f} to {max(canaries.values()):,.0f}/s, rounds below 85 % of the best: "
                f"{', '.join(map(str, weak)) or 'none'}." if canaries else "not run.")]
    if not complete:
        lines.append(f"The time of {args.minutes:g} min was over: {len(canaries)} rounds are whole" + (f"; --state {state} goes on." if state else "."))
    if missing:
        lines.append(f"Not there, so not measured: {', '.join(missing)}.")
    print("\n".join(lines))
    if args.write:
        # Read again: it may have changed meanwhile.
        before, after = around(Path(args.write))
        Path(args.write).write_text(before + "\n".join(lines) + "\n" + after)
    if args.json:
        document = {"measurements": done, "weak_rounds": weak, "complete": complete}
        Path(args.json).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
