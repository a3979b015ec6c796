#!/usr/bin/env bash
# What a connection from the port ring costs the client when every port of the ring is in TIME_WAIT, against the
# first ones on a fresh ring. In private namespaces, tcp_tw_reuse=0, a ring of 4,000 ports, the client closing first.
#
# Each round, in a namespace of its own: 2,000 connections on fresh ports, 96,000 until every port is in TIME_WAIT, 2,000 again.
# CPU is the client process's own (user + system), less that of a run with one request. 5 rounds; --short: 2, of 16,000.
#
# usage: scripts/ring-wear.sh [--short] [-o DIR] [-h|--help]      default folder: results/ring-wear
# Exit: 0 done; 1 it could not be measured; 2 usage; 3 no private namespace here.
. "$(dirname "$0")/lib.sh"
start ring-wear "$@"
rounds=5 wearing=96000
[ "$short" = 1 ] && rounds=2 wearing=16000
export work wearing

cat >"$work/round.py" <<'PY'
import json, os, subprocess, sys

bench, wearing = sys.argv[1], int(sys.argv[2])
RING = ["--port-mode", "ring", "--port-range", "10000-13999", "--reuse-addr"]

def run(n, *more):
    """CPU seconds of a client, and its result."""
    child = subprocess.Popen([bench, "load", "http://127.0.0.1:9000/health", "--requests", str(n), "--conns", "8",
                              "--no-keepalive", "--no-observe", "--quiet", "--json", "-", *more],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    text = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    result = json.loads(text)
    totals = result["totals"]
    if status or totals["requests"] - totals["failures"] != n:
        sys.exit(f"a run of {n} did not succeed: {result['errors']}")
    return used.ru_utime + used.ru_stime, totals["connects"]

base = min(run(1)[0] for _ in range(5))
cells = []
for n in (2000, wearing, 2000):
    cpu, connects = run(n, *RING)
    cells += [f"{(cpu - base) / n * 1e6:.2f}", str(connects["call_p50_us"]), str(connects["call_p99_us"])]
print(",".join(cells))
PY
cell() {
  serve --listen 127.0.0.1:9000 --cpu-iterations 1 && python3 "$work/round.py" "$bench" "$wearing" >row && stop
}

head_row round fresh_us fresh_connect_p50_us fresh_connect_p99_us wearing_us wearing_connect_p50_us wearing_connect_p99_us \
  worn_us worn_connect_p50_us worn_connect_p99_us
for round in $(seq "$rounds"); do
  inside "$work/$round" --sysctl net.ipv4.tcp_tw_reuse=0 --sysctl 'net.ipv4.ip_local_port_range=33000 36999' -- cell &&
    row "$round" "$(cat "$work/$round/row")" && continue
  unmeasured "round $round" "a run did not succeed"
  failed=1
done
[ "$(wc -l <"$csv")" -gt 1 ] || finish
python3 - "$csv" "$(uname -r)" "$wearing" >"$work/result" <<'PY'
import csv, statistics, sys

rows = [{k: float(v) for k, v in r.items()} for r in csv.DictReader(open(sys.argv[1]))]
wearing = int(sys.argv[3])
print(f"Ring of 4,000 ports, tcp_tw_reuse=0, Linux {sys.argv[2]}, median (lowest..highest) of {len(rows)} rounds.\n")
print("| connections | CPU per connection, us | connect() p50, us | connect() p99, us |\n|---|---|---|---|")
for name, what in [("fresh", "first 2,000, fresh ports"), ("wearing", f"next {wearing:,}"), ("worn", "last 2,000, all in TIME_WAIT")]:
    cells = []
    for key in ("us", "connect_p50_us", "connect_p99_us"):
        values = [r[f"{name}_{key}"] for r in rows]
        cells.append(f"{statistics.median(values):.1f} ({min(values):.1f}..{max(values):.1f})")
    print(f"| {what} | {' | '.join(cells)} |")
ratios = [r["worn_us"] / r["fresh_us"] for r in rows]
print(f"\nCPU per connection, all in TIME_WAIT / fresh: {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})")
PY
chart ring-wear.svg --title "A ring in TIME_WAIT costs what a fresh one does" \
  --subtitle "CPU of the client per connection over a ring of 4,000 explicit ports with SO_REUSEADDR, tcp_tw_reuse=0, client closing first" \
  --x "round=round" --y "fresh_us=first 2000 on a fresh ring,wearing_us=next $wearing,worn_us=last 2000 with all in TIME_WAIT" --y-label "us" \
  --dots fresh_us,wearing_us,worn_us
say "## The ring with every port in TIME_WAIT"
{ cat "$work/result"; echo; } | tee -a "$md"
picture ring-wear.svg "CPU per connection on fresh ports and with all in TIME_WAIT, round by round"
finish
