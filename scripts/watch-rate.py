#!/usr/bin/env python3
"""Does `sockbench watch` slow the program that it watches?

usage: watch-rate.py [--sockbench BIN] [--pairs N] [--seconds S]

Runs wrk with 50 kept connections against a sockbench server, alone and under watch, in alternating pairs of S seconds, and prints the
mean difference of its requests/s with its 90 % interval. Needs wrk. Exit code 2 where it is missing.
"""

import argparse
import math
import re
import shutil
import statistics
import subprocess
import sys


def rate(command):
    """Requests per second that wrk printed."""
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return float(re.search(r"Requests/sec:\s*([\d.]+)", output).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sockbench", default="target/release/sockbench")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=3)
    args = parser.parse_args()
    if shutil.which("wrk") is None:
        print("watch-rate.py: wrk is missing: apt-get install wrk", file=sys.stderr)
        return 2
    server = subprocess.Popen(
        [args.sockbench, "server", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        url = server.stdout.readline().split()[-1] + "/health"
        alone = ["wrk", "-t", "1", "-c", "50", "-d", f"{args.seconds}s", url]
        watched = [args.sockbench, "watch", "--", *alone]
        differences, rates = [], []
        for pair in range(args.pairs):
            order = (alone, watched) if pair % 2 == 0 else (watched, alone)
            got = {id(command): rate(command) for command in order}
            rates.append(got[id(alone)])
            differences.append((got[id(watched)] / got[id(alone)] - 1) * 100)
    finally:
        server.terminate()
        server.wait()
    mean = statistics.mean(differences)
    # Student's t, 90 %, for 19 degrees of freedom; a little wider or narrower for other counts.
    half = 1.729 * statistics.stdev(differences) / math.sqrt(len(differences))
    print(f"alone {statistics.median(rates):,.0f} requests/s (median; {min(rates):,.0f}..{max(rates):,.0f})")
    print(f"under watch {mean:+.1f} % (90 % interval {mean - half:+.1f} to {mean + half:+.1f} %, {args.pairs} pairs of {args.seconds} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
