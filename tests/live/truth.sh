#!/usr/bin/env bash
# truth.sh - every call that the target made stands on the tape, in order, and nothing else: held against the log of an
# independent recorder that is preloaded into the target.
set -u
. "$ROOT/tests/lib.sh"

ROUNDS=${TRUTH_ROUNDS:-20000}
REDIS_REQUESTS=${TRUTH_REDIS_REQUESTS:-90000}
case_nr=0

# truth NAME ALLOCATOR BACKEND NEED CMD...: records CMD, which waits on stdin, until it ends.
truth() {
	local name=$1 allocator=$2 backend=$3 need=$4 lib log="$TMP/log$((++case_nr))" env=()
	shift 4
	lib=$(library "$allocator")
	if [ "$allocator" != glibc ] && [ -z "$lib" ]; then
		skip "$name" "no $allocator on this machine"
		return
	fi
	mkdir "$log"
	[ "$allocator" = glibc ] || env=("ORACLE_NEW=$allocator")
	start_target env ORACLE_DIR="$log" "${env[@]}" LD_PRELOAD="$LIVE/liboracle.so $lib" "$@"
	sleep 0.2
	if ! start_recorder -p "$TARGET" -o "$TMP/t.tape" -f --backend "$backend" --plans "${PLANS:-auto}"; then
		fail "$name" "the recorder did not start"
		return
	fi
	release_target
	wait "$TARGET" || fail "$name: target" "ended with status $?"
	wait "$RECORDER" || { fail "$name: recorder" "$(tail -n1 "$TMP/record.err")"; return; }
	check "$name" "$LIVE/compare" --need "$need" "$TMP/t.tape" "$log"
	rm -rf "$log"
}

# truth_command NAME NEED CMD...: the same from the first allocation on.
truth_command() {
	local name=$1 need=$2 log="$TMP/log$((++case_nr))"
	shift 2
	mkdir "$log"
	if ! "$HEAPTAPE" record -q -o "$TMP/t.tape" -f -- env ORACLE_DIR="$log" LD_PRELOAD="$LIVE/liboracle.so" "$@" \
		</dev/null >"$TMP/out" 2>"$TMP/record.err"; then
		fail "$name" "$(tail -n1 "$TMP/record.err")"
		return
	fi
	check "$name" "$LIVE/compare" --whole --need "$need" "$TMP/t.tape" "$log"
	rm -rf "$log"
}

# A signal handler that allocates in the middle of calls: each call of it and of what it interrupted, once.
truth_signals() { # ALLOCATOR PLANS
	local name="a signal handler inside calls, $1, plans $2" lib log="$TMP/log$((++case_nr))" try status
	lib=$(library "$1")
	if [ "$1" != glibc ] && [ -z "$lib" ]; then
		skip "$name" "no $1 on this machine"
		return
	fi
	# No allocator is made for handlers: tcmalloc itself crashes or hangs in some of these runs, recorded or not. Such a
	# run says nothing of the recorder, and is made again.
	for try in 1 2 3 4 5; do
		rm -rf "$log" && mkdir "$log"
		start_target env ORACLE_DIR="$log" MALLOC_CONF=tcache_gc_incr_bytes:1099511627776 LD_PRELOAD="$lib" "$LIVE/signal_calls" "$ROUNDS"
		sleep 0.2
		start_recorder -p "$TARGET" -o "$TMP/t.tape" -f --plans "$2" --json >"$TMP/record.json" || { fail "$name" "no recorder"; return; }
		release_target
		for _ in $(seq 600); do kill -0 "$TARGET" 2>/dev/null || break; sleep 0.1; done
		kill -9 "$TARGET" 2>/dev/null
		wait "$TARGET"
		status=$?
		wait "$RECORDER" || { fail "$name: recorder" "$(tail -n1 "$TMP/record.err")"; return; }
		[ $status = 0 ] && break
		echo "note  $name: the program itself failed (status $status), try $try"
	done
	[ $status = 0 ] || fail "$name: target" "ended with status $status in each of five runs"
	check "$name" "$LIVE/compare" --any-order --need malloc,calloc,realloc,aligned,free "$TMP/t.tape" "$log"
	if grep -qE 'inside [1-9]' "$TMP/target.out" &&
		[ "$(json "$TMP/record.json" "(d['implied_frees'], d['unknown_frees'])")" = "(0, 0)" ]; then
		pass "$name: $(cat "$TMP/target.out"), every block born and freed once"
	else
		fail "$name: every block born and freed once" "$(cat "$TMP/target.out" "$TMP/record.json")"
	fi
	rm -rf "$log"
}

