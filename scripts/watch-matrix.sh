#!/usr/bin/env bash
# Other load tools under `sockbench watch`, each in the same faults: does the verdict name the fault?
#
#   scripts/watch-matrix.sh [SOCKBENCH]      all tools that are installed (about 5 minutes)
#   ONLY='wrk exhaustion' scripts/watch-matrix.sh
#
# Every cell runs in a private network namespace. A line each: tool, fault, verdict, whether that is right. The exit code is the
# number of wrong cells; an undecided verdict is counted by itself.
set -u
bench=$(realpath "${1:-target/release/sockbench}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=${PYTHON:-python3}

cat > "$dir/loop.py" <<'PY'
import http.client, sys, threading, time
port, users, secs, pause = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
path, close = sys.argv[5], sys.argv[6] == "close"
end, kept, failed = time.time() + secs, [], 0
def user():
    global failed
    c = None
    while time.time() < end:
        try:
            if c is None: c = http.client.HTTPConnection("127.0.0.1", port, timeout=8)
            c.request("GET", path)
            c.getresponse().read()
            if close: c.close(); c = None
        except OSError as e:
            failed += 1
            if failed < 4: print("error:", repr(e), file=sys.stderr)
            c = None
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
# A server that accepts nothing for as long as it runs, with room for two connections.
cat > "$dir/deaf.py" <<'PY'
import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", 8080)); s.listen(1); time.sleep(300)
PY

# What a tool is started with: users, seconds, path, and whether each request has a connection of its own.
tool() {
  local name=$1 users=$2 secs=$3 path=$4 close=$5 url="http://127.0.0.1:8080$4"
  case $name in
    wrk) echo "wrk -t1 -c$users -d${secs}s ${close:+-H 'Connection: close'} $url" ;;
    ab) local keep=-k; [[ -z $close ]] || keep=; echo "ab $keep -q -r -s 8 -t $secs -n 1000000 -c $users $url" ;;
    h2load) echo "h2load --h1 -t1 -c$users -D$secs ${close:+-H 'Connection: close'} $url" ;;
    python) echo "$python $dir/loop.py 8080 $users $secs ${PAUSE:-0} $path ${close:-keep}" ;;
    locust) echo "AT=$path PAUSE=${PAUSE:-0} CLOSE=$close ${LOCUST:-locust} -f $dir/locustfile.py --headless --only-summary -u $users -r $users -t ${secs}s --host http://127.0.0.1:8080" ;;
  esac
}

serve() { echo "$bench server --listen 127.0.0.1:8080 $* >/dev/null 2>&1 & until curl -s -o /dev/null http://127.0.0.1:8080/health; do sleep 0.1; done;"; }

right=0; wrong=0; undecided=0
cell() {
  local name=$1 fault=$2 wanted=$3 script=$4
  local settings=()
  [[ $fault != exhaustion ]] || settings=(--sysctl net.ipv4.tcp_tw_reuse=0 --sysctl "net.ipv4.ip_local_port_range=30000 30999")
  [[ "${ONLY:-} " == " " || "$name $fault" == *"${ONLY}"* ]] || return 0
  command -v "${name/python/$python}" >/dev/null || [[ $name == locust && -n "${LOCUST:-}" ]] || { echo "$name	$fault	-	not installed"; return 0; }
  local out=$dir/$name.$fault.json
  timeout 90 "$bench" watch --sandbox "${settings[@]}" --json "$out" -- bash -c "$script" > "$dir/out" 2> "$dir/err" < /dev/null
  local verdict
  verdict=$("$python" -c "import json,sys; d=json.load(open(sys.argv[1])); print(d['verdict']['id'], '|', d['verdict']['sentence'], '|', *[f['id'] for f in d['findings']])" "$out" 2>/dev/null || echo "no-report | $(tail -1 "$dir/err")")
  local id=${verdict%% *} mark
  if [[ " $wanted " == *" $id "* ]]; then mark=right; right=$((right + 1))
  elif [[ $id == undecided ]]; then mark=undecided; undecided=$((undecided + 1))
  else mark=WRONG; wrong=$((wrong + 1)); fi
  printf '%s\t%s\t%s\t%s\n' "$name" "$fault" "$mark" "$verdict"
  [[ -z "${KEEP:-}" ]] || { mkdir -p "$KEEP"; cp "$dir/err" "$KEEP/$name.$fault.txt"; cp "$out" "$KEEP/"; }
}

each=${EACH:-6}
for name in ${TOOLS:-wrk ab h2load python locust}; do
  # ab without -k waits for the server's end: this side never closes first.
  [[ $name == ab ]] || cell "$name" exhaustion "port-bound" "$(serve --closer client) $(tool "$name" 10 $((each + 4)) /health close)"
  cell "$name" descriptors "fd-bound" "$(serve) ulimit -n 40; $(tool "$name" 60 "$each" '/io?ms=200' '')"
  cell "$name" backlog "target-failing" "$python $dir/deaf.py & sleep 0.5; $(tool "$name" 20 $((each + 2)) / '')"
  cell "$name" busy-target "target-bound" "$(serve --cpu-workers 1 --cpu-work 20ms) $(tool "$name" 8 "$each" /cpu '')"
  PAUSE=0 cell "$name" busy-client "client-bound target-bound" "$(serve) $(tool "$name" 4 "$each" /health '')"
  PAUSE=0.02 cell "$name" no-keepalive "healthy" "$(serve --keepalive off) $(PAUSE=0.02 tool "$name" 2 "$each" '/io?ms=50' '')"
  cell "$name" healthy "healthy" "$(serve) $(PAUSE=0.05 tool "$name" 2 "$each" '/io?ms=100' '')"
done
echo "right $right, undecided $undecided, wrong $wrong"
exit $wrong
