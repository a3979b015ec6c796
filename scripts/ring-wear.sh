#!/usr/bin/env bash
# What a connection from the own port ring costs the client when every port of the ring is in TIME_WAIT, against the
# first ones on a fresh ring. In private namespaces, tcp_tw_reuse=0, a ring of 4,000 ports, the client closing first.
#
# Each round, in a namespace of its own: 2,000 connections on the fresh ring, 96,000 to wear it out, 2,000 again.
# CPU is the client process's own (user + system), less that of a run with one request. Prints a table in Markdown:
# scripts/ring-wear.sh > FILE. Needs no root; nothing outside the namespaces is touched.
#
# usage: scripts/ring-wear.sh [ROUNDS] [-h|--help]      needs: cargo, python3; default 5 rounds
set -eu -o pipefail

case "${1:-5}" in
  -h | --help) sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
  *[!0-9]* | 0) echo "ring-wear.sh: $1: not a number of rounds" >&2; exit 2 ;;
esac
rounds=${1:-5}
cd "$(dirname "$0")/.."
cargo build --release --quiet
bench=${CARGO_TARGET_DIR:-target}/release/sockbench
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/round.py" <<'EOF'
import json, os, signal, subprocess, sys

bench = sys.argv[1]
server = subprocess.Popen([bench, "server", "--listen", "127.0.0.1:8080", "--cpu-iterations", "1"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
server.stdout.readline()
RING = ["--port-mode", "ring", "--port-range", "10000-13999", "--reuse-addr"]

def run(n, *more):
    """CPU seconds of a client, and its result."""
    child = subprocess.Popen([bench, "load", "http://127.0.0.1:8080/health", "--requests", str(n), "--conns", "8",
                              "--no-keepalive", "--no-observe", "--quiet", "--json", "-", *more],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    text = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    result = json.loads(text)
    totals = result["totals"]
    if status or totals["requests"] - totals["failures"] != n:
        sys.exit(f"a run of {n} did not succeed: {result['errors']}")
    return used.ru_utime + used.ru_stime, totals["connects"]

try:
    base = min(run(1)[0] for _ in range(5))
    row = {}
    for name, n in [("fresh", 2000), ("wearing", 96000), ("worn", 2000)]:
        cpu, connects = run(n, *RING)
        row[name] = {"cpu_us": (cpu - base) / n * 1e6, "p50": connects["call_p50_us"], "p99": connects["call_p99_us"]}
    print(json.dumps(row))
finally:
    server.send_signal(signal.SIGTERM)
    server.wait(15)
EOF

for _ in $(seq "$rounds"); do
  "$bench" sandbox --sysctl net.ipv4.tcp_tw_reuse=0 --sysctl 'net.ipv4.ip_local_port_range=33000 36999' -- \
    python3 "$tmp/round.py" "$bench" 2>>"$tmp/stderr" >>"$tmp/rows" || { cat "$tmp/stderr" >&2; exit 3; }
done

python3 - "$tmp/rows" "$(uname -r)" <<'EOF'
import json, statistics, sys

rows = [json.loads(line) for line in open(sys.argv[1])]
print(f"Ring of 4,000 ports, tcp_tw_reuse=0, Linux {sys.argv[2]}, median (lowest..highest) of {len(rows)} rounds.\n")
print("| connections | CPU per connection, us | connect() p50, us | connect() p99, us |\n|---|---|---|---|")
for name, what in [("fresh", "first 2,000, fresh ring"), ("wearing", "next 96,000"), ("worn", "last 2,000, full wear")]:
    cells = []
    for key in ("cpu_us", "p50", "p99"):
        values = [r[name][key] for r in rows]
        cells.append(f"{statistics.median(values):.1f} ({min(values):.1f}..{max(values):.1f})")
    print(f"| {what} | {' | '.join(cells)} |")
ratios = [r["worn"]["cpu_us"] / r["fresh"]["cpu_us"] for r in rows]
print(f"\nCPU per connection, full wear / fresh: {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})")
EOF
