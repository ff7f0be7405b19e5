#!/usr/bin/env bash
# stacks.sh - what call stacks cost: in a loop at 26 and 56 frames, on a miss, and in whole programs beside heaptrack's.
# Printed, not judged. All variants are interleaved; of a loop the best window of all rounds counts, of a program the median.
set -u
. "$ROOT/tests/lib.sh"

ROUNDS=${BENCH_ROUNDS:-5}
LOOP=$BUILD/stack_loop
need_root "bench-stacks" || exit 0

least() { sort -n | head -n1; }
middle() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# The pair's best window in ns, recorded with --stacks $1, at $2 frames.
loop_once() {
	"$HEAPTAPE" record -q -f -o "$TMP/t.tape" --stacks "$1" --faults off -- "$LOOP" "$2" 0.6 ${3:-} 2>/dev/null | cut -d' ' -f1
}

loops() {
	local frames round none eh new old n
	for round in $(seq "$ROUNDS"); do
		for frames in 26 56; do
			loop_once none $frames >>"$TMP/none.$frames"
			loop_once eh $frames >>"$TMP/eh.$frames"
			loop_once none $frames new >>"$TMP/none-new.$frames"
			loop_once eh $frames new >>"$TMP/eh-new.$frames"
		done
	done
	for frames in 26 56; do
		none=$(least <"$TMP/none.$frames") eh=$(least <"$TMP/eh.$frames")
		old=$(least <"$TMP/none-new.$frames") new=$(least <"$TMP/eh-new.$frames")
		n=$((new - old))
		echo "a pair at $frames frames: $none ns without a stack, $eh ns with one: $((eh - none)) ns for it (ratio $(awk "BEGIN { printf \"%.2f\", $eh / $none }"))"
		echo "a new stack at $frames frames: $n ns, $((n / frames)) ns a frame"
	done
}

seconds() { # CMD...: wall seconds
	local begin=$EPOCHREALTIME
	"$@" >/dev/null 2>&1
	awk "BEGIN { print $EPOCHREALTIME - $begin }"
}

record() { # STACKS CMD...
	local stacks=$1
	shift
	"$HEAPTAPE" record -q -f -o "$TMP/$stacks.tape" --stacks "$stacks" -- "$@"
}

# What a whole program pays.
program() { # NAME CMD...
	local name=$1 plain none eh track
	shift
	for _ in $(seq "$ROUNDS"); do
		seconds "$@" >>"$TMP/$name.plain"
		seconds record none "$@" >>"$TMP/$name.none"
		seconds record eh "$@" >>"$TMP/$name.eh"
		rm -f "$TMP"/ht.*
		[ -n "$HEAPTRACK" ] && seconds heaptrack -o "$TMP/ht" "$@" >>"$TMP/$name.track"
	done
	report "$name"
}

report() { # NAME: medians and ratios from its files, and what the tape says
	local name=$1 plain none eh track=
	plain=$(middle <"$TMP/$name.plain") none=$(middle <"$TMP/$name.none") eh=$(middle <"$TMP/$name.eh")
	[ -s "$TMP/$name.track" ] && track=$(middle <"$TMP/$name.track")
	"$HEAPTAPE" info "$TMP/eh.tape" --json >"$TMP/info.json"
	/usr/bin/python3 - "$TMP/info.json" "$name" "$plain" "$none" "$eh" "${track:-0}" <<'PY'
import json, sys
s = json.load(open(sys.argv[1]))["stacks"]
name, (plain, none, eh, track) = sys.argv[2], map(float, sys.argv[3:])
n = s["hits"] + s["misses"]
print(f"{name}: {n} stacks, {100 * s['hits'] / max(n, 1):.1f} % by memo, {s['walked_frames'] / max(s['misses'], 1):.0f} frames a walk, "
      f"{1e9 * (eh - none) / max(n, 1):.0f} ns an event more than without; {s['rows']} rows of {s['objects']} objects in {s['rows_bytes'] >> 10} KiB")
print(f"{name}: {plain:.2f} s alone, {none:.2f} s recorded without stacks (x{none / plain:.2f}), {eh:.2f} s with (x{eh / plain:.2f})"
      + (f", {track:.2f} s under heaptrack (x{track / plain:.2f})" if track else ", no heaptrack here"))
PY
}

# Requests of redis-benchmark against a server that runs plainly, recorded, or under heaptrack.
redis_once() { # VARIANT
	local port=$((20000 + RANDOM % 20000)) begin
	if [ "$1" = track ]; then
		heaptrack -o "$TMP/ht" redis-server --port $port --save '' --dir "$TMP" >/dev/null 2>&1 &
	else
		redis-server --port $port --save '' --dir "$TMP" >/dev/null 2>&1 &
	fi
	TARGET=$!
	PIDS+=("$TARGET")
	for _ in $(seq 100); do redis-cli -p $port ping >/dev/null 2>&1 && break; sleep 0.1; done
	case $1 in none | eh) start_recorder -q -p "$TARGET" -o "$TMP/$1.tape" -f --stacks "$1" ;; esac
	begin=$EPOCHREALTIME
	redis-benchmark -p $port -t set,lpush,sadd -n 60000 -d 120 -r 100000 -q >/dev/null 2>&1
	awk "BEGIN { print $EPOCHREALTIME - $begin }" >>"$TMP/redis.$1"
	redis-cli -p $port shutdown nosave >/dev/null 2>&1
	wait "$TARGET" 2>/dev/null
	case $1 in none | eh) wait "$RECORDER" ;; esac
	return 0
}

redis() {
	command -v redis-server >/dev/null || { echo "redis-server is not here"; return; }
	for _ in $(seq "$ROUNDS"); do
		redis_once plain
		redis_once none
		redis_once eh
		[ -n "$HEAPTRACK" ] && redis_once track
	done
	report redis
}

HEAPTRACK=$(command -v heaptrack || { apt-get -q -y --no-install-recommends install heaptrack >/dev/null 2>&1; command -v heaptrack; })
[ -n "$HEAPTRACK" ] || skip "beside heaptrack" "it cannot be installed here"
loops
program python3 env PYTHONMALLOC=malloc /usr/bin/python3 -c 'd = {i: str(i) * 3 for i in range(200000)}
l = sorted(v for v in d.values() if len(v) > 9); s = ",".join(l); print(len(s.split(",")))'
printf '#include <map>\n#include <string>\nint main() { std::map<std::string, int> m; m["a"] = 1; return (int)m.size(); }\n' >"$TMP/x.cc"
program cc1plus "$(gcc -print-prog-name=cc1plus)" -quiet -O1 -D_GNU_SOURCE "$TMP/x.cc" -o /dev/null -imultiarch x86_64-linux-gnu
redis
pass "bench-stacks"
