#!/usr/bin/env python3
"""What a worker costs beside Locust's own, at the same rate: CPU time per request, in rounds that run forwards and backwards in turn.

Each round starts a Locust master without a browser three times, with one worker each: sockbench worker, Locust's HttpUser, its
FastHttpUser. The requests are counted by the master (its CSV) and by the target. The CPU time is that of the worker's process and its
children from start to end, so all pay for what they need to start (Locust some 0.7 s of Python). The exit code is 1 where a worker failed,
and where sockbench's requests differ between master and target.

usage: scripts/worker-cost.py [--users N] [--each RATE] [--seconds S] [--rounds R] [--locust FILE]
env: SOCKBENCH names the program (target/release/sockbench)
"""

import argparse
import csv
import os
import pathlib
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

PROGRAM = os.environ.get("SOCKBENCH", "target/release/sockbench")
CLASS = """from locust import {base}, constant_throughput, task


class Sockbench({base}):
    wait_time = constant_throughput({each})

    @task
    def health(self):
        self.client.get("/health")
"""
OWN = ("HttpUser", "FastHttpUser")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answered(admin):
    text = urllib.request.urlopen(f"http://{admin}/metrics", timeout=5).read().decode()
    return sum(float(n) for n in re.findall(r'^http_requests_total\{handler="/health",method="GET"[^}]*\} (\S+)$', text, re.M))


def cpu_s(worker):
    """Of a child that is waited for, its own children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = worker.wait(timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return code, sum(getattr(after, k) - getattr(before, k) for k in ("ru_utime", "ru_stime"))


def one(kind, args, place, url, admin):
    """One run led by a master: CPU seconds of the worker, requests by the master and by the target."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    port = free_port()
    own = kind in OWN
    if own:
        (place / "locustfile.py").write_text(CLASS.format(base=kind, each=args.each))
    else:
        text = subprocess.run(
            [PROGRAM, "locustfile", "--mix", "/health=1", "--think", f"{1 / args.each}s"], check=True, capture_output=True, text=True
        ).stdout
        (place / "locustfile.py").write_text(text)
    before = answered(admin)
    master = subprocess.Popen(
        [args.locust, "--master", "--headless", "-f", "locustfile.py", "--host", url, "-u", str(args.users), "-r", str(args.users),
         "-t", f"{args.seconds}s", "--expect-workers", "1", "--master-bind-port", str(port), "--csv", "master", "--exit-code-on-error", "0"],
        cwd=place, stdout=subprocess.DEVNULL, stderr=open(place / "master.log", "w"))
    worker = None
    try:
        command = (
            [args.locust, "--worker", "-f", "locustfile.py", "--master-host", "127.0.0.1", "--master-port", str(port)] if own
            else [os.path.abspath(PROGRAM), "worker", "--master-host", "127.0.0.1", "--master-port", str(port)])
        worker = subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stderr=open(place / "worker.log", "w"))
        code, spent = cpu_s(worker)
        master.wait(timeout=60)
    finally:
        for program in (worker, master):
            if program and program.poll() is None:
                program.kill()
                program.wait()
    if code != 0:
        sys.exit(f"worker-cost.py: {kind}: exit {code}: {(place / 'worker.log').read_text()[-500:]}")
    with open(place / "master_stats.csv") as f:
        requests = next(int(row["Request Count"]) for row in csv.DictReader(f) if row["Name"] == "Aggregated")
    return code, spent, requests, answered(admin) - before


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--each", type=float, default=4.0, help="requests per second of one user")
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--locust", default=shutil.which("locust") or "locust")
    args = parser.parse_args()
    args.locust = os.path.abspath(args.locust) if os.sep in args.locust else args.locust
    kinds = ("sockbench", *OWN)
    per_request = {kind: [] for kind in kinds}
    counts = []
    with tempfile.TemporaryDirectory() as directory:
        listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
        server = subprocess.Popen([PROGRAM, "server", "--listen", listen, "--admin", admin], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            for number in range(args.rounds):
                for kind in kinds if number % 2 == 0 else kinds[::-1]:
                    code, spent, requests, theirs = one(kind, args, pathlib.Path(directory) / "run", f"http://{listen}", admin)
                    per_request[kind].append(1e6 * spent / max(requests, 1))
                    counts.append((kind, requests, theirs))
                    print(f"{number + 1} {kind:12} exit {code}  {requests:6} requests by the master, {theirs:6.0f} by the target  "
                          f"{spent:6.2f} s of CPU  {per_request[kind][-1]:8.1f} us a request", flush=True)
        finally:
            server.terminate()
            server.wait()
    for kind in kinds:
        values = sorted(per_request[kind])
        print(f"{kind:12} median {statistics.median(values):8.1f} us a request ({values[0]:.1f}..{values[-1]:.1f})")
    for kind in OWN:
        ratios = sorted(theirs / ours for theirs, ours in zip(per_request[kind], per_request["sockbench"]))
        print(f"{kind:12} costs {statistics.median(ratios):.0f} times as much ({ratios[0]:.0f}..{ratios[-1]:.0f})")
    for kind in kinds:
        unlike = [(by_master, by_target) for which, by_master, by_target in counts if which == kind and by_master != by_target]
        print(f"{kind:12} " + (f"counts differ, master and target: {unlike}" if unlike else "master and target count the same in every run"))
    return 1 if any(which == "sockbench" and a != b for which, a, b in counts) else 0


if __name__ == "__main__":
    sys.exit(main())
