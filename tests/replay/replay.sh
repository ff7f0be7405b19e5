#!/usr/bin/env bash
# replay.sh - heaptape replay as a person calls it: results, refusals, exit statuses, JSON keys, and no rights needed.
# By itself: ROOT=. BUILD=build bash tests/replay/replay.sh
set -u
RESULTS=${RESULTS:-/dev/null}
. "$ROOT/tests/lib.sh"

allocators=$BUILD/replay-allocators
chmod 755 "$TMP" # nobody has to get at tapes in it

# Runs heaptape; status, out and err hold what came of it.
run() {
	"$HEAPTAPE" "$@" >"$TMP/out" 2>"$TMP/err"
	status=$?
	err=$(cat "$TMP/err")
}

# One line on stderr, the status wanted, and nothing on stdout.
refused() { # WHAT STATUS PATTERN ARGS...
	local what=$1 want=$2 pattern=$3
	shift 3
	run "$@"
	if [ "$status" = "$want" ] && [ ! -s "$TMP/out" ] && [ "$(wc -l <"$TMP/err")" = 1 ] && [[ $err == *"$pattern"* ]]; then
		pass "refused: $what"
	else
		fail "refused: $what" "status $status instead of $want, stderr: $err"
	fi
}

is() { # NAME PYTHON-EXPRESSION: true of the JSON that was printed last
	local got
	got=$(json "$TMP/out" "$2" 2>&1)
	if [ "$got" = True ]; then pass "$1"; else fail "$1" "$2 is $got"; fi
}

tape() { # NAME ARGS...: makes $TMP/NAME.tape
	local name=$1
	shift
	"$BUILD/make_tape" "$TMP/$name.tape" "$@" >/dev/null || { fail "make_tape" "$name"; exit 1; }
}

test_json() {
	run replay "$TMP/threads.tape" --json --verify --alloc glibc --alloc glibc,MALLOC_ARENA_MAX=1
	check "replay of a tape with 4 threads, verified: exit status 0" [ "$status" = 0 ]
	is "all promised keys are there" '{"tape","order","pace","clock","touch","repeat","cpu_map","warnings","results"} <= set(d)'
	is "and in each result" 'all({"allocator","events","wall_ns","cpu_ns","peak_resident","end_resident","process_resident","end_split","page_faults","not_applicable","timeline"} <= set(r) for r in d["results"])'
	is "and of the allocator" 'all({"name","path","build_id","settings"} <= set(r["allocator"]) for r in d["results"])'
	is "the parts of the split add up to what is resident" 'all(sum(r["end_split"][k] for k in ("requested","internal","holes","retained","metadata")) == r["end_split"]["resident"] for r in d["results"])'
	is "size classes hold all that lives" 'all(sum(c["requested"] for c in r["end_size_classes"]) == d["plan"]["live_at_end"] for r in d["results"])'
	is "pages are never more than full" 'all(0 < c["occupancy"] <= 1 for r in d["results"] for c in r["peak_size_classes"] if c["usable"])'
	is "settings are told" 'd["results"][1]["allocator"]["settings"] == {"MALLOC_ARENA_MAX": "1"}'
	is "no event is missing" 'all(r["events"] == 40000 for r in d["results"])'
	is "every object was verified" 'all(r["verified"] for r in d["results"])'
	is "curves stand at the same moments" 'len(set(tuple(p["ns"] for p in r["timeline"]) for r in d["results"])) == 1'
	is "the timeline ends with the tape" 'd["results"][0]["timeline"][-1]["ns"] == d["plan"]["last_ns"]'
}

test_losses() {
	run replay "$TMP/lost.tape" --json --alloc glibc --alloc "$allocators/alloc_bump.so"
	is "lost calls are a warning in every result" 'all(any(w.startswith("7 calls were lost") for w in r["warnings"]) for r in d["results"])'
}

test_failures_side_by_side() {
	run replay "$TMP/small.tape" --json --alloc "$allocators/alloc_crash.so" --alloc glibc --alloc "$allocators/versioned.so" \
		--alloc "$allocators/needs_gone.so" --alloc "$allocators/alloc_null.so"
	check "one failing allocator makes the exit status 1" [ "$status" = 1 ]
	is "each failure is its allocator's result" '[r.get("error",{}).get("kind") for r in d["results"]] == ["crashed", None, "not_in_force", "not_loaded", "out_of_memory"]'
	is "and brings no figures" 'all(("error" in r) != ("wall_ns" in r) for r in d["results"])'
	run replay "$TMP/small.tape" --json --verify --alloc "$allocators/alloc_overlap.so" \
		--alloc "$allocators/alloc_misaligned.so" --alloc "$allocators/alloc_corrupt.so"
	is "the shadow model tells what is wrong" '[r["error"]["kind"] for r in d["results"]] == ["overlap", "misaligned", "corrupt"]'
	run replay "$TMP/small.tape" --json --alloc "$allocators/alloc_minimal.so"
	is "without malloc_usable_size internal waste is null" 'd["results"][0]["end_split"]["internal"] is None'
	is "and a warning says so" 'any("usable" in w for w in d["results"][0]["warnings"])'
	run replay "$TMP/small.tape" --json --timeout 1 --alloc "$allocators/alloc_hang.so"
	is "an allocator that hangs is given up" 'd["results"][0]["error"]["kind"] == "hang"'
}

