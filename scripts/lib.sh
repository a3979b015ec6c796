# shellcheck shell=bash disable=SC2034
# Shared by the tuning experiments in this directory: arguments, the binary, private namespaces, fields of run.json,
# CSV, charts, checks. Sourced, never run. No root: everything that is tuned is tuned in a namespace of its own.
set -u -o pipefail

# start NAME "$@": arguments, the binary, an empty results folder. Sets $name $out $work $short $bench $charts.
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
  bench=${SOCKBENCH:-${CARGO_TARGET_DIR:-$root/target}/release/sockbench}
  if [ ! -x "$bench" ]; then
    [ -z "${SOCKBENCH:-}" ] || die_usage "SOCKBENCH: $SOCKBENCH: not an executable"
    (cd "$root" && cargo build --release --quiet) || exit 2
  fi
  bench=$(realpath "$bench") || exit 2
  # Charts are drawn by an example of this tree, whichever binary is measured. The profile is the tests', so that both
  # share one build of the library.
  charts=${SOCKBENCH_CHART:-${CARGO_TARGET_DIR:-$root/target}/quick/examples/chart}
  [ -n "${SOCKBENCH_CHART:-}" ] || (cd "$root" && cargo build --profile quick --example chart --quiet) || exit 2
  charts=$(realpath "$charts") || exit 2
  command -v python3 >/dev/null || die_usage "python3: not found"
  out=${out:-$root/results/$name}
  mkdir -p "$out" || exit 2
  out=$(realpath "$out")
  work=$(mktemp -d) || exit 2
  on_end "rm -rf '$work'"
  # What a rehearsal left on this host is no part of an experiment.
  export bench XDG_STATE_HOME=$work
  if ! "$bench" sandbox -- true 2>"$work/refused"; then
    cat "$work/refused" >&2
    exit 3
  fi
  start_calculator
  failed=0
  began=$SECONDS
  csv=$out/$name.csv
  md=$out/result.md
  : >"$md"
  rm -f "$out/unmeasured.txt"
}

# on_end COMMAND: what a script does whenever it ends, by itself or by a signal: it ends what it started, and COMMAND.
# A second signal does not break off the clearing up. It dies of the signal, so that who waits sees which it was.
on_end() {
  local signal
  # shellcheck disable=SC2064 # the command, not its result
  trap "end_all; $1" EXIT
  for signal in HUP INT TERM; do
    # shellcheck disable=SC2064
    trap "trap - EXIT; trap '' HUP INT TERM; end_all; $1; trap - $signal; kill -$signal \$\$" "$signal"
  done
}

# The comment at the head of the script is its help.
usage() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; }

die_usage() {
  echo "$(basename "$0"): $1" >&2
  exit 2
}

# Groups: what runs in a namespace, by the process group that timeout(1) makes of it: its directory. Scripts: own
# scripts that run as children, by process id.
declare -A groups=() scripts=()

# inside DIR SANDBOX-OPTIONS... -- FUNCTION ARGS...: runs FUNCTION in DIR (made) in a fresh private namespace. It may
# use serve, stop, load, burst and now_ms. Its messages go to DIR/log. Bounded by $bound seconds; nothing of it is left.
inside() {
  aside "$@"
  await $!
}

# aside ...: begins the same, to run beside others until `together`.
aside() {
  local dir=$1 options=()
  shift
  mkdir -p "$dir"
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  # shellcheck disable=SC2163 # the name is in the variable
  export -f serve stop load burst now_ms "$1"
  # In the background even for `inside`: bash acts upon a signal while it waits, not while a command runs.
  # The words are for the shell inside.
  # shellcheck disable=SC2016
  (cd "$dir" && exec timeout -k 5 "${bound:-120}" "$bench" sandbox "${options[@]}" -- bash -c '"$@"' _ "$@") \
    >"$dir/log" 2>&1 {ask}>&- {answers}<&- &
  groups[$!]=$dir
}

# together: waits for all that `aside` began.
together() {
  local pid code=0
  for pid in "${!groups[@]}"; do await "$pid" || code=1; done
  return "$code"
}

await() { # PID
  local dir=${groups[$1]} code=0
  wait "$1" || code=$?
  # What the function left running, a server if a load failed.
  end_group "$1"
  unset "groups[$1]"
  [ "$code" = 0 ] && return
  echo "$name: $(basename "$dir"): $([ "$code" = 124 ] && echo "not done in ${bound:-120} s" || echo "exit code $code")" >&2
  tail -n 5 "$dir/log" >&2
  return 1
}

end_group() { # PID of its leader, which may be gone
  kill -0 -- "-$1" 2>/dev/null || return 0
  kill -TERM -- "-$1" 2>/dev/null
  kill -CONT -- "-$1" 2>/dev/null
  for _ in $(seq 50); do
    kill -0 -- "-$1" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL -- "-$1" 2>/dev/null
}

# run_script COMMAND...: runs another script of this directory, so that a signal ends it too.
run_script() {
  local code=0
  "$@" &
  local pid=$!
  scripts[$pid]=$1
  wait "$pid" || code=$?
  unset "scripts[$pid]"
  return "$code"
}

end_all() {
  local pid
  # Twice: a child that has just been forked can lose a signal.
  for _ in 1 2; do
    for pid in $(jobs -pr); do kill -TERM "$pid" 2>/dev/null; done
    for pid in "${!groups[@]}"; do end_group "$pid"; done
    sleep 0.1
  done
  for pid in "${!scripts[@]}"; do wait "$pid"; done
}

