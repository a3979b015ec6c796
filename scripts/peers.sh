#!/usr/bin/env bash
# Tries sockbench against servers and clients that nobody here wrote, and compares its counts with theirs.
#
# Servers: nginx (its access log counts), Python's http.server (its log counts), a Flask development server (an
# after_request counter). Clients against sockbench's own server: curl, wrk, ab, h2load, Locust (our server's counters count).
# What is not installed is named, with how to get it, and skipped. Loopback only, no root; about half a minute; every run
# is bounded; only own processes are ended.
#
# usage: scripts/peers.sh [--short] [-h|--help]      needs: cargo, or SOCKBENCH=BINARY; python3; any of
# nginx curl wrk ab h2load; PEERS_VENV=DIR, a virtual environment with flask, locust and hdrhistogram
# Exit: 0 all that could be tried agree; 1 some do not; 2 usage.
set -u -o pipefail

seconds=5
for arg in "$@"; do
  case "$arg" in
    --short) seconds=2 ;;
    -h | --help) awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; exit 0 ;;
    *) echo "peers.sh: $arg: unknown argument" >&2; exit 2 ;;
  esac
done

cd "$(dirname "$0")/.." || exit 2
[ -n "${SOCKBENCH:-}" ] || cargo build --release --quiet || exit 2
bench=${SOCKBENCH:-${CARGO_TARGET_DIR:-target}/release/sockbench}
command -v python3 >/dev/null || { echo "peers.sh: python3: not found" >&2; exit 2; }
py=${PEERS_VENV:+$PEERS_VENV/bin/}python3
"$py" -c '' || { echo "peers.sh: PEERS_VENV: $py: cannot be run" >&2; exit 2; }
tmp=$(mktemp -d) || exit 2
cleanup() {
  local pid
  # Again and again: a child that has just been forked can lose a signal.
  for _ in $(seq 50); do
    [ -n "$(jobs -pr)" ] || break
    for pid in $(jobs -pr); do kill "$pid" 2>/dev/null; done
    sleep 0.1
  done
  for pid in $(jobs -pr); do kill -KILL "$pid" 2>/dev/null; done
  wait 2>/dev/null
  rm -rf "$tmp"
}
trap cleanup EXIT
for signal in HUP INT TERM; do
  # shellcheck disable=SC2064 # this signal
  trap "trap - EXIT; trap '' HUP INT TERM; cleanup; trap - $signal; kill -$signal \$\$" "$signal"
done

failed=0
missing=()
say() { printf '%-34s %s\n' "$1" "$2"; }
check() { # NAME OURS THEIRS
  if [ "$2" = "$3" ]; then say "$1" "agree: $2"; else say "$1" "DIFFER: ours $2, theirs $3"; failed=1; fi
}
# run COMMAND...: in the background, because bash acts upon a signal while it waits, not while a command runs.
run() {
  "$@" &
  wait $!
}
have() { command -v "$1" >/dev/null 2>&1; }
has_module() { "$py" -c "import $1" 2>/dev/null; }
json() { python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); print(eval(sys.argv[2], {}, {"d": d}))' "$1" "$2"; }
fetch() { python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())' "$1"; }
free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }
wait_for() { for _ in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0; sleep 0.1; done; return 1; }
load() { # NAME URL ARGS...: one run; everything is answered, so both sides can agree to the unit
  local name=$1 url=$2
  shift 2
  run "$bench" load "$url" "$@" --quiet --json "$tmp/$name.json" >/dev/null 2>"$tmp/$name.err" && return
  say "$name" "our run failed: $(tail -n 1 "$tmp/$name.err")"
  failed=1
  return 1
}
summary() { json "$tmp/$1.json" '"%d requests, %d failures, %d connections, %.1f/s, p50 %s ms, stamp %s, findings: %s" % (d["totals"]["requests"], d["totals"]["failures"], d["totals"]["connections_opened"], d["totals"]["rps"], d["totals"]["latency_ms"] and round(d["totals"]["latency_ms"]["p50"], 2), d["validity"]["stamp"], ", ".join(f["id"] for f in d["findings"]) or "none")'; }

echo "== our client against servers of others"
if have nginx; then
  port=$(free_port)
  cat >"$tmp/nginx.conf" <<CONF