truth_redis() {
	local name=$1 log="$TMP/log$((++case_nr))" port=$((20000 + RANDOM % 20000)) events
	command -v redis-server >/dev/null || { skip "$name" "no redis-server on this machine"; return; }
	mkdir "$log"
	ORACLE_NEW=jemalloc ORACLE_DIR="$log" LD_PRELOAD="$LIVE/liboracle.so" redis-server --port $port --save '' \
		--dir "$TMP" >/dev/null 2>&1 &
	TARGET=$!
	PIDS+=("$TARGET")
	for _ in $(seq 50); do redis-cli -p $port ping >/dev/null 2>&1 && break; sleep 0.1; done
	start_recorder -p "$TARGET" -o "$TMP/t.tape" -f --json >"$TMP/record.json" || { fail "$name" "no recorder"; return; }
	redis-benchmark -p $port -t set,lpush,lpop,sadd,hset -n "$REDIS_REQUESTS" -d 120 -r 100000 -q >/dev/null 2>&1
	redis-cli -p $port flushall >/dev/null 2>&1
	kill "$TARGET"
	wait "$TARGET" 2>/dev/null
	wait "$RECORDER" || { fail "$name: recorder" "$(tail -n1 "$TMP/record.err")"; return; }
	check "$name" "$LIVE/compare" --need malloc,calloc,realloc,free "$TMP/t.tape" "$log"
	"$HEAPTAPE" info "$TMP/t.tape" --json >"$TMP/info.json"
	events=$(json "$TMP/info.json" "d['events']['total']")
	if [ "${TRUTH_REDIS_EVENTS:-5000000}" -le "$events" ]; then pass "$name: $events events"; else
		fail "$name: events" "$events are fewer than $TRUTH_REDIS_EVENTS"
	fi
	rm -rf "$log" "$TMP/t.tape"
}

truth_lost() {
	local case log name
	# 16K is too little even for the check of the plans, which then are the simple ones; 128K is not.
	for case in "multi 16K eh" "multi 128K eh" "multi 16K none" "perf 16K eh" "perf 128K none"; do
		read -ra words <<<"$case"
		name="lost calls are counted exactly (${words[0]}, ${words[1]}, stacks ${words[2]})"
		log="$TMP/log$((++case_nr))"
		mkdir "$log"
		start_target env ORACLE_DIR="$log" LD_PRELOAD="$LIVE/liboracle.so" "$LIVE/all_calls" 4 "$ROUNDS"
		sleep 0.2
		HEAPTAPE_CACHE=off start_recorder -q -p "$TARGET" -o "$TMP/t.tape" -f --backend "${words[0]}" --buffer "${words[1]}" \
			--stacks "${words[2]}" || { fail "$name" "no recorder"; continue; }
		release_target
		wait "$TARGET"; wait "$RECORDER"
		check "$name" "$LIVE/compare" --lost "$TMP/t.tape" "$log"
		rm -rf "$log"
	done
}

