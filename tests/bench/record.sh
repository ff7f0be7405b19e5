#!/usr/bin/env bash
# record.sh - what recording costs; printed, never judged. All variants of a figure come from one interleaved run; the
# median of ROUNDS windows is shown, with the least and the most.
set -u
. "$ROOT/tests/lib.sh"

ROUNDS=${BENCH_ROUNDS:-7}

summary() { # NAME FILE: median, least and most of the numbers in FILE
	sort -n "$2" | awk -v name="$1" '{ v[NR] = $1 } END { printf "  %-52s %10.1f  (%.1f .. %.1f)\n", name, v[int((NR + 1) / 2)], v[1], v[NR] }'
}
ns_per_call() { awk '{ print 1e9 * '"$1"' / $2 }' "$TMP/out"; }

need_root "bench" || exit 0

echo "one thread of malloc and free, nanoseconds a call (a pair is two calls)"
for round in $(seq "$ROUNDS"); do
	"$LIVE/churn" 0.5 1 >"$TMP/out" && ns_per_call 0.5 >>"$TMP/plain"
	for allocator in glibc jemalloc mimalloc tcmalloc; do
		lib=$(library $allocator)
		[ $allocator = glibc ] || [ -n "$lib" ] || continue
		for variant in "multi auto" "multi simple" "perf auto"; do
			LD_PRELOAD=$lib "$LIVE/churn" 3 1 >"$TMP/out" &
			TARGET=$!
			PIDS+=("$TARGET")
			start_recorder -q -p "$TARGET" -o "$TMP/t.tape" -f --backend "${variant% *}" --plans "${variant#* }" --faults off \
				--mappings off --json >"$TMP/r.json" || exit 1
			sleep 0.4
			kill -INT "$RECORDER"
			wait "$RECORDER"
			end_target "$TARGET"
			json "$TMP/r.json" "d['duration_ns'] / d['events']" >>"$TMP/$allocator.$variant"
			json "$TMP/r.json" "d['traps'] / d['events']" >>"$TMP/$allocator.$variant.traps"
			json "$TMP/r.json" "d['trap_ns']" >>"$TMP/trap"
		done
	done
done
summary "not recorded" "$TMP/plain"
summary "one empty trap on an emulated instruction" "$TMP/trap"
for allocator in glibc jemalloc mimalloc tcmalloc; do
	for variant in "multi auto" "multi simple" "perf auto"; do
		[ -s "$TMP/$allocator.$variant" ] || continue
		summary "$allocator, recorded, backend and plans: $variant" "$TMP/$allocator.$variant"
		summary "    traps a call" "$TMP/$allocator.$variant.traps"
	done
done

echo "a bystander's system calls while another process is recorded, nanoseconds each"
cat >"$TMP/by.c" <<'C'
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int main(void)
{
	double best = 1e18;
	for (int w = 0; w < 60; w++) {
		struct timespec a, b;
		double ns;
		clock_gettime(CLOCK_MONOTONIC, &a);
		for (int i = 0; i < 5000; i++)
			syscall(SYS_getppid);
		clock_gettime(CLOCK_MONOTONIC, &b);
		ns = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 5000;
		if (ns < best)
			best = ns;
	}
	printf("%f\n", best);
	return 0;
}
C
gcc -O2 -o "$TMP/by" "$TMP/by.c" || exit 1
sleep 120 &
TARGET=$!
PIDS+=("$TARGET")
for round in $(seq "$ROUNDS"); do
	"$TMP/by" >>"$TMP/by.plain"
	for mappings in on off; do
		start_recorder -q -p "$TARGET" -o "$TMP/t.tape" -f --mappings $mappings || exit 1
		"$TMP/by" >>"$TMP/by.$mappings"
		kill -INT "$RECORDER"
		wait "$RECORDER"
	done
done
summary "nobody records" "$TMP/by.plain"
summary "another is recorded" "$TMP/by.on"
summary "another is recorded with --mappings off" "$TMP/by.off"

echo "the longest pause of a target, microseconds, within 2 s"
for round in $(seq "$ROUNDS"); do
	"$LIVE/churn" 2 1 >"$TMP/out" && awk '{ print $4 }' "$TMP/out" >>"$TMP/pause.plain"
	"$LIVE/churn" 2 1 >"$TMP/out" &
	TARGET=$!
	PIDS+=("$TARGET")
	sleep 0.5
	start_recorder -q -p "$TARGET" -o "$TMP/t.tape" -f || exit 1
	sleep 0.5
	kill -INT "$RECORDER"
	wait "$RECORDER"
	wait "$TARGET"
	awk '{ print $4 }' "$TMP/out" >>"$TMP/pause.attach"
done
summary "left alone" "$TMP/pause.plain"
summary "attached to and detached from" "$TMP/pause.attach"
pass "bench: printed"
exit 0
