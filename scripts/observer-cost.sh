#!/usr/bin/env bash
# What the observer costs a run: CPU per connection of the client with and without it (--no-observe), in alternating
# pairs in one private namespace that holds 28,000 sockets in TIME_WAIT. Prints the mean difference with its 95 %
# interval as a line of Markdown. Needs no root; nothing outside the namespace is touched.
#
# usage: scripts/observer-cost.sh [PAIRS] [-h|--help]      needs: cargo, python3; default 20 pairs, about 3 minutes
set -eu -o pipefail

case "${1:-20}" in
  -h | --help) sed -n '2,6p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
  *[!0-9]* | 0 | 1) echo "observer-cost.sh: $1: not a number of pairs above 1" >&2; exit 2 ;;
esac
pairs=${1:-20}
cd "$(dirname "$0")/.."
bench=${SOCKBENCH:-target/release/sockbench}
[ -x "$bench" ] || cargo build --release --quiet
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/pairs.py" <<'PY'
import json, math, resource, signal, statistics, subprocess, sys
bench, pairs = sys.argv[1], int(sys.argv[2])
server = subprocess.Popen([bench, "server", "--listen", "127.0.0.1:8080", "--cpu-iterations", "1"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
server.stdout.readline()
ring = ["--no-keepalive", "--port-mode", "ring", "--port-range", "10000-37999", "--reuse-addr"]

def run(n, extra):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run([bench, "load", "http://127.0.0.1:8080/health", "-c", "20", "-n", str(n), "-q", "--json", "-", *ring, *extra],
                         capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = json.loads(out)
    assert result["totals"]["requests"] == n, result["totals"]
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e6 / n

run(28000, [])
off, on = [], []
for i in range(pairs):
    first, second = ([], ["--no-observe"]) if i % 2 else (["--no-observe"], [])
    for extra in (first, second):
        (off if extra else on).append(run(60000, extra))
difference = [a - b for a, b in zip(on, off)]
mean = statistics.mean(difference)
half = 2.09 * statistics.stdev(difference) / math.sqrt(pairs)
base = statistics.median(off)
print(f"| {pairs} pairs of 60,000 connections | off {base:.2f} us | on {statistics.median(on):.2f} us | "
      f"difference {mean:+.2f} us ({mean / base * 100:+.1f} %), 95 % interval {mean - half:+.2f}..{mean + half:+.2f} us |")
server.send_signal(signal.SIGTERM)
server.wait(20)
PY
"$bench" sandbox --sysctl net.ipv4.tcp_tw_reuse=0 -- python3 "$tmp/pairs.py" "$bench" "$pairs" 2>"$tmp/err" || { cat "$tmp/err" >&2; exit 1; }
