#!/usr/bin/env bash
# bisect.sh - the verbs that find what made an allocator worse, and what would make it better.
# By itself: ROOT=. BUILD=build bash tests/bisect/bisect.sh
set -u
RESULTS=${RESULTS:-/dev/null}
. "$ROOT/tests/lib.sh"

allocators=$BUILD/replay-allocators
export HEAPTAPE_CACHE=$TMP/cache

# Runs heaptape; status, out and err hold what came of it.
run() {
	timeout 300 "$HEAPTAPE" "$@" >"$TMP/out" 2>"$TMP/err"
	status=$?
	err=$(cat "$TMP/err")
}

is() { # NAME PYTHON-EXPRESSION: true of the JSON that was printed last
	local got
	got=$(json "$TMP/out" "$2" 2>&1)
	if [ "$got" = True ]; then pass "$1"; else fail "$1" "$2 is $got; status $status, stderr: $err"; fi
}

ended() { # NAME STATUS [PATTERN]: how the last run ended, and what it said
	if [ "$status" = "$2" ] && [[ $err == *"${3:-}"* ]]; then pass "$1"; else
		fail "$1" "status $status instead of $2, stderr: $err"
	fi
}

tape() { # NAME ARGS...: makes $TMP/NAME.tape
	local name=$1
	shift
	"$BUILD/make_tape" "$TMP/$name.tape" "$@" >/dev/null || { fail "make_tape" "$name"; exit 1; }
}

test_check() {
	local other
	other=$(library mimalloc)
	run check "$TMP/small.tape" --lib "$allocators/alloc_bump.so" --against glibc --json
	ended "check: an allocator that gives nothing back is worse" 1
	is "and says so" 'd["verdict"] == "worse" and d["growth"] > 0.03 and d["p"] < 0.02 and len(d["lib"]["runs"]) == len(d["against"]["runs"]) >= 5'
	run check "$TMP/small.tape" --lib glibc --against "$allocators/alloc_bump.so" --json
	ended "check: the other way round it is not" 0
	is "and says so" 'd["verdict"] == "not worse"'
	run check "$TMP/small.tape" --lib glibc --against glibc --max-growth 20% --metric holes
	ended "check: an allocator is no worse than itself" 0
	run check "$TMP/small.tape" --lib glibc --against glibc --metric cpu-time --max-growth 0 --repeat 5 --json
	[ "$status" = 2 ] && is "check: within noise it cannot tell" 'd["verdict"] == "could not tell" and d["why"] != ""'
	run check "$TMP/small.tape" --lib "$allocators/alloc_crash.so" --against glibc --json
	ended "check: one that crashes cannot be told of" 2 "did not get through the replay: crashed"
	run check "$TMP/small.tape" --lib glibc
	ended "check: wrong usage is said differently" 2 "see heaptape check --help"
	run check "$TMP/small.tape" --lib glibc --against glibc --metric size
	ended "check: a metric that is none" 2 "one of peak-resident"
	if [ -z "$other" ]; then skip "check: two installed libraries" "mimalloc is not installed"; else
		run check "$TMP/small.tape" --lib "$other" --against glibc --json --max-growth 1%
		ended "check: mimalloc takes more than glibc for a small heap" 1
		is "with both builds named" 'd["lib"]["build_id"] != d["against"]["build_id"] != ""'
	fi
}

tape small plain 20000 1000 2
test_check
