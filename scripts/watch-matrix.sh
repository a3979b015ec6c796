#!/usr/bin/env bash
# Other load tools under `sockbench watch`, each in the same faults: do the verdict and the finding name the fault?
#
#   scripts/watch-matrix.sh [SOCKBENCH]      all tools: about 9 minutes, on a quiet machine
#   ONLY='wrk exhaustion' scripts/watch-matrix.sh
#   TOOLS='wrk requests' KEEP=DIR scripts/watch-matrix.sh       some tools; reports and documents stay in DIR
#   PYTHON=venv/bin/python LOCUST=venv/bin/locust scripts/watch-matrix.sh       where they are not the system's
#
# Every cell runs in a private network namespace. A line each: tool, fault, right or not, the verdict, the findings. A cell is
#   right       the verdict is the one that is wanted, and so is the finding; in a healthy cell there is no finding at all
#   undecided   the verdict is `undecided`, or the finding that is missing is listed under `undecided` in the document, and this
#               cell is one of those that may be (`may_be_undecided`, with the reason)
#   UNDECIDED   the same in any other cell
#   WRONG       anything else
# The exit code is 0 where a cell ran, all cells that ran are right or may be undecided, and no tool is missing, else 1; 2 where a
# name in TOOLS is not known.
set -u
bench=$(realpath "${1:-target/release/sockbench}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=${PYTHON:-python3}
locust=${LOCUST:-locust}
tools=${TOOLS:-wrk ab h2load $(command -v oha >/dev/null && echo oha || echo hey) requests locust}
each=${EACH:-6}

# Threads that call `requests`: with a session each, or without one, which makes a connection for each request.
cat > "$dir/loop.py" <<'PY'
import sys, threading, time, requests
url, users, secs, pause, keeps = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), sys.argv[5] == "keep"
end, failed = time.time() + secs, 0
def user():
    global failed
    client = requests.Session() if keeps else requests
    while time.time() < end:
        try:
            client.get(url, timeout=8)
        except requests.RequestException as e:
            failed += 1
            if failed < 4: print("error:", repr(e), file=sys.stderr)
            time.sleep(0.05)
        if pause: time.sleep(pause)
threads = [threading.Thread(target=user) for _ in range(users)]
[t.start() for t in threads]; [t.join() for t in threads]
PY
cat > "$dir/locustfile.py" <<'PY'
import os
from locust import HttpUser, constant, task
class User(HttpUser):
    wait_time = constant(float(os.environ.get("PAUSE", "0")))
    @task
    def get(self):
        self.client.get(os.environ["AT"], headers={"Connection": "close"} if os.environ.get("CLOSE") else {})
PY
# A server that accepts nothing for as long as it runs, with room for two connections; with an argument both are taken.
cat > "$dir/deaf.py" <<'PY'
import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", 8080)); s.listen(1)
taken = [socket.create_connection(s.getsockname()) for _ in range(2 if sys.argv[1:] else 0)]
time.sleep(300)
PY
# A server whose answers cost the client more CPU than the server: /chunks, a chunk for each of 20,000 bytes, made once;
# /file, 4 MB that go out without being copied, for a client that knows no chunks (ab).
cat > "$dir/costly.py" <<'PY'
import os, socket, tempfile, threading
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20000 + b"0\r\n\r\n"
SIZE = 4_000_000
FILE = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n" % SIZE
f = tempfile.TemporaryFile(); f.write(b"x" * SIZE); f.flush()
def serve(c):
    try:
        while asked := c.recv(4096):
            if b" /file" in asked:
                c.sendall(FILE)
                at = 0
                while at < SIZE: at += os.sendfile(c.fileno(), f.fileno(), at, SIZE - at)
            else:
                c.sendall(CHUNKS)
    except OSError: pass
    c.close()
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", 8080)); s.listen(99)
while True: threading.Thread(target=serve, args=s.accept()[:1], daemon=True).start()
PY

