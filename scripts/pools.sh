#!/usr/bin/env bash
# What the server's pools give: /io is a sleep and gains from threads until each request has one; /cpu is a loop and
# gains from threads until each core has one.
#
# 32 users on /io (a sleep of 50 ms) against --io-workers, 8 users on /cpu (a loop of 5 ms) against --cpu-workers.
#
# usage: scripts/pools.sh [--short] [-o DIR] [-h|--help]      default folder: results/pools
# Exit: 0 done; 2 usage; 3 no private namespace here. Times are reported, not checked.
. "$(dirname "$0")/lib.sh"
start pools "$@"
io_workers=(1 2 4 8 16 32 48 64)
cpu_workers=(1 2 3 4 6 8)
duration=4s
[ "$short" = 1 ] && io_workers=(1 8 32 64) cpu_workers=(1 2 4) duration=1.5s
io_users=32 io_sleep=50 cpu_users=8 cpu_work=5
cores=$(nproc)
export duration io_users io_sleep cpu_users cpu_work

io_cell() { # WORKERS
  serve --listen 127.0.0.1:9000 --io-workers "$1" --io-sleep "${io_sleep}ms" &&
    load run http://127.0.0.1:9000/io --conns "$io_users" --duration "$duration" && stop
}
cpu_cell() { # WORKERS
  serve --listen 127.0.0.1:9000 --cpu-workers "$1" --cpu-work "${cpu_work}ms" &&
    load run http://127.0.0.1:9000/cpu --conns "$cpu_users" --duration "$duration" && stop
}

for workers in "${io_workers[@]}"; do
  inside "$work/io-$workers" -- io_cell "$workers" || unmeasured "/io with $workers workers" "the run did not end"
done
for workers in "${cpu_workers[@]}"; do
  inside "$work/cpu-$workers" -- cpu_cell "$workers" || unmeasured "/cpu with $workers workers" "the run did not end"
done

# Queue and work are what the server reports (Server-Timing).
figures() { # FILE
  field "$1" 'round(t["rps"], 1)' 't["latency_ms"]["p50"]' 't["latency_ms"]["p99"]' \
    '(d["endpoints"][0]["server_timing_ms"] or {}).get("queue", {}).get("p50")' \
    '(d["endpoints"][0]["server_timing_ms"] or {}).get("work", {}).get("p50")'
}
head_row io_workers rps p50_ms p99_ms queue_p50_ms work_p50_ms law_rps
first_io=
for workers in "${io_workers[@]}"; do
  read -r rps p50 p99 queue work_ms <<<"$(figures "$work/io-$workers/run.json")"
  law=$(calc "min($workers, $io_users) / $io_sleep * 1000" .0f)
  first_io=${first_io:-$p50}
  shape "/io with $workers workers: requests/s against workers / sleep" "0.7 * $law < $rps <= 1.05 * $law"
  [ "$workers" = "$io_users" ] && io_enough_rps=$rps io_enough_p50=$p50
  row "$workers" "$rps" "$p50" "$p99" "$queue" "$work_ms" "$law"
done
chart pools-io.svg --title "/io gains from threads until each request has one" \
  --subtitle "$io_users users, a sleep of $io_sleep ms per request; more workers than users do not help" \
  --x "io_workers=--io-workers" --log-x --y-label "ms" --log-y --right-label "requests/s" \
  --y "p50_ms=latency p50,p99_ms=latency p99,queue_p50_ms=queue p50" --right "rps=requests/s" --dashed rps \
  --mark "$io_users=$io_users users"
io_csv=$csv
csv=$out/pools-cpu.csv
head_row cpu_workers rps p50_ms p99_ms queue_p50_ms work_p50_ms
one_rps='' best_rps=0
for workers in "${cpu_workers[@]}"; do
  read -r rps p50 p99 queue work_ms <<<"$(figures "$work/cpu-$workers/run.json")"
  one_rps=${one_rps:-$rps}
  best_rps=$(calc "max($best_rps, $rps)")
  [ "$workers" = "$cores" ] && cores_rps=$rps cores_p99=$p99
  most_rps=$rps most_work=$work_ms
  row "$workers" "$rps" "$p50" "$p99" "$queue" "$work_ms"
done
shape "/cpu: no more workers than cores are of use" "$best_rps <= 1.3 * ${cores_rps:-$best_rps}"
chart pools-cpu.svg --title "/cpu gains from threads until each core has one" \
  --subtitle "$cpu_users users, a loop of $cpu_work ms per request on $cores cores that the client uses too" \
  --x "cpu_workers=--cpu-workers" --y-label "ms" --right-label "requests/s" \
  --y "p50_ms=latency p50,work_p50_ms=work p50,queue_p50_ms=queue p50" --right "rps=requests/s" --dashed rps \
  --mark "$cores=$cores cores"
say "## Worker pools: what /io and /cpu gain"
say "A blocking request occupies a thread and no core: one worker that sleeps $io_sleep ms gives 20 requests/s and $io_users users wait $first_io ms each; with a worker per user it is ${io_enough_rps:--} requests/s at $io_enough_p50 ms, and further workers do not help. A computing request occupies a core: one worker gave $one_rps requests/s, $cores (the cores here) ${cores_rps:--} (p99 ${cores_p99:--} ms), ${cpu_workers[-1]} workers $most_rps. With more workers than cores each request takes longer to compute ($most_work ms of work instead of $cpu_work) instead of waiting in the queue: the wait moves, the rate does not change."
picture pools-io.svg "Latency and rate of /io against its workers"
table "$io_csv"
picture pools-cpu.svg "Latency and rate of /cpu against its workers"
table
finish
