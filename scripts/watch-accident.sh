#!/usr/bin/env bash
# The accident of the first study with the real programs: Flask's development server keeps no connection, Locust closes first and
# makes a new one for each request, so the source ports run out. Does `sockbench watch` foresee it?
#
#   scripts/watch-accident.sh [SOCKBENCH]         about 40 s; PORTS=3000 for more ports
#   FLASK=venv/bin/flask LOCUST=venv/bin/locust scripts/watch-accident.sh       where they are not the system's
#
# 30 users, three more each second, in a private network namespace with few ports and tcp_tw_reuse=0. Exit: 0 where all is so:
#   the verdict is port-bound;
#   a line with a moment at which the pool is full came 10 s before it was, or earlier;
#   each line after the ramp (12 s) whose range begins before it was full named the moment within 5 % of the time or 2 s.
set -eu
bench=$(realpath "${1:-target/release/sockbench}")
ports=${PORTS:-1500}
export FLASK=${FLASK:-flask} LOCUST=${LOCUST:-locust}
for tool in "$FLASK" "$LOCUST" curl python3; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 2; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
FLASK=$(realpath -s "$(command -v "$FLASK")") LOCUST=$(realpath -s "$(command -v "$LOCUST")")
cat > "$dir/app.py" <<'PY'
from flask import Flask
app = Flask(__name__)

@app.get("/")
def index():
    return "ok"
PY
cat > "$dir/locustfile.py" <<'PY'
from locust import HttpUser, task, between

class User(HttpUser):
    wait_time = between(0.1, 0.3)

    @task
    def index(self):
        self.client.get("/")
PY
cat > "$dir/flask-and-locust.sh" <<'SH'
#!/bin/sh
"$FLASK" --app app run --port 5000 >/dev/null 2>&1 &
server=$!
until curl -s -o /dev/null http://127.0.0.1:5000/; do sleep 0.2; done
"$LOCUST" --headless --only-summary -L ERROR -u 30 -r 3 -t 30s --host http://127.0.0.1:5000 -f locustfile.py
kill $server
SH
chmod +x "$dir/flask-and-locust.sh"
cd "$dir"
"$bench" watch --sandbox --sysctl net.ipv4.tcp_tw_reuse=0 --sysctl "net.ipv4.ip_local_port_range=30000 $((29999 + ports))" \
  --json watch.json -- ./flask-and-locust.sh > locust.txt
python3 - watch.json <<'PY'
import json, sys
d = json.load(open(sys.argv[1]))
dest = d["destinations"][0]
assert d["verdict"]["id"] == "port-bound", d["verdict"]
full = dest["full_s"][0]
print(f"\nall {dest['pool']} ports were in use at {full:.1f} s; {dest['peak_cps']:.0f} connections/s at the most")
said = [o for o in d["outlooks"] if "full_from_s" in o and o["at_s"] < full]
ok = True
for o in said:
    lo, hi = o["full_from_s"], o.get("full_to_s")
    off = max(lo - full, 0 if hi is None else full - hi, 0)
    late = o["at_s"] >= 12
    right = off <= max(2, 0.05 * full)
    ok &= right or not late
    print(f"  at {o['at_s']:4.1f} s, {full - o['at_s']:4.1f} s before: {lo:.1f} to {'later' if hi is None else format(hi, '.1f')} s: off by {off:.1f} s{'' if late else ' (in the ramp)'}")
early = bool(said) and full - said[0]["at_s"] >= 10
print("foreseen 10 s before:", "yes" if early else "NO", "; after the ramp within 5 % or 2 s:", "yes" if ok else "NO")
sys.exit(not (early and ok))
PY
