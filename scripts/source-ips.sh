#!/usr/bin/env bash
# Source addresses multiply the pool: N addresses give N times the ports. With IP_BIND_ADDRESS_NO_PORT each
# destination has a pool of its own and nothing is left behind; with a plain bind(ip, 0) both is lost.
#
# 50 ports, 1 to 6 source addresses, short connections, client closing first: a burst to one destination, the same to
# a second one, then 50 from the kernel's own choice of address and port; and the sustained ceiling with T = 3 s.
#
# usage: scripts/source-ips.sh [--short] [-o DIR] [-h|--help]      default folder: results/source-ips
# Exit: 0 all claims hold; 1 one does not; 2 usage; 3 no private namespace here.
. "$(dirname "$0")/lib.sh"
start source-ips "$@"
counts=(1 2 3 4 6)
[ "$short" = 1 ] && counts=(1 2 4)
hold=3
length=$(calc "2.67 * $hold")
export hold length

sources() { # COUNT: 127.0.1.1,127.0.1.2,...
  seq -f '127.0.1.%g' -s, "$1"
}
export -f sources

bursts() { # COUNT MODE
  local asked=$((50 * $1 + 50))
  serve --listen 127.0.0.1:9000 --listen 127.0.0.1:9001 --listen 127.0.0.1:9002 || return
  burst first http://127.0.0.1:9000/health "$asked" --port-mode "$2" --source "$(sources "$1")" &&
    burst second http://127.0.0.1:9001/health "$asked" --port-mode "$2" --source "$(sources "$1")" &&
    burst auto http://127.0.0.1:9002/health 50 && stop
}
sustained() { # COUNT
  serve --listen 127.0.0.1:9000 &&
    load sustained http://127.0.0.1:9000/health --no-keepalive --rate $((3 * 50 * $1 / hold)) --conns 400 \
      --duration "${length}s" --port-mode no-port --source "$(sources "$1")" && stop
}

range=(--sysctl "net.ipv4.ip_local_port_range=20000 20049")
has_delay=0
[ -e /proc/sys/net/ipv4/tcp_tw_reuse_delay ] && has_delay=1
for count in "${counts[@]}"; do
  [ "$has_delay" = 0 ] || aside "$work/sustained-$count" "${range[@]}" --sysctl net.ipv4.tcp_tw_reuse=1 \
    --sysctl net.ipv4.tcp_tw_reuse_delay=$((hold * 1000)) -- sustained "$count"
  for mode in no-port bind; do
    aside "$work/$mode-$count" "${range[@]}" --sysctl net.ipv4.tcp_tw_reuse=0 -- bursts "$count" "$mode"
  done
done
together

head_row addresses law_per_s measured_per_s no_port second_destination auto_then bind bind_second bind_auto_then
for count in "${counts[@]}"; do
  cells=("$count" "$(calc "50 * $count / $hold" .1f)")
  measured=-
  if [ "$has_delay" = 1 ]; then
    opened=$(field "$work/sustained-$count/sustained.json" 't["connections_opened"]')
    measured=$(calc "$opened / (3 * $hold)" .1f)
    waves "$count addresses" "$work/sustained-$count/sustained.json" $((50 * count)) "$hold"
  fi
  cells+=("$measured")
  for mode in no-port bind; do
    cell=$work/$mode-$count
    want_second=$((50 * count)) want_auto=50 error="connect 99"
    [ "$mode" = bind ] && want_second=0 want_auto=0 error="bind 98"
    first=$(field "$cell/first.json" 't["connections_opened"]')
    second=$(field "$cell/second.json" 't["connections_opened"]')
    auto=$(field "$cell/auto.json" 't["connections_opened"]')
    check "$count addresses, $mode: made of $((50 * count + 50))" "$first" $((50 * count))
    check "$count addresses, $mode: error" "$(errors "$cell/first.json")" "$error"
    check "$count addresses, $mode: to a second destination" "$second" "$want_second"
    check "$count addresses, $mode: then 50 by connect() alone" "$auto" "$want_auto"
    cells+=("$first" "$second" "$auto")
  done
  row "${cells[@]}"
done

chart source-ips.svg --title "Each source address has its own pool" \
  --subtitle "new connections/s to one destination over 50 ports, each in TIME_WAIT for $hold s, IP_BIND_ADDRESS_NO_PORT; asked for: three times the ceiling" \
  --x "addresses=source addresses" --y "law_per_s=the law: addresses x ports / T,measured_per_s=measured" --y-label "connections/s" \
  --dashed law_per_s --dots measured_per_s
most=${counts[-1]}
say "## Source addresses: N addresses, N pools"
say "Every source address has its own set of ports. With IP_BIND_ADDRESS_NO_PORT (\`--port-mode no-port\`) $most addresses made $(field "$work/no-port-$most/first.json" 't["connections_opened"]') connections over 50 ports in one burst, as many again to a second destination, and the sustained rate grew with the number of addresses exactly as N x P/T predicts. A plain \`bind(ip, 0)\` gives the same first burst and then fails differently (errno 98 in \`bind()\`): all destinations share the bound ports, so a second one got $(field "$work/bind-$most/second.json" 't["connections_opened"]'), and a client beside it that leaves the port to \`connect()\`, from another address and to a third destination, got $(field "$work/bind-$most/auto.json" 't["connections_opened"]') of 50. Nobody else can use a bound port until its TIME_WAIT ends."
picture source-ips.svg "Measured ceiling against the number of source addresses, on the line N x P / T"
table
finish