test_refusals() {
	refused "a variable of the dynamic linker as a setting" 2 "dynamic linker" replay "$TMP/small.tape" --alloc glibc,LD_PRELOAD=/x
	refused "no tape" 2 "no tape was named" replay
	refused "unknown option value" 2 "--order sideways" replay "$TMP/small.tape" --order sideways
	refused "unknown allocator" 2 "nosuchmalloc" replay "$TMP/small.tape" --alloc nosuchmalloc
	refused "missing file" 1 "No such file" replay "$TMP/small.tape" --alloc /nonexistent/liballoc.so
	refused "file that is no object" 1 "no ELF" replay "$TMP/small.tape" --alloc /etc/passwd
	refused "object without malloc" 1 "exports no malloc" replay "$TMP/small.tape" --alloc "$allocators/without_malloc.so"
	refused "missing tape" 1 "nonexistent.tape" replay "$TMP/nonexistent.tape" --alloc glibc
	refused "file that is no tape" 1 "/etc/passwd" replay /etc/passwd --alloc glibc
	refused "tape that needs more memory than there is" 1 "are free here" replay "$TMP/huge.tape" --alloc glibc
	local so32
	so32=$(find /lib/i386-linux-gnu /lib32 /usr/lib32 -name 'libc.so.6' 2>/dev/null | head -n1)
	if [ -n "$so32" ]; then
		refused "32-bit object" 1 "32-bit" replay "$TMP/small.tape" --alloc "$so32"
	else
		printf '\177ELF\001\001\001\000\000\000\000\000\000\000\000\000\003\000\003\000\001\000\000\000' >"$TMP/elf32.so"
		head -c 200 /dev/zero >>"$TMP/elf32.so"
		refused "32-bit object" 1 "32-bit" replay "$TMP/small.tape" --alloc "$TMP/elf32.so"
	fi
}

test_memory_limit() {
	(ulimit -v 600000 && "$HEAPTAPE" replay "$TMP/growing.tape" --json --alloc glibc -f >"$TMP/out" 2>"$TMP/err")
	check "an address space limit ends in status 1" [ $? = 1 ]
	is "and is told as want of memory" 'd["results"][0]["error"]["kind"] == "out_of_memory"'
}

test_pace() {
	local begin end
	begin=$(date +%s%N)
	run replay "$TMP/small.tape" --pace 0.1x --alloc glibc
	end=$(date +%s%N)
	# 20,000 events 1 us apart, ten times slower, measured and timed: two runs of 0.2 s
	check "--pace 0.1x takes ten times the tape's time" [ $(((end - begin) / 1000000)) -ge 400 ]
	run replay "$TMP/small.tape" --alloc glibc
	check "the table is printed" grep -q "peak.*retained" "$TMP/out"
}

test_clock() {
	if [ -z "$(library jemalloc)" ]; then
		skip "jemalloc purges by tape time" "jemalloc is not installed"
		return
	fi
	# It purges by random numbers drawn from addresses, too: where the layout is fixed, every run does the same.
	local run_nr tape_time real_time=0 least=0 first=0 same=0
	for run_nr in 1 2 3; do
		run replay "$TMP/decay.tape" --json --alloc jemalloc --clock real
		real_time=$(json "$TMP/out" 'd["results"][0]["end_resident"]')
		[ "$least" != 0 ] && [ "$real_time" -gt "$least" ] || least=$real_time
	done
	for run_nr in 1 2 3 4 5; do
		run replay "$TMP/decay.tape" --json --alloc jemalloc
		tape_time=$(json "$TMP/out" 'd["results"][0]["end_resident"]')
		[ "$first" != 0 ] || first=$tape_time
		[ "$tape_time" = "$first" ] && same=$((same + 1))
	done
	# On another machine the fixed layout may be one with which it does not get to it: then some other one does (measured: 8 of 30).
	tape_time=$first
	for run_nr in $(seq 40); do
		[ $((tape_time * 10)) -lt "$least" ] && break
		run replay "$TMP/decay.tape" --json --alloc jemalloc --layout random
		tape_time=$(json "$TMP/out" 'd["results"][0]["end_resident"]')
	done
	check "jemalloc purges by tape time, not by ours" [ $((tape_time * 10)) -lt "$least" ]
	check "and the same in each run" [ "$same" = 5 ]
	run replay "$TMP/decay.tape" --json --alloc jemalloc --layout random
	is "--layout random is said" 'd["layout"] == "random"'
}