# serve ARGS...: starts a server inside the namespace and waits until it listens. Sets $server.
serve() {
  "$bench" server "$@" >server.out 2>server.err &
  server=$!
  for _ in $(seq 600); do
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

# now_ms: the clock.
now_ms() {
  local us=${EPOCHREALTIME/[.,]/}
  echo $((us / 1000))
}

# load RESULT ARGS...: one load, its result document in RESULT.json. A load in which nothing succeeded ends with an exit
# code of its own; here it is a measurement like any other.
load() {
  local result=$1
  shift
  "$bench" load "$@" --quiet --json "$result.json" >/dev/null
  [ -s "$result.json" ]
}

# burst RESULT URL ASKED ARGS...: ASKED connections, one request on each, by ten users who never have more than one
# each, whatever becomes of them: a machine that stalls makes it longer, and nothing else. (At a constant rate what was
# due meanwhile would be made up for in one go, on more ports at once than there are.) --conns may follow.
burst() {
  local result=$1 url=$2 asked=$3 users=(--conns 10)
  shift 3
  [[ " $* " = *" --conns "* ]] && users=()
  load "$result" "$url" --no-keepalive "${users[@]}" --think 2ms --requests "$asked" --no-observe "$@"
}

# The calculator: one python3 for a script, because starting one for each figure would take longer than the experiments.
# A question is the number of words and then the words, a line each; the answer is a line, its first word 0 or 1.
start_calculator() {
  mkfifo "$work/answers" || exit 2
  exec {ask}> >(exec python3 -u -c '
import json, signal, sys
from math import *
signal.signal(signal.SIGINT, signal.SIG_IGN)
def shown(v):
    return "-" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v)
def errors(d):
    return "+".join(sorted({"%s %s" % (e["call"], e["errno"] or e["name"]) for e in d["errors"]})) or "none"
def field(path, *expressions):
    try:
        d = json.load(open(path))
    except (OSError, ValueError):
        return 1, " ".join("-" for _ in expressions)
    return 0, " ".join(shown(eval(e, {"d": d, "t": d.get("totals", {}), "errors": errors})) for e in expressions)
def calc(expression, form):
    return 0, format(eval(expression, {**globals(), "__builtins__": __builtins__}), form)
while count := sys.stdin.readline():
    verb, *words = (sys.stdin.readline().rstrip("\n") for _ in range(int(count)))
    try:
        code, answer = {"field": field, "calc": calc}[verb](*words)
    except Exception as error:
        code, answer = 1, "-"
    print(code, answer, flush=True)
' >"$work/answers" 2>/dev/null)
  exec {answers}<"$work/answers"
}

question() { # field FILE EXPRESSION... | calc EXPRESSION FORMAT
  local code answer
  printf '%s\n' $# "$@" >&"$ask"
  read -r code answer <&"$answers" || return
  printf '%s\n' "$answer"
  return "$code"
}

# field FILE EXPRESSION...: values from a JSON file, `d` is the document, `t` its totals; one line, blanks between. null,
# and all of a file that is not there, is `-`.
field() { question field "$@"; }

# errors FILE: the failures by call and errno, as `connect 99` or `none`; several are joined with +.
errors() { field "$1" 'errors(d)'; }

# calc EXPRESSION [FORMAT]: arithmetic with fractions. What cannot be computed is `-`.
calc() { question calc "$1" "${2-.6g}"; }

# is EXPRESSION: whether it is true.
is() { [ "$(calc "bool($1)" '')" = True ]; }

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
  "$charts" "$csv" -o "$out/$svg" "$@" || failed=1
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
  if is "$2"; then
    printf '  ok     %s: %s\n' "$1" "$2"
  else
    printf '  FALSE  %s: %s\n' "$1" "$2"
    failed=1
  fi
}

# waves WHAT FILE PORTS T: the claim of a constant rate of 3 P/T over 2.67 T: each port is given three times, a third of T
# after its release at the latest. Never more often, the kernel sees to that; and not less often if the machine kept
# time, which the run says itself: three answers after one another, none later than a ninth of T, fit.
waves() {
  local opened slowest
  read -r opened slowest <<<"$(field "$2" 't["connections_opened"]' 't["latency_ms"]["max"]')"
  check_that "$1, three waves of T: never more than 3 P" "$opened <= 3 * $3"
  if is "$slowest < 1000 * $4 / 9"; then
    check_that "$1, three waves of T: made against 3 P" "$opened >= 0.95 * 3 * $3"
  elif ! is "$opened >= 0.95 * 3 * $3"; then
    unmeasured "$1, three waves of T" "this machine stalled for a while (an answer took $slowest ms); $opened made of 3 x $3"
  fi
}

# shape WHAT EXPRESSION: a claim about time. Reported, never a failure: a busy machine is no defect.
shape() {
  if is "$2"; then
    printf '  shape  %s: %s\n' "$1" "$2"
  else
    printf '  SHAPE  %s: not on this machine at this moment: %s\n' "$1" "$2"
  fi
}

# unmeasured WHAT WHY: reported here, in the result, and by all.sh at its end. Not a failure: it needs a less busy machine.
unmeasured() {
  printf '  NONE   %s: could not be measured: %s\n' "$1" "$2"
  printf '%s: %s\n' "$1" "$2" >>"$out/unmeasured.txt"
}

# finish: says how it came out, and ends the script.
finish() {
  [ -e "$out/unmeasured.txt" ] && say "Not measured in this run: $(paste -sd ';' "$out/unmeasured.txt" | sed 's/;/; /g')."
  if [ "$failed" = 0 ]; then
    echo "$name: done in $((SECONDS - began)) s: $out"
  else
    echo "$name: FAILED after $((SECONDS - began)) s: $out" >&2
  fi
  exit "$failed"
}