# What a tool is started with: users, seconds, path, and whether each request has a connection of its own.
tool() {
  local name=$1 users=$2 secs=$3 path=$4 close=$5 url="http://127.0.0.1:8080$4"
  case $name in
    wrk) echo "wrk -t1 -c$users -d${secs}s ${close:+-H 'Connection: close'} '$url'" ;;
    ab) local keep=-k; [[ -z $close ]] || keep=; echo "ab $keep -q -r -s 8 -t $secs -n 1000000 -c $users '$url'" ;;
    # Where nothing is accepted, its time never begins.
    h2load) echo "timeout $((secs + 6)) h2load --h1 -t1 -c$users -D$secs ${close:+-H 'Connection: close'} '$url'" ;;
    hey) echo "hey ${CPUS:+-cpus $CPUS} -z ${secs}s -t 8 -c $users ${close:+-disable-keepalive} '$url'" ;;
    oha) echo "oha --no-tui -z ${secs}s -t 8s -c $users ${close:+--disable-keepalive} '$url'" ;;
    requests) echo "$python $dir/loop.py '$url' $users $secs ${PAUSE:-0} $([[ -n $close ]] && echo close || echo keep)" ;;
    locust) echo "AT='$path' PAUSE=${PAUSE:-0} CLOSE=$close $locust -f $dir/locustfile.py --headless --only-summary -u $users -r $users -t ${secs}s --host http://127.0.0.1:8080" ;;
    *) return 1 ;;
  esac
}

# Why a cell, TOOL FAULT, may be undecided; 1 where it may not.
may_be_undecided() {
  case $1 in
    'h2load descriptors') echo "h2load ends by an assertion of its own before a look" ;;
    'requests no-keepalive' | 'locust no-keepalive') echo "whether a script asked to keep its connections is not seen" ;;
    *) return 1 ;;
  esac
}

# What starts a tool; it must be there.
needs() {
  case $1 in
    requests) "$python" -c 'import requests' 2>/dev/null ;;
    locust) command -v "$locust" >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

ready() { echo "$* >/dev/null 2>&1 & until curl -s -o /dev/null http://127.0.0.1:8080/health; do sleep 0.1; done;"; }
serve() { ready "$bench server --listen 127.0.0.1:8080 $*"; }

for name in $tools; do
  tool "$name" 1 1 / '' > "$dir/none" || { echo "$name: not a tool that this script knows: wrk, ab, h2load, hey, oha, requests, locust" >&2; exit 2; }
done

right=0; wrong=0; undecided=0; unexpected=0; missing=()
# cell TOOL FAULT VERDICT FINDING SCRIPT [SETTINGS...]: FINDING is the one that must be there, `none` where nothing may be found.
cell() {
  local name=$1 fault=$2 wanted=$3 finding=$4 script=$5
  shift 5
  [[ "${ONLY:-} " == " " || "$name $fault" == *"${ONLY}"* ]] || return 0
  local settings=() setting out=$dir/$name.$fault.json
  for setting; do settings+=(--sysctl "$setting"); done
  timeout 90 "$bench" watch --sandbox "${settings[@]}" --json "$out" -- bash -c "$script" > "$dir/out" 2> "$dir/err" < /dev/null
  local result
  result=$("$python" - "$out" "$wanted" "$finding" <<'PY' || echo "WRONG	no report	$(tail -1 "$dir/err")"
import json, sys
d = json.load(open(sys.argv[1]))
wanted, finding = sys.argv[2], sys.argv[3]
verdict, found = d["verdict"]["id"], [f["id"] for f in d["findings"]]
open_ = [u["id"] for u in d["undecided"]]
is_there = not found if finding == "none" else finding in found
if verdict == wanted and is_there: mark = "right"
elif verdict == "undecided" or verdict == wanted and finding in open_: mark = "undecided"
else: mark = "WRONG"
print(mark, verdict, d["verdict"]["sentence"], " ".join(found) or "-", sep="\t")
PY
)
  local why
  case ${result%%	*} in
    right) right=$((right + 1)) ;;
    undecided)
      undecided=$((undecided + 1))
      if why=$(may_be_undecided "$name $fault"); then
        result+="	($why)"
      else
        unexpected=$((unexpected + 1))
        result=UNDECIDED${result#undecided}
      fi ;;
    *) wrong=$((wrong + 1)) ;;
  esac
  printf '%s\t%s\t%s\n' "$name" "$fault" "$result"
  [[ -z "${KEEP:-}" ]] || { mkdir -p "$KEEP"; cp "$dir/err" "$KEEP/$name.$fault.txt"; cp "$dir/out" "$KEEP/$name.$fault.out"; cp "$out" "$KEEP/"; } 2>/dev/null
}