# A plan is kept beside its tape, used again, and made anew whenever it would be another one.
test_plan_cache() {
	local kept="$TMP/kept.tape"
	cp "$TMP/small.tape" "$kept"
	run replay "$kept" --json --alloc glibc
	check "the plan is kept, and said so" grep -q "kept in .*kept.tape.plan" "$TMP/err"
	cp "$TMP/out" "$TMP/first"
	run replay -v "$kept" --json --alloc glibc
	check "and taken the next time" grep -q "taken from .*kept.tape.plan" "$TMP/err"
	check "with the same facts and checkpoints" cmp <(json "$TMP/out" '(d["plan"], [(p["ns"], p["live"]) for p in d["results"][0]["timeline"]])') \
		<(json "$TMP/first" '(d["plan"], [(p["ns"], p["live"]) for p in d["results"][0]["timeline"]])')
	for other in "--touch none" "--skew 5ms" "--order strict" "--at 1ms"; do
		run replay -v "$kept" --json --alloc glibc $other
		check "not with $other" grep -q "kept in .*kept.tape.plan" "$TMP/err"
	done
	cp "$TMP/threads.tape" "$kept"
	run replay -v "$kept" --json --alloc glibc
	check "not for another tape of that name" grep -q "kept in .*kept.tape.plan" "$TMP/err"
	chmod g+w "$kept.plan"
	run replay -v "$kept" --json --alloc glibc
	check "not if others may write to it" grep -q "kept in .*kept.tape.plan" "$TMP/err"
	truncate -s -100 "$kept.plan"
	run replay -v "$kept" --json --alloc glibc
	check "not if a part of it is missing" grep -q "kept in .*kept.tape.plan" "$TMP/err"
	echo mine >"$kept.plan"
	run replay "$kept" --json --alloc glibc
	check "what is no plan stays as it is" [ "$status$(cat "$kept.plan")" = 0mine ]
	check "and that is said" grep -q "is no plan of heaptape's" "$TMP/err"
	rm "$kept.plan"
	run replay "$kept" --json --alloc glibc --plan-cache off
	check "--plan-cache off keeps none" [ ! -e "$kept.plan" ]
}

# Everything but times: what a reader of two results would compare.
without_times() { # < JSON
	/usr/bin/python3 -c '
import json, sys
def strip(x):
    if isinstance(x, dict): return {k: strip(v) for k, v in x.items() if not any(w in k for w in ("wall", "cpu_ns", "_per_s", "spread", "runs", "verdict", "ticks", "process_", "page_faults", "switches", "latency", "warnings", "syscalls"))}
    return [strip(v) for v in x] if isinstance(x, list) else x
print(json.dumps(strip(json.load(sys.stdin)), sort_keys=True))'
}

test_kept_plan_result() {
	rm -f "$TMP/single.tape.plan"
	run replay "$TMP/single.tape" --json --alloc glibc
	without_times <"$TMP/out" >"$TMP/compiled"
	is "the recorded allocator is known" 'd["results"][0]["recorded"]'
	run replay "$TMP/single.tape" --json --alloc glibc
	check "a kept plan gives the same result" cmp "$TMP/compiled" <(without_times <"$TMP/out")
	check "and no warning of its own" [ ! -s "$TMP/err" ]
}

# Runs at once, on CPUs of their own: the same memory as one after the other.
test_jobs() {
	local cpus
	cpus=$(nproc)
	refused "no job" 2 "--jobs wants" replay "$TMP/single.tape" --jobs 0
	refused "no such executor" 2 "--executor is" replay "$TMP/single.tape" --executor pbs
	run replay "$TMP/single.tape" --json --alloc glibc --alloc "$allocators/alloc_bump.so" --repeat 3 --verify --latency on
	without_times <"$TMP/out" >"$TMP/one"
	run replay "$TMP/single.tape" --json --alloc glibc --alloc "$allocators/alloc_bump.so" --repeat 3 --verify --latency on --jobs "$cpus"
	check "--jobs: the same memory as one after the other" cmp "$TMP/one" <(without_times <"$TMP/out")
	is "--jobs: each timed run is there" 'all(len(r["runs"]) == 3 for r in d["results"])'
	if [ "$cpus" -gt 1 ]; then is "--jobs: it is said that times are disturbed" 'any("at once" in w for w in d["warnings"])'; fi
	run replay "$TMP/single.tape" --json --alloc glibc --jobs $((cpus + 1))
	check "--jobs: fewer at once where CPUs lack, and said so" grep -q "$cpus at once" "$TMP/err"
	run replay "$TMP/single.tape" --json --alloc "$allocators/alloc_crash.so" --alloc glibc --jobs 2
	is "--jobs: a failure is that allocator's alone" 'd["results"][0]["error"] and not d["results"][1].get("error")'
}

