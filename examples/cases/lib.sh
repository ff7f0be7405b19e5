# lib.sh - what the scripts of the case studies share. Sourced, with `here` and `name` set.
root=$(cd "$here/../../.." && pwd)
build=${BUILD:-$root/build}
heaptape=$build/heaptape
say() { printf '\n== %s\n' "$*"; }
die() { printf '%s: %s\n' "$name" "$*" >&2; exit 1; }

# begin: root, heaptape, and a folder for tapes and figures: $dir, and $tmp that goes away.
begin() {
	[ "$(id -u)" = 0 ] || die "recording takes root: sudo $0"
	if [ ! -x "$heaptape" ]; then
		"$root/tests/setup.sh" demo
		cmake -S "$root" -B "$build" -DHEAPTAPE_TESTS=OFF >/dev/null && cmake --build "$build" -j "$(nproc)" --target heaptape >/dev/null || die "the build failed"
	fi
	tmp=$(mktemp -d)
	chmod 755 "$tmp" # under sudo the program runs as its caller
	trap 'rm -rf "$tmp"' EXIT
	dir=${dir:-$tmp/figures}
	mkdir -p "$dir"
}

# compile_haskell SOURCE PROGRAM [GHC-ARGS...]: GHC is installed if it lacks.
compile_haskell() {
	local source=$1 program=$2
	shift 2
	command -v ghc >/dev/null || "$root/tests/setup.sh" languages
	ghc -v0 -rtsopts "$@" -outputdir "$tmp/objects.$(basename "$program")" -o "$program" "$source" || die "ghc could not compile $source"
}