# The plans that were checked must be the ones in use, and no plan of Debian's four allocators may have failed its check.
checked_plans() {
	local allocator lib
	for allocator in glibc jemalloc mimalloc tcmalloc; do
		lib=$(library $allocator)
		if [ $allocator != glibc ] && [ -z "$lib" ]; then
			skip "plans of $allocator are checked" "not on this machine"
			continue
		fi
		start_target env LD_PRELOAD="$lib" "$LIVE/all_calls" 1 500 no-pvalloc
		HEAPTAPE_CACHE=off start_recorder -v -p "$TARGET" -o "$TMP/t.tape" -f || { fail "plans of $allocator are checked" "no recorder"; continue; }
		release_target
		wait "$TARGET"; wait "$RECORDER"
		if grep -E "lib(c|$allocator|${allocator}_minimal)\.so.*: [0-9]+ plans hold in [0-9]+ known calls, 0 did not" "$TMP/record.err" >/dev/null &&
			! grep -q "not checked" "$TMP/record.err"; then
			pass "plans of $allocator are checked"
		else
			fail "plans of $allocator are checked" "$(grep plans "$TMP/record.err" | head -n2)"
		fi
	done
}

truth_levels() {
	start_target "$LIVE/own_allocator"
	start_recorder -p "$TARGET" -o "$TMP/t.tape" -f || { fail "sub-allocations" "no recorder"; return; }
	release_target
	wait "$TARGET"; wait "$RECORDER"
	"$HEAPTAPE" dump "$TMP/t.tape" >"$TMP/dump"
	"$HEAPTAPE" info "$TMP/t.tape" --json >"$TMP/info.json"
	local pools blocks
	pools=$(sed -n 's/pools \([0-9]*\) .*/\1/p' "$TMP/target.out")
	blocks=$(sed -n 's/.*blocks \([0-9]*\)/\1/p' "$TMP/target.out")
	if [ "$(json "$TMP/info.json" "d['events']['malloc']")" = "$pools" ]; then pass "pools are level 1"; else
		fail "pools are level 1" "$(json "$TMP/info.json" "d['events']") for $pools pools"
	fi
	# Blocks and half of them freed again.
	if [ "$(json "$TMP/info.json" "d['nested']")" = $((blocks + blocks / 2)) ]; then pass "blocks in them are level 2"; else
		fail "blocks in them are level 2" "$(json "$TMP/info.json" "d['nested']") nested for $blocks blocks"
	fi
}

truth_dlopen() {
	local lib n
	lib=$(library mimalloc)
	[ -n "$lib" ] || { skip "an allocator that comes by dlopen" "no mimalloc"; return; }
	start_target "$LIVE/dlopen_allocator" "$lib" 1234
	start_recorder -p "$TARGET" -o "$TMP/t.tape" -f || { fail "an allocator that comes by dlopen" "no recorder"; return; }
	release_target
	wait "$TARGET"; wait "$RECORDER"
	n=$("$HEAPTAPE" dump "$TMP/t.tape" | grep -c '"op":"malloc".*"size":100,.*"alloc":1')
	if [ "$n" = 1234 ]; then pass "an allocator that comes by dlopen"; else
		fail "an allocator that comes by dlopen" "$n of its 1234 calls are on the tape"
	fi
}

# What no scratch process can load is compared with the simple plans on the target itself.
compared_live() {
	local agreed="" try
	"$LIVE/churn_static" 20 2 >"$TMP/out" 2>&1 &
	TARGET=$!
	PIDS+=("$TARGET")
	sleep 0.3
	# On a busy machine one of the two now and then misses a single call of ten thousands, and the plan is not believed: the
	# safe side. Both functions must have been found the same in one of eight tries.
	for try in 1 2 3 4 5 6 7 8; do
		HEAPTAPE_CACHE=off "$HEAPTAPE" probe -p "$TARGET" --json >"$TMP/probe.json" 2>"$TMP/probe.err"
		agreed+=$(json "$TMP/probe.json" "' '.join([''] + [f['name'] for a in d['allocators'][:1] if a['check']['made'] == 'on the target' for f in a['functions'] if f['check'] == 'agreed on the target'])")
		[[ $agreed == *malloc* && $agreed == *free* ]] && break
	done
	end_target "$TARGET"
	check "plans of a static program are compared on the target" test "$try" -le 8 -a -n "$(echo "$agreed" | grep malloc | grep free)"
	echo "      agreed in $try tries:$agreed"
}

