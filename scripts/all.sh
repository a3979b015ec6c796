#!/usr/bin/env bash
# Runs the nine tuning experiments, one after the other, and writes docs/TUNING.md with the charts in docs/tuning.
#
# With --short only the short forms run, as continuous integration does, and nothing is written to docs. A claim about a
# count or an errno that is false ends it without a page; what a busy machine could not measure is reported at the end and
# in the page.
#
# usage: scripts/all.sh [--short] [-o DIR] [-h|--help]      default folder: results; one folder below it for each
# Exit: 0 no claim is false; 1 one is; 2 usage; 3 no private namespace here.
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
experiments=(port-range tw-reuse keepalive reuse-addr source-ips backlog search-cost pools fin-timeout)
start all "$@"
results=$out
if [ "$results" = "$(realpath "$here/..")/results/all" ]; then
  rmdir --ignore-fail-on-non-empty "$results" 2>/dev/null
  results=$(realpath "$here/..")/results
fi
options=()
[ "$short" = 1 ] && options=(--short)

read -r load _ </proc/loadavg
false_claims=()
for experiment in "${experiments[@]}"; do
  echo "== $experiment"
  code=0
  SOCKBENCH=$bench SOCKBENCH_CHART=$charts run_script "$here/$experiment.sh" "${options[@]}" -o "$results/$experiment" || code=$?
  [ "$code" = 3 ] && exit 3
  [ "$code" = 0 ] || false_claims+=("$experiment")
done
for experiment in "${experiments[@]}"; do
  missing=$results/$experiment/unmeasured.txt
  [ ! -e "$missing" ] || sed "s/^/all: not measured: $experiment: /" "$missing"
done
if [ "${#false_claims[@]}" -gt 0 ]; then
  echo "all: FALSE: ${false_claims[*]}, after $((SECONDS - began)) s" >&2
  exit 1
fi
echo "all: no claim is false, $((SECONDS - began)) s"
[ "$short" = 1 ] && exit 0

docs=$(realpath "$here/../docs")
mkdir -p "$docs/tuning"
"$bench" load --quiet --requests 1 --mix /health=1 --json "$work/host.json" >/dev/null || exit 1
read -r kernel cpus memory version <<<"$(field "$work/host.json" 'd["host"]["kernel"]' 'd["host"]["cpus"]' \
  'round(d["host"]["memory_bytes"] / 2**30)' 'd["tool"]["version"]')"
model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
{
  cat <<TEXT
# What the kernel's settings do to a load client, as measured

Nine experiments, each a short script over \`sockbench\` in \`scripts/\`, without root: everything is tuned in a private
network namespace. Everything below is from one run of \`scripts/all.sh\`; run it again to get your own page.

**Machine:** ${model:-unknown CPU}, $cpus cores, $memory GiB; **Linux $kernel**; sockbench $version; $(date -u +%Y-%m-%d).
Load average when it began: $load. Counts and errnos were checked by the run; times are as measured.

TEXT
  for experiment in "${experiments[@]}"; do
    title=$(sed -n 's/^## //p' "$results/$experiment/result.md" | head -n 1)
    anchor=$(printf '%s' "$title" | tr '[:upper:]' '[:lower:]' | tr -cd '[:alnum:] _-' | tr ' ' '-')
    # shellcheck disable=SC2016 # these are Markdown's
    printf -- '- [%s](#%s): `scripts/%s.sh`\n' "$title" "$anchor" "$experiment"
  done
  echo
  for experiment in "${experiments[@]}"; do
    cp "$results/$experiment"/*.svg "$docs/tuning/"
    sed 's#](\([a-z-]*\.svg\))#](tuning/\1)#' "$results/$experiment/result.md"
  done
} >"$work/TUNING.md"
# One empty line at the end of a paragraph, none at the end of the page.
cat -s "$work/TUNING.md" | sed -e '${/^$/d}' >"$docs/TUNING.md"
echo "all: docs/TUNING.md written"
