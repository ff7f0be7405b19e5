#!/usr/bin/env bash
# fidelity.sh [short] - does what a replay predicts come true? Real programs, recorded once, replayed and really run under
# several allocators (fidelity.py). short: a few workloads, each run once. Prints all pairs in any case.
set -u
. "$ROOT/tests/lib.sh"

names=("replays predict the memory of real programs")
need_root "${names[@]}" || exit 0
args=(--heaptape "$HEAPTAPE" --programs "$BUILD/tests/fidelity" --median 2 --worst 5)
if [ "${1:-}" = short ]; then
	args+=(--runs 1 --only "python3,owner-main-40K,owner-thread-4000K"
		--allocators "glibc;mimalloc;tcmalloc;glibc,MALLOC_ARENA_MAX=1")
fi
/usr/bin/python3 "$ROOT/tests/fidelity/fidelity.py" "${args[@]}" ${FIDELITY_ARGS:-} | tee "$TMP/out"
status=${PIPESTATUS[0]}
grep '^SKIP ' "$TMP/out" | while read -r _ what; do skip "fidelity" "$what"; done
if [ "$status" = 0 ]; then pass "${names[0]}: $(grep 'pairs: median' "$TMP/out")"; else
	fail "${names[0]}" "$(grep 'pairs: median' "$TMP/out")"
fi
