#!/usr/bin/env bash
# follow.sh - children of the target: each one's calls are on a tape of its own, none missed and none too many; whoever is not
# recorded is told of; no bystander is touched; and whatever becomes of recorders, nobody stays stopped.
# With "short" behind it: what no other test covers, at small sizes.
set -u
. "$ROOT/tests/lib.sh"

SHORT=${1:-}
KILLS=${FOLLOW_KILLS:-$([ -n "$SHORT" ] && echo 2 || echo 4)}
MANY=${FOLLOW_MANY:-$([ -n "$SHORT" ] && echo 20 || echo 50)}
FOLLOW=$LIVE/follow
export HEAPTAPE_CACHE=$TMP/cache
mkdir -m 700 "$HEAPTAPE_CACHE"

verify() { /usr/bin/python3 "$ROOT/tests/live/follow.py" "$HEAPTAPE" "$TMP/f.tape" "$@" >"$TMP/verify" 2>&1; }

# family NAME CHILDREN KINDS CMD...: records CMD with all its children, and holds each tape against what that process did.
family() {
	local name=$1 children=$2 kinds=$3
	shift 3
	if ! timeout 100 "$HEAPTAPE" record -q --follow-fork ${BACKEND:-} -o "$TMP/f.tape" -f --json -- "$@" >"$TMP/f.json" 2>"$TMP/err"; then
		fail "$name" "$(tail -n1 "$TMP/err")"
	elif [ -s "$TMP/err" ]; then
		fail "$name" "$(head -n1 "$TMP/err")"
	elif verify "$children" $kinds; then
		pass "$name"
	else
		fail "$name" "$(head -n3 "$TMP/verify" | tr '\n' ' ')"
	fi
}

