#!/usr/bin/env bash
# What the observer costs a run: CPU of the client per request with and without it (--no-observe), in alternating pairs
# in one private namespace with 28,000 sockets in TIME_WAIT. Each run makes short connections over a ring
# of 28,000 ports for 7 s, as fast as it can; its CPU is the process's own as wait4(2) gives it, less that of a run with
# one request of the same kind: start and end are stated apart. Every other pair has the other order.
#
# 20 pairs, about 5 minutes; --short: 4 pairs of 2 s. After 345 s it ends with the pairs that it has, and says how many.
#
# usage: scripts/observer-cost.sh [--short] [-o DIR] [-h|--help]      default folder: results/observer-cost
# Exit: 0 done; 1 it could not be measured; 2 usage; 3 no private namespace here.
. "$(dirname "$0")/lib.sh"
start observer-cost "$@"
pairs=20 seconds=7
[ "$short" = 1 ] && pairs=4 seconds=2
export pairs seconds work
bound=400

cat >"$work/pairs.py" <<'PY'
import json, os, subprocess, sys, time

bench, pairs, seconds, rows = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), open(sys.argv[4], "w")
began = time.monotonic()
RING = ["--no-keepalive", "--port-mode", "ring", "--port-range", "10000-37999", "--reuse-addr", "--conns", "20"]

def time_wait():
    for line in open("/proc/net/sockstat"):
        if line.startswith("TCP:"):
            words = line.split()
            return int(words[words.index("tw") + 1])

def run(observed, *more):
    """CPU seconds of a client, and its result."""
    child = subprocess.Popen([bench, "load", "http://127.0.0.1:9000/health", "--quiet", "--json", "-", *RING, *more,
                              *([] if observed else ["--no-observe"])], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    text, said = child.stdout.read(), child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    result = json.loads(text or "{}")
    if status or result["totals"]["failures"] or result["totals"]["local_failures"]:
        sys.exit(f"a run failed: {said.decode().strip() or result['errors']}")
    return used.ru_utime + used.ru_stime, result

run(False, "--requests", "28000")
start_up = {observed: sorted(run(observed, "--requests", "1")[0] for _ in range(7))[3] for observed in (False, True)}
rows.write("pair,off_us,on_us,off_requests,on_requests,observer_percent,time_wait,off_start_ms,on_start_ms\n")
longest = 0
for pair in range(1, pairs + 1):
    if time.monotonic() - began + longest > 345:
        break
    before, got, held = time.monotonic(), {}, 10**9
    for observed in ((False, True) if pair % 2 else (True, False)):
        held = min(held, time_wait())
        cpu, result = run(observed, "--duration", f"{seconds:g}s")
        requests = result["totals"]["requests"]
        got[observed] = (cpu - start_up[observed]) / requests * 1e6, requests
        if observed:
            threads = {t["name"]: t["cpu_s"] for t in result["resources"]["client"]["threads"]}
            share = threads["sockbench-observer"] / result["duration_s"] * 100
    rows.write(f"{pair},{got[False][0]:.3f},{got[True][0]:.3f},{got[False][1]},{got[True][1]},{share:.3f},{held},"
               f"{start_up[False] * 1e3:.1f},{start_up[True] * 1e3:.1f}\n")
    rows.flush()
    longest = max(longest, time.monotonic() - before)
PY
cell() {
  serve --listen 127.0.0.1:9000 --cpu-iterations 1 && python3 "$work/pairs.py" "$bench" "$pairs" "$seconds" "$work/rows.csv" && stop
}
inside "$work/cell" --sysctl net.ipv4.tcp_tw_reuse=0 --sysctl "net.ipv4.ip_local_port_range=40000 60999" -- cell ||
  failed=1

if [ "$(wc -l <"$work/rows.csv" || echo 0)" -lt 3 ]; then
  unmeasured "the pairs" "fewer than two finished"
  failed=1
  finish
fi
cp "$work/rows.csv" "$csv"
python3 - "$csv" "$pairs" "$seconds" "$(uname -r)" "$(nproc)" >"$work/result" <<'PY'
import csv, sys
from math import sqrt
from statistics import mean, median, stdev
rows = [{k: float(v) for k, v in r.items()} for r in csv.DictReader(open(sys.argv[1]))]
asked, seconds, kernel, cores = sys.argv[2:]
off, on = [r["off_us"] for r in rows], [r["on_us"] for r in rows]
difference = [b - a for a, b in zip(off, on)]
n, v, z = len(rows), len(rows) - 1, 1.959964
# Student's t at 97.5 %: exact for one and two degrees of freedom, then its expansion in 1/v (to 0.01 from 4 on).
t = {1: 12.706, 2: 4.303, 3: 3.182}.get(v) or z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
half = t * stdev(difference) / sqrt(n)
base, m = median(off), mean(difference)
percent = lambda us: f"{us / base * 100:+.1f} %"
print(f"{n} pairs of {seconds} s{'' if n == int(asked) else f' ({asked} were asked for: the time was up)'}, "
      f"{min(r['time_wait'] for r in rows):.0f} sockets in TIME_WAIT at least, {min(r['off_requests'] for r in rows):.0f} to "
      f"{max(r['off_requests'] for r in rows):.0f} connections a run; Linux {kernel}, {cores} cores.\n")
print("| CPU of the client per connection, us | median | lowest | highest |\n|---|---:|---:|---:|")
for name, values in ("off", off), ("on", on), ("difference, on - off", difference):
    print(f"| {name} | {median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")
print(f"\nMean difference {m:+.2f} us ({percent(m)}), 95 % interval {m - half:+.2f} to {m + half:+.2f} us "
      f"({percent(m - half)} to {percent(m + half)}).")
share = [r["observer_percent"] for r in rows]
print(f"The observer's thread took {median(share):.2f} % of a core, its start included ({min(share):.2f} to {max(share):.2f}). It goes by time, "
      f"so what it adds to a connection depends on their rate, here {median(r['on_requests'] for r in rows) / float(seconds):.0f}/s in the median. "
      f"Start and end of a run, left out above: {rows[0]['off_start_ms']:.0f} ms of CPU without it, {rows[0]['on_start_ms']:.0f} ms with it.")
PY
chart observer-cost.svg --title "What the observer costs" \
  --subtitle "CPU of the client per short connection, $seconds s a run, 28,000 sockets in TIME_WAIT; pairs in alternating order" \
  --x "pair=pair" --y "off_us=--no-observe,on_us=observed" --y-label "us" --dots off_us,on_us
say "## What the observer costs"
{ cat "$work/result"; echo; } | tee -a "$md"
picture observer-cost.svg "CPU per connection with and without the observer, pair by pair"
finish
