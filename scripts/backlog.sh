#!/usr/bin/env bash
# The backlog of listen(2) decides what a burst of connections costs while the server is busy: what fits is set up at
# once, every other SYN is dropped, counted (ListenOverflows) and sent again after one second.
#
# The server is stopped (SIGSTOP) in a private namespace, 300 clients connect at once, and when the last of them has sent
# its SYN the server goes on.
#
# usage: scripts/backlog.sh [--short] [-o DIR] [-h|--help]      default folder: results/backlog
# Exit: 0 all claims hold; 1 one does not; 2 usage; 3 no private namespace here.
. "$(dirname "$0")/lib.sh"
start backlog "$@"
clients=300
backlogs=(16 32 64 128 200 256 299 350 512)
[ "$short" = 1 ] && backlogs=(32 128 512)
export clients

# The sockets that have port 9000 (2328 in hexadecimal) as their destination and ask for a connection or have one.
connecting() { awk '$3 ~ /:2328$/ && ($4 == "01" || $4 == "02")' /proc/net/tcp | wc -l; }
export -f connecting

cell() { # BACKLOG
  serve --listen 127.0.0.1:9000 --backlog "$1" || return
  kill -STOP "$server"
  until grep -q '^State:[[:space:]]*T' "/proc/$server/status"; do sleep 0.02; done
  load burst http://127.0.0.1:9000/health --conns "$clients" --requests "$clients" --no-keepalive --closer server --timeout 20s &
  # Waits for the clients and not for a time, which a busy machine would spend on starting them.
  for _ in $(seq 300); do
    sleep 0.1
    [ "$(connecting)" = "$clients" ] && break
  done
  sleep 0.1
  kill -CONT "$server"
  wait $!
  stop
}

for backlog in "${backlogs[@]}"; do
  inside "$work/$backlog" -- cell "$backlog"
done

head_row backlog listen_overflows did_not_fit setups_near_1s setups_near_3s setup_p50_ms setup_p99_ms setup_max_ms failed
monotone=True previous=1000000
for backlog in "${backlogs[@]}"; do
  file=$work/$backlog/burst.json
  read -r overflows near_1s near_3s p50 p99 max made failures <<<"$(field "$file" 'd["kernel"]["listen_overflows"]' \
    't["connects"]["setup_near_1s"]' 't["connects"]["setup_near_3s"]' 't["connects"]["setup_p50_ms"]' \
    't["connects"]["setup_p99_ms"]' 't["connects"]["setup_max_ms"]' 't["connections_opened"]' 't["failures"]')"
  # The kernel queues backlog + 1; the first attempt of all others is dropped.
  surplus=$((clients > backlog + 1 ? clients - backlog - 1 : 0))
  if [ "$surplus" = 0 ]; then
    check "backlog $backlog, $clients clients: ListenOverflows" "$overflows" 0
  else
    check_that "backlog $backlog, $clients clients: ListenOverflows, at least those that do not fit" "$overflows >= $surplus"
  fi
  check "backlog $backlog: connections made in the end" "$made" "$clients"
  shape "backlog $backlog: set-ups near 1 s and 3 s, those that did not fit" "abs($near_1s + $near_3s - $surplus) <= 0.1 * $clients"
  [ "$overflows" -le "$previous" ] || monotone=False
  previous=$overflows
  row "$backlog" "$overflows" "$surplus" "$near_1s" "$near_3s" "$p50" "$p99" "$max" "$failures"
done
shape "ListenOverflows falls with the backlog" "$monotone"
chart backlog.svg --title "A short backlog costs a second, not an error" \
  --subtitle "$clients connections at once while the server is stopped; set-up from connect() to the established connection" \
  --x "backlog=backlog of listen(2)" --log-x --y-label "ms" --right-label "ListenOverflows" \
  --y "setup_p50_ms=set-up p50,setup_p99_ms=set-up p99" --right "listen_overflows=ListenOverflows" --dashed listen_overflows \
  --mark "$clients=$clients clients"
first=$work/${backlogs[0]}/burst.json
last=$work/${backlogs[-1]}/burst.json
unanswered=$(field "$first" 't["failures"]')
lost=
[ "$unanswered" = 0 ] || lost=" A second effect shows where the queue is much too short: whoever's last ACK found it full has a connection that the server does not have; the requests of all these are sent again at the same moments, only backlog + 1 of them get in each time, and $unanswered had no answer after 20 s."
say "## Listen backlog: latency, never an errno"
say "While a server does not accept, the kernel queues backlog + 1 connections; it drops every further SYN and counts it as ListenOverflows. \`connect()\` sees no error: the client sends the SYN again after 1 s, then after 2 s more. With a backlog of ${backlogs[0]} and $clients clients at once the kernel counted $(field "$first" 'd["kernel"]["listen_overflows"]') overflows (SYNs and last ACKs that found the queue full, retries included) and $(field "$first" 't["connects"]["setup_near_1s"] + t["connects"]["setup_near_3s"]') set-ups took 1 s or 3 s (p99 $(field "$first" 't["connects"]["setup_p99_ms"]') ms); with ${backlogs[-1]} it counted $(field "$last" 'd["kernel"]["listen_overflows"]') and the slowest took $(field "$last" 't["connects"]["setup_max_ms"]') ms. Set-up times near 1000 or 3000 ms are the sign, and \`net.core.somaxconn\` caps what the server asked for.$lost"
picture backlog.svg "Set-up time and ListenOverflows against the backlog"
table
finish
