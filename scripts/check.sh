#!/usr/bin/env bash
# The one command before "done": format, lints, docs, then the tests once. Stops at the first that fails.
#
# usage: scripts/check.sh [-h|--help]
set -euo pipefail
case "${1:-}" in
  '') ;;
  -h | --help) awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; exit 0 ;;
  *) echo "check.sh: $1: unknown argument" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."

step() {
  printf '\n== %s\n' "$*"
  "$@"
}

step cargo fmt --check
step cargo clippy --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" step cargo doc --no-deps --document-private-items
step cargo test --profile quick
printf '\nall checks passed\n'
