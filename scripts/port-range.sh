#!/usr/bin/env bash
# The size of the port range sets the ceiling: P ports, each in TIME_WAIT for T seconds, sustain P/T new connections a second.
#
# For several ranges: a burst of twice as many connections as there are ports (tcp_tw_reuse=0: exactly P are made, the
# rest fail in connect() with EADDRNOTAVAIL), and a rate of three times the ceiling over 2.67 T with T = 3 s
# (tcp_tw_reuse=1 and tcp_tw_reuse_delay=3000): three times P are made, in three waves.
#
# usage: scripts/port-range.sh [--short] [-o DIR] [-h|--help]      default folder: results/port-range
# Exit: 0 all claims hold; 1 one does not; 2 usage; 3 no private namespace here.
. "$(dirname "$0")/lib.sh"
start port-range "$@"
url=http://127.0.0.1:9000/health
hold=3
pools=(50 100 200 400 600 800)
[ "$short" = 1 ] && pools=(50 100 200)
export url hold

burst_cell() { # POOL
  serve --listen 127.0.0.1:9000 && burst burst "$url" $((2 * $1)) && stop
}
sustained_cell() { # POOL
  serve --listen 127.0.0.1:9000 &&
    load sustained "$url" --no-keepalive --rate $((3 * $1 / hold)) --conns 1000 --duration "${length}s" && stop
}
length=$(calc "2.67 * $hold")
export length

has_delay=0
[ -e /proc/sys/net/ipv4/tcp_tw_reuse_delay ] && has_delay=1
for pool in "${pools[@]}"; do
  range="net.ipv4.ip_local_port_range=20000 $((20000 + pool - 1))"
  aside "$work/burst-$pool" --sysctl "$range" --sysctl net.ipv4.tcp_tw_reuse=0 -- burst_cell "$pool"
  [ "$has_delay" = 0 ] ||
    aside "$work/sustained-$pool" --sysctl "$range" --sysctl net.ipv4.tcp_tw_reuse=1 \
      --sysctl net.ipv4.tcp_tw_reuse_delay=$((hold * 1000)) -- sustained_cell "$pool"
done
together

head_row ports burst_asked burst_made error law_per_s measured_per_s default_hold_per_s
worst=0
for pool in "${pools[@]}"; do
  b=$work/burst-$pool/burst.json
  s=$work/sustained-$pool/sustained.json
  read -r asked made local_failures <<<"$(field "$b" 't["attempts"]' 't["connections_opened"]' 't["local_failures"]')"
  error=$(errors "$b")
  check "$pool ports, a burst of $asked: made" "$made" "$pool"
  check "$pool ports, a burst of $asked: failed on this machine" "$local_failures" "$pool"
  check "$pool ports, a burst of $asked: error" "$error" "connect 99"
  law=$(calc "$pool / $hold" .1f)
  measured=-
  if [ "$has_delay" = 1 ]; then
    opened=$(field "$s" 't["connections_opened"]')
    # Three waves of P: the last one is over before the end of the run, and the fourth would come after it.
    measured=$(calc "$opened / (3 * $hold)" .1f)
    waves "$pool ports" "$s" "$pool" "$hold"
    worst=$(calc "max($worst, abs($opened / (3 * $pool) - 1) * 100)" .1f)
  fi
  row "$pool" "$asked" "$made" "$error" "$law" "$measured" "$(calc "$pool / 60" .1f)"
done

chart port-range.svg --title "The port range sets the ceiling" \
  --subtitle "new connections/s to one destination, client closing first, each port in TIME_WAIT for $hold s (tcp_tw_reuse_delay); asked for: three times the ceiling" \
  --x "ports=ports in ip_local_port_range" --y "law_per_s=the law: ports / $hold s,measured_per_s=measured" --y-label "connections/s" \
  --dashed law_per_s --dots measured_per_s
largest=${pools[-1]}
say "## Port range: the ceiling is ports / T"
say "\`ip_local_port_range\` is how many connections to one destination a client that closes first can make before it must wait. A burst of twice as many gives exactly one connection per port, $largest of $((2 * largest)) with $largest ports; every other one fails at once in \`connect()\` with errno 99 (EADDRNOTAVAIL). At $hold s of TIME_WAIT each, the ports sustained the predicted rate: at three times the ceiling the measured rate is within $worst % of P/T for all ${#pools[@]} ranges. With Linux's 60 s the default range of 28232 sustains 470.5/s, and the widest, 1024 to 65535, 1075.2/s: a wider range gains a factor of 2.3 and no more."
picture port-range.svg "Measured ceiling against the number of ports, on the line ports / T"
table
finish