daemon off; master_process off; worker_processes 1; pid $tmp/nginx.pid; error_log $tmp/nginx.err crit;
events { worker_connections 1024; }
http { client_body_temp_path $tmp/n1; proxy_temp_path $tmp/n2; fastcgi_temp_path $tmp/n3; uwsgi_temp_path $tmp/n4; scgi_temp_path $tmp/n5;
  access_log $tmp/access.log; keepalive_requests 100000000; default_type text/plain;
  server { listen 127.0.0.1:$port; location / { return 200 "hello"; } } }
CONF
  nginx -p "$tmp" -c "$tmp/nginx.conf" >"$tmp/nginx.out" 2>&1 &
  nginx=$!
  if wait_for "$port"; then
    load nginx-keep "http://127.0.0.1:$port/" -c 50 -n 20000 && say "nginx, kept connections" "$(summary nginx-keep)"
    load nginx-short "http://127.0.0.1:$port/" -c 50 -n 5000 --no-keepalive --closer server && say "nginx, a connection per request" "$(summary nginx-short)"
    kill -QUIT "$nginx" && wait "$nginx" 2>/dev/null
    check "nginx, requests" $(($(json "$tmp/nginx-keep.json" 'd["totals"]["requests"]') + $(json "$tmp/nginx-short.json" 'd["totals"]["requests"]'))) "$(grep -c 'GET / ' "$tmp/access.log")"
  else say nginx "did not start: $(tail -n 1 "$tmp/nginx.out")"; failed=1; fi
else missing+=("nginx (apt-get install nginx)"); fi

if have python3; then
  port=$(free_port)
  mkdir "$tmp/www" && echo hello >"$tmp/www/index.html"
  python3 -m http.server "$port" --bind 127.0.0.1 --directory "$tmp/www" >/dev/null 2>"$tmp/http.log" &
  if wait_for "$port"; then
    load python "http://127.0.0.1:$port/index.html" -c 10 -n 2000 && say "python http.server" "$(summary python)"
    sleep 0.3
    check "python http.server, requests" "$(json "$tmp/python.json" 'd["totals"]["requests"]')" "$(grep -c 'GET /index.html' "$tmp/http.log")"
  else say http.server "did not start: $(tail -n 1 "$tmp/http.log")"; failed=1; fi
fi

if has_module flask; then
  port=$(free_port)
  cat >"$tmp/app.py" <<'APP'
import sys, time
from flask import Flask, jsonify
app = Flask(__name__)
count = {"n": 0}
@app.after_request
def counted(response):
    count["n"] += 1
    return response
@app.get("/health")
def health(): return jsonify(status="healthy")
@app.get("/io")
def io():
    time.sleep(0.2)
    return jsonify(status="io complete")
@app.get("/cpu")
def cpu(): return jsonify(result=sum(i * i for i in range(200_000)))
@app.get("/count")
def counter(): return str(count["n"])
app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
APP
  "$py" "$tmp/app.py" "$port" >"$tmp/flask.log" 2>&1 &
  if wait_for "$port"; then
    load flask "http://127.0.0.1:$port/" -c 10 -n 300 --think 50ms..150ms --mix '/health=50,/io=30,/cpu=20' && say "flask development server" "$(summary flask)"
    check "flask, requests" "$(json "$tmp/flask.json" 'd["totals"]["requests"]')" "$(fetch "http://127.0.0.1:$port/count")"
  else say flask "did not start: $(tail -n 1 "$tmp/flask.log")"; failed=1; fi
else missing+=("flask (python3 -m venv V && V/bin/pip install flask locust hdrhistogram; PEERS_VENV=V)"); fi

echo "== clients of others against our server"
"$bench" server --listen 127.0.0.1:0 --admin 127.0.0.1:0 >"$tmp/server.out" 2>"$tmp/server.err" &
server=$!
for _ in $(seq 100); do grep -q admin "$tmp/server.out" && break; sleep 0.1; done
url=$(sed -n 's/^listening on //p' "$tmp/server.out")
admin=$(sed -n 's/^admin on //p' "$tmp/server.out")
answered() { python3 - "$admin/metrics" <<'PY'
import re, sys, urllib.request
text = urllib.request.urlopen(sys.argv[1]).read().decode()
print(sum(int(float(v)) for v in re.findall(r'^http_requests_total\{[^}]*\} (\S+)', text, re.M)))
PY
}
if have curl; then
  codes=$(for path in /health /io /cpu /nowhere; do curl -s -o "$tmp/body" -w '%{http_code}/%{size_download} ' "$url$path"; done)
  say "curl" "$codes"
  head=$(curl -s -I "$url/health" | head -n 1 | tr -d '\r')
  say "curl -I" "$head"
