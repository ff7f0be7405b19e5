#!/usr/bin/env bash
# fetch.sh SERIES - the newest kernel of that series that Debian offers (5.10, 6.1, 6.12, or newest of all); prints the path of
# its image, vmlinuz-RELEASE.
set -u
. "$(dirname "$0")/../debian.sh"
series=${1:?fetch.sh SERIES}

case $series in
5.10) suite=bullseye-security ;;
6.1) suite=bookworm-security ;;
6.12) suite=bookworm-backports ;;
newest) suite=trixie-backports ;;
*) echo "$series is none of 5.10, 6.1, 6.12, newest" >&2; exit 2 ;;
esac

kept=$(debian_kept "kernel-$series") && { ls "$kept"/vmlinuz-*; exit 0; }
debian_open $suite || exit 1
trap debian_close EXIT
# The package that always stands for the newest names it; younger ones keep the image in a package of its own.
package=$(debian_depends linux-image-cloud-amd64 'linux-image-[0-9].*')
[ -n "$package" ] || { echo "$suite offers no linux-image-cloud-amd64" >&2; exit 1; }
release=${package#linux-image-}
binary=$(debian_depends "$package" 'linux-binary-[0-9].*')
debian_unpack "${binary:-$package}" "$DEB/kernel" '*vmlinuz*' || exit 1
image=$(find "$DEB/kernel" -name 'vmlinuz*' -type f)
[ -n "$image" ] || { echo "no image in ${binary:-$package}" >&2; exit 1; }
mkdir "$DEB/keep"
mv "$image" "$DEB/keep/vmlinuz-${release%-cloud-amd64}"
ls "$(debian_keep "kernel-$series" "$DEB/keep")"/vmlinuz-*
