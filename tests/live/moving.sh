#!/usr/bin/env bash
# moving.sh - targets that do not hold still: thousands of threads, threads that end while they are listed and their caches read,
# programs that replace themselves, die or run out of memory while probes are put in place, that leave their namespaces; two
# recorders on one, and a debugger.
set -u
. "$ROOT/tests/lib.sh"

THREADS=${MOVING_THREADS:-10000}
TRIES=${MOVING_TRIES:-6}
CALLS=4000
export HEAPTAPE_CACHE=$TMP/cache
mkdir -m 700 "$HEAPTAPE_CACHE"

calls_of() { "$HEAPTAPE" dump "$1" | grep -c '"op":"malloc".*"size":'"$2"'[,}]'; }

# whole NAME TAPE: all that exact does is on the tape.
whole() {
	local got
	got=$(calls_of "$2" 1111)
	if [ "$got" = $CALLS ] && [ "$("$HEAPTAPE" info "$2" --json | tee "$TMP/info.json" | wc -c)" -gt 10 ] && [ "$(json "$TMP/info.json" "d['lost']['total']")" = 0 ]; then
		pass "$1"
	else
		fail "$1" "$got of $CALLS calls"
	fi
}

crowd() {
	local name="$THREADS threads, each one's call" got
	start_target "$LIVE/crowd" "$THREADS"
	for _ in $(seq 100); do [ -s "$TMP/target.out" ] || ! kill -0 "$TARGET" 2>/dev/null || sleep 0.1; done
	if [ ! -s "$TMP/target.out" ]; then
		skip "$name" "so many cannot be made here: $(cat "$TMP/target.err")"
		end_target "$TARGET"
		return
	fi
	start_recorder -p "$TARGET" -o "$TMP/t.tape" -f -q --plans simple || { fail "$name" "no recorder"; return; }
	release_target
	wait "$TARGET"
	wait "$RECORDER" || { fail "$name" "$(tail -n1 "$TMP/record.err")"; return; }
	got=$(calls_of "$TMP/t.tape" 777)
	if [ "$got" = "$THREADS" ]; then pass "$name"; else fail "$name" "$got are on the tape: $(cat "$TMP/record.err")"; fi
	check "and its threads are named" test "$("$HEAPTAPE" info "$TMP/t.tape" --json | grep -c .)" -gt 0
}

# ends_well STATUS: a recorder whose target went away has a tape, or says in one line why not; it never crashes nor hangs.
ends_well() { [ "$1" = 0 ] || { [ "$1" = 1 ] && [ "$(wc -l <"$TMP/err")" = 1 ]; }; }

# dying_threads [ALLOCATOR]: their caches go while the heap is read.
dying_threads() {
	local bad=0 i status lib name="threads that end while they are listed${1:+, $1}"
	lib=$(library "${1:-glibc}")
	[ -z "${1:-}" ] || [ -n "$lib" ] || { skip "$name" "not installed"; return; }
	LD_PRELOAD=$lib "$LIVE/crowd" 0 &
	TARGET=$!
	PIDS+=("$TARGET")
	sleep 0.1
	for i in $(seq "$TRIES"); do
		timeout 30 "$HEAPTAPE" record -q -p "$TARGET" -o "$TMP/t.tape" -f --plans simple --duration 100ms 2>"$TMP/err" >/dev/null
		status=$?
		{ [ $status = 0 ] && [ "$(calls_of "$TMP/t.tape" 777)" -gt 0 ]; } || { bad=$((bad + 1)); cp "$TMP/err" "$TMP/err.kept"; }
	done
	if [ $bad = 0 ] && kill -0 "$TARGET"; then pass "$name, $TRIES times"; else
		fail "$name" "$bad of $TRIES failed: $(tail -n1 "$TMP/err.kept" 2>/dev/null)"
	fi
	end_target "$TARGET"
}

