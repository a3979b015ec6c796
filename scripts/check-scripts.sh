#!/usr/bin/env bash
# The short forms of the nine tuning experiments, with the binary of this tree. Claims about counts and errnos must hold;
# claims about time are only printed. About a minute, three at most on a busy machine. Leaves nothing behind.
#
# usage: scripts/check-scripts.sh [-h|--help]      needs: cargo, python3
# SOCKBENCH=BINARY measures that binary instead of the one of this tree.
# Exit: 0 no claim is false; 1 one is. Where the kernel forbids private namespaces, or python3 is not there, it says so
# and ends with 0, or with 1 where SOCKBENCH_NO_SKIP is set.
. "$(dirname "$0")/lib.sh"
case "${1:-}" in
  '') ;;
  -h | --help) usage; exit 0 ;;
  *) die_usage "$1: unknown argument" ;;
esac
cd "$(dirname "$0")/.." || exit 2

# skip REASON: says why the experiments did not run, and ends.
skip() {
  echo "SKIPPED: $1: the tuning experiments did not run"
  [ -z "${SOCKBENCH_NO_SKIP:-}" ] || exit 1
  exit 0
}

if command -v shellcheck >/dev/null; then
  shellcheck scripts/*.sh || exit 1
else
  echo "check-scripts: shellcheck is not installed: the scripts are run, not linted"
  [ -z "${SOCKBENCH_NO_SKIP:-}" ] || exit 1
fi
command -v python3 >/dev/null || skip "python3 is not installed"
python3 scripts/planted-faults.py --check || exit 1
# One that lies there may be of an older tree; nothing is done if it is not.
[ -n "${SOCKBENCH:-}" ] || cargo build --profile quick --quiet || exit 1
export SOCKBENCH=${SOCKBENCH:-${CARGO_TARGET_DIR:-target}/quick/sockbench}
results=$(mktemp -d) || exit 2
on_end "rm -rf '$results'"
code=0
run_script scripts/all.sh --short -o "$results" || code=$?
[ "$code" != 3 ] || skip "no private network namespace here (the reason is above)"
exit "$code"
