#!/usr/bin/env bash
# The one command before "done": format, lints, docs, then the tests once. Stops at the first that fails.
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
  printf '\n== %s\n' "$*"
  "$@"
}

step cargo fmt --check
step cargo clippy --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" step cargo doc --no-deps --document-private-items
step cargo test --release
printf '\nall checks passed\n'
