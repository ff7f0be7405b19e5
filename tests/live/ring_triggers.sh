#!/usr/bin/env bash
# ring_triggers.sh - what makes a copy of a ring, and how rings end: the target's exit, its death for lack of memory, a
# resident set, a full disk; and the options that say how much a tape keeps.
set -u
. "$ROOT/tests/lib.sh"

PYTHON=/usr/bin/python3
# Reads a line, then holds more and more, up to MIB, then frees it all; FOREVER: never stops.
GROW='import sys, time
mib = int(sys.argv[1])
sys.stdin.readline()
held = []
while mib == 0 or len(held) < mib << 10: held.append(bytes(1000))
time.sleep(float(sys.argv[2]))'

info() { "$HEAPTAPE" info "$1" --json >"$TMP/i.json" 2>"$TMP/err"; }
is() { [ "$(json "$TMP/i.json" "$1")" = True ]; }

exits() {
	start_target $PYTHON -c "$GROW" 20 1
	start_recorder -p "$TARGET" -o "$TMP/e.tape" --ring 4M || { fail "the target's exit copies the ring" "no recorder"; return; }
	release_target
	wait "$RECORDER"
	if info "$TMP/e.tape.1.exit" && "$HEAPTAPE" cut -q "$TMP/e.tape.1.exit" --from 400ms -o "$TMP/c.tape" &&
		[ "$("$HEAPTAPE" dump "$TMP/c.tape" | grep '"kept":true' | grep -cE '"op":"(brk|thread_start)"')" = 2 ] &&
		is "d['complete'] and d['record']['end'] == d['record']['copy_cause'] == 'exit' and d['events']['total'] > 10000" &&
		grep -q "copied to $TMP/e.tape.1.exit$" "$TMP/record.err"; then pass "the target's exit copies the ring"; else
		fail "the target's exit copies the ring" "$(cat "$TMP/err" "$TMP/record.err")"
	fi
}

# A cgroup with this limit in bytes, in CGROUP; of version 2 or 1, whichever has the memory controller here.
limited_cgroup() {
	local own base
	if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
		own=$(sed -n 's/^0:://p' /proc/self/cgroup)
		for base in "/sys/fs/cgroup$own" /sys/fs/cgroup; do
			CGROUP=$base/heaptape-test.$$
			mkdir "$CGROUP" 2>/dev/null && echo "$1" 2>/dev/null >"$CGROUP/memory.max" && { echo 0 >"$CGROUP/memory.swap.max"; return 0; } 2>/dev/null
			rmdir "$CGROUP" 2>/dev/null
		done
	fi
	own=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
	CGROUP=/sys/fs/cgroup/memory${own%/}/heaptape-test.$$
	mkdir "$CGROUP" 2>/dev/null && echo "$1" 2>/dev/null >"$CGROUP/memory.limit_in_bytes"
}

killed_for_memory() {
	local name="a target killed for lack of memory copies the ring, and says why"
	limited_cgroup 67108864 || { skip "$name" "no cgroup with a memory limit can be made here"; return; }
	start_target bash -c "echo \$\$ >$CGROUP/cgroup.procs && exec $PYTHON -c \"\$0\" 0 0" "$GROW"
	for _ in $(seq 50); do [ "$(cat "/proc/$TARGET/comm")" = bash ] || break; sleep 0.1; done
	start_recorder -p "$TARGET" -o "$TMP/o.tape" --ring 8M || { fail "$name" "no recorder"; return; }
	release_target
	wait "$RECORDER"
	if info "$TMP/o.tape.1.oom" && is "d['record']['end'] == 'oom' and d['live_at_end']['bytes'] > 20 << 20" &&
		grep -q "killed for lack of memory" "$TMP/record.err" && "$HEAPTAPE" info "$TMP/o.tape" | grep -q "killed for lack of memory"; then pass "$name"; else
		fail "$name" "$(cat "$TMP/err" "$TMP/record.err")"
	fi
	end_target "$TARGET"
	rmdir "$CGROUP"
}

grows_to() {
	start_target $PYTHON -c "$GROW" 100 2
	start_recorder -p "$TARGET" -o "$TMP/g.tape" --ring 8M --trigger-rss 60M || { fail "--trigger-rss" "no recorder"; return; }
	release_target
	wait "$RECORDER"
	if info "$TMP/g.tape.1.rss" && is "d['record']['end'] is None and d['record']['copy_cause'] == 'rss' and 30 << 20 < d['live_at_end']['bytes'] < 90 << 20" &&
		[ -e "$TMP/g.tape.2.exit" ] && [ "$(find "$TMP" -maxdepth 1 -name 'g.tape.*' | wc -l)" = 2 ]; then
		pass "--trigger-rss copies the ring once, as the resident set gets there"
	else
		fail "--trigger-rss copies the ring once, as the resident set gets there" "$(cat "$TMP/err" "$TMP/record.err"; ls "$TMP")"
	fi
}

