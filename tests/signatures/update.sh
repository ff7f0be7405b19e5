#!/usr/bin/env bash
# update.sh - makes userspace/sites/signatures_table.c anew from the libc.a of Debian's releases. Needs the network and a build.
#   BUILD  the build folder (default: build)
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-$ROOT/build}
TMP=$(mktemp -d "${TMPDIR:-/tmp}/heaptape-signatures.XXXXXX")
trap 'rm -rf "$TMP"' EXIT
. "$ROOT/tests/debian.sh"

args=()
add() { # SUITE PACKAGE LIBC
	local folder="$TMP/$1-$2" version
	version=$(debian_apt apt-cache show "$2" 2>/dev/null | sed -n 's/^Version: //p' | head -n1)
	[ -n "$version" ] || { echo "$1 has no $2" >&2; return; }
	debian_unpack "$2" "$folder" '*/libc.a'
	args+=("$(find "$folder" -name libc.a)" "$3 $version")
}
for suite in bullseye bookworm bookworm-security trixie sid; do
	debian_open $suite
	add $suite libc6-dev glibc
	add $suite musl-dev musl
	debian_close
done
"$BUILD/make_signatures" "${args[@]}" >"$TMP/table.c"
mv "$TMP/table.c" "$ROOT/userspace/sites/signatures_table.c"
printf '%s\n' "${args[@]}" | sed -n 'n;p' >&2
