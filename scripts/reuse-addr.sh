#!/usr/bin/env bash
# SO_REUSEADDR on a client: without effect where the kernel picks the port, a full remedy for a ring of explicit ports,
# and only when the socket that left the TIME_WAIT had it too.
#
# 50 ports, tcp_tw_reuse=0, short connections, client closing first, in bursts of 25 to 200, ten at a time.
#
# usage: scripts/reuse-addr.sh [--short] [-o DIR] [-h|--help]      default folder: results/reuse-addr
# Exit: 0 all claims hold; 1 one does not; 2 usage; 3 no private namespace here.
. "$(dirname "$0")/lib.sh"
start reuse-addr "$@"
url=http://127.0.0.1:9000/health
ring=(--port-mode ring --port-range 10000-10049)
bursts=(25 50 75 100 150 200)
[ "$short" = 1 ] && bursts=(25 50 150)
export url
auto=(--sysctl "net.ipv4.ip_local_port_range=20000 20049" --sysctl net.ipv4.tcp_tw_reuse=0)

one() { # ASKED ARGS...
  serve --listen 127.0.0.1:9000 && burst only "$url" "$@" && stop
}
two() { # FIRST SECOND: 50 connections with, then 50 without or the other way; `on` or `off`
  local first=() second=()
  [ "$1" = on ] && first=(--reuse-addr)
  [ "$2" = on ] && second=(--reuse-addr)
  serve --listen 127.0.0.1:9000 && burst first "$url" 50 --port-mode ring --port-range 10000-10049 "${first[@]}" &&
    burst second "$url" 50 --port-mode ring --port-range 10000-10049 "${second[@]}" && stop
}

for asked in "${bursts[@]}"; do
  aside "$work/auto-off-$asked" "${auto[@]}" -- one "$asked"
  aside "$work/auto-on-$asked" "${auto[@]}" -- one "$asked" --reuse-addr
  aside "$work/bind-on-$asked" "${auto[@]}" -- one "$asked" --port-mode bind --reuse-addr
  aside "$work/ring-off-$asked" "${auto[@]}" -- one "$asked" "${ring[@]}"
  aside "$work/ring-on-$asked" "${auto[@]}" -- one "$asked" "${ring[@]}" --reuse-addr
  together
done
for pair in "off off" "on off" "off on" "on on"; do
  read -r before now <<<"$pair"
  aside "$work/two-$before-$now" "${auto[@]}" -- two "$before" "$now"
done
aside "$work/no-timestamps" "${auto[@]}" --sysctl net.ipv4.tcp_timestamps=0 -- one 150 "${ring[@]}" --reuse-addr
together

head_row asked auto auto_reuse bind_reuse ring ring_reuse
for asked in "${bursts[@]}"; do
  cells=("$asked")
  few=$((asked < 50 ? asked : 50))
  for mode in auto-off:connect auto-on:connect bind-on:bind ring-off:bind ring-on:none; do
    file=$work/${mode%:*}-$asked/only.json
    made=$(field "$file" 't["connections_opened"]')
    want=$few error=none
    [ "$mode" = ring-on:none ] && want=$asked
    [ "$want" -lt "$asked" ] && case "$mode" in *connect) error="connect 99" ;; *) error="bind 98" ;; esac
    check "${mode%:*}, $asked asked: made" "$made" "$want"
    check "${mode%:*}, $asked asked: error" "$(errors "$file")" "$error"
    cells+=("$made")
  done
  row "${cells[@]}"
done
chart reuse-addr.svg --title "SO_REUSEADDR helps a ring of explicit ports, and nothing else" \
  --subtitle "connections made over 50 ports in one burst; client closing first, tcp_tw_reuse=0" \
  --x "asked=connections asked for" --y-label "connections made" \
  --y "ring_reuse=ring + SO_REUSEADDR,ring=ring without,auto_reuse=the kernel's choice + SO_REUSEADDR" \
  --dots auto_reuse --reference "50=50 ports"

matrix=$out/both-sides.csv
main_csv=$csv
csv=$matrix
head_row closed_before binds_now made_of_50 error
for pair in "off off" "on off" "off on" "on on"; do
  read -r before now <<<"$pair"
  file=$work/two-$before-$now/second.json
  made=$(field "$file" 't["connections_opened"]')
  error=$(errors "$file")
  want=0 want_error="bind 98"
  [ "$pair" = "on on" ] && want=50 want_error=none
  check "SO_REUSEADDR first $before, then $now: made" "$made" "$want"
  check "SO_REUSEADDR first $before, then $now: error" "$error" "$want_error"
  row "$before" "$now" "$made" "$error"
done
stamps=$work/no-timestamps/only.json
stamps_made=$(field "$stamps" 't["connections_opened"]')
stamps_error=$(errors "$stamps")
check "ring + SO_REUSEADDR without tcp_timestamps, 150 asked: made" "$stamps_made" 50
check "ring + SO_REUSEADDR without tcp_timestamps: error" "$stamps_error" "connect 99"
csv=$main_csv

largest=${bursts[-1]}
file=$work/ring-on-$largest/only.json
say "## SO_REUSEADDR: a remedy for explicit ports only"
say "Where the kernel picks the port (\`connect()\` alone, or \`bind(ip, 0)\`), SO_REUSEADDR changes nothing: 50 of $largest with 50 ports, with and without it. A client that binds explicit ports (\`--port-mode ring --reuse-addr\`) makes $(field "$file" 't["connections_opened"]') of $largest: it uses a port in TIME_WAIT at once, with a median of $(field "$file" 't["connects"]["call_p50_us"]') us per \`connect()\`. Both sockets need the option, the one in TIME_WAIT and the one that binds now; with only one of them \`bind()\` fails with errno 98. Without \`tcp_timestamps\` \`bind()\` succeeds and \`connect()\` fails instead ($stamps_made of 150, $stamps_error). This is the meaning on Linux; on Windows the option lets sockets steal each other's ports."
picture reuse-addr.svg "Connections made against connections asked for, by who chooses the port"
table
say "Both sides need it, over the same 50 ports:"
table "$matrix"
finish