test_csv() {
	run replay "$TMP/small.tape" --csv --alloc glibc --alloc "$allocators/alloc_null.so"
	check "CSV: as many fields in each line as names" /usr/bin/python3 -c '
import csv, sys
lines = list(csv.reader(open(sys.argv[1])))
assert len(lines) == 3 and all(len(line) == len(lines[0]) for line in lines), lines
row = dict(zip(lines[0], lines[1]))
assert int(row["peak_resident"]) > 0 and row["error"] == "" and lines[2][2] != "", row' "$TMP/out"
}

test_steer() {
	run replay "$TMP/trim.tape" --json --alloc glibc --alloc glibc,MALLOC_TOP_PAD_=1 --alloc mimalloc
	is "malloc_trim is played on the allocator it was made for" 'd["plan"]["steers"] == 3 and d["plan"]["steers_played"] == 1 and d["results"][0]["peak_resident"] > 60 << 20 > 8 * d["results"][0]["end_resident"]'
	is "with other settings too" 'd["results"][1]["end_resident"] * 8 < 60 << 20'
	is "for others it is counted" '[r["not_applicable"] for r in d["results"]] == [2, 2, 3]'
	is "and told" 'any(w.startswith("1 calls that steer") for w in d["warnings"]) and any(w.startswith("2 calls that steer or ask") for w in d["warnings"])'
}

test_at() {
	run replay "$TMP/small.tape" --json --alloc glibc --at 1ms,3ms,900s
	is "--at measures at those moments that the tape has" '{1000000, 3000000} <= set(p["ns"] for p in d["results"][0]["timeline"]) and len(d["results"][0]["timeline"]) == 202'
	is "in order" '[p["ns"] for p in d["results"][0]["timeline"]] == sorted(p["ns"] for p in d["results"][0]["timeline"])'
	refused "a moment that is no time" 2 "--at 1s,x" replay "$TMP/small.tape" --at 1s,x
}

test_verdicts() {
	run replay "$TMP/small.tape" --json --alloc glibc --alloc "$allocators/alloc_bump.so" --repeat 5
	is "one result is the reference" '[r["verdicts"]["peak_resident"]["verdict"] for r in d["results"]][0] == "reference"'
	is "an allocator that gives nothing back differs, after 5 runs" 'd["results"][1]["verdicts"]["peak_resident"]["verdict"] == "differs" and d["results"][1]["verdicts"]["peak_resident"]["p"] < 0.05'
	run replay "$TMP/small.tape" --json --alloc glibc --alloc glibc,MALLOC_ARENA_MAX=8 --repeat 5
	is "the same allocator twice: no difference in memory" 'd["results"][1]["verdicts"]["peak_resident"]["verdict"] == "no difference shown"'
	run replay "$TMP/small.tape" --json --alloc glibc --alloc "$allocators/alloc_bump.so" --repeat 2
	is "two runs are too few" 'd["results"][1]["verdicts"]["peak_resident"]["verdict"] == "too few runs"'
}

test_unprivileged() {
	if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null; then
		skip "as nobody, without any capability" "needs root and setpriv to become somebody else"
		return
	fi
	cp "$TMP/threads.tape" "$TMP/open.tape"
	chmod 644 "$TMP/open.tape"
	# The build may stand where nobody can look.
	mkdir "$TMP/bin" && cp "$HEAPTAPE" "$BUILD/heaptape-player" "$TMP/bin/" && chmod -R a+rx "$TMP/bin"
	: >"$TMP/out" && chmod 666 "$TMP/out"
	(cd / && setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set=-all \
		"$TMP/bin/heaptape" replay "$TMP/open.tape" --json --alloc glibc) >"$TMP/out" 2>"$TMP/err"
	check "as nobody, without any capability: exit status 0" [ $? = 0 ]
	is "with the same figures" 'd["results"][0]["end_split"]["resident"] == d["results"][0]["end_resident"] > 0'
}

tape small plain 20000 1000 2
tape threads threads 40000 1000 4
tape huge huge 100
tape growing growing 4000
tape decay decay 20000
tape lost lost 2000
tape trim trim
tape single single 50000 2000 1
test_json
test_losses
test_failures_side_by_side
test_refusals
test_memory_limit
test_pace
test_clock
test_plan_cache
test_kept_plan_result
test_jobs
test_csv
test_steer
test_at
test_verdicts
test_unprivileged