truth_static() {
	local calls
	"$HEAPTAPE" record -q -o "$TMP/t.tape" -f -- "$LIVE/churn_static" 0.2 1 >"$TMP/out" 2>"$TMP/record.err" ||
		{ fail "a static program" "$(tail -n1 "$TMP/record.err")"; return; }
	calls=$(sed -n 's/^calls \([0-9]*\) .*/\1/p' "$TMP/out")
	"$HEAPTAPE" info "$TMP/t.tape" --json >"$TMP/info.json"
	# The first free of each of 512 slots is free(NULL), which is nothing; the last loop frees each slot once. Beside that
	# libc makes some blocks of its own.
	check "a static program" /usr/bin/python3 -c "
import json; d = json.load(open('$TMP/info.json')); own = d['events']['total'] - $calls
assert 0 <= own < 64, (own, d)
assert d['events']['malloc'] > 1000 and d['lost']['total'] == 0, d"
}

names=("truth")
need_root "${names[@]}" || exit 0
for allocator in glibc jemalloc mimalloc tcmalloc; do
	words=()
	[ $allocator = jemalloc ] && words=(no-pvalloc)
	truth "C, all calls, $allocator, 1 thread" $allocator multi malloc,calloc,realloc,aligned,free,failed \
		"$LIVE/all_calls" 1 "$ROUNDS" "${words[@]}"
	truth "C, all calls, $allocator, 8 threads" $allocator multi malloc,calloc,realloc,aligned,free,failed \
		"$LIVE/all_calls" 8 $((ROUNDS / 2)) "${words[@]}"
	truth_signals $allocator auto
done
truth_signals glibc simple
truth "C, all calls, glibc, perf" glibc perf malloc,calloc,realloc,aligned,free,failed "$LIVE/all_calls" 4 "$ROUNDS"
PLANS=simple truth "C, all calls, glibc, simple plans" glibc multi malloc,calloc,realloc,aligned,free,failed "$LIVE/all_calls" 4 "$ROUNDS"
PLANS=simple truth "C, all calls, tcmalloc, simple plans" tcmalloc multi malloc,calloc,realloc,aligned,free,failed "$LIVE/all_calls" 4 "$ROUNDS"
PLANS=simple truth "C++, all forms, mimalloc, simple plans" mimalloc multi malloc,new,free "$LIVE/cxx_calls" 1000 no-throw
# Taking a perf event's probe away waits 45 ms, which the check of the plans does for hundreds: on that backend two allocators
# are enough for the checked plans, the others get the simple ones.
for backend in multi perf; do
	others=$([ $backend = multi ] && echo auto || echo simple)
	truth "C++, all forms, glibc, $backend" glibc $backend malloc,aligned,free,failed "$LIVE/cxx_calls" 1000
	truth "C++, all forms, jemalloc, $backend" jemalloc $backend malloc,new,aligned,free "$LIVE/cxx_calls" 1000
	PLANS=$others truth "C++, all forms, tcmalloc, $backend" tcmalloc $backend malloc,new,free "$LIVE/cxx_calls" 1000
	PLANS=$others truth "C++, all forms, mimalloc, $backend" mimalloc $backend malloc,new,free "$LIVE/cxx_calls" 1000 no-throw
done
truth_command "python3 from its first call" malloc,calloc,realloc,free env PYTHONMALLOC=malloc /usr/bin/python3 -c \
	'd = {i: str(i) * 3 for i in range(50000)}; l = [v for v in d.values() if len(v) > 9]; print(len(l))'
truth_command "sqlite3 from its first call" malloc,realloc,free /usr/bin/sqlite3 :memory: \
	"create table t(a,b); insert into t select value, hex(randomblob(20)) from generate_series(1,20000); select count(distinct b) from t;"
truth_command "a script by its interpreter" malloc,free /bin/sh -c 'x=$(printf %d 3); exec /usr/bin/sqlite3 :memory: "select $x;"'
truth_redis "redis-server under load"
truth_lost
checked_plans
truth_levels
truth_dlopen
truth_static
compared_live
