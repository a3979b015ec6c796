#!/usr/bin/env python3
"""CPU per request of sockbench's server and client beside nginx, wrk, ab, h2load and, if given, a bare epoll pair.

Server on the first core, client on the last (two), or both on the first (one), one after the other in alternating rounds; the
median of all rounds with lowest and highest. CPU time is the kernel's own account of each process (getrusage of a finished
client, /proc/PID/schedstat of every thread of a server), so it moves less than the rate when others use the machine. Every
round ends with a canary, the same short run each time: rounds whose canary falls below 85 % of the best are named.

usage: scripts/speed.py [--rounds N] [--seconds S] [--conns N,N,...] [--cores two|one|both] [--floor DIR] [--bench FILE]
                        [--state FILE] [--minutes M] [--json FILE]
  --conns LIST  kept connections at once, one table row each [default: 100]; connections of one request are measured with the first
  --floor DIR   a folder with the programs floor_server and floor_client (a bare epoll pair without HTTP parsing);
                every figure then has its ratio to the floor of the same round
  --bench FILE  a sockbench that is built already
  --state FILE  keep each measurement there at once, and go on after the last one when called again
  --minutes M   end after so long, with the table of what is there [default: 120]
needs: cargo, taskset, and any of nginx, wrk, ab, h2load. What is missing is named. Loopback only; only own processes are ended.
"""

