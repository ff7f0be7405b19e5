#!/usr/bin/env bash
# baseline.sh - what lived before the recording, against an independent recorder that was there from the start.
#   BASELINE_BLOCKS  live blocks of the glibc test (default 1000000)
set -u
. "$ROOT/tests/lib.sh"
. "$ROOT/tests/debian.sh"

BLOCKS=${BASELINE_BLOCKS:-1000000}
THREADS=8
CHURN_US=1000     # between every hundred calls of a thread
BUFFER=64M        # calls that are lost while the heap is read leave it unknown
READ_TRIES=$((BLOCKS / 10000 + 300)) # tenths of a second for the walk

# attach NAME LIBRARY BLOCKS quiet|churn OPTIONS...: a program with a heap, recorded from then to its end. Its threads churn
# from before the attach on, or from when its heap has been read. With LIBC, a folder, under that libc.
attach() {
	local name=$1 lib=$2 blocks=$3 when=$4 begin
	shift 4
	begin=(env "ORACLE_DIR=$TMP/log" "LD_PRELOAD=$BUILD/tests/live/liboracle.so${lib:+ $lib}")
	[ -z "${LIBC:-}" ] || begin=(env "ORACLE_DIR=$TMP/log" "$LIBC/ld-linux-x86-64.so.2" --library-path "$LIBC" --preload "$BUILD/tests/live/liboracle.so${lib:+ $lib}")
	rm -rf "$TMP/log" "$TMP/b.tape" "$TMP/target.out" && mkdir "$TMP/log"
	start_target "${begin[@]}" "$LIVE/old_heap" "$blocks" $THREADS "$CHURN_US"
	for _ in $(seq 3000); do [ -s "$TMP/target.out" ] && break; sleep 0.1; done
	[ "$when" = churn ] && release_target && sleep 0.1
	start_recorder -p "$TARGET" -o "$TMP/b.tape" -v --stacks none --faults off --buffer $BUFFER "$@" || {
		end_target "$TARGET"
		fail "$name" "no recorder"
		return 1
	}
	for _ in $(seq $READ_TRIES); do grep -q "blocks live, \|not known" "$TMP/record.err" && break; sleep 0.1; done
	[ "$when" = quiet ] && release_target
	sleep 0.2
	kill -TERM "$TARGET"
	wait "$TARGET" "$RECORDER" 2>/dev/null
	return 0
}

truth() { # NAME OPTIONS-OF-COMPARE...
	local name=$1
	shift
	if "$LIVE/compare" --baseline "$@" "$TMP/b.tape" "$TMP/log" >"$TMP/compare.out" 2>&1; then
		pass "$name ($(sed -n 's/^baseline: \([0-9]*\) blocks.*; \(.*\)/\1 blocks, \2/p' "$TMP/compare.out"))"
	else
		fail "$name" "see below"
		cat "$TMP/compare.out" "$TMP/record.err" | sed 's/^/      /'
	fi
}

# What the tape says of it, and that it replays with every free known.
told() {
	"$HEAPTAPE" info "$TMP/b.tape" --json >"$TMP/i.json" 2>"$TMP/err" &&
		"$HEAPTAPE" replay "$TMP/b.tape" --alloc glibc --json >"$TMP/r.json" 2>>"$TMP/err" &&
		[ "$(json "$TMP/i.json" "d['baseline']['how'] == 'walk' and d['baseline']['objects'] == d['live_at_start']['objects'] and d['unknown_frees'] == 0")" = True ] &&
		[ "$(json "$TMP/r.json" "d['plan']['baseline_objects'] == d['plan']['kept_objects'] > 0 and d['plan']['unknown_frees'] == 0")" = True ]
	if [ $? = 0 ]; then pass "what lived before is told, and replays"; else
		fail "what lived before is told, and replays" "see below"
		tail -n5 "$TMP/err" | sed 's/^/      /'
		head -c 800 "$TMP/i.json" | sed 's/^/      /'
		head -c 2000 "$TMP/r.json" | sed 's/^/      /'
	fi
}

# A recorder that is killed while its target stands must not leave it so.
killed_in_pause() {
	local i standing=0
	"$LIVE/churn" 0 2 >/dev/null &
	TARGET=$!
	PIDS+=("$TARGET")
	for i in 1 2 3 4 5; do
		"$HEAPTAPE" record -q -p "$TARGET" -f -o "$TMP/k.tape" --baseline pause --duration 10s 2>/dev/null &
		RECORDER=$!
		PIDS+=("$RECORDER")
		sleep "0.$((RANDOM % 4 + 2))$((RANDOM % 10))"
		end_target "$RECORDER"
		sleep 0.1
		grep -q '^State:.T' "/proc/$TARGET/status" && standing=$((standing + 1))
	done
	end_target "$TARGET"
	if [ $standing = 0 ]; then pass "a target goes on when its recorder is killed"; else
		fail "a target goes on when its recorder is killed" "$standing times of 5 it stood"
	fi
}

need_root "what lived before a recording" || exit 0
attach "glibc, quiet" "" $((BLOCKS / 4)) quiet && truth "glibc, $THREADS threads asleep: what lived at attach" && told
attach "glibc under churn" "" "$BLOCKS" churn && truth "glibc, $THREADS threads churning: what lived at attach"
attach "glibc, stopped" "" $((BLOCKS / 4)) churn --baseline pause && truth "glibc, stopped for it: what lived at attach"
others() { # NAME OPTIONS-OF-COMPARE...
	local lib
	lib=$(library "$1")
	[ -n "$lib" ] || { skip "$1: what lived at attach" "not installed"; return; }
	attach "$1 under churn" "$lib" $((BLOCKS / 4)) churn && truth "$1, $THREADS threads churning: what lived at attach" "${@:2}"
}

# Of a million bytes a thousand may be wrong.
others jemalloc --tolerate 1000
others mimalloc --tolerate 1000 --inside
# Two blocks are tcmalloc's own, made before its functions can be called by name.
others tcmalloc --tolerate 1000
lib=$(ls /usr/lib/*/libtcmalloc.so.4 2>/dev/null | head -n1)
if [ -n "$lib" ]; then
	attach "tcmalloc, stopped" "$lib" $((BLOCKS / 4)) churn --baseline pause && truth "tcmalloc with its profilers, stopped for it: what lived at attach" --tolerate 1000
else
	skip "tcmalloc with its profilers, stopped for it: what lived at attach" "libgoogle-perftools4 is not installed"
fi

# Debian 13's tcmalloc, under its libc.
trixie_tcmalloc() {
	local files package
	files=$(debian_kept tcmalloc-trixie) || {
		debian_open trixie || return 1
		for package in libc6 libstdc++6 libgcc-s1 libtcmalloc-minimal4t64; do
			debian_unpack $package "$DEB/root" './usr/lib/x86_64-linux-gnu/*.so*' || { debian_close; return 1; }
		done
		files=$(debian_keep tcmalloc-trixie "$DEB/root")
		debian_close
	}
	[ -n "$files" ] && echo "$files/usr/lib/x86_64-linux-gnu"
}
if LIBC=$(trixie_tcmalloc 2>"$TMP/fetch.err"); then
	attach "tcmalloc of another release" "$LIBC/libtcmalloc_minimal.so.4" $((BLOCKS / 4)) churn &&
		truth "tcmalloc of another release, $THREADS threads churning: what lived at attach" --tolerate 1000
else
	skip "tcmalloc of another release: what lived at attach" "$(tail -n1 "$TMP/fetch.err")"
fi
killed_in_pause
exit 0
