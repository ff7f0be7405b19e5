#!/usr/bin/env bash
# replay.sh - how fast tapes are planned and played; printed, not judged. EVENTS sets the length of the tapes.
# By itself: ROOT=. BUILD=build bash tests/bench/replay.sh
set -u
RESULTS=${RESULTS:-/dev/null}
. "$ROOT/tests/lib.sh"

events=${EVENTS:-5000000}
bump=$BUILD/replay-allocators/alloc_bump.so

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# ns an event in the player, from the median of five timed runs
player_ns() { # TAPE ALLOCATOR
	"$HEAPTAPE" replay "$1" --alloc "$2" --repeat 5 --json >"$TMP/out" 2>/dev/null
	json "$TMP/out" 'round(d["results"][0]["wall_ns"] / d["results"][0]["events"], 2)'
}

bare_ns() { # TAPE PRELOAD
	local i
	for i in 1 2 3 4 5; do LD_PRELOAD=$2 "$BUILD/bare_loop" "$1" | cut -d" " -f1; done | median
}

overhead() { # LIVE
	"$BUILD/make_tape" "$TMP/small.tape" small "$events" "$1" >/dev/null
	printf '%9s live: bump %s ns an event in the player, %s in a bare loop; glibc %s and %s\n' "$1" \
		"$(player_ns "$TMP/small.tape" "$bump")" "$(bare_ns "$TMP/small.tape" "$bump")" \
		"$(player_ns "$TMP/small.tape" glibc)" "$(bare_ns "$TMP/small.tape" "")"
}

passing() {
	"$BUILD/make_tape" "$TMP/pass.tape" pass "$events" 1000 >/dev/null
	printf 'two threads that pass every object: glibc %s ns an event\n' "$(player_ns "$TMP/pass.tape" glibc)"
}

planning() {
	"$BUILD/make_tape" "$TMP/threads.tape" threads "$events" 100000 8 >/dev/null
	printf 'planning: %s ns an event of one thread, %s of eight that share objects\n' \
		"$("$BUILD/bare_loop" "$TMP/small.tape" | cut -d' ' -f2)" "$("$BUILD/bare_loop" "$TMP/threads.tape" | cut -d' ' -f2)"
}

# The largest process of a whole replay, planner included: up to 256 MiB of it are the last extents of the plan's file.
long_tape() { # EVENTS
	"$BUILD/make_tape" "$TMP/long.tape" small "$1" 100000 >/dev/null
	/usr/bin/python3 - "$HEAPTAPE" replay "$TMP/long.tape" --alloc glibc --json --plan-cache off <<-'END'
		import json, resource, subprocess, sys
		out = subprocess.run(sys.argv[1:], capture_output=True, text=True, check=True).stdout
		d = json.loads(out)
		print(f"{d['plan']['events']:>9} events: at most {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10} MiB resident in any process, "
		      f"{d['results'][0]['process_anon'] >> 10} KiB private in the player with an allocator that holds {d['results'][0]['end_resident'] >> 10} KiB")
	END
	rm -f "$TMP/long.tape"
}

for live in 1000 100000 4000000; do overhead "$live"; done
passing
planning
for n in ${LONG:-20000000 100000000}; do long_tape "$n"; done