ways_to_make_a_child() {
	local jemalloc
	jemalloc=$(library jemalloc)
	family "a child by fork, from its parent's blocks to its end" 1 forked "$FOLLOW" fork
	check "its tape replays" "$HEAPTAPE" replay "$(ls "$TMP"/f.tape/*.tape | tail -n1)" --alloc glibc --plan-cache off
	check "its tape is reported" "$HEAPTAPE" report "$(ls "$TMP"/f.tape/*.tape | tail -n1)"
	"$HEAPTAPE" report "$TMP/f.tape" >"$TMP/out" 2>"$TMP/err"
	if grep -q "tapes of 2 processes; this is the first" "$TMP/err"; then pass "of a folder a verb takes the first process, and says so"; else
		fail "of a folder a verb takes the first process, and says so" "$(head -n1 "$TMP/err")"
	fi
	family "posix_spawn" 1 execed "$FOLLOW" spawn
	[ -n "$SHORT" ] || family "vfork and exec" 1 execed "$FOLLOW" vfork
	family "fork, calls, exec: the objects end" 1 both "$FOLLOW" fork-exec
	if [ -n "$SHORT" ]; then
		family "$MANY children, four at a time" "$MANY" forked "$FOLLOW" many "$MANY"
		return
	fi
	family "a child whose parent is gone" 2 "forked idle" "$FOLLOW" double
	family "fork in a thread" 1 forked "$FOLLOW" thread
	family "$MANY children, four at a time" "$MANY" forked "$FOLLOW" many "$MANY"
	family "more children at once than programs are kept ready for" 8 forked "$FOLLOW" burst 8
	family "children of children" 4 chain "$FOLLOW" chain 4
	family "a static program" 1 execed "$FOLLOW" exec-of "$LIVE/follow_static" work
	if [ -n "$jemalloc" ]; then
		family "another allocator" 1 again "$FOLLOW" exec-of env LD_PRELOAD="$jemalloc" "$FOLLOW" work
		if "$HEAPTAPE" info "$(ls "$TMP"/f.tape/*.tape | tail -n1)" | grep -q "^allocator   jemalloc"; then pass "and it is named"; else
			fail "and it is named" "$("$HEAPTAPE" info "$(ls "$TMP"/f.tape/*.tape | tail -n1)" | grep ^allocator)"
		fi
	else
		skip "another allocator" "no jemalloc on this machine"
	fi
	BACKEND="--backend perf" family "perf events: fork" 1 forked "$FOLLOW" fork
	BACKEND="--backend perf" family "perf events: posix_spawn" 1 execed "$FOLLOW" spawn
}

attached() {
	start_target "$FOLLOW" wait
	sleep 0.1
	start_recorder -q --follow-fork -p "$TARGET" -o "$TMP/f.tape" -f || { fail "a process that runs already" "no recorder"; return; }
	release_target
	wait "$TARGET"
	wait "$RECORDER"
	# Its blocks of before are known by the allocator's own sizes.
	if [ "$(ls "$TMP/f.tape" | wc -l)" = 2 ] && "$HEAPTAPE" info "$TMP/f.tape" --json >"$TMP/info.json" &&
		[ "$(json "$TMP/info.json" "all(p['unknown_frees'] == 0 and p['lost'] == 0 and p['live_at_start']['objects'] >= 200 for p in d['processes'])")" = True ] &&
		[ "$(json "$TMP/info.json" "d['processes'][1]['events']")" = 2100 ]; then
		pass "a child of a process that ran already, with the blocks of before"
	else
		fail "a child of a process that ran already, with the blocks of before" "$(cat "$TMP/info.json")"
	fi
	[ -z "$SHORT" ] || return
	start_target "$FOLLOW" wait-exec
	sleep 0.1
	start_recorder -q --follow-fork -p "$TARGET" -o "$TMP/f.tape" -f || { fail "an attached process that execs" "no recorder"; return; }
	release_target
	wait "$TARGET"
	wait "$RECORDER"
	if [ "$("$HEAPTAPE" dump "$TMP/f.tape" 2>/dev/null | grep -c '"op":"malloc".*"size":777[,}]')" = 1000 ]; then
		pass "an attached process that execs is held there too"
	else
		fail "an attached process that execs is held there too" "$("$HEAPTAPE" info "$TMP/f.tape" 2>&1 | head -n8 | tr '\n' ' ')"
	fi
}

left_out() {
	"$HEAPTAPE" record -o "$TMP/plain.tape" -f -- "$FOLLOW" fork >"$TMP/out" 2>"$TMP/err"
	if grep -q "1 child processes, which are not recorded; --follow-fork" "$TMP/err" && [ -f "$TMP/plain.tape" ]; then
		pass "without the option children are left out, and said so"
	else
		fail "without the option children are left out, and said so" "$(tail -n3 "$TMP/err")"
	fi
	"$HEAPTAPE" record --follow-fork --follow-max 3 -o "$TMP/f.tape" -f -- "$FOLLOW" sleepers 4 >"$TMP/out" 2>"$TMP/err"
	"$HEAPTAPE" info "$TMP/f.tape" --json >"$TMP/info.json"
	if grep -q "warning: 2 children are not recorded" "$TMP/err" && [ "$(json "$TMP/info.json" "(len(d['processes']), d['processes'][0]['children_left_out'])")" = "(3, 2)" ]; then
		pass "children beyond --follow-max are left out, said so, and on the tape"
	else
		fail "children beyond --follow-max are left out, said so, and on the tape" "$(tail -n3 "$TMP/err")"
	fi
	"$HEAPTAPE" record --follow-fork -o "$TMP/f.tape" -- "$FOLLOW" fork >"$TMP/out" 2>"$TMP/err"
	if [ $? = 1 ] && grep -q "is there already; -f overwrites it" "$TMP/err"; then pass "a folder is not overwritten unasked"; else
		fail "a folder is not overwritten unasked" "$(tail -n1 "$TMP/err")"
	fi
	"$HEAPTAPE" record --follow-fork --ring 16M -o "$TMP/g.tape" -- true 2>"$TMP/err"
	if [ $? = 2 ] && [ ! -e "$TMP/g.tape" ]; then pass "--ring and --follow-fork exclude each other"; else fail "--ring and --follow-fork exclude each other" "$(cat "$TMP/err")"; fi
	setpriv --inh-caps -kill --bounding-set -kill "$HEAPTAPE" record --follow-fork -o "$TMP/g.tape" -- true 2>"$TMP/err"
	if [ $? = 1 ] && [ ! -e "$TMP/g.tape" ] && grep -q "needs CAP_KILL" "$TMP/err"; then pass "who could not let children go does not hold them"; else
		fail "who could not let children go does not hold them" "$(tail -n1 "$TMP/err")"
	fi
	"$HEAPTAPE" record --follow-fork -o "$TMP/g.tape" -- /no/such/program 2>"$TMP/err"
	if [ $? = 1 ] && [ ! -e "$TMP/g.tape" ]; then pass "a failed start leaves no folder"; else fail "a failed start leaves no folder" "$(ls -d "$TMP/g.tape")"; fi
}

bystander() {
	local bystander
	"$LIVE/churn" 0 1 >/dev/null &
	bystander=$!
	PIDS+=("$bystander")
	sleep 0.1
	"$HEAPTAPE" probe -p "$bystander" --json >"$TMP/probe.json"
	"$FOLLOW" forever &
	TARGET=$!
	PIDS+=("$TARGET")
	start_recorder -q --follow-fork -p "$TARGET" --baseline none -o "$TMP/f.tape" -f || { fail "a bystander" "no recorder"; return; }
	sleep 0.3
	if [ "$(/usr/bin/python3 "$ROOT/tests/live/text_bytes.py" "$bystander" "$TMP/probe.json")" = "breakpoints 0 other 0" ]; then
		pass "a bystander with the same libc is not touched"
	else
		fail "a bystander with the same libc is not touched" "$(/usr/bin/python3 "$ROOT/tests/live/text_bytes.py" "$bystander" "$TMP/probe.json")"
	fi
	kill -INT "$RECORDER"
	if wait "$RECORDER" && "$HEAPTAPE" info "$TMP/f.tape" --json >"$TMP/info.json" && [ "$(json "$TMP/info.json" "all(p['complete'] for p in d['processes'])")" = True ]; then
		pass "a signal ends all recordings well"
	else
		fail "a signal ends all recordings well" "$(tail -n1 "$TMP/record.err")"
	fi
	end_target "$bystander" "$TARGET"
}

# Of this target's process group, those that are stopped.
nr_stopped() { ps -o stat= -g "$1" | grep -c '^T'; }

killed_recorders() {
	local seed=${FOLLOW_SEED:-$RANDOM} i copy stopped=0 unread=0 tape
	RANDOM=$seed
	for i in $(seq "$KILLS"); do
		setsid "$FOLLOW" forever &
		TARGET=$!
		PIDS+=("$TARGET")
		start_recorder -q --follow-fork -p "$TARGET" --baseline none -o "$TMP/k.tape" -f || { fail "killed recorders" "no recorder"; return; }
		sleep "0.$(printf %03d $((RANDOM % 900)))"
		if [ $((i % 2)) = 0 ]; then
			for copy in $(cat /proc/"$RECORDER"/task/*/children); do
				# The guard leads a session of its own.
				[ "$(cut -d' ' -f6 "/proc/$copy/stat" 2>/dev/null)" = "$copy" ] || kill -9 "$copy" 2>/dev/null
			done
		fi
		kill -9 "$RECORDER"
		wait "$RECORDER" 2>/dev/null
		for _ in $(seq 50); do [ "$(nr_stopped "$TARGET")" != 0 ] || break; sleep 0.1; done
		[ "$(nr_stopped "$TARGET")" = 0 ] || stopped=$((stopped + 1))
		kill -9 -- "-$TARGET"
		for tape in "$TMP"/k.tape/*.tape; do
			"$HEAPTAPE" info "$tape" >/dev/null 2>"$TMP/err" || { unread=$((unread + 1)); cp "$TMP/err" "$TMP/err.kept"; }
		done
	done
	wait 2>/dev/null
	if [ $stopped = 0 ]; then pass "killed recorders leave nobody stopped, $KILLS times (seed $seed)"; else
		fail "killed recorders leave nobody stopped (seed $seed)" "$stopped of $KILLS times"
	fi
	if [ $unread = 0 ]; then pass "and all tapes are readable"; else fail "and all tapes are readable" "$unread are not: $(tail -n1 "$TMP/err.kept")"; fi
}

# A server that forks to write its data away, and goes on meanwhile.
redis_bgsave() {
	local name="redis-server's BGSAVE" port=$((20000 + RANDOM % 20000)) i
	if ! command -v redis-server >/dev/null; then skip "$name" "no redis-server on this machine"; return; fi
	mkdir -p "$TMP/redis"
	redis-server --port "$port" --save "" --dir "$TMP/redis" --enable-debug-command yes >"$TMP/redis.out" 2>&1 &
	TARGET=$!
	PIDS+=("$TARGET")
	for i in $(seq 50); do redis-cli -p "$port" ping >/dev/null 2>&1 && break || sleep 0.1; done
	redis-cli -p "$port" debug populate 50000 >/dev/null
	start_recorder -q --follow-fork -p "$TARGET" -o "$TMP/f.tape" -f || { fail "$name" "no recorder"; return; }
	for i in 1 2; do
		redis-cli -p "$port" bgsave >/dev/null
		redis-cli -p "$port" debug populate $((50000 + 20000 * i)) "more$i" >/dev/null
		sleep 1
	done
	redis-cli -p "$port" info >"$TMP/info.txt"
	kill -INT "$RECORDER"
	wait "$RECORDER"
	end_target "$TARGET"
	"$HEAPTAPE" info "$TMP/f.tape" --json >"$TMP/info.json"
	if grep -q "rdb_last_bgsave_status:ok" "$TMP/info.txt" &&
		[ "$(json "$TMP/info.json" "len(d['processes']) == 3 and all(p['lost'] == 0 and p['unknown_frees'] == 0 and p['live_at_start']['objects'] > 100000 for p in d['processes'])")" = True ]; then
		pass "$name, each with the server's blocks"
	else
		fail "$name" "$(tail -n1 "$TMP/record.err") $(head -c 300 "$TMP/info.json")"
	fi
}

real_programs() {
	cat >"$TMP/pool.py" <<-'EOF'
		import multiprocessing

		def work(n):
		    return sum(len(bytes(3000 + i)) for i in range(n))

		if __name__ == "__main__":
		    multiprocessing.set_start_method("fork")
		    with multiprocessing.Pool(3) as pool:
		        print(sum(pool.map(work, [100] * 6)))
	EOF
	family "python3 multiprocessing" 3 "" /usr/bin/python3 "$TMP/pool.py"
	cat >"$TMP/pipes.sh" <<-'EOF'
		printf 'b\na\n' | sort | head -n1 | cat
		ls / | wc -l
	EOF
	[ -n "$SHORT" ] || redis_bgsave
	# dash forks for each part of a pipe; what is built in makes no exec.
	family "a shell script with pipes" 6 "" /bin/sh "$TMP/pipes.sh"
	check "the family is shown as a tree" "$HEAPTAPE" info "$TMP/f.tape"
}

need_root "children of the target" || exit 0
ways_to_make_a_child
attached
left_out
bystander
killed_recorders
real_programs
exit 0