else missing+=("curl (apt-get install curl)"); fi
if have wrk; then
  before=$(answered)
  run wrk -t1 -c20 -d"${seconds}s" "$url/health" >"$tmp/wrk" 2>&1
  sleep 0.3
  theirs=$(awk '/requests in/ {print $1}' "$tmp/wrk")
  ours=$(($(answered) - before))
  say "wrk" "$(awk '/Requests\/sec/ {print $2 "/s"}' "$tmp/wrk"), $theirs counted by wrk, $ours by us"
  # wrk drops what is in flight at its end: at most one request a connection.
  if [ $((ours - theirs)) -lt 0 ] || [ $((ours - theirs)) -gt 20 ]; then say "wrk, requests" "DIFFER by $((ours - theirs)) (0 to 20 may be in flight)"; failed=1; else say "wrk, requests" "agree within what was in flight"; fi
else missing+=("wrk (apt-get install wrk)"); fi
if have ab; then
  before=$(answered)
  run ab -q -n 5000 -c 20 "$url/health" >"$tmp/ab" 2>&1
  say "ab, a connection per request" "$(awk '/^Requests per second/ {print $4 "/s"} /^Failed requests/ {print $3 " failed,"}' "$tmp/ab" | paste -sd ' ')"
  check "ab, requests" "$(($(answered) - before))" "$(awk '/^Complete requests/ {print $3}' "$tmp/ab")"
else missing+=("ab (apt-get install apache2-utils)"); fi
if have h2load; then
  before=$(answered)
  run h2load --h1 -n 20000 -c 20 "$url/health" >"$tmp/h2load" 2>&1
  say "h2load --h1, kept connections" "$(sed -n 's/^finished in [^,]*, \([^,]*\) req\/s.*/\1\/s/p' "$tmp/h2load")"
  check "h2load, requests" "$(($(answered) - before))" "$(sed -n 's/^requests:.* \([0-9]*\) succeeded.*/\1/p' "$tmp/h2load")"
else missing+=("h2load (apt-get install nghttp2-client)"); fi
if has_module locust; then
  cat >"$tmp/locustfile.py" <<'LF'
from locust import HttpUser, between, task
class User(HttpUser):
    wait_time = between(0.1, 0.5)
    @task(50)
    def health(self): self.client.get("/health")
    @task(30)
    def io(self): self.client.get("/io")
    @task(20)
    def cpu(self): self.client.get("/cpu")
LF
  before=$(answered)
  run "$py" -m locust -f "$tmp/locustfile.py" --headless -u 20 -r 20 -t "${seconds}s" -H "$url" --csv "$tmp/locust" --only-summary >"$tmp/locust.log" 2>&1
  sleep 0.5
  ours=$(($(answered) - before))
  theirs=$(awk '/ Aggregated / {print $2; exit}' "$tmp/locust.log")
  say "locust" "$theirs requests counted by locust's console, $ours by us"
  run "$bench" load "$url" -c 5 -n 200 --mix '/health=50,/io=30,/cpu=20' --quiet --csv "$tmp/ours" >/dev/null
  "$py" scripts/check_locust_csv.py "$tmp/ours" --reference "$tmp/locust" || failed=1
else missing+=("locust (see flask)"); fi
if has_module hdrh; then
  run "$bench" load "$url/health" -c 5 -n 2000 --quiet -o "$tmp/run" >/dev/null
  "$py" scripts/check_hlog.py "$tmp/run" || failed=1
  shards=()
  for i in 1 2 3; do
    "$bench" load "$url" --shard "$i/3" --start-at +2s -c 5 -n 2000 --mix '/health=50,/io=30' --quiet -o "$tmp/shard-$i" >/dev/null &
    shards+=("$!")
  done
  for pid in "${shards[@]}"; do wait "$pid" || failed=1; done
  run "$bench" merge "$tmp"/shard-[123] -o "$tmp/merged" >/dev/null
  "$py" scripts/check_hlog.py "$tmp/merged" "$tmp"/shard-[123] || failed=1
else missing+=("hdrhistogram (see flask)"); fi
kill -TERM "$server"; wait "$server"; say "our server's exit code" "$?"

for m in "${missing[@]:-}"; do [ -n "$m" ] && say "missing, not tried" "$m"; done
exit $failed
