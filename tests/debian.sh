# shellcheck shell=bash
# debian.sh - packages of whatever Debian release, through an apt with a root of its own, so that nothing of this machine's apt is
# read or changed. Sourced. HEAPTAPE_DOWNLOADS names another folder than /var/cache/heaptape/downloads for what is kept.

DOWNLOADS=${HEAPTAPE_DOWNLOADS:-/var/cache/heaptape/downloads}
DEBIAN=http://deb.debian.org
DOWNLOADS_KEEP_DAYS=30

# debian_open SUITE: a list of that suite's packages, in a temporary folder DEB; "-security" suites lie elsewhere.
debian_open() {
	local suite=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg archive=debian
	command -v apt-get >/dev/null || { echo "no apt-get on this machine" >&2; return 1; }
	[ -e $keyring ] || { echo "$keyring is missing: package debian-archive-keyring" >&2; return 1; }
	[ "${suite%-security}" = "$suite" ] || archive=debian-security
	DEB=$(mktemp -d "${TMP:-${TMPDIR:-/tmp}}/heaptape-debian.XXXXXX")
	mkdir -p "$DEB/etc/preferences.d" "$DEB/lists/partial" "$DEB/archives/partial"
	printf 'Types: deb\nURIs: %s/%s\nSuites: %s\nComponents: main\nSigned-By: %s\n' $DEBIAN $archive "$suite" $keyring >"$DEB/etc/own.sources"
	: >"$DEB/status"
	debian_apt apt-get update >"$DEB/log" 2>&1 || { echo "$suite: $(tail -n1 "$DEB/log")" >&2; debian_close; return 1; }
}
debian_close() { rm -rf "$DEB"; }

debian_apt() { # COMMAND ARGS...
	local command=$1
	shift
	timeout 120 "$command" -q -o Dir::Etc="$DEB/etc" -o Dir::Etc::sourcelist="$DEB/etc/own.sources" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State="$DEB" -o Dir::State::lists="$DEB/lists" -o Dir::State::status="$DEB/status" -o Dir::Cache="$DEB" \
		-o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

# debian_depends PACKAGE PATTERN: the first package that it depends on and whose name matches.
debian_depends() { debian_apt apt-cache depends "$1" 2>/dev/null | sed -n "s/.*Depends: \\($2\\)\$/\\1/p" | head -n1; }

# debian_unpack PACKAGE FOLDER [PATTERN...]: files of a package.
debian_unpack() {
	local package=$1 folder=$2
	shift 2
	(cd "$DEB" && debian_apt apt-get download "$package" >log 2>&1) || { echo "$package: $(tail -n1 "$DEB/log")" >&2; return 1; }
	mkdir -p "$folder"
	dpkg-deb --fsys-tarfile "$DEB"/*.deb | tar -x -C "$folder" ${1:+--wildcards "$@"}
	rm -f "$DEB"/*.deb
}

# debian_kept NAME: the folder of what an earlier run has fetched under that name, if it is young enough.
debian_kept() { [ -n "$(find "$DOWNLOADS/$1" -maxdepth 0 -mtime -$DOWNLOADS_KEEP_DAYS 2>/dev/null)" ] && echo "$DOWNLOADS/$1"; }
# debian_keep NAME FOLDER: keeps a folder under that name, and prints where.
debian_keep() {
	mkdir -p "$DOWNLOADS"
	rm -rf "${DOWNLOADS:?}/$1" "$DOWNLOADS/$1.part"
	cp -a "$2" "$DOWNLOADS/$1.part"
	touch "$DOWNLOADS/$1.part"
	mv "$DOWNLOADS/$1.part" "$DOWNLOADS/$1"
	echo "$DOWNLOADS/$1"
}
