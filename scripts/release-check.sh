#!/usr/bin/env bash
# Builds every package of a release and tries it as its user would: the .deb in a chroot, the .rpm read back, the static archive
# and the container's image in an empty root, the wheel in a virtual environment, the crate built. Needs the release profile
# twice (about 5 minutes each on two cores); what is there already can be given. docs/RELEASE.md says when.
#
# usage: scripts/release-check.sh [-h|--help]      The packages go to target/packages; older ones there are removed.
# DYNAMIC=BINARY, STATIC=BINARY: not built again. Tools that are not there are named, and their part is left out; with
# SOCKBENCH_NO_SKIP=1 that is a failure. Exit: 0 all that was tried works.
set -euo pipefail
cd "$(dirname "$0")/.."
out=target/packages
for arg in "$@"; do
  case "$arg" in
    -h | --help) awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; exit 0 ;;
    *) echo "release-check: $arg: unknown argument" >&2; exit 2 ;;
  esac
done
# cargo-deb and generate-rpm take the binary, the pages and the completions from below target/ (Cargo.toml).
unset CARGO_TARGET_DIR
triple=$(rustc -vV | sed -n 's/^host: //p')
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
skipped=

say() { printf '\n== %s\n' "$*"; }
skip() { echo "SKIPPED: $*"; skipped="$skipped $1"; }
has() { command -v "$1" >/dev/null; }
# with WORDS COMMAND...: the command's output has them.
with() {
  local words=$1 text
  shift
  text=$("$@" 2>&1) || { printf '%s\n' "$text"; echo "release-check: failed: $*" >&2; exit 1; }
  printf '%s\n' "$text" | tail -4
  case "$text" in *"$words"*) ;; *) echo "release-check: no '$words': $*" >&2; exit 1 ;; esac
}

build() {
  say "binaries"
  if [ -n "${DYNAMIC:-}" ]; then
    mkdir -p target/release && install -m 755 "$DYNAMIC" target/release/sockbench.new && mv target/release/sockbench.new target/release/sockbench
  else
    cargo build --release --locked
  fi
  # With --target the flag is for the program alone, not for build scripts and macros.
  static=${STATIC:-target/$triple/release/sockbench}
  [ -n "${STATIC:-}" ] || RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target "$triple"
  ls -l target/release/sockbench "$static"
  with "tatically linked" ldd "$static"
}

