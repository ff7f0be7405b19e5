#!/usr/bin/env bash
# stacks.sh - call stacks on the tape against programs that know their own, and against the compiler's unwinder.
# STACKS_SAMPLES: samples that each program must give at least.
set -u
. "$ROOT/tests/lib.sh"

SAMPLES=${STACKS_SAMPLES:-2000}
ROUNDS=${STACKS_ROUNDS:-40}
ORACLE=$LIVE/libstack_oracle.so
PLUGINS="$LIVE/stack_plugin0.so $LIVE/stack_plugin1.so $LIVE/stack_plugin2.so"
# Rows of what the tests build do not stay behind.
export XDG_CACHE_HOME=$TMP/cache
mkdir "$XDG_CACHE_HOME"

# compared NAME ARGS...: like check, but what was compared is shown in any case.
compared() {
	local name=$1 out status
	shift
	out=$("$LIVE/compare_stacks" "$@" 2>&1)
	status=$?
	if [ $status = 0 ]; then pass "$name: $(printf '%s\n' "$out" | tail -n1)"; else
		fail "$name" "$(printf '%s\n' "$out" | tail -n1)"
		printf '%s\n' "$out" | head -n 40 | sed 's/^/      /'
	fi
}

# known NAME LEAST PROGRAM ARGS...: every stack equals what the program knows.
known() {
	local name=$1 least=$2
	shift 2
	rm -f "$TMP/log"
	if ! STACK_LOG=$TMP/log "$HEAPTAPE" record -q -f -o "$TMP/t.tape" --max-frames 200 -- "$@" >"$TMP/out" 2>"$TMP/record.err" \
		</dev/null; then
		fail "$name" "$(tail -n1 "$TMP/record.err")"
		return
	fi
	compared "$name" --least "$least" "$TMP/t.tape" "$TMP/log"
}

# A plugin in the place of another, while it is recorded and not held: what is not known yet is cut, never wrong.
plugins_live() {
	local name="plugins come and go in a running program" bases
	rm -f "$TMP/log"
	STACK_WAIT=1 STACK_LOG=$TMP/log start_target "$LIVE/stack_cases_pie" "$ROUNDS" $PLUGINS
	sleep 0.2
	start_recorder -p "$TARGET" -o "$TMP/t.tape" -f || { fail "$name" "no recorder"; return; }
	release_target
	wait "$TARGET"
	wait "$RECORDER"
	compared "$name" --cut-ok --least 500 "$TMP/t.tape" "$TMP/log"
	bases=$(awk '/^plugin/ { print substr($2, 1, length($2) - 3) }' "$TMP/target.out" | sort -u | wc -l)
	if [ "$bases" = 1 ]; then pass "all plugins lay at one address"; else
		skip "all plugins lay at one address" "the loader chose $bases"
	fi
}

# sampled NAME EVERY CMD...: against the compiler's unwinder, at every EVERYth allocation. A stack may be cut by what the machine
# does meanwhile (a page of the stack that is just being moved cannot be read), so a run that has only cuts too many, which are
# counted as such, is shown with their causes and has a second try; anything else that is wrong has none.
sampled() {
	local name=$1 every=$2 try
	shift 2
	command -v "$1" >/dev/null || { skip "$name" "no $1 on this machine"; return; }
	for try in 1 2; do
		rm -f "$TMP/log"
		if ! "$HEAPTAPE" record -q -f -o "$TMP/t.tape" --max-frames 500 -- env STACK_LOG="$TMP/log" STACK_EVERY="$every" \
			LD_PRELOAD="$ORACLE" "$@" </dev/null >"$TMP/out" 2>"$TMP/record.err"; then
			fail "$name" "$(tail -n1 "$TMP/record.err")"
			return
		fi
		[ $try = 2 ] || "$LIVE/compare_stacks" --least "$SAMPLES" --share 99.5 "$TMP/t.tape" "$TMP/log" >/dev/null 2>&1 && break
		"$LIVE/compare_stacks" --cut-ok --least "$SAMPLES" "$TMP/t.tape" "$TMP/log" >/dev/null 2>&1 || break
		"$HEAPTAPE" info "$TMP/t.tape" --json >"$TMP/info.json"
		printf 'note  %s: a second try, stacks were cut: %s\n' "$name" "$(json "$TMP/info.json" "d['stacks']['cut']")"
	done
	compared "$name" --least "$SAMPLES" --share 99.5 "$TMP/t.tape" "$TMP/log"
}

