#!/usr/bin/env bash
# The short forms of the nine tuning experiments, to be run beside scripts/check.sh. Claims
# about counts and errnos must hold; claims about time are only told. Under three minutes. Needs python3.
#
# usage: scripts/check-scripts.sh [-h|--help]
# Exit: 0 all claims hold; 1 one does not. Where the kernel forbids private namespaces it says so and ends with 0.
set -u -o pipefail
case "${1:-}" in
  '') ;;
  -h | --help) awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; exit 0 ;;
  *) echo "check-scripts.sh: $1: unknown argument" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.." || exit 2

if command -v shellcheck >/dev/null; then
  shellcheck scripts/*.sh || exit 1
else
  echo "shellcheck: not installed: skipped"
fi
results=$(mktemp -d) || exit 2
trap 'rm -rf "$results"' EXIT
scripts/all.sh --short -o "$results"
code=$?
if [ "$code" = 3 ]; then
  echo "SKIPPED: no private network namespace here: the experiments did not run"
  exit 0
fi
exit "$code"
