#!/usr/bin/env bash
# The one command before "done": format, lints, docs, then the tests once. Stops at the first that fails; each stage says
# how long it took. --fast is for the inner loop: format, lints, and the tests that start no load run and no namespace.
#
# usage: scripts/check.sh [--fast] [-h|--help]      SOCKBENCH_NO_SKIP=1: a test that would skip fails
set -euo pipefail
fast=0
for arg in "$@"; do
  case "$arg" in
    --fast) fast=1 ;;
    -h | --help) awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; exit 0 ;;
    *) echo "check.sh: $arg: unknown argument" >&2; exit 2 ;;
  esac
done
cd "$(dirname "$0")/.."

stage() {
  local began=$SECONDS
  printf '\n== %s\n' "$*"
  "$@"
  printf '== %s s: %s\n' "$((SECONDS - began))" "$*"
}

# Wording that no test compares any more. Each test notes the snapshots that it looked at.
no_snapshot_is_left_over() {
  local left
  left=$(comm -23 <(find "$PWD/src" "$PWD/tests" -name '*.snap' | sort) <(sort -u "$INSTA_SNAPSHOT_REFERENCES_FILE"))
  [ -z "$left" ] || { printf 'no test compares:\n%s\n' "$left" >&2; return 1; }
}
INSTA_SNAPSHOT_REFERENCES_FILE=$(mktemp)
export INSTA_SNAPSHOT_REFERENCES_FILE
trap 'rm -f "$INSTA_SNAPSHOT_REFERENCES_FILE"' EXIT

stage cargo fmt --check
stage cargo clippy --all-targets -- -D warnings
if [ "$fast" = 1 ]; then
  stage cargo test --lib --test architecture --test pure --test wire
else
  if command -v cargo-deny >/dev/null; then stage cargo deny check licenses bans sources; else echo "SKIPPED: cargo-deny: licences, bans and sources are not checked"; fi
  stage cargo fmt --check --manifest-path benches/peers/Cargo.toml
  stage cargo clippy --quiet --manifest-path benches/peers/Cargo.toml --target-dir target/peers -- -D warnings
  RUSTDOCFLAGS="-D warnings" stage cargo doc --no-deps --document-private-items
  stage cargo test --profile quick --no-run
  # What a background job or nohup(1) ignores is not ignored by the programs under test.
  stage env --default-signal=HUP,INT cargo test --profile quick
fi
stage no_snapshot_is_left_over
printf '\nall checks passed in %s s\n' "$SECONDS"