execs_at_attach() {
	local bad=0 i status
	for i in $(seq "$TRIES"); do
		"$LIVE/crowd" -200 &
		TARGET=$!
		PIDS+=("$TARGET")
		sleep 0.0$((RANDOM % 9 + 1))
		timeout 30 "$HEAPTAPE" record -q -p "$TARGET" -o "$TMP/t.tape" -f --plans simple --duration 1200ms 2>"$TMP/err" >/dev/null
		status=$?
		kill -0 "$TARGET" 2>/dev/null && ends_well $status || { bad=$((bad + 1)); { echo "status $status"; cat "$TMP/err"; } >"$TMP/err.kept"; }
		end_target "$TARGET"
	done
	if [ $bad = 0 ]; then pass "a program that replaces itself at the attach, $TRIES times"; else
		fail "a program that replaces itself at the attach" "$bad of $TRIES: $(tail -n2 "$TMP/err.kept" | tr '\n' ' ')"
	fi
}

dies_at_attach() {
	local bad=0 i status
	for i in $(seq "$TRIES"); do
		# Nobody's child here: its death is no news of the shell's.
		("$LIVE/churn" 0 2 >/dev/null & echo $! >"$TMP/pid")
		TARGET=$(cat "$TMP/pid")
		PIDS+=("$TARGET")
		sleep 0.05
		(sleep "0.$(printf %03d $((i * 300 / TRIES)))"; kill -9 "$TARGET") &
		timeout 30 "$HEAPTAPE" record -q -p "$TARGET" -o "$TMP/t.tape" -f --plans simple 2>"$TMP/err" >/dev/null
		status=$?
		ends_well $status || { bad=$((bad + 1)); { echo "status $status"; cat "$TMP/err"; } >"$TMP/err.kept"; }
		wait
	done
	if [ $bad = 0 ]; then pass "a target that is killed while probes are put in place, $TRIES times"; else
		fail "a target that is killed while probes are put in place" "$bad of $TRIES: $(tail -n2 "$TMP/err.kept" | tr '\n' ' ')"
	fi
}

# A group of processes with little memory: the kernel kills who wants more.
limited_group() {
	local at
	for at in /sys/fs/cgroup/memory /sys/fs/cgroup; do
		GROUP=$at/heaptape-moving.$$
		mkdir "$GROUP" 2>/dev/null || continue
		if echo $((48 << 20)) 2>/dev/null >"$GROUP/memory.limit_in_bytes" || echo $((48 << 20)) 2>/dev/null >"$GROUP/memory.max"; then
			echo 0 2>/dev/null >"$GROUP/memory.swap.max"
			return 0
		fi
		rmdir "$GROUP"
	done
	return 1
}

killed_for_memory() { cat "$GROUP/memory.oom_control" "$GROUP/memory.events" 2>/dev/null | sed -n 's/^oom_kill //p'; }

runs_out_of_memory() {
	local bad=0 i status name="a target that the kernel kills for its memory while probes are put in place"
	local grows="
import sys, time
end, kept = time.monotonic() + 10, []
while time.monotonic() < end:
    kept.append(bytes(int(sys.argv[1])))
    time.sleep(0.0005)"
	limited_group 2>/dev/null || { skip "$name" "no memory cgroup can be made here"; return; }
	for i in $(seq "$TRIES"); do
		# Nobody's child here: its death is no news of the shell's.
		(sh -c "echo \$\$ >$GROUP/cgroup.procs; exec /usr/bin/python3 -c '$grows' $((40000 + 20000 * i))" >/dev/null 2>&1 & echo $! >"$TMP/pid")
		sleep 0.15
		TARGET=$(cat "$TMP/pid")
		PIDS+=("$TARGET")
		timeout 30 "$HEAPTAPE" record -q -p "$TARGET" -o "$TMP/t.tape" -f --plans simple 2>"$TMP/err" >/dev/null
		status=$?
		ends_well $status || { bad=$((bad + 1)); { echo "status $status"; cat "$TMP/err"; } >"$TMP/err.kept"; }
		while kill -0 "$TARGET" 2>/dev/null; do sleep 0.05; done
	done
	if [ $bad = 0 ] && [ "$(killed_for_memory)" -ge "$TRIES" ]; then pass "$name, $TRIES times"; else
		fail "$name" "$bad of $TRIES, $(killed_for_memory) were killed: $(tail -n2 "$TMP/err.kept" 2>/dev/null | tr '\n' ' ')"
	fi
	rmdir "$GROUP"
}