# Before it is attached to, by what it holds; and while it grows, since a flight recorder must not stop then.
outgrown() {
	start_target $PYTHON -c 'import sys, time
held = bytearray(600 << 20)
sys.stdin.readline()'
	for _ in $(seq 100); do [ "$(awk '/RssAnon/ { print $2 }' "/proc/$TARGET/status")" -gt 600000 ] && break; sleep 0.1; done
	timeout 60 "$HEAPTAPE" record -q -p "$TARGET" -o "$TMP/w.tape" --ring 2M --duration 1s 2>"$TMP/err"
	if [ $? = 1 ] && grep -q "the least is 3M" "$TMP/err" && [ ! -e "$TMP/w.tape" ]; then pass "a ring too small for what its target holds is refused"; else
		fail "a ring too small for what its target holds is refused" "$(cat "$TMP/err")"
	fi
	end_target "$TARGET"
	start_target env PYTHONMALLOC=malloc $PYTHON -c 'import random, sys
sys.stdin.readline()
held = [bytes(random.randrange(200)) for i in range(300000)]' # sizes, and so addresses, that no coder foresees
	start_recorder -p "$TARGET" -o "$TMP/n.tape" --ring 1M || { fail "a ring that is outgrown" "no recorder"; return; }
	release_target
	wait "$RECORDER"
	if grep -q "the live set has outgrown a ring of 1.00 MiB" "$TMP/record.err" && info "$TMP/n.tape" &&
		is "d['live_at_start']['objects'] > 10000 and 2 << 20 < d['ring_bytes'] < 8 << 20" &&
		[ "$(cat "$TMP/n.tape"/* | wc -c)" -le "$(json "$TMP/i.json" "d['ring_bytes']")" ]; then
		pass "a ring that the live set outgrows grows, says so, and replays"
	else
		fail "a ring that the live set outgrows grows, says so, and replays" "$(json "$TMP/i.json" "(d['live_at_start'], d['live_at_end'], d['ring_bytes'])") $(cat "$TMP/record.err")"
	fi
}

churn() { # begins one without end; TARGET
	"$LIVE/churn" 0 1 >/dev/null &
	TARGET=$!
	PIDS+=("$TARGET")
	sleep 0.1
}

options() {
	churn
	timeout 60 "$HEAPTAPE" record -q -p "$TARGET" -o "$TMP/k.tape" --ring 64M,keep=2s --duration 5s 2>"$TMP/err" && info "$TMP/k.tape"
	if is "2 <= (d['duration_ns']) / 1e9 < 3.5 and d['start_ns'] > 0 and d['live_at_start']['objects'] > 0"; then pass "keep= leaves no more than was asked for"; else
		fail "keep= leaves no more than was asked for" "$(json "$TMP/i.json" "(d['duration_ns'], d['start_ns'])") $(cat "$TMP/err")"
	fi
	timeout 60 "$HEAPTAPE" record -q -p "$TARGET" -o "$TMP/f.tape" --keyframe 300ms --time-resolution ns --duration 2s 2>"$TMP/err" && info "$TMP/f.tape"
	if is "4 <= d['file']['keyframes'] <= 7 and d['start_ns'] == 0"; then pass "--keyframe 300ms makes a keyframe every 300 ms"; else
		fail "--keyframe 300ms makes a keyframe every 300 ms" "$(json "$TMP/i.json" "d['file']") $(cat "$TMP/err")"
	fi
	if [ "$("$HEAPTAPE" dump "$TMP/f.tape" --format csv | head -n 2000 | awk -F, 'NR > 1 && $1 % 1000' | wc -l)" -gt 1000 ]; then
		pass "--time-resolution ns keeps nanoseconds"
	else
		fail "--time-resolution ns keeps nanoseconds" "$("$HEAPTAPE" dump "$TMP/f.tape" --format csv | head -n 3)"
	fi
	end_target "$TARGET"
}

# The recorder's clocks say that the machine slept for 30 s.
suspended() {
	local name="a suspended machine is marked on the tape" begin
	churn
	begin=$SECONDS
	SUSPEND_CLOCK="$TMP/slept" LD_PRELOAD=$LIVE/libsuspend_clock.so start_recorder -p "$TARGET" -o "$TMP/s.tape" || { fail "$name" "no recorder"; return; }
	sleep 0.5
	: >"$TMP/slept"
	sleep 0.5
	kill -INT "$RECORDER"
	wait "$RECORDER"
	end_target "$TARGET"
	if info "$TMP/s.tape" && is "29.9e9 < d['suspended_ns'] < 30.1e9 and d['other']['suspend'] == 1 and d['duration_ns'] / 1e9 < $((SECONDS - begin + 2))" &&
		grep -q "was suspended for 30" "$TMP/record.err" && "$HEAPTAPE" dump "$TMP/s.tape" | grep -q '"op":"suspend".*"slept_ns":'; then pass "$name"; else
		fail "$name" "$(cat "$TMP/err" "$TMP/record.err")"
	fi
}

# A disk that is full in the middle: one line, status 1, and what is there replays from a keyframe.
full_disk() {
	local dir="$TMP/small" size=$((3000 + RANDOM % 4000)) status
	mkdir "$dir"
	mount -t tmpfs -o size=${size}k tmpfs "$dir" 2>/dev/null || { skip "a full disk under a ring" "no tmpfs can be mounted here"; return; }
	churn
	timeout 60 "$HEAPTAPE" record -q -p "$TARGET" -o "$dir/r.tape" --ring 16M --keyframe 200ms 2>"$TMP/err"
	status=$?
	if [ $status = 1 ] && grep -q "No space left" "$TMP/err" && [ "$(wc -l <"$TMP/err")" = 1 ] && kill -0 "$TARGET"; then
		pass "a full disk under a ring is one clear line ($size KiB)"
	else
		fail "a full disk under a ring is one clear line ($size KiB)" "status $status: $(cat "$TMP/err")"
	fi
	if info "$dir/r.tape" && is "d['events']['total'] > 10000 and d['file']['bad_blocks'] == 0 and not d['complete']"; then
		pass "a ring cut by a full disk is read ($size KiB)"
	else
		fail "a ring cut by a full disk is read ($size KiB)" "$(cat "$TMP/err")"
	fi
	end_target "$TARGET"
	umount "$dir"
}

need_root "what copies a ring" || exit 0
exits
killed_for_memory
grows_to
outgrown
options
suspended
full_disk
exit 0
