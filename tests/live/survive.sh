#!/usr/bin/env bash
# survive.sh - the target comes first: it outlives recorders that come and go and are killed, and tapes outlive those too.
set -u
. "$ROOT/tests/lib.sh"

CYCLES=${SURVIVE_CYCLES:-100}
KILLS=${SURVIVE_KILLS:-25}

alive() { kill -0 "$1" 2>/dev/null; }
text() { /usr/bin/python3 "$ROOT/tests/live/text_bytes.py" "$TARGET" "$TMP/probe.json"; }

attach_detach() {
	local i bad=0 few=0 events mappings baseline
	for i in $(seq "$CYCLES"); do
		mappings=$([ $((i % 4)) = 0 ] && echo on || echo off)
		baseline=$([ $((i % 3)) = 0 ] && echo walk || echo none)
		"$HEAPTAPE" record -q --mappings "$mappings" --baseline "$baseline" -p "$TARGET" -o "$TMP/c.tape" -f --duration 60ms --json >"$TMP/c.json" 2>"$TMP/err" || bad=$((bad + 1))
		events=$(json "$TMP/c.json" "d['events']")
		[ "${events:-0}" -gt 1000 ] || few=$((few + 1))
	done
	if alive "$TARGET" && [ $bad = 0 ] && [ $few = 0 ]; then pass "$CYCLES times attached and detached under load"; else
		fail "$CYCLES times attached and detached under load" "$bad failed, $few with few events; $(tail -n1 "$TMP/err")"
	fi
	if [ "$(text)" = "breakpoints 0 other 0" ]; then pass "the target's text is as before"; else
		fail "the target's text is as before" "$(text)"
	fi
}

killed_recorders() {
	local seed=${SURVIVE_SEED:-$RANDOM} i bad=0 pause baseline
	RANDOM=$seed
	for i in $(seq "$KILLS"); do
		# With a baseline the first events are on the tape when the heap has been read.
		baseline=$([ $((i % 4)) = 0 ] && echo walk || echo none)
		start_recorder -q -p "$TARGET" -o "$TMP/k.tape" -f --baseline "$baseline" || { bad=$((bad + 1)); continue; }
		pause=$((400 + RANDOM % 900 + (i % 4 ? 0 : 1500)))
		sleep "$(printf '%d.%03d' $((pause / 1000)) $((pause % 1000)))"
		kill -9 "$RECORDER"
		wait "$RECORDER" 2>/dev/null
		alive "$TARGET" || { fail "the target outlives killed recorders" "it is gone after kill $i, seed $seed"; return; }
		"$HEAPTAPE" info "$TMP/k.tape" --json >"$TMP/k.json" 2>"$TMP/err"
		if ! /usr/bin/python3 -c "
import json; d = json.load(open('$TMP/k.json'))
assert d['events']['total'] >= 10000 and not d['complete'] and d['file']['bad_blocks'] == 0, d" 2>>"$TMP/err"; then
			bad=$((bad + 1))
			cp "$TMP/err" "$TMP/err.kept"
		fi
	done
	if [ $bad = 0 ]; then pass "$KILLS killed recorders leave readable tapes (seed $seed)"; else
		fail "$KILLS killed recorders leave readable tapes (seed $seed)" "$bad do not: $(tail -n1 "$TMP/err.kept" 2>/dev/null)"
	fi
	sleep 0.3
	if [ "$(text)" = "breakpoints 0 other 0" ]; then pass "no breakpoint is left by a killed recorder"; else
		fail "no breakpoint is left by a killed recorder" "$(text)"
	fi
}

killed_target() {
	start_recorder -p "$TARGET" -o "$TMP/t.tape" -f || { fail "a target killed in mid-record" "no recorder"; return; }
	sleep 0.3
	end_target "$TARGET"
	if wait "$RECORDER" && [ "$("$HEAPTAPE" info "$TMP/t.tape" --json | tee "$TMP/i.json" | wc -c)" -gt 10 ] &&
		[ "$(json "$TMP/i.json" "d['complete']")" = True ]; then
		pass "a target killed in mid-record ends the tape well"
	else
		fail "a target killed in mid-record ends the tape well" "$(tail -n1 "$TMP/record.err")"
	fi
}

full_disk() {
	local dir="$TMP/small" status
	mkdir "$dir"
	if ! mount -t tmpfs -o size=384k tmpfs "$dir" 2>/dev/null; then
		skip "a full disk" "no tmpfs can be mounted here"
		return
	fi
	"$LIVE/churn" 20 2 >/dev/null &
	TARGET=$!
	PIDS+=("$TARGET")
	sleep 0.1
	timeout 30 "$HEAPTAPE" record -q -p "$TARGET" -o "$dir/f.tape" 2>"$TMP/err"
	status=$?
	if [ $status = 1 ] && grep -q "No space left" "$TMP/err" && [ "$(wc -l <"$TMP/err")" = 1 ]; then
		pass "a full disk is one clear line and exit status 1"
	else
		fail "a full disk is one clear line and exit status 1" "status $status: $(cat "$TMP/err")"
	fi
	"$HEAPTAPE" info "$dir/f.tape" --json >"$TMP/f.json" 2>/dev/null
	if [ "$(json "$TMP/f.json" "d['events']['total'] > 10000")" = True ]; then pass "a tape cut by a full disk is readable"; else
		fail "a tape cut by a full disk is readable" "$(tail -n1 "$TMP/f.json")"
	fi
	alive "$TARGET" || fail "a full disk" "the target is gone"
	end_target "$TARGET"
	umount "$dir"
}

need_root "attach and detach" "killed recorders" "killed target" "full disk" || exit 0
"$LIVE/churn" 0 2 >/dev/null &
TARGET=$!
PIDS+=("$TARGET")
sleep 0.2
"$HEAPTAPE" probe -p "$TARGET" --json >"$TMP/probe.json"
attach_detach
killed_recorders
killed_target
full_disk
exit 0
