#!/usr/bin/env bash
# A real Prometheus scrapes `sockbench ports --serve` while a load uses up a pool of 1,000 source ports: does the alert of
# docs/prometheus/alerts.yml fire before the first connection fails?
#
#   scripts/prometheus-alert.sh [SOCKBENCH]      about 75 s, in a private network namespace
#
# Needs prometheus (Debian's package). The exit code is 0 where the alert came first, 1 where it did not, 2 where something
# is missing.
set -eu
bench=$(realpath "${1:-target/release/sockbench}")
here=$(cd "$(dirname "$0")/.." && pwd)
if [[ "${INSIDE:-}" != 1 ]]; then
  command -v prometheus >/dev/null || { echo "prometheus-alert.sh: prometheus is not installed" >&2; exit 2; }
  INSIDE=1 exec "$bench" sandbox --sysctl net.ipv4.tcp_tw_reuse=0 --sysctl "net.ipv4.ip_local_port_range=30000 30999" -- \
    bash "$0" "$bench"
fi

dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$dir"' EXIT
cat > "$dir/prometheus.yml" <<EOF
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [ "$here/docs/prometheus/alerts.yml" ]
scrape_configs:
  - job_name: sockbench
    static_configs: [ { targets: [ "127.0.0.1:9469" ] } ]
EOF
"$bench" server --listen 127.0.0.1:8080 --closer client >"$dir/server" 2>&1 &
"$bench" ports --serve 2>"$dir/serve" &
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" --web.listen-address=127.0.0.1:9090 \
  >"$dir/prometheus" 2>&1 &
up() {
  for _ in $(seq 100); do curl -sf -o /dev/null "$1" && return; sleep 0.2; done
  echo "prometheus-alert.sh: $1 does not answer" >&2
  tail -n 3 "$dir"/* >&2 2>/dev/null || true
  exit 2
}
up http://127.0.0.1:8080/health
up http://127.0.0.1:9469/metrics
up http://127.0.0.1:9090/-/ready

# 20 new connections a second: the pool is used up after about 50 s, and P/T is 16.7/s.
"$bench" load http://127.0.0.1:8080 --mix /health --no-keepalive --rate 20 -c 20 -d 60s --json "$dir/run.json" >"$dir/load" 2>&1 &
load=$!
while kill -0 "$load" 2>/dev/null; do
  [[ -s "$dir/alert.json" ]] || {
    curl -s http://127.0.0.1:9090/api/v1/alerts > "$dir/alerts.json"
    grep -q '"SourcePortsRunOut"' "$dir/alerts.json" && grep -q '"firing"' "$dir/alerts.json" && cp "$dir/alerts.json" "$dir/alert.json"
  }
  sleep 0.5
done
wait "$load" || true
python3 - "$dir" <<'PY'
import datetime, json, os, sys
at = lambda text: datetime.datetime.fromisoformat(text[:19] + "+00:00").timestamp() + float("0" + (text[19:].split("Z")[0] or ".0"))
run = json.load(open(sys.argv[1] + "/run.json"))
failed = [e["first_s"] for e in run["errors"] if e["local"]]
if not failed:
    sys.exit("prometheus-alert.sh: no connection failed: nothing to foresee")
first = min(failed)
if not os.path.exists(sys.argv[1] + "/alert.json"):
    print(f"the first connection failed at {first:.1f} s, and no alert fired")
    sys.exit(1)
alert = next(a for a in json.load(open(sys.argv[1] + "/alert.json"))["data"]["alerts"] if a["labels"]["alertname"] == "SourcePortsRunOut")
fired = at(alert["activeAt"]) - at(run["started_at"])
print(f"the alert fired at {fired:.1f} s, the first connection failed at {first:.1f} s")
print(alert["annotations"]["summary"])
sys.exit(fired >= first)
PY