import argparse
import json
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
    def __init__(self, name, command, port):
        self.name, self.port = name, port
        self.process = subprocess.Popen(
            ["taskset", "-c", SERVER_CORE, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
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

    def __init__(self, bench, seconds, floor):
        self.bench, self.seconds, self.floor = bench, seconds, floor

    def sockbench(self, server, short, conns, core):
        args = ["--no-keepalive", "--closer", "server"] if short else []
        command = [self.bench, "load", f"http://127.0.0.1:{server.port}/health", "-c", str(conns), "-d", f"{self.seconds}s"]
        out, *rest = run_client([*command, *args, "--quiet", "--json", "-"], server, core)
        return json.loads(out[out.index("{"):])["totals"]["requests"], *rest

    def wrk(self, server, short, conns, core):
        args = ["-H", "Connection: close"] if short else []
        command = ["wrk", "-t1", f"-c{conns}", f"-d{self.seconds}s", *args, f"http://127.0.0.1:{server.port}/health"]
        out, *rest = run_client(command, server, core)
        return int(re.search(r"(\d+) requests in", out).group(1)), *rest

    def ab(self, server, short, conns, core):
        args = [] if short else ["-k"]
        command = ["ab", "-q", "-r", "-t", str(self.seconds), "-n", "100000000", "-c", str(conns), *args]
        out, *rest = run_client([*command, f"http://127.0.0.1:{server.port}/health"], server, core)
        return int(re.search(r"Complete requests:\s+(\d+)", out).group(1)), *rest

    def h2load(self, server, short, conns, core):
        command = ["h2load", "--h1", "-t1", f"-c{conns}", f"-D{self.seconds}", f"http://127.0.0.1:{server.port}/health"]
        out, *rest = run_client(command, server, core)
        return int(re.search(r"(\d+) succeeded", out).group(1)), *rest

    def floor_pair(self, server, short, conns, core):
        """The floor's client; short connections are closed by the server (-e)."""
        args = ["-e"] if short else []
        command = [f"{self.floor}/floor_client", str(server.port), "-c", str(conns), "-d", str(self.seconds), *args]
        out, *rest = run_client(command, server, core)
        return int(re.search(r"done=(\d+)", out).group(1)), *rest


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


# Clients that cannot ask for a connection of its own for each request, or not for so many at once.
KEPT_ONLY = {"h2load"}
CONNS_MOST = {"ab": 1000}


def measurements(args, loads, servers):
    """(cores, connections, short, what, who, server, client) of one round."""
    conns = [int(n) for n in args.conns.split(",")]
    reference = "wrk" if "wrk" in loads else "sockbench"
    for cores in ("two", "one") if args.cores == "both" else (args.cores,):
        for count, short in [(count, False) for count in conns] + [(conns[0], True)]:
            closing = "floor, closing" if short else "floor"
            for name in ("sockbench", "nginx", "floor"):
                server = servers.get(closing if name == "floor" else name)
                if server:
                    yield cores, count, short, "server", name, server, reference
            for name in loads:
                if (short and name in KEPT_ONLY) or count > CONNS_MOST.get(name, count):
                    continue
                # The floor's client does not ask for the end of the connection: its own server closes unasked.
                yield cores, count, short, "client", name, servers[closing if name == "floor" and short else "sockbench"], name


def measure(args, loads, servers, done, keep):
    """Adds to `done` what is missing. False: the time was over."""
    until = time.monotonic() + args.minutes * 60
    reference = loads["wrk" if "wrk" in loads else "sockbench"]
    for number in range(args.rounds):
        plan = list(measurements(args, loads, servers))
        # Every other round backwards: what comes first is not always the same.
        for cores, conns, short, what, who, server, client in plan if number % 2 == 0 else reversed(plan):
            key = f"{number}/{cores}/{conns}/{'short' if short else 'kept'}/{what}/{who}"
            if key in done:
                continue
            if time.monotonic() > until:
                return False
            core = CLIENT_CORE if cores == "two" else SERVER_CORE
            requests, client_cpu, server_cpu, wall = loads[client](server, short, conns, core)
            if not requests:
                sys.exit(f"speed.py: {key}: no request was answered")
            cpu = server_cpu if what == "server" else client_cpu
            done[key] = [cpu / requests * 1e6, requests / wall]
            keep()
        if f"{number}/canary" not in done:
            canary = reference(servers["sockbench"], False, 100, CLIENT_CORE)
            done[f"{number}/canary"] = canary[0] / canary[3]
            keep()
        print(f"round {number + 1} of {args.rounds}: canary {done[f'{number}/canary']:,.0f}/s", file=sys.stderr)
    return True


def table(done):
    """(cores, connections, kind, what) to {who: {round: [us, rate]}}."""
    rows = {}
    for key, value in done.items():
        if key.endswith("/canary"):
            continue
        number, cores, conns, kind, what, who = key.split("/")
        rows.setdefault((cores, int(conns), kind, what), {}).setdefault(who, {})[number] = value
    return rows


def show(rows):
    print("| cores | connections | CPU us per request | who | median | lowest..highest | of the floor | requests/s |")
    print("|---|---|---|---|---|---|---|---|")
    for (cores, conns, kind, what), by_who in rows.items():
        for who, rounds in by_who.items():
            us = [v[0] for v in rounds.values()]
            floor = by_who.get("floor", {})
            ratios = [v[0] / floor[n][0] for n, v in rounds.items() if n in floor]
            of_floor = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})" if ratios else "-"
            rate = statistics.median(v[1] for v in rounds.values())
            print(f"| {cores} | {conns:,} | {what}, {kind} | {who} | {statistics.median(us):.2f} | {min(us):.2f}..{max(us):.2f} "
                  f"| {of_floor} | {rate:,.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--conns", default="100")
    parser.add_argument("--cores", choices=("two", "one", "both"), default="two")
    parser.add_argument("--floor")
    parser.add_argument("--bench")
    parser.add_argument("--state")
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--json")
    args = parser.parse_args()
    if not args.bench:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    bench = args.bench or str(ROOT / "target/release/sockbench")
    clients = Clients(bench, args.seconds, args.floor)
    missing = [name for name in ("nginx", "wrk", "ab", "h2load") if not shutil.which(name)]
    if not args.floor:
        missing.append("floor pair (--floor DIR)")
    state = Path(args.state) if args.state else None
    done = json.loads(state.read_text()) if state and state.is_file() else {}

    def keep():
        if state:
            state.with_suffix(".new").write_text(json.dumps(done))
            state.with_suffix(".new").replace(state)

    with tempfile.TemporaryDirectory() as folder:
        servers = {}
        try:
            port = free_port()
            command = [bench, "server", "--listen", f"127.0.0.1:{port}", "--cpu-iterations", "1000", "--max-conns", "15000"]
            servers["sockbench"] = Server("sockbench", command, port)
            if "nginx" not in missing:
                port = free_port()
                servers["nginx"] = Server("nginx", nginx_conf(folder, port), port)
            for name, mode in (("floor", "ka"), ("floor, closing", "sclose")) if args.floor else ():
                port = free_port()
                servers[name] = Server(name, [f"{args.floor}/floor_server", str(port), "-m", mode], port)
            loads = {"sockbench": clients.sockbench}
            loads |= {name: getattr(clients, name) for name in ("wrk", "ab", "h2load") if name not in missing}
            if args.floor:
                loads["floor"] = clients.floor_pair
            complete = measure(args, loads, servers, done, keep)
        finally:
            for server in servers.values():
                server.stop()

    show(table(done))
    canaries = {int(key.split("/")[0]) + 1: value for key, value in done.items() if key.endswith("/canary")}
    weak = [number for number, c in canaries.items() if c < 0.85 * max(canaries.values())]
    print(f"\n{args.rounds} alternating rounds of {args.seconds} s; servers driven by {'wrk' if 'wrk' in loads else 'sockbench'}; canary "
          + (f"{min(canaries.values()):,.0f}..{max(canaries.values()):,.0f}/s, rounds below 85 % of the best: {weak or 'none'}"
             if canaries else "not run"))
    if not complete:
        print(f"the time of {args.minutes:g} min was over: {len(canaries)} rounds are whole" + (f"; --state {state} goes on" if state else ""))
    if missing:
        print(f"missing, not measured: {', '.join(missing)}")
    if args.json:
        document = {"measurements": done, "weak_rounds": weak, "complete": complete}
        Path(args.json).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
