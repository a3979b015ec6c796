#!/usr/bin/env python3
"""CPU per request of sockbench's server and client beside a bare epoll pair, nginx, hyper, wrk, ab and h2load.

Server on the first core, client on the last (two), or both on the first (one), one after the other in alternating rounds; the
median of all rounds with lowest and highest. CPU time is the kernel's own account of each process (getrusage of a finished
client, /proc/PID/schedstat of every thread of a server), so it moves less than the rate when others use the machine. Every
round ends with a canary, the same short run each time: rounds whose canary falls below 85 % of the best are named.

Rows: kept connections, a connection a request, and an open loop of 10,000 requests/s (the last two with the first of --conns). Two
more tables: p99.9 in the first second of an open loop of 100,000 requests/s and after it, and the rate of two threads against two event
loops beside that of one pair. At the start what one request costs in time, and the client's memory with 1 and 50 endpoints. Each ratio
is of one round, to the floor (or the one pair) of that round; its 90 % interval is that of the median, by order statistics, which takes
five rounds or more.

usage: scripts/speed.py [--rounds N] [--seconds S] [--conns N,N,...] [--kinds KIND,...] [--cores two|one|both]
                        [--peers NAME,...] [--floor DIR] [--bench FILE] [--state FILE] [--minutes M]
                        [--json FILE] [--write FILE]
  --conns LIST  kept connections at once, one table row each [default: 100]
  --kinds LIST  of kept, short (a connection a request), open, first, pairs: only these [default: all]
  --peers LIST  of nginx, hyper, wrk, ab, h2load: only these [default: all that are there]
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
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = str(CORES[0]), str(CORES[-1])
PEERS = ("nginx", "hyper", "wrk", "ab", "h2load")
# Requests a second of the open loop.
OPEN_RATE = 10_000
# The same of the one whose first second is looked at, and its connections.
FIRST_RATE, FIRST_CONNS = 100_000, 500
# Connections of all pairs together.
PAIRS_CONNS = 100
KINDS = {"kept": "kept", "short": "a connection a request", "open": f"open loop, {OPEN_RATE:,}/s"}
ALL_KINDS = (*KINDS, "first", "pairs")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_s(pid):
    """CPU seconds that all threads of a process have used (schedstat's first figure, ns)."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


class Server:
    def __init__(self, name, command, port, core=SERVER_CORE):
        self.name, self.port = name, port
        self.process = subprocess.Popen(["taskset", "-c", core, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        sys.exit(f"speed.py: {name} does not listen")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)


def run_client(command, server, core):
    """Runs a client on a core; its output, its CPU seconds, the server's CPU seconds meanwhile, its wall seconds."""
    before, began = cpu_s(server.process.pid), time.monotonic()
    child = subprocess.Popen(["taskset", "-c", core, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    if child.returncode:
        sys.exit(f"speed.py: {' '.join(command)}: exit {child.returncode}: {out[-300:]}")
    return out, usage.ru_utime + usage.ru_stime, cpu_s(server.process.pid) - before, wall


class Clients:
    """Each method gives (requests, client CPU s, server CPU s, wall s)."""

    def __init__(self, bench, seconds):
        self.bench, self.seconds = bench, seconds

    def sockbench(self, server, kind, conns, core):
        args = {"short": ["--no-keepalive", "--closer", "server"], "open": ["-R", str(OPEN_RATE)]}.get(kind, [])
        command = [self.bench, "load", f"http://127.0.0.1:{server.port}/health", "-c", str(conns), "-d", f"{self.seconds}s"]
        out, *rest = run_client([*command, *args, "--quiet", "--json", "-"], server, core)
        return json.loads(out[out.index("{"):])["totals"]["requests"], *rest

    def wrk(self, server, kind, conns, core):
        args = ["-H", "Connection: close"] if kind == "short" else []
        command = ["wrk", "-t1", f"-c{conns}", f"-d{self.seconds}s", *args, f"http://127.0.0.1:{server.port}/health"]
        out, *rest = run_client(command, server, core)
        return int(re.search(r"(\d+) requests in", out).group(1)), *rest

    def ab(self, server, kind, conns, core):
        args = [] if kind == "short" else ["-k"]
        command = ["ab", "-q", "-r", "-t", str(self.seconds), "-n", "100000000", "-c", str(conns), *args]
        out, *rest = run_client([*command, f"http://127.0.0.1:{server.port}/health"], server, core)
        return int(re.search(r"Complete requests:\s+(\d+)", out).group(1)), *rest

    def h2load(self, server, _kind, conns, core):
        command = ["h2load", "--h1", "-t1", f"-c{conns}", f"-D{self.seconds}", f"http://127.0.0.1:{server.port}/health"]
        out, *rest = run_client(command, server, core)
        return int(re.search(r"(\d+) succeeded", out).group(1)), *rest

    def floor_of(self, folder, *more):
        """A floor's client; short connections are closed by the server (-e)."""
        def run(server, kind, conns, core):
            args = {"short": ["-e"], "open": ["-q", str(OPEN_RATE), *more]}.get(kind, [])
            command = [f"{folder}/floor_client", str(server.port), "-c", str(conns), "-d", str(self.seconds), *args]
            out, *rest = run_client(command, server, core)
            return int(re.search(r"done=(\d+)", out).group(1)), *rest
        return run


def first_seconds(bench, floor, servers):
    """(who, part of the run, what gives its p99.9 in ms)."""
    url = f"http://127.0.0.1:{servers['sockbench'].port}/health"

    def sockbench(seconds, warmup, part):
        command = [bench, "load", url, "-R", str(FIRST_RATE), "-c", str(FIRST_CONNS), "-d", f"{seconds}s", "--warmup", f"{warmup}s"]
        out, *_ = run_client([*command, "--quiet", "--json", "-"], servers["sockbench"], CLIENT_CORE)
        totals = json.loads(out[out.index("{"):])["totals"]
        return part(totals)["latency_ms"]["p99_9"]

    yield "sockbench", "first second", lambda: sockbench(1, 0, lambda totals: totals)
    yield "sockbench", "after it", lambda: sockbench(3, 1, lambda totals: totals["steady"])

    def of_floor(seconds):
        command = [f"{floor}/floor_client", str(servers["sockbench"].port), "-c", str(FIRST_CONNS), "-q", str(FIRST_RATE), "-d", str(seconds)]
        out, *_ = run_client(command, servers["sockbench"], CLIENT_CORE)
        found = re.search(r"p99\.9=([\d.]+)", out)
        return float(found.group(1)) if found else None

    # Its connections are open before its clock starts. The pair of benches/peers keeps no latencies.
    yield "floor", "first second", lambda: of_floor(1)
    yield "floor", "three seconds", lambda: of_floor(3)


def pairs(bench, floor, seconds):
    """(who, how its ends lie on the cores, what gives their requests/s)."""
    def client(port, conns, core, *more):
        load = [bench, "load", f"http://127.0.0.1:{port}/health", "-c", str(conns), "-d", f"{seconds}s", *more, "--quiet", "--json", "-"]
        return ["taskset", "-c", core, *load]

    def floor_client(port, conns, core):
        return ["taskset", "-c", core, f"{floor}/floor_client", str(port), "-c", str(conns), "-d", str(seconds)]

    def sockbench_server(port, *more):
        return [bench, "server", "--listen", f"127.0.0.1:{port}", "--cpu-iterations", "1000", *more]

    def requests(out):
        return json.loads(out[out.index("{"):])["totals"]["requests"] if "{" in out else int(re.search(r"done=(\d+)", out).group(1))

    def rate(*ends):
        """All pairs at once: each is a server's command and core, and what gives the client's command for a port."""
        servers, children = [], []
        try:
            for command, core, _ in ends:
                port = free_port()
                servers.append(Server("a pair's server", command(port), port, core))
            for server, (_, _, load) in zip(servers, ends):
                children.append(subprocess.Popen(load(server.port), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
            outs = [child.communicate(timeout=seconds + 30)[0] for child in children]
        finally:
            for server in servers:
                server.stop()
        return sum(map(requests, outs)) / seconds

    everywhere, half = ",".join(map(str, CORES)), PAIRS_CONNS // 2
    floor_server = lambda port: [f"{floor}/floor_server", str(port), "-m", "ka"]
    yield "sockbench", "one pair, an end a core", lambda: rate(
        (sockbench_server, SERVER_CORE, lambda port: client(port, PAIRS_CONNS, CLIENT_CORE)))
    yield "sockbench", "2 threads, 2 event loops", lambda: rate(
        (lambda port: sockbench_server(port, "--reactors", "2"), everywhere, lambda port: client(port, PAIRS_CONNS, everywhere, "--threads", "2")))
    yield "sockbench", "the same with --pin auto on both sides", lambda: rate(
        (lambda port: sockbench_server(port, "--reactors", "2", "--pin", "auto"), everywhere,
         lambda port: client(port, PAIRS_CONNS, everywhere, "--threads", "2", "--pin", "auto")))
    yield "sockbench", "two pairs, one a core", lambda: rate(
        *((sockbench_server, core, lambda port, core=core: client(port, half, core)) for core in (SERVER_CORE, CLIENT_CORE)))
    yield "floor", "one pair, an end a core", lambda: rate(
        (floor_server, SERVER_CORE, lambda port: floor_client(port, PAIRS_CONNS, CLIENT_CORE)))
    yield "floor", "two pairs, one a core", lambda: rate(
        *((floor_server, core, lambda port, core=core: floor_client(port, half, core)) for core in (SERVER_CORE, CLIENT_CORE)))


def nginx_conf(folder, port):
    path = Path(folder) / f"nginx-{port}.conf"
    path.write_text(
        f"daemon off; master_process off; pid {folder}/nginx-{port}.pid; error_log {folder}/error.log crit;\n"
        "events { worker_connections 20000; }\n"
        "http { access_log off; keepalive_requests 1000000000; keepalive_timeout 75s; tcp_nodelay on; default_type application/json;\n"
        f"  server {{ listen 127.0.0.1:{port} backlog=4096;\n"
        "    location / { return 200 '{\"status\":\"healthy\"}\\n'; } } }\n"
    )
    return ["nginx", "-p", str(folder), "-c", str(path)]


# What a client cannot do: a connection of its own for each request, a rate, or so many connections at once.
CANNOT = {"short": {"h2load"}, "open": {"h2load", "ab", "wrk"}}
CONNS_MOST = {"ab": 1000}
FLOORS = ("floor", "floor in Rust")
# Of the open loop: the floors send when they come by, up to a millisecond late; this one when a request is due.
TIMED_FLOOR = "floor with a timerfd"


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
            for who, how, run in ways if number % 2 == 0 else reversed(ways):
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


def further(done, kind, head, base):
    """The table of a further kind; with `base`, a way, ratios to it by round."""
    ways = {}
    for key, value in done.items():
        parts = key.split("/")
        if len(parts) == 4 and parts[1] == kind and value is not None:
            ways.setdefault((parts[2], parts[3]), {})[parts[0]] = value
    if not ways:
        return
    yield ""
    yield f"| who | how | {head} | lowest..highest |" + (" of the one pair | 90 % interval |" if base else "")
    yield "|---|---|---|---|" + ("---|---|" if base else "")
    for (who, how), values in ways.items():
        form = "{:,.0f}" if base else "{:.2f}"
        low, middle, high = (form.format(f(values.values())) for f in (min, statistics.median, max))
        line = f"| {who} | {how} | {middle} | {low}..{high} |"
        if base:
            one = ways.get((who, base), {})
            ratios = [v / one[n] for n, v in values.items() if n in one]
            between = interval(ratios)
            line += f" {statistics.median(ratios):.3f} | " + (f"{between[0]:.3f}..{between[1]:.3f} |" if between else "- |")
        yield line


def small(bench, port):
    """What one request costs in time, and a client's memory."""
    url = f"http://127.0.0.1:{port}"
    for extra in ([], ["--no-observe"]):
        took = []
        for _ in range(25):
            began = time.monotonic()
            subprocess.run([bench, "load", f"{url}/health", "-n", "1", *extra], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            took.append((time.monotonic() - began) * 1e3)
        yield (f"`{' '.join(['load -n 1', *extra])}`: {statistics.median(took):.1f} ms ({min(took):.1f}..{max(took):.1f}, {len(took)} runs).")
    for endpoints in (1, 50):
        mix = ",".join(f"/health?{n}=1" for n in range(endpoints))
        most = []
        for _ in range(3):
            command = [bench, "load", url, "--mix", mix, "-c", "100", "-d", "2s", "--quiet", "--json", "-"]
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # ru_maxrss would count this script's own pages, which the child had before it became another program.
            time.sleep(1.5)
            status = Path(f"/proc/{child.pid}/status").read_text()
            if child.wait(30):
                sys.exit(f"speed.py: {' '.join(command)}: exit {child.returncode}")
            most.append(int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024 / 1e6)
        yield f"Memory of the client, 100 users, {endpoints} endpoint{'s' * (endpoints > 1)}: {statistics.median(most):.1f} MB ({min(most):.1f}..{max(most):.1f}, 3 runs)."


def put_between(path, lines):
    """Replaces what stands between the two marks of a file."""
    begin, end = "<!-- speed.py -->\n", "<!-- end of speed.py -->\n"
    text = path.read_text()
    if text.count(begin) != 1 or text.count(end) != 1:
        sys.exit(f"speed.py: {path}: not one line {begin.strip()} and one line {end.strip()}")
    head, tail = text.split(begin)[0], text.split(end)[1]
    path.write_text(head + begin + "\n".join(lines) + "\n" + end + tail)


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
    asked = args.peers.split(",")
    if unknown := [kind for kind in args.kinds.split(",") if kind not in ALL_KINDS]:
        sys.exit(f"speed.py: --kinds: {', '.join(unknown)}: not one of {', '.join(ALL_KINDS)}")
    if unknown := [name for name in asked if name not in PEERS]:
        sys.exit(f"speed.py: --peers: {', '.join(unknown)}: not one of {', '.join(PEERS)}")
    if not args.bench:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    bench = args.bench or str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/sockbench")
    built = peers_folder()
    floors = {"floor": args.floor or built}
    if args.floor and args.peers == ",".join(PEERS):
        floors["floor in Rust"] = built
    missing = [name for name in asked if name != "hyper" and not shutil.which(name)]
    peers = [name for name in asked if name not in missing]
    state = Path(args.state) if args.state else None
    done = json.loads(state.read_text()) if state and state.is_file() else {}

    def keep():
        if state:
            state.with_suffix(".new").write_text(json.dumps(done))
            state.with_suffix(".new").replace(state)

    with tempfile.TemporaryDirectory() as folder:
        servers = {}

        def serve(name, command_at):
            port = free_port()
            servers[name] = Server(name, command_at(port), port)

        try:
            serve("sockbench", lambda port: [bench, "server", "--listen", f"127.0.0.1:{port}", "--cpu-iterations", "1000", "--max-conns", "19900"])
            if "nginx" in peers:
                serve("nginx", lambda port: nginx_conf(folder, port))
            if "hyper" in peers:
                serve("hyper", lambda port: [f"{built}/hyper_server", str(port)])
            for name, where in floors.items():
                serve(name, lambda port, where=where: [f"{where}/floor_server", str(port), "-m", "ka"])
                serve(f"{name}, closing", lambda port, where=where: [f"{where}/floor_server", str(port), "-m", "sclose"])
            clients = Clients(bench, args.seconds)
            loads = {"sockbench": clients.sockbench}
            loads |= {name: getattr(clients, name) for name in ("wrk", "ab", "h2load") if name in peers}
            loads |= {name: clients.floor_of(where) for name, where in floors.items()}
            loads[TIMED_FLOOR] = clients.floor_of(built, "-t")
            # First: thousands of ports in TIME_WAIT would make each look at the kernel's tables longer.
            notes = list(small(bench, servers["sockbench"].port))
            others = {"first": list(first_seconds(bench, floors["floor"], servers)), "pairs": list(pairs(bench, floors["floor"], args.seconds))}
            others = {kind: ways for kind, ways in others.items() if kind in args.kinds.split(",")}
            complete = measure(args, loads, others, servers, done, keep)
        finally:
            for server in servers.values():
                server.stop()

    canaries = {int(key.split("/")[0]) + 1: value for key, value in done.items() if key.endswith("/canary")}
    weak = [number for number, c in canaries.items() if c < 0.85 * max(canaries.values())]
    control = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    speed = table(done)
    lines = [*(speeds(speed) if speed else ()),
             *further(done, "first", f"p99.9 ms, {FIRST_RATE:,}/s over {FIRST_CONNS} connections", None),
             *further(done, "pairs", f"requests/s, {PAIRS_CONNS} connections", "one pair, an end a core"), "", *notes, "",
             f"{args.rounds} alternating rounds of {args.seconds} s, {time.strftime('%Y-%m-%d')}, Linux {os.uname().release}, {len(CORES)} cores, "
             f"{control}; servers driven by {'wrk' if 'wrk' in loads else 'sockbench'}; canary "
             + (f"{min(canaries.values()):,.0f} to {max(canaries.values()):,.0f}/s, rounds below 85 % of the best: "
                f"{', '.join(map(str, weak)) or 'none'}." if canaries else "not run.")]
    if not complete:
        lines.append(f"The time of {args.minutes:g} min was over: {len(canaries)} rounds are whole" + (f"; --state {state} goes on." if state else "."))
    if missing:
        lines.append(f"Not installed, so not measured: {', '.join(missing)}.")
    print("\n".join(lines))
    if args.write:
        put_between(Path(args.write), lines)
    if args.json:
        document = {"measurements": done, "weak_rounds": weak, "complete": complete}
        Path(args.json).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
