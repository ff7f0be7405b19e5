# shellcheck shell=bash
# lib.sh - what the test scripts share: results, temporary files, targets that end with the test.
# Sourced with: ROOT (the checkout), BUILD (the build folder), RESULTS (file that collects one line a test).

TMP=$(mktemp -d "${TMPDIR:-/tmp}/heaptape-test.XXXXXX")
HEAPTAPE=$BUILD/heaptape
LIVE=$BUILD/tests/live
PIDS=()

cleanup() {
	mountpoint -q "$TMP/small" 2>/dev/null && umount "$TMP/small"
	local pid
	for pid in "${PIDS[@]}"; do kill -9 "$pid" 2>/dev/null; done
	rm -rf "$TMP"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

pass() { printf 'ok    %s\n' "$1"; echo pass >>"$RESULTS"; }
fail() { printf 'FAIL  %s: %s\n' "$1" "${2:-}"; echo fail >>"$RESULTS"; }
skip() { printf 'SKIP  %s: %s\n' "$1" "$2"; echo skip >>"$RESULTS"; }

# check NAME CMD...: passes if CMD does; its output is shown only if it fails.
check() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then pass "$name"; else
		fail "$name" "$* ended with status $?"
		printf '%s\n' "$out" | tail -n 25 | sed 's/^/      /'
	fi
}

# json FILE EXPR: a value out of a JSON file, as python writes it ("d" is the document).
json() { /usr/bin/python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"; }

need_root() { # NAME...: without root each test named is skipped
	[ "$(id -u)" = 0 ] && return 0
	local name
	for name in "$@"; do skip "$name" "needs root"; done
	return 1
}

library() { # NAME: the shared object of an allocator, or nothing
	case $1 in
	glibc) ;;
	jemalloc) ls /usr/lib/*/libjemalloc.so.2 2>/dev/null | head -n1 ;;
	mimalloc) ls /usr/lib/*/libmimalloc.so.2.0 /usr/lib/*/libmimalloc.so.2 2>/dev/null | head -n1 ;;
	tcmalloc) ls /usr/lib/*/libtcmalloc_minimal.so.4 2>/dev/null | head -n1 ;;
	esac
}

# start_target CMD...: starts CMD with its stdin held by us; TARGET is its pid; `release_target` lets it begin.
start_target() {
	rm -f "$TMP/go"
	mkfifo "$TMP/go"
	"$@" <"$TMP/go" >"$TMP/target.out" 2>"$TMP/target.err" &
	TARGET=$!
	PIDS+=("$TARGET")
	exec 8>"$TMP/go"
}
release_target() {
	echo go >&8
	exec 8>&-
}

# start_recorder ARGS...: starts heaptape record with ARGS and waits until every probe stands; RECORDER is its pid.
start_recorder() {
	rm -f "$TMP/ready"
	mkfifo "$TMP/ready"
	"$HEAPTAPE" record --ready-fd 9 "$@" 9>"$TMP/ready" 2>"$TMP/record.err" &
	RECORDER=$!
	PIDS+=("$RECORDER")
	[ "$(head -c1 "$TMP/ready")" = r ] || { cat "$TMP/record.err"; return 1; }
}

# end_target PID...: ends what the test started, without the shell's word about it.
end_target() {
	kill -9 "$@" 2>/dev/null
	wait "$@" 2>/dev/null
	return 0
}
