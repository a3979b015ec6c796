#!/usr/bin/env bash
# What connect() costs while the pool fills: fast up to 50 %, then slow. The kernel searches the ports of one parity
# first; when half of the pool is in use it looks at all of those in vain before it tries the others.
#
# tcp_tw_reuse=0; one client makes short connections and closes first, a fortieth of the pool per step, until the
# pool of 28232 ports (--short: 4000) is full; then 40 attempts that are refused. Beside it a ring of as many
# ports with SO_REUSEADDR, twice round. Single runs on a busy machine are noisy: medians are charted. The pool must be
# full before its first port comes back after 60 s: a machine too busy for that is given half as many ports, then a
# quarter, and the result says so (half the ports are a quarter of the work).
#
# usage: scripts/search-cost.sh [--short] [-o DIR] [-h|--help]      default folder: results/search-cost
# Exit: 0 done; 2 usage; 3 no private namespace here. Times are reported, not checked.
. "$(dirname "$0")/lib.sh"
start search-cost "$@"
url=http://127.0.0.1:9000/health
low=32768 whole=28232 steps=40
[ "$short" = 1 ] && whole=4000 steps=20
export url low steps

# One client at a time: the next connection begins when the last is closed.
fill() {
  local step began=$SECONDS
  serve --listen 127.0.0.1:9000 || return
  for step in $(seq "$steps"); do
    # TIME_WAIT lasts 60 s: what comes later would find free ports.
    [ $((SECONDS - began)) -lt 50 ] || break
    load "step-$step" "$url" --no-keepalive --conns 1 --requests $((step * pool / steps - (step - 1) * pool / steps)) --no-observe --duration 8s
  done
  burst full "$url" 40
  echo $((SECONDS - began)) >took
  stop
}
ring() {
  local step began=$SECONDS
  serve --listen 127.0.0.1:9000 || return
  for step in $(seq "$steps"); do
    [ $((SECONDS - began)) -lt 80 ] || break
    load "step-$step" "$url" --no-keepalive --conns 1 --requests $((2 * pool / steps)) --no-observe \
      --port-mode ring --port-range "$low-$high" --reuse-addr --duration 20s
  done
  stop
}

for part in 1 2 4; do
  # Even: of an odd range the kernel does not use all.
  pool=$((whole / part / 2 * 2))
  high=$((low + pool - 1))
  export pool high
  rm -rf "$work/auto"
  inside "$work/auto" --sysctl "net.ipv4.ip_local_port_range=$low $high" --sysctl net.ipv4.tcp_tw_reuse=0 -- fill
  is "$(field "$work/auto/full.json" 't["local_failures"]') == 40 and $(cat "$work/auto/took" || echo 99) < 60" && break
  unmeasured "the search over $pool ports" "this machine could not fill them within 60 s"
done
inside "$work/ring" --sysctl "net.ipv4.ip_local_port_range=61100 65500" --sysctl net.ipv4.tcp_tw_reuse=0 -- ring

head_row used_percent connect_p50_us connect_p95_us ring_p50_us
held=0 ring_last=-
low_times='' high_times=''
for step in $(seq "$steps"); do
  file=$work/auto/step-$step.json
  [ -e "$file" ] || break
  read -r opened p50 p95 <<<"$(field "$file" 't["connections_opened"]' 't["connects"]["call_p50_us"]' 't["connects"]["call_p95_us"]')"
  is "$opened > 0" || break
  # A ring goes round twice in as many steps: from the middle on every port is in TIME_WAIT.
  ring_p50=$(field "$work/ring/step-$step.json" 't["connects"]["call_p50_us"]')
  used=$(calc "100 * ($held + $opened / 2) / $pool" .2f)
  held=$((held + opened))
  [ "$ring_p50" = - ] || ring_last=$ring_p50
  row "$used" "$p50" "$p95" "$ring_p50"
  if [ "$(calc "$used < 49" '')" = True ]; then low_times+="$p50,"; elif [ "$(calc "$used > 51" '')" = True ]; then high_times+="$p50,"; fi
done
read -r below above <<<"$(python3 -c "
from statistics import median
below, above = [$low_times], [$high_times]
print(*(f'{median(v):.0f}' if v else 0 for v in (below, above)))")"
[ -e "$work/ring/step-$steps.json" ] || unmeasured "the ring with every port in TIME_WAIT" "this machine could not go round it twice in 80 s"
read -r refused refused_made refused_us <<<"$(field "$work/auto/full.json" 't["local_failures"]' 't["connections_opened"]' 'd["series"][-1]["connect_p50_us"]')"
shape "connect() past 50 % against below" "$above > 3 * max($below, 1)"
shape "in use in the end, of $pool" "$held == $pool"
shape "the ring with every port in TIME_WAIT against the kernel's search past 50 %" "$ring_last * 3 < $above"
factor=$(calc "$above / max($below, 1)" .0f)

chart search-cost.svg --title "connect() becomes slow when half of the ports are in use" \
  --subtitle "time in connect(), $pool ports to one destination, tcp_tw_reuse=0, client closing first; the ring has used each port once at 50 %" \
  --x "used_percent=share of the pool in use (%)" --y-label "us" --log-y --mark "50=half of the ports" \
  --y "connect_p50_us=connect() p50,connect_p95_us=connect() p95,ring_p50_us=ring + SO_REUSEADDR p50" --dashed connect_p95_us
say "## Search cost: the cliff at 50 %"
say "The median \`connect()\` over $pool ports took $below us while less than half of them were in use, and $above us beyond: $factor times as long. No error shows it: every connection succeeds until the last port is in use; only the client's CPU and the set-up time rise. At the end $held of $pool ports were in use; of 40 further attempts $refused were refused with errno 99 and $refused_made made, each after a search of $refused_us us. A ring of as many explicit ports with SO_REUSEADDR stays at $ring_last us even when every port is in TIME_WAIT. So a client can be limited by the search near half of P/T long before P/T itself fails."
picture search-cost.svg "Time in connect() against the share of the pool in use: the cliff at 50 %"
# The table at every tenth of the way; the chart has all steps.
python3 - "$csv" "$out/search-cost-table.csv" <<'PY'
import csv, sys
rows = list(csv.reader(open(sys.argv[1])))
step = max(1, (len(rows) - 1) // 10)
csv.writer(open(sys.argv[2], "w"), lineterminator="\n").writerows([rows[0]] + rows[1::step])
PY
table "$out/search-cost-table.csv"
finish
