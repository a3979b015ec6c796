#!/usr/bin/env bash
# What a kept connection is worth: rate, latency and TIME_WAIT with a connection per request and with kept ones.
#
# 1 to 64 users, closed loop, /health; a connection per request with the client closing first, the same with the
# server closing first, and kept connections. sockbench has no flag for a number of requests per connection between
# one and unlimited: what is compared is one against all (requests_per_connection says how many that came to).
#
# usage: scripts/keepalive.sh [--short] [-o DIR] [-h|--help]      default folder: results/keepalive
# Exit: 0 the counts are as claimed; 1 one is not; 2 usage; 3 no private namespace here. Times are reported, not checked.
. "$(dirname "$0")/lib.sh"
start keepalive "$@"
url=http://127.0.0.1:9000/health
users=(1 2 4 8 16 32 64)
duration=2s
[ "$short" = 1 ] && users=(1 8 32) duration=1s
export url duration

cell() { # USERS ARGS...
  local conns=$1
  shift
  serve --listen 127.0.0.1:9000 && load run "$url" --conns "$conns" --duration "$duration" "$@" && stop
}

# The widest range and tcp_tw_reuse=1: this is about the cost of a connection, not about running out of ports.
settings=(--sysctl "net.ipv4.ip_local_port_range=10000 65535" --sysctl net.ipv4.tcp_tw_reuse=1)
for count in "${users[@]}"; do
  inside "$work/kept-$count" "${settings[@]}" -- cell "$count"
  inside "$work/client-$count" "${settings[@]}" -- cell "$count" --no-keepalive --closer client
  inside "$work/server-$count" "${settings[@]}" -- cell "$count" --no-keepalive --closer server
done

head_row users kept_rps short_rps short_server_closes_rps kept_p50_ms short_p50_ms kept_p99_ms short_p99_ms kept_requests_per_connection kept_time_wait short_time_wait
for count in "${users[@]}"; do
  read -r rps p50 p99 each opened waiting <<<"$(field "$work/kept-$count/run.json" 't["rps"]' 't["latency_ms"]["p50"]' \
    't["latency_ms"]["p99"]' 't["requests_per_connection"]' 't["connections_opened"]' 'd["ports"]["states"]["time_wait"]')"
  read -r short_rps short_p50 short_p99 short_made short_opened short_waiting <<<"$(field "$work/client-$count/run.json" 't["rps"]' \
    't["latency_ms"]["p50"]' 't["latency_ms"]["p99"]' 't["requests"]' 't["connections_opened"]' 'd["ports"]["peak_time_wait"]')"
  server_rps=$(field "$work/server-$count/run.json" 't["rps"]')
  check "$count users, kept: connections" "$opened" "$count"
  # What was in flight at the end had a connection and no answer yet.
  check_that "$count users, a connection per request: connections against requests" "0 <= $short_opened - $short_made <= $count"
  shape "$count users: kept connections carry more" "$rps > $short_rps"
  row "$count" "$(calc "$rps" .0f)" "$(calc "$short_rps" .0f)" "$(calc "$server_rps" .0f)" "$p50" "$short_p50" "$p99" "$short_p99" \
    "$(calc "$each" .0f)" "$waiting" "$short_waiting"
done
chart keepalive.svg --title "A kept connection saves the set-up, the port and the wait" \
  --subtitle "/health on loopback, closed loop, $duration each; solid: requests/s, dashed: latency p50" \
  --x "users=users" --log-x --y-label "requests/s" --right-label "ms" \
  --y "kept_rps=kept,short_rps=a connection per request,short_server_closes_rps=the same with the server closing" \
  --right "kept_p50_ms=kept p50,short_p50_ms=per request p50" --dashed kept_p50_ms,short_p50_ms
last=${users[-1]}
kept=$work/kept-$last/run.json
brief=$work/client-$last/run.json
say "## Keep-alive: the first remedy, and the cheapest"
say "With $last users kept connections carried $(field "$kept" 'round(t["rps"])') requests/s at a median of $(field "$kept" 't["latency_ms"]["p50"]') ms; a new connection for each request $(field "$brief" 'round(t["rps"])')/s at $(field "$brief" 't["latency_ms"]["p50"]') ms: $(calc "$(field "$kept" 't["rps"]') / $(field "$brief" 't["rps"]')" .1f) times the rate. It took $last connections in all instead of $(field "$brief" 't["connections_opened"]'), and left nothing in TIME_WAIT while it ran, where the other had up to $(field "$brief" 'd["ports"]["peak_time_wait"]') ports. Ports cannot run out when each is used for $(field "$kept" 'round(t["requests_per_connection"])') requests. Who closes first decides which side has the TIME_WAIT, not what a connection costs."
picture keepalive.svg "Requests per second and latency against users, kept and not"
table
finish