# The same as below at any moment of the attach: what the recorder still has to open may be out of reach by then.
leaves_at_attach() {
	local bad=0 i status
	mkdir -p "$TMP/empty"
	for i in $(seq "$TRIES"); do
		start_target "$LIVE/exact" $CALLS "$TMP/empty"
		timeout 30 "$HEAPTAPE" record -q -p "$TARGET" -o "$TMP/t.tape" -f --plans simple 2>"$TMP/err" >/dev/null &
		RECORDER=$!
		sleep "0.$(printf %03d $((i * 300 / TRIES)))"
		release_target
		wait "$TARGET" || { skip "a target that leaves its namespaces at the attach" "it may not, here"; wait "$RECORDER"; return; }
		wait "$RECORDER"
		status=$?
		ends_well $status || { bad=$((bad + 1)); { echo "status $status"; cat "$TMP/err"; } >"$TMP/err.kept"; }
	done
	if [ $bad = 0 ]; then pass "a target that leaves its namespaces at the attach, $TRIES times"; else
		fail "a target that leaves its namespaces at the attach" "$bad of $TRIES: $(tail -n2 "$TMP/err.kept" | tr '\n' ' ')"
	fi
}

leaves_its_namespaces() {
	mkdir -p "$TMP/empty"
	start_target "$LIVE/exact" $CALLS "$TMP/empty"
	start_recorder -p "$TARGET" -o "$TMP/t.tape" -f -q --plans simple || { fail "a target that leaves its namespaces" "no recorder"; return; }
	release_target
	wait "$TARGET" || { skip "a target that leaves its namespaces" "it may not, here"; wait "$RECORDER"; return; }
	wait "$RECORDER"
	whole "a target that leaves its namespaces, its root and its user" "$TMP/t.tape"
}

two_recorders() {
	local first
	start_target "$LIVE/exact" $CALLS
	start_recorder -p "$TARGET" -o "$TMP/1.tape" -f -q --plans simple || { fail "two recorders" "no first"; return; }
	first=$RECORDER
	start_recorder -p "$TARGET" -o "$TMP/2.tape" -f -q --plans simple || { fail "two recorders" "no second"; return; }
	release_target
	wait "$TARGET"
	wait "$first" "$RECORDER"
	whole "two recorders on one target, the first" "$TMP/1.tape"
	whole "two recorders on one target, the second" "$TMP/2.tape"
}

with_debugger() {
	command -v gdb >/dev/null || { skip "a debugger on the target" "no gdb on this machine"; return; }
	start_target "$LIVE/exact" $CALLS
	sleep 0.1
	start_recorder -p "$TARGET" -o "$TMP/t.tape" -f -q --plans simple || { fail "a debugger on the target" "no recorder"; return; }
	timeout 60 gdb -nx -batch -p "$TARGET" -ex 'break abort' -ex 'info threads' -ex 'x/2i malloc' -ex detach >"$TMP/gdb.out" 2>&1
	release_target
	wait "$TARGET"
	wait "$RECORDER"
	whole "a debugger that came and went" "$TMP/t.tape"
	start_target "$LIVE/exact" $CALLS
	sleep 0.1
	# Under the debugger all the time: the recorder comes when it stands at a breakpoint, and the program goes on from there.
	timeout 60 gdb -nx -batch -p "$TARGET" -ex 'break abort' -ex "shell touch $TMP/stopped; while [ ! -e $TMP/go-on ]; do sleep 0.05; done" -ex continue \
		>"$TMP/gdb.out" 2>&1 &
	PIDS+=($!)
	for _ in $(seq 100); do [ -e "$TMP/stopped" ] || sleep 0.1; done
	start_recorder -p "$TARGET" -o "$TMP/t.tape" -f -q --plans simple || { fail "a stopped target under a debugger" "no recorder"; return; }
	release_target
	: >"$TMP/go-on"
	wait "$TARGET"
	wait "$RECORDER"
	whole "a target under a debugger from before to its end" "$TMP/t.tape"
}

need_root "moving" || exit 0
crowd
dying_threads
for allocator in jemalloc mimalloc tcmalloc; do TRIES=2 dying_threads $allocator; done
execs_at_attach
dies_at_attach
runs_out_of_memory
leaves_at_attach
leaves_its_namespaces
two_recorders
with_debugger
exit 0