sampled_redis() {
	local name="redis-server" port=$((20000 + RANDOM % 20000))
	command -v redis-server >/dev/null || { skip "$name" "no redis-server on this machine"; return; }
	rm -f "$TMP/log"
	STACK_LOG=$TMP/log STACK_EVERY=20 LD_PRELOAD=$ORACLE redis-server --port $port --save '' --dir "$TMP" >/dev/null 2>&1 &
	TARGET=$!
	PIDS+=("$TARGET")
	for _ in $(seq 50); do redis-cli -p $port ping >/dev/null 2>&1 && break; sleep 0.1; done
	start_recorder -p "$TARGET" -o "$TMP/t.tape" -f || { fail "$name" "no recorder"; return; }
	redis-benchmark -p $port -t set,lpush,lpop,sadd,hset -n 30000 -d 120 -r 10000 -q >/dev/null 2>&1
	kill "$TARGET"
	wait "$TARGET" 2>/dev/null
	wait "$RECORDER"
	compared "$name" --least "$SAMPLES" --share 99.5 "$TMP/t.tape" "$TMP/log"
}

cc1plus_of_gcc() { gcc -print-prog-name=cc1plus 2>/dev/null; }

# None, and both kinds of call, as asked.
modes() {
	"$HEAPTAPE" record -q -f -o "$TMP/t.tape" --stacks none -- "$LIVE/stack_cases_pie" 3 >/dev/null 2>&1
	"$HEAPTAPE" info "$TMP/t.tape" --json >"$TMP/info.json"
	check "--stacks none: no event has one" test "$(json "$TMP/info.json" "d['stacks']['events_with']")" = 0
	"$HEAPTAPE" record -q -f -o "$TMP/t.tape" --free-stacks -- "$LIVE/stack_cases_pie" 3 >/dev/null 2>&1
	"$HEAPTAPE" dump "$TMP/t.tape" >"$TMP/dump"
	check "--free-stacks: frees have one" test "$(grep '"op":"free"' "$TMP/dump" | grep -vc '"stack"')" = 0
	check "and so do allocations" test "$(grep '"op":"malloc"' "$TMP/dump" | grep -vc '"stack"')" = 0
	"$HEAPTAPE" record -q -f -o "$TMP/t.tape" --max-frames 5 -- "$LIVE/stack_cases_pie" 3 >/dev/null 2>&1
	"$HEAPTAPE" info "$TMP/t.tape" --json >"$TMP/info.json"
	check "--max-frames cuts, and says so" test "$(json "$TMP/info.json" "d['stacks']['truncated'] > 0 and d['stacks']['cut']['max_frames'] > 0")" = True
}

# A ring too small for new stacks: an event may go without its stack, but never with another's.
lost_stacks() {
	local name="stacks lost with a full ring are counted"
	rm -f "$TMP/log"
	STACK_LOG=$TMP/log "$HEAPTAPE" record -q -f -o "$TMP/t.tape" --buffer 16K --max-frames 200 -- "$LIVE/stack_cases_pie" 200 \
		</dev/null >/dev/null 2>"$TMP/record.err"
	"$LIVE/compare_stacks" --cut-ok "$TMP/t.tape" "$TMP/log" >"$TMP/out" 2>&1
	check "$name" grep -qE "^[0-9]+ stacks compared: [0-9]+ equal, .* 0 truncated, 0 too short, 0 too long, 0 differ" "$TMP/out"
}

names=("stacks")
need_root "${names[@]}" || exit 0
known "C, position independent, plugins" 1000 "$LIVE/stack_cases_pie" "$ROUNDS" $PLUGINS
known "C, at a fixed address, plugins" 1000 "$LIVE/stack_cases_non_pie" "$ROUNDS" $PLUGINS
known "C, static" 1000 "$LIVE/stack_cases_static" "$ROUNDS"
known "C++, virtual calls and exceptions" 1000 "$LIVE/stack_cases_cxx" 100
plugins_live
modes
lost_stacks
sampled "python3" 4 /usr/bin/python3 -c 'import json, re
d = {i: str(i) * 300 for i in range(3000)}; l = json.loads(json.dumps(d)); [re.compile("a%d+b" % i) for i in range(60)]'
sampled "perl" 10 perl -e 'my %h; for my $i (1..20000) { $h{"k$i"} = "v" x ($i % 300); }
my @s = sort { $h{$a} cmp $h{$b} } keys %h; my $x = join ",", map { s/k/j/r } @s; print length $x;'
sampled "sqlite3" 10 sqlite3 :memory: "create table t(a, b); insert into t select value, hex(randomblob(20)) from
generate_series(1, 20000); select count(distinct b) from t; select sum(length(b)) from t group by a % 100 order by 1 limit 3;"
printf '#include <map>\n#include <string>\nint main() { std::map<std::string, int> m; m["a"] = 1; return (int)m.size(); }\n' >"$TMP/x.cc"
sampled "cc1plus" 60 "$(cc1plus_of_gcc)" -quiet -O1 -D_GNU_SOURCE "$TMP/x.cc" -o /dev/null -imultiarch x86_64-linux-gnu
sampled "node" 20 node -e 'let a = []; for (let i = 0; i < 10000; i++) a.push(JSON.parse(JSON.stringify({ x: i, s: "y".repeat(i % 100) })));
const z = require("zlib"); for (let i = 0; i < 300; i++) z.deflateSync(Buffer.alloc(2000, i)); console.log(a.length)'
sampled_redis