few=(net.ipv4.tcp_tw_reuse=0 'net.ipv4.ip_local_port_range=30000 30999')
for name in $tools; do
  if ! needs "$name"; then
    missing+=("$name")
    echo "MISSING: $name is not installed: none of its cells is run" >&2
    continue
  fi
  # The client closes first, 1,000 ports, T = 60 s. ab never closes first: its ports run out where more connections are to be
  # open at once than there are ports.
  if [[ $name == ab ]]; then
    cell ab exhaustion port-bound local-ports-exhausted "$(serve) $(tool ab 300 "$each" '/io?ms=2000' '')" 'net.ipv4.ip_local_port_range=30000 30199'
  else
    cell "$name" exhaustion port-bound local-ports-exhausted "$(serve --closer client) $(tool "$name" 10 $((each + 4)) /health close)" "${few[@]}"
  fi
  # 60 connections, 40 descriptors.
  cell "$name" descriptors fd-bound local-fd-limit "$(serve) ulimit -n 40; $(tool "$name" 60 "$each" '/io?ms=200' '')"
  # 20 connections, room for two. ab waits for its first one alone: there is no room for that either.
  taken=; [[ $name != ab ]] || taken=both
  cell "$name" backlog target-failing target-backlog-overflow "$python $dir/deaf.py $taken & sleep 0.5; $(tool "$name" 20 $((each + 2)) / '')"
  # 50 answers a second at the most, 8 users who do not wait.
  cell "$name" busy-target target-bound target-cpu-saturated "$(serve --cpu-workers 1 --cpu-work 20ms) $(tool "$name" 8 "$each" /cpu '')"
  # The client's one thread has no room, the server's threads have some.
  at=/chunks; [[ $name != ab ]] || at=/file
  CPUS=1 cell "$name" busy-client client-bound generator-saturated "$(ready "$python $dir/costly.py") $(CPUS=1 tool "$name" 4 "$each" $at '')"
  # The tool keeps its connections and the server does not. Few enough for the ports: nothing fails.
  PAUSE=0.02 cell "$name" no-keepalive healthy target-forbids-keepalive "$(serve --keepalive off) $(PAUSE=0.02 tool "$name" 2 "$each" '/io?ms=50' '')"
  # Connections that last: nothing may be found.
  PAUSE=0.05 cell "$name" healthy healthy none "$(serve) $(PAUSE=0.05 tool "$name" 2 "$each" '/io?ms=100' '')"
  # A new connection for each request, below P/T (28,232 ports / 60 s = 470/s): nothing may be found.
  PAUSE=0.05 cell "$name" healthy-short healthy none "$(serve --closer client) $(PAUSE=0.05 tool "$name" 2 "$each" '/io?ms=100' close)" net.ipv4.tcp_tw_reuse=0
  # The same ports for many more, but they can be taken again after a second: nothing may be found.
  # The same burst where they cannot: it would exceed P/T if it went on, and nothing failed.
  if [[ $name != ab ]]; then
    PAUSE=0.05 cell "$name" healthy-reuse healthy none "$(serve --closer client) $(PAUSE=0.05 tool "$name" 8 "$each" '/io?ms=50' close)" net.ipv4.tcp_tw_reuse=1 'net.ipv4.ip_local_port_range=30000 33999'
    PAUSE=0.05 cell "$name" burst healthy port-budget-high "$(serve --closer client) $(PAUSE=0.05 tool "$name" 8 "$each" '/io?ms=50' close)" net.ipv4.tcp_tw_reuse=0 'net.ipv4.ip_local_port_range=30000 33999'
  fi
done
echo "right $right, undecided $undecided ($unexpected of them should not be), wrong $wrong${missing:+, not run: ${missing[*]}}"
if [[ $((right + undecided + wrong)) == 0 ]]; then
  echo "no cell was run${ONLY:+: \"$ONLY\" is part of no TOOL FAULT}" >&2
  exit 1
fi
[[ $wrong == 0 && $unexpected == 0 && ${#missing[@]} == 0 ]]
