#!/usr/bin/env bash
# root.sh ARCHIVE FILE... - a root file system for a guest as an initramfs: busybox, tests/kernels/guest.sh as its first program,
# the files in /t, without debug information, and every library that they are linked with.
set -euo pipefail
archive=${1:?root.sh ARCHIVE FILE...}
shift
root=$(mktemp -d "${TMPDIR:-/tmp}/heaptape-root.XXXXXX")
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,proc,sys,tmp,t,etc,var/cache}
chmod 755 "$root"
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$(dirname "$0")/guest.sh" "$root/init"
chmod 755 "$root/init"
mknod "$root/dev/console" c 5 1
mknod "$root/dev/null" c 1 3
for file in "$@"; do
	strip --strip-debug -o "$root/t/$(basename "$file")" "$file"
	{ ldd "$file" 2>/dev/null || true; } | grep -o '/[^ ]*' | grep -v ':$' || true
done | sort -u | while read -r library; do
	mkdir -p "$root$(dirname "$library")"
	cp -L "$library" "$root$library"
done
# The guest's programs are asked for by path; what one file is linked with by another's folder is found there too.
(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$archive.part"
mv "$archive.part" "$archive"