beside() {
  say "manual pages and completions"
  rm -rf "$out/man" "$out/completions"
  mkdir -p "$out/man" "$out/completions"
  "$static" man "$out/man"
  "$static" completions bash >"$out/completions/sockbench.bash"
  "$static" completions zsh >"$out/completions/_sockbench"
  "$static" completions fish >"$out/completions/sockbench.fish"
  ls "$out/man"
  bash -n "$out/completions/sockbench.bash"
  # As man(1) sets them: nothing is wrong with the pages.
  if has man; then
    for page in "$out"/man/*.1; do
      env LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -l "$page" 2>"$work/man.log" >/dev/null
      [ ! -s "$work/man.log" ] || { cat "$work/man.log"; echo "release-check: $page: not clean" >&2; exit 1; }
    done
  else
    skip man
  fi
}

# empty ROOT WORDS...: the program alone in a root of its own, with /proc, /dev and /tmp.
empty() {
  local root=$1
  shift
  bwrap --unshare-pid --ro-bind "$root" / --proc /proc --dev /dev --tmpfs /tmp --setenv XDG_STATE_HOME /tmp --chdir / "$@"
}

archive() {
  say "static archive"
  local name=sockbench-$version-$triple
  local dir=$work/$name
  mkdir -p "$dir"
  install -m 755 "$static" "$dir/sockbench"
  cp -r "$out/man" "$out/completions" README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT dist/Containerfile dist/sockbench.service dist/sockbench.socket "$dir"
  tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-0}" -czf "$out/$name.tar.gz" "$name"
  has bwrap || { skip bwrap; return; }
  mkdir -p "$work/root/etc" "$work/root/proc" "$work/root/dev" "$work/root/tmp"
  tar -C "$work" -xzf "$out/$name.tar.gz"
  cp "$dir/sockbench" "$work/root/sockbench"
  # A name from /etc/hosts, for which a static glibc needs no library.
  echo '127.0.0.1 a.sockbench.test' >"$work/root/etc/hosts"
  with "rehearsed in" empty "$work/root" /sockbench rehearse
  with "OK   " empty "$work/root" /sockbench load -d 2s -c 2 --think 20ms --mix /health
  with "127.0.0.1:9: connection refused" sh -c '"$@"; [ $? = 3 ]' sh bwrap --unshare-pid --ro-bind "$work/root" / --proc /proc --dev /dev \
    /sockbench load http://a.sockbench.test:9/ -n 2 -q
  say "container: the same root as the image has, as its user"
  rm -rf "$work/root/etc"
  with "rehearsed in" empty "$work/root" --unshare-user --uid 65534 --gid 65534 /sockbench rehearse --remedy keep-alive
  if has podman; then podman build -q -f "$dir/Containerfile" -t sockbench-check "$dir" && podman run --rm sockbench-check --version; else skip podman; fi
}

deb() {
  say ".deb"
  has cargo-deb || { skip cargo-deb; return; }
  local deb
  deb=$out/sockbench_${version}_$(dpkg --print-architecture).deb
  cargo deb --no-build --no-strip --output "$deb" >/dev/null
  dpkg-deb --info "$deb" | sed -n 's/^ \(Package\|Version\|Depends\|Installed-Size\):/\1:/p'
  if has lintian; then lintian --fail-on error "$deb" || { echo "release-check: lintian" >&2; exit 1; }; else skip lintian; fi
  if [ "$(id -u)" = 0 ] && has debootstrap && debootstrap --variant=minbase --include=man-db bookworm "$work/chroot" >"$work/debootstrap.log" 2>&1; then
    cp "$deb" "$work/chroot/tmp/sockbench.deb"
    # A chroot may make no namespace: its root becomes the root.
    with "rehearsed in" bwrap --unshare-pid --bind "$work/chroot" / --proc /proc --dev /dev --chdir / \
      sh -c 'dpkg -i /tmp/sockbench.deb && sockbench rehearse'
    with "SOCKBENCH" bwrap --bind "$work/chroot" / --proc /proc --dev /dev sh -c 'MANPAGER=cat man sockbench-load | head -5 | tr a-z A-Z'
  else
    skip debootstrap
    dpkg-deb -x "$deb" "$work/bare"
    with "sockbench $version" "$work/bare/usr/bin/sockbench" --version
    with "rehearsed in" env XDG_STATE_HOME="$work" "$work/bare/usr/bin/sockbench" rehearse
    if has man; then with "sockbench" env MANPATH="$work/bare/usr/share/man" MANPAGER=cat man sockbench; fi
  fi
}

rpm_package() {
  say ".rpm"
  has cargo-generate-rpm || { skip cargo-generate-rpm; return; }
  local rpm
  rpm=$out/sockbench-$version-1.$(uname -m).rpm
  cargo generate-rpm -o "$rpm"
  if has rpm; then with /usr/bin/sockbench rpm -qpl --nosignature "$rpm"; else skip rpm; fi
}

wheel() {
  say "wheel"
  has maturin || { skip maturin; return; }
  # The static program: it runs on every Linux of this architecture.
  RUSTFLAGS="-C target-feature=+crt-static" maturin build --release --locked --target "$triple" --compatibility manylinux2014 -q -o "$out"
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install -q --no-index "$out/sockbench-$version"-*.whl
  with "rehearsed in" env XDG_STATE_HOME="$work" "$work/venv/bin/sockbench" rehearse
}

crate() {
  say "crate"
  local files
  files=$(cargo package --list --locked --allow-dirty)
  wc -l <<<"$files"
  if grep -E '^(tests|docs|scripts|dist|\.ci|\.github)/' <<<"$files"; then return 1; fi
  # Its build shows that the list has all that the sources include.
  cargo package --locked --allow-dirty
}

mkdir -p "$out"
out=$(realpath "$out")
rm -f "$out"/sockbench[-_]*
build
beside
archive
deb
rpm_package
wheel
crate
say "checksums"
(cd "$out" && shopt -s nullglob && sha256sum -- *.tar.gz *.deb *.rpm *.whl | tee SHA256SUMS)
if [ -n "$skipped" ]; then
  echo "not tried, their tools are not there:$skipped"
  [ -z "${SOCKBENCH_NO_SKIP:-}" ] || exit 1
fi
printf '\nevery package that was built works, after %s s\n' "$SECONDS"
