#!/usr/bin/env bash
# baseline.sh - what lived before the recording, against an independent recorder that was there from the start.
#   BASELINE_BLOCKS  live blocks of the glibc test (default 1000000)
set -u
. "$ROOT/tests/lib.sh"

BLOCKS=${BASELINE_BLOCKS:-1000000}
THREADS=8
CHURN_US=${BASELINE_CHURN_US:-1000}

# attach NAME LIBRARY BLOCKS OPTIONS...: a program with a heap, its threads churning, recorded from then to its end.
attach() {
	local name=$1 lib=$2 blocks=$3
	shift 3
	rm -rf "$TMP/log" "$TMP/b.tape" && mkdir "$TMP/log"
	start_target env "ORACLE_DIR=$TMP/log" "LD_PRELOAD=$BUILD/tests/live/liboracle.so${lib:+ $lib}" "$LIVE/old_heap" \
		"$blocks" $THREADS "$CHURN_US"
	for _ in $(seq 3000); do [ -s "$TMP/target.out" ] && break; sleep 0.1; done
	if [ "${QUIET:-}" ]; then :; else release_target; sleep 0.1; fi
	start_recorder -p "$TARGET" -o "$TMP/b.tape" -v --stacks none --faults off --json "$@" >"$TMP/record.json" || {
		end_target "$TARGET"
		fail "$name" "no recorder"
		return 1
	}
	# The baseline is on the tape before any event: wait for its keyframe, then for some calls.
	for _ in $(seq 100); do grep -q "blocks live, " "$TMP/record.err" && break; sleep 0.1; done
	[ "${QUIET:-}" ] && release_target
	sleep 0.2
	kill -TERM "$TARGET"
	wait "$TARGET" "$RECORDER" 2>/dev/null
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

need_root "what lived before a recording" || exit 0
attach "glibc under churn" "" "$BLOCKS" && truth "glibc, $THREADS threads churning: what lived at attach"
exit 0
