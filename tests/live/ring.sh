#!/usr/bin/env bash
# ring.sh - a ring of a live process: within its size, copied while it goes on, readable when its recorder is killed.
set -u
. "$ROOT/tests/lib.sh"

SIZE=4194304
KILLS=${RING_KILLS:-10}

nbytes() { du -sb --apparent-size "$1" | cut -f1; }
# The folder's own entry counts in du.
ring_fits() { [ $(($(nbytes "$1") - 4096)) -le $SIZE ]; }
replays() { # TAPE: from its keyframe, under glibc, with every call known
	"$HEAPTAPE" info "$1" --json >"$TMP/i.json" 2>"$TMP/err" &&
		"$HEAPTAPE" replay "$1" --alloc glibc --json >"$TMP/r.json" 2>>"$TMP/err" &&
		[ "$(json "$TMP/i.json" "d['live_at_start']['objects'] > 0 and d['events']['total'] > 10000 and d['unknown_frees'] == 0")" = True ] &&
		[ "$(json "$TMP/r.json" "d['plan']['unknown_frees'] == 0 and d['plan']['kept_objects'] > 0")" = True ]
}

copies() {
	local too_large=0 i
	start_recorder -q -p "$TARGET" -o "$TMP/r.tape" --ring 4M --duration 20s || { fail "a ring" "no recorder"; return; }
	for i in $(seq 40); do
		sleep 0.1
		ring_fits "$TMP/r.tape" || too_large=$((too_large + 1))
		[ "$i" = 20 ] && kill -USR1 "$RECORDER"
	done
	for i in $(seq 50); do [ -e "$TMP/r.tape.1.signal" ] && break; sleep 0.1; done
	if kill -0 "$RECORDER" 2>/dev/null && replays "$TMP/r.tape.1.signal"; then pass "SIGUSR1 copies the ring and recording goes on"; else
		fail "SIGUSR1 copies the ring and recording goes on" "$(tail -n1 "$TMP/err")"
	fi
	kill -INT "$RECORDER"
	wait "$RECORDER"
	if [ $too_large = 0 ]; then pass "a ring stays within its size"; else fail "a ring stays within its size" "$too_large times of 40 it did not"; fi
	if replays "$TMP/r.tape" && [ "$(json "$TMP/i.json" "d['complete']")" = True ]; then pass "what remains of a ring replays"; else
		fail "what remains of a ring replays" "$(tail -n1 "$TMP/err")"
	fi
}

cut_and_strip() {
	"$HEAPTAPE" cut -q "$TMP/r.tape" --from 100ms -o "$TMP/cut.tape" && replays "$TMP/cut.tape" &&
		"$HEAPTAPE" strip -q "$TMP/cut.tape" --addresses -o "$TMP/strip.tape" && replays "$TMP/strip.tape"
	if [ $? = 0 ] && ! "$HEAPTAPE" info "$TMP/strip.tape" --json | grep -q churn; then pass "a ring cut and stripped replays"; else
		fail "a ring cut and stripped replays" "$(tail -n1 "$TMP/err")"
	fi
}

killed() {
	local i bad=0 large=0
	for i in $(seq "$KILLS"); do
		rm -rf "$TMP/k.tape"
		start_recorder -q -p "$TARGET" -o "$TMP/k.tape" --ring 4M || { bad=$((bad + 1)); continue; }
		sleep "2.$((RANDOM % 1000))"
		kill -9 "$RECORDER"
		wait "$RECORDER" 2>/dev/null
		ring_fits "$TMP/k.tape" || large=$((large + 1))
		"$HEAPTAPE" info "$TMP/k.tape" --json >"$TMP/i.json" 2>"$TMP/err" &&
			[ "$(json "$TMP/i.json" "d['events']['total'] > 10000 and d['file']['bad_blocks'] == 0")" = True ] || bad=$((bad + 1))
	done
	if [ $bad = 0 ] && [ $large = 0 ]; then pass "$KILLS killed recorders leave readable rings"; else
		fail "$KILLS killed recorders leave readable rings" "$bad do not, $large are too large"
	fi
}

refused() {
	"$HEAPTAPE" record -p "$TARGET" -o "$TMP/s.tape" --ring 100K 2>"$TMP/err"
	if [ $? = 2 ] && grep -q "the least is 1M" "$TMP/err"; then pass "a ring that is too small is refused"; else
		fail "a ring that is too small is refused" "$(cat "$TMP/err")"
	fi
}

need_root "a ring of a live process" || exit 0
"$LIVE/churn" 0 2 >/dev/null &
TARGET=$!
PIDS+=("$TARGET")
sleep 0.2
refused
copies
cut_and_strip
killed
exit 0
