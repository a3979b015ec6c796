#!/usr/bin/env python3
"""CPU per request of sockbench's server and client beside nginx, wrk and, if given, a bare epoll pair.

Server on the first core, client on the last, one after the other in alternating rounds; the median of all rounds with
lowest and highest. CPU time is the kernel's own account of each process (getrusage of a finished client,
/proc/PID/schedstat of every thread of a server), so it moves less than the rate when others use the machine. Every
round begins and ends with a canary, the same short run each time: rounds whose canary falls below 85 % of the best
are named.

usage: scripts/speed.py [--rounds N] [--seconds S] [--conns N] [--floor DIR] [--bench FILE] [--json FILE]
  --floor DIR   a folder with the programs floor_server and floor_client (a bare epoll pair without HTTP parsing);
                every figure then has its ratio to the floor of the same round
  --bench FILE  a sockbench that is built already
needs: cargo, taskset, and any of nginx, wrk. What is missing is named. Loopback only; only own processes are ended.
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


def run_client(command, server):
    """Runs a client; its output, its CPU seconds, the server's CPU seconds meanwhile, its wall seconds."""
    before, began = cpu_s(server.process.pid), time.monotonic()
    child = subprocess.Popen(["taskset", "-c", CLIENT_CORE, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    if child.returncode:
        sys.exit(f"speed.py: {' '.join(command)}: exit {child.returncode}: {out[-300:]}")
    return out, usage.ru_utime + usage.ru_stime, cpu_s(server.process.pid) - before, wall


class Clients:
    """Each method gives (requests, client CPU s, server CPU s, wall s)."""

    def __init__(self, bench, seconds, floor, conns):
        self.bench, self.seconds, self.floor, self.conns = bench, seconds, floor, str(conns)

    def sockbench(self, server, short):
        args = ["--no-keepalive", "--closer", "server"] if short else []
        command = [self.bench, "load", f"http://127.0.0.1:{server.port}/health", "-c", self.conns, "-d", f"{self.seconds}s"]
        out, client, serving, wall = run_client([*command, *args, "--quiet", "--json", "-"], server)
        return json.loads(out[out.index("{"):])["totals"]["requests"], client, serving, wall

    def wrk(self, server, short):
        args = ["-H", "Connection: close"] if short else []
        command = ["wrk", "-t1", f"-c{self.conns}", f"-d{self.seconds}s", *args, f"http://127.0.0.1:{server.port}/health"]
        out, client, serving, wall = run_client(command, server)
        return int(re.search(r"(\d+) requests in", out).group(1)), client, serving, wall

    def floor_pair(self, server, short):
        """The floor's client; short connections are closed by the server (-e)."""
        args = ["-e"] if short else []
        command = [f"{self.floor}/floor_client", str(server.port), "-c", self.conns, "-d", str(self.seconds), *args]
        out, client, serving, wall = run_client(command, server)
        return int(re.search(r"done=(\d+)", out).group(1)), client, serving, wall


def nginx_conf(folder, port):
    path = Path(folder) / f"nginx-{port}.conf"
    path.write_text(
        f"daemon off; master_process off; pid {folder}/nginx-{port}.pid; error_log {folder}/error.log crit;\n"
        "events { worker_connections 4096; }\n"
        "http { access_log off; keepalive_requests 1000000000; keepalive_timeout 75s; tcp_nodelay on; default_type application/json;\n"
        f"  server {{ listen 127.0.0.1:{port} backlog=4096;\n"
        "    location / { return 200 '{\"status\":\"healthy\"}\\n'; } } }\n"
    )
    return ["nginx", "-p", str(folder), "-c", str(path)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--conns", type=int, default=100)
    parser.add_argument("--floor")
    parser.add_argument("--bench")
    parser.add_argument("--json")
    args = parser.parse_args()
    if not args.bench:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    bench = args.bench or str(ROOT / "target/release/sockbench")
    clients = Clients(bench, args.seconds, args.floor, args.conns)
    missing = [name for name in ("nginx", "wrk") if not shutil.which(name)]
    if not args.floor:
        missing.append("floor pair (--floor DIR)")

    with tempfile.TemporaryDirectory() as folder:
        servers, rows = [], {}
        try:
            port = free_port()
            ours = Server("sockbench", [bench, "server", "--listen", f"127.0.0.1:{port}", "--cpu-iterations", "1000"], port)
            servers.append(ours)
            if shutil.which("nginx"):
                port = free_port()
                servers.append(Server("nginx", nginx_conf(folder, port), port))
            if args.floor:
                port = free_port()
                servers.append(Server("floor", [f"{args.floor}/floor_server", str(port), "-m", "ka"], port))
                port = free_port()
                servers.append(Server("floor, closing", [f"{args.floor}/floor_server", str(port), "-m", "sclose"], port))
            by_name = {s.name: s for s in servers}
            loads = {"sockbench": clients.sockbench}
            if shutil.which("wrk"):
                loads["wrk"] = clients.wrk
            if args.floor:
                loads["floor"] = clients.floor_pair
            reference = "wrk" if "wrk" in loads else "sockbench"

            # (what, who, server, client, short): the row's figure is the server's or the client's CPU
            plan = []
            for short in (False, True):
                kind = "short" if short else "kept"
                for s in ("sockbench", "nginx", "floor"):
                    name = "floor, closing" if s == "floor" and short else s
                    if name in by_name:
                        plan.append((f"server, {kind}", s, by_name[name], reference, short))
                for c in loads:
                    # The floor's client does not ask for the end of the connection: its own server closes unasked.
                    server = by_name["floor, closing"] if c == "floor" and short else ours
                    plan.append((f"client, {kind}", c, server, c, short))
            canaries, weak = [], []
            for number in range(args.rounds):
                # Every other round backwards: what comes first is not always the same.
                for what, who, server, client, short in plan if number % 2 == 0 else reversed(plan):
                    requests, client_cpu, server_cpu, wall = loads[client](server, short)
                    if not requests:
                        sys.exit(f"speed.py: {what}: {who}: no request was answered")
                    cpu = server_cpu if what.startswith("server") else client_cpu
                    rows.setdefault((what, who), []).append((cpu / requests * 1e6, requests / wall))
                canary = loads[reference](ours, False)
                canaries.append(canary[0] / canary[3])
                print(f"round {number + 1} of {args.rounds}: canary {canaries[-1]:,.0f}/s", file=sys.stderr)
            weak = [i + 1 for i, c in enumerate(canaries) if c < 0.85 * max(canaries)]
        finally:
            for server in servers:
                server.stop()

    print(f"| CPU us per request, {args.conns} connections | who | median | lowest..highest | of the floor | requests/s |")
    print("|---|---|---|---|---|---|")
    for (what, who), values in rows.items():
        us = [v[0] for v in values]
        rates = [v[1] for v in values]
        floor = [v[0] for v in rows.get((what, "floor"), [])]
        ratios = [mine / bare for mine, bare in zip(us, floor)]
        of_floor = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})" if ratios else "-"
        print(f"| {what} | {who} | {statistics.median(us):.2f} | {min(us):.2f}..{max(us):.2f} | {of_floor} | {statistics.median(rates):,.0f} |")
    print(f"\n{args.rounds} alternating rounds of {args.seconds} s; servers driven by {reference}; "
          f"canary {min(canaries):,.0f}..{max(canaries):,.0f}/s, rounds below 85 % of the best: {weak or 'none'}")
    if missing:
        print(f"missing, not measured: {', '.join(missing)}")
    if args.json:
        document = {"rows": [{"what": w, "who": n, "cpu_us": [v[0] for v in vs], "rate": [v[1] for v in vs]} for (w, n), vs in rows.items()],
                    "canary": canaries, "weak_rounds": weak}
        Path(args.json).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
