#!/usr/bin/env python3
"""What --live costs a load client: CPU per request with it and without it, in alternating pairs.

Each pair runs the same load twice against a server on the first core, client on the last, with and without --live, in turn
the one or the other first. With --live a reader takes every event, as a browser does. The answer is the mean of the
differences, in per cent of the run without, with its 90 % interval (t distribution). Two accounts are kept: of the load
threads alone, which is what the run itself waits for, and of the whole client with the thread that makes the page.

usage: scripts/live-cost.py [--pairs N] [--seconds S] [--binary FILE] [--json FILE]
needs: cargo (or --binary), taskset. Loopback only; only own processes are ended.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = str(CORES[0]), str(CORES[-1])
# Quantiles 0.95 of Student's t by degrees of freedom; above, that of the normal distribution is near enough.
T95 = {1: 6.31, 2: 2.92, 3: 2.35, 4: 2.13, 5: 2.02, 7: 1.89, 9: 1.83, 14: 1.76, 19: 1.73, 29: 1.70, 39: 1.685}


def t95(freedom):
    return next((t for n, t in sorted(T95.items(), reverse=True) if n <= freedom), 6.31)


def follow(url, taken):
    """Reads all events as they come."""
    with urllib.request.urlopen(url + "events", timeout=60) as events:
        while piece := events.read1(65536):
            taken.append(len(piece))


def run(binary, target, seconds, live):
    """CPU microseconds per request: of the load threads, of the whole client."""
    command = ["taskset", "-c", CLIENT_CORE, binary, "load", target, "-c", "20", "-d", f"{seconds}s", "--threads", "1"]
    command += ["--json", "-"] + (["--live", "0"] if live else [])
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    readers, taken = [], []

    def listen():
        for line in child.stderr:
            found = re.search(r"live page (http://\S+/),", line)
            if found:
                readers.append(threading.Thread(target=follow, args=(found[1], taken)))
                readers[-1].start()

    # Both streams at once: a client that cannot write its result never ends the other one.
    listener = threading.Thread(target=listen)
    listener.start()
    out = child.stdout.read()
    listener.join()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    for reader in readers:
        reader.join()
    if child.returncode or (live and not taken):
        sys.exit(f"live-cost.py: {' '.join(command)}: exit {child.returncode}, {len(taken)} pieces of events")
    result = json.loads(out)
    requests = result["totals"]["requests"]
    load = sum(t["cpu_s"] for t in result["resources"]["client"]["threads"] if t["name"].startswith("load-"))
    return load / requests * 1e6, (usage.ru_utime + usage.ru_stime) / requests * 1e6


def interval(differences):
    mean = statistics.mean(differences)
    half = t95(len(differences) - 1) * statistics.stdev(differences) / len(differences) ** 0.5
    return mean - half, mean, mean + half


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--binary")
    parser.add_argument("--json")
    args = parser.parse_args()
    if args.pairs < 2:
        sys.exit("live-cost.py: --pairs: at least 2")
    binary = args.binary
    if not binary:
        subprocess.run(["cargo", "build", "--release", "-q"], cwd=ROOT, check=True)
        binary = str(ROOT / "target/release/sockbench")
    server = subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, binary, "server", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    try:
        target = server.stdout.readline().split()[-1] + "/health"
        pairs = []
        for n in range(args.pairs):
            order = [False, True] if n % 2 == 0 else [True, False]
            got = {live: run(binary, target, args.seconds, live) for live in order}
            pairs.append((got[False], got[True]))
            print(f"pair {n + 1:2}: load threads {got[False][0]:.2f} -> {got[True][0]:.2f} us, "
                  f"client {got[False][1]:.2f} -> {got[True][1]:.2f} us", file=sys.stderr)
    finally:
        server.terminate()
        server.wait(15)
    answer = {"pairs": args.pairs, "seconds": args.seconds}
    for i, what in enumerate(["load threads", "whole client"]):
        low, mean, high = interval([100 * (live[i] / without[i] - 1) for without, live in pairs])
        without = statistics.median(p[0][i] for p in pairs)
        answer[what] = {"without_us": without, "percent": [low, mean, high]}
        print(f"{what}: {without:.2f} us a request without; with --live {mean:+.1f} % (90 %: {low:+.1f} to {high:+.1f} %)")
    if args.json:
        Path(args.json).write_text(json.dumps(answer, indent=2) + "\n")


if __name__ == "__main__":
    main()
