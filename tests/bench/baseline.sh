#!/usr/bin/env bash
# baseline.sh - how long the heap of a process is read at attach, and how long the process stands with --baseline pause.
# Prints, judges nothing. BASELINE_BENCH: numbers of live blocks (default "1000000 10000000").
set -u
. "$ROOT/tests/lib.sh"

need_root "the baseline's cost" || exit 0
printf '%-9s %10s %6s %12s %12s %12s %14s\n' allocator blocks how read stood 'ms a million' 'tape a block'
for name in glibc jemalloc mimalloc tcmalloc; do
	lib=$(library $name)
	[ "$name" = glibc ] || [ -n "$lib" ] || continue
	for blocks in ${BASELINE_BENCH:-1000000 10000000}; do
		rm -f "$TMP/target.out"
		start_target env "LD_PRELOAD=$lib" "$LIVE/old_heap" "$blocks" 8 1000
		for _ in $(seq 3000); do [ -s "$TMP/target.out" ] && break; sleep 0.1; done
		for how in walk pause; do
			"$HEAPTAPE" record -q -p "$TARGET" -f -o "$TMP/b.tape" --stacks none --duration 100ms --baseline $how --json >"$TMP/b.json" || exit 1
			/usr/bin/python3 - "$TMP/b.json" "$name" "$how" <<-'END'
				import json, sys
				d = json.load(open(sys.argv[1])); b = d['baseline']; n = max(b['objects'], 1)
				t = b['pause_ns'] if sys.argv[3] == 'pause' else b['walk_ns']
				print('%-9s %10d %6s %9.1f ms %9.1f ms %12.1f %12.2f B %s' % (sys.argv[2], b['objects'], sys.argv[3], b['walk_ns'] / 1e6,
				      b['pause_ns'] / 1e6, t / n, d['bytes'] / n, '' if b['known'] else b['why']))
			END
		done
		exec 8>&-
		end_target "$TARGET"
	done
done
exit 0
