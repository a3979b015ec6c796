# shellcheck shell=bash disable=SC2034
# Shared by the tuning experiments in this directory: arguments, the binary, private namespaces, fields of run.json,
# CSV, charts, checks. Sourced, never run. No root: everything that is tuned is tuned in a namespace of its own.
set -u -o pipefail

# start NAME "$@": arguments, the binary, an empty results folder. Sets $name $out $work $short $bench.
start() {
  name=$1
  shift
  short=0
  out=
  while [ $# -gt 0 ]; do
    case "$1" in
      --short) short=1 ;;
      -o) [ $# -gt 1 ] || die_usage "-o: needs a directory"; out=$2; shift ;;
      -h | --help) usage; exit 0 ;;
      *) die_usage "$1: unknown argument" ;;
    esac
    shift
  done
  local root
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
  bench=${SOCKBENCH:-$root/target/release/sockbench}
  if [ ! -x "$bench" ]; then
    [ -z "${SOCKBENCH:-}" ] || die_usage "SOCKBENCH: $SOCKBENCH: not an executable"
    (cd "$root" && cargo build --release --quiet) || exit 2
  fi
  bench=$(realpath "$bench") || exit 2
  command -v python3 >/dev/null || die_usage "python3: not found"
  out=${out:-$root/results/$name}
  mkdir -p "$out" || exit 2
  out=$(realpath "$out")
  work=$(mktemp -d) || exit 2
  trap 'rm -rf "$work"' EXIT
  # What a rehearsal left on this host is no part of an experiment.
  export bench XDG_STATE_HOME=$work
  if ! "$bench" sandbox -- true 2>"$work/refused"; then
    cat "$work/refused" >&2
    exit 3
  fi
  failed=0
  began=$SECONDS
  csv=$out/$name.csv
  md=$out/result.md
  : >"$md"
}

# The comment at the head of the script is its help.
usage() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; }

die_usage() {
  echo "$(basename "$0"): $1" >&2
  exit 2
}

# inside DIR SANDBOX-OPTIONS... -- FUNCTION ARGS...: runs FUNCTION in DIR (made) in a fresh private namespace. It may
# use serve, stop, load and burst. Its messages go to DIR/log. Bounded by $bound seconds.
inside() {
  local dir=$1 options=()
  shift
  mkdir -p "$dir"
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  # shellcheck disable=SC2163 # the name is in the variable
  export -f serve stop load burst "$1"
  # The words are for the shell inside.
  # shellcheck disable=SC2016
  (cd "$dir" && exec timeout -k 5 "${bound:-120}" "$bench" sandbox "${options[@]}" -- bash -c '"$@"' _ "$@") \
    >"$dir/log" 2>&1 && return
  echo "$name: $* in $(basename "$dir"):" >&2
  tail -n 5 "$dir/log" >&2
  return 1
}

# serve ARGS...: starts a server inside the namespace and waits until it listens. Sets $server.
serve() {
  "$bench" server "$@" >server.out 2>server.err &
  server=$!
  for _ in $(seq 200); do
    grep -q listening server.out && return
    sleep 0.05
  done
  cat server.err >&2
  return 1
}

# stop: ends the server of serve.
stop() {
  kill "$server"
  wait "$server"
}

# load RESULT ARGS...: one load, its result document in RESULT.json. A load in which nothing succeeded ends with an exit
# code of its own; here it is a measurement like any other.
load() {
  local result=$1
  shift
  "$bench" load "$@" --quiet --json "$result.json" >/dev/null
  [ -s "$result.json" ]
}

# burst RESULT URL ASKED ARGS...: ASKED connections, one request on each, 400 started a second whatever becomes of them.
burst() {
  local result=$1 url=$2 asked=$3
  shift 3
  load "$result" "$url" --no-keepalive --rate 400 --conns 400 --requests "$asked" --no-observe "$@"
}

# field FILE EXPRESSION...: values from a JSON file, `d` is the document; one line, blanks between. null is `-`.
field() {
  python3 - "$@" <<'PY'
import json, sys
d = json.load(open(sys.argv[1]))
def shown(v):
    return "-" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v)
print(*(shown(eval(e, {"d": d, "t": d.get("totals", {})})) for e in sys.argv[2:]))
PY
}

# errors FILE: the failures by call and errno, as `connect 99` or `none`; several are joined with +.
errors() {
  field "$1" '"+".join(sorted({"%s %s" % (e["call"], e["errno"] or e["name"]) for e in d["errors"]})) or "none"'
}

# calc EXPRESSION [FORMAT]: arithmetic with fractions.
calc() { python3 -c 'import sys; from math import *; print(format(eval(sys.argv[1]), sys.argv[2]))' "$1" "${2-.6g}"; }

# row CELL...: one line of the CSV file.
row() {
  local IFS=,
  printf '%s\n' "$*" >>"$csv"
}

# head_row CELL...: begins the CSV file.
head_row() {
  : >"$csv"
  row "$@"
}

# chart SVG ARGS...: draws from the CSV file ($csv).
chart() {
  local svg=$1
  shift
  "$bench" chart "$csv" -o "$out/$svg" "$@" || failed=1
}

# say TEXT...: a paragraph of the result.
say() { printf '%s\n\n' "$*" >>"$md"; }

# picture SVG TEXT: the chart in the result.
picture() { printf '![%s](%s)\n\n' "$2" "$1" >>"$md"; }

# table: the CSV file as a table of the result. Figures stand right.
table() {
  python3 - "${1:-$csv}" >>"$md" <<'PY'
import csv, sys
rows = list(csv.reader(open(sys.argv[1])))
def figure(text):
    try:
        float(text)
    except ValueError:
        return text in ("", "-")
    return True
right = [all(figure(r[i]) for r in rows[1:]) for i in range(len(rows[0]))]
print("| " + " | ".join(h.replace("_", " ") for h in rows[0]) + " |")
print("|" + "|".join("---:" if r else "---" for r in right) + "|")
for r in rows[1:]:
    print("| " + " | ".join(c or "-" for c in r) + " |")
print()
PY
}

# check WHAT MEASURED EXPECTED: a claim about a count or an errno. It must hold to the unit.
check() {
  if [ "$2" = "$3" ]; then
    printf '  ok     %s: %s\n' "$1" "$2"
  else
    printf '  FALSE  %s: %s, expected %s\n' "$1" "$2" "$3"
    failed=1
  fi
}

# check_that WHAT EXPRESSION: a claim that is a comparison of counts.
check_that() {
  if [ "$(calc "bool($2)" '')" = True ]; then
    printf '  ok     %s: %s\n' "$1" "$2"
  else
    printf '  FALSE  %s: %s\n' "$1" "$2"
    failed=1
  fi
}

# shape WHAT EXPRESSION: a claim about time. Told, never failed upon: a busy machine is no defect.
shape() {
  if [ "$(calc "bool($2)" '')" = True ]; then
    printf '  shape  %s: %s\n' "$1" "$2"
  else
    printf '  SHAPE  %s: not on this machine at this moment: %s\n' "$1" "$2"
  fi
}

# finish: says how it came out, and ends the script.
finish() {
  if [ "$failed" = 0 ]; then
    echo "$name: done in $((SECONDS - began)) s: $out"
  else
    echo "$name: FAILED after $((SECONDS - began)) s: $out" >&2
  fi
  exit "$failed"
}
