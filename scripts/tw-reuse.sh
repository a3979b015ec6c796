#!/usr/bin/env bash
# tcp_tw_reuse 0, 1 and 2, on loopback and on another address, at three reuse delays: when a port in TIME_WAIT is used again.
#
# 50 ports. A burst of 100 connections (client closing first), then, 1.2 s after its end, one of 50. Where
# tcp_tw_reuse applies (1: any address; 2: 127.0.0.0/8 and ::1), a port is given again after tcp_tw_reuse_delay.
# The bursts are over well inside the longer delays; where a stall of the machine made one longer than its delay,
# the cell is run again. For the shortest delay the burst is one connection after another, 2 ms apart at least: then no
# port is asked for again before it is 100 ms old.
#
# usage: scripts/tw-reuse.sh [--short] [-o DIR] [-h|--help]      default folder: results/tw-reuse
# Exit: 0 all claims hold; 1 one does not; 2 usage; 3 no private namespace here.
. "$(dirname "$0")/lib.sh"
start tw-reuse "$@"
delays=(60 1000 10000)
[ "$short" = 1 ] && delays=(60 1000)
has_delay=1
if [ ! -e /proc/sys/net/ipv4/tcp_tw_reuse_delay ]; then
  has_delay=0
  delays=(1000)
fi
addresses=(127.0.0.1 10.99.0.1)

cell() { # ADDRESS DELAY
  local conns=10 began
  began=$(now_ms)
  [ "$2" = 60 ] && conns=1
  serve --listen "$1:9000" && burst first "http://$1:9000/health" 100 --conns "$conns" && sleep 1.2 &&
    burst second "http://$1:9000/health" 50 --conns "$conns" && stop
  echo $(($(now_ms) - began)) >took_ms
}

# in_time DELAY DIRECTORY: whether its bursts ended inside a delay that they must not outlast.
in_time() {
  case "$1" in
    60) true ;;
    1000) is "$(field "$2/first.json" 'd["duration_s"]') < 1" ;;
    *) [ "$(cat "$2/took_ms")" -lt "$1" ] ;;
  esac
}

for _ in 1 2 3 4; do
  again=0
  for address in "${addresses[@]}"; do
    for reuse in 0 1 2; do
      for delay in "${delays[@]}"; do
        cell=$work/$address-$reuse-$delay
        if [ -e "$cell/took_ms" ]; then in_time "$delay" "$cell" && continue; fi
        options=(--sysctl "net.ipv4.ip_local_port_range=20000 20049" --sysctl "net.ipv4.tcp_tw_reuse=$reuse" --address 10.99.0.1/24)
        [ "$has_delay" = 1 ] && options+=(--sysctl "net.ipv4.tcp_tw_reuse_delay=$delay")
        aside "$cell" "${options[@]}" -- cell "$address" "$delay"
        again=1
      done
    done
  done
  [ "$again" = 1 ] || break
  together
done

head_row address tcp_tw_reuse reuse_delay_ms applies burst_of_100 error after_1.2_s_of_50 error_then
for address in "${addresses[@]}"; do
  for reuse in 0 1 2; do
    for delay in "${delays[@]}"; do
      cell=$work/$address-$reuse-$delay
      first=$(field "$cell/first.json" 't["connections_opened"]')
      second=$(field "$cell/second.json" 't["connections_opened"]')
      errors=$(errors "$cell/first.json")
      errors_then=$(errors "$cell/second.json")
      applies=no
      if [ "$reuse" = 1 ] || { [ "$reuse" = 2 ] && [ "$address" = 127.0.0.1 ]; }; then applies=yes; fi
      what="$address, tcp_tw_reuse=$reuse, delay $delay ms"
      want=50 want_then=0
      if [ "$applies" = yes ]; then
        [ "$delay" -lt 125 ] && want=100
        [ "$delay" -le 1000 ] && want_then=50
      fi
      if in_time "$delay" "$cell"; then
        check "$what: of 100 at once" "$first" "$want"
        check "$what: error" "$errors" "$([ "$want" = 100 ] && echo none || echo "connect 99")"
        check "$what: of 50 after 1.2 s" "$second" "$want_then"
        check "$what: error then" "$errors_then" "$([ "$want_then" = 50 ] && echo none || echo "connect 99")"
      else
        unmeasured "$what" "its bursts outlasted the delay"
      fi
      row "$address" "$reuse" "$delay" "$applies" "$first" "$errors" "$second" "$errors_then"
    done
  done
done
# The chart: what 50 ports gave in all, of 150 asked for, setting by setting.
main_csv=$csv
csv=$out/tw-reuse-chart.csv
head_row reuse_delay_ms no_reuse lo_1 lo_2 other_1 other_2
for delay in "${delays[@]}"; do
  cells=("$delay")
  for key in 127.0.0.1-0 127.0.0.1-1 127.0.0.1-2 10.99.0.1-1 10.99.0.1-2; do
    cell=$work/$key-$delay
    cells+=("$(($(field "$cell/first.json" 't["connections_opened"]') + $(field "$cell/second.json" 't["connections_opened"]')))")
  done
  row "${cells[@]}"
done
chart tw-reuse.svg --title "Where tcp_tw_reuse applies, a port in TIME_WAIT is used again" \
  --subtitle "connections made of 150 asked for over 50 ports (100 at once, 50 more after 1.2 s); client closing first" \
  --x "reuse_delay_ms=tcp_tw_reuse_delay (ms)" --log-x --y-label "connections made" --reference "150=all that were asked for" \
  --y "lo_1=1 on any address,other_2=2 on 10.99.0.1,lo_2=2 on 127.0.0.1,no_reuse=0 on any address" --dots lo_2,no_reuse
csv=$main_csv
say "## tcp_tw_reuse: on loopback the default hides the exhaustion"
say "\`tcp_tw_reuse\` decides whether \`connect()\` may use a port that is still in TIME_WAIT, and \`tcp_tw_reuse_delay\` (Linux 6.14, default 1000 ms) how old it must be. Off (0), 50 ports gave 50 connections and none 1.2 s later, on every address. With 1 all of them could be used again after the delay; with 2, the default, only on 127.0.0.0/8: the same 50 ports gave $(field "$work/127.0.0.1-2-1000/second.json" 't["connections_opened"]') of 50 on 127.0.0.1 and $(field "$work/10.99.0.1-2-1000/second.json" 't["connections_opened"]') of 50 on 10.99.0.1 after 1.2 s. So a Linux machine with default settings does not run out against 127.0.0.1, but does against any other address, its own included."
[ "$has_delay" = 1 ] && picture tw-reuse.svg "Connections made of 150 against the reuse delay"
table
finish
