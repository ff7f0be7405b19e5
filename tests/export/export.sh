#!/usr/bin/env bash
# export.sh - heaptape export: all formats and metrics of tapes with known stacks, read back by readers of their own.
# By itself: ROOT=. BUILD=build bash tests/export/export.sh
# HEAPTAPE_GOLDEN=write makes tests/golden/export.* anew.
set -u
RESULTS=${RESULTS:-/dev/null}
. "$ROOT/tests/lib.sh"

here=$ROOT/tests/export
golden=$ROOT/tests/golden
python=/usr/bin/python3
declare -A types=([allocated-bytes]=alloc_space [allocated-count]=alloc_objects [live-bytes]=inuse_space [live-count]=inuse_objects)
unset DEBUGINFOD_URLS

run() {
	"$HEAPTAPE" "$@" >"$TMP/out" 2>"$TMP/err"
	status=$?
	err=$(cat "$TMP/err")
}
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
same() { # NAME FILE FILE
	if cmp -s "$2" "$3"; then pass "$1"; else
		fail "$1" "they differ"
		diff "$2" "$3" | head -n 10 | sed 's/^/      /'
	fi
}
equal() { # NAME GOT WANT
	if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "'$2' instead of '$3'"; fi
}
sum_of() { awk '{ n += $NF } END { print n + 0 }' "$1"; }
tape() { # NAME ARGS...
	local name=$1
	shift
	"$BUILD/make_profile" "$TMP/$name.tape" "$@" || { fail "make_profile" "$name"; exit 1; }
}

# ---- all formats and metrics of one tape, against each other and against info and dump ----
check_tape() { # NAME
	local name=$1 metric
	run info --json "$TMP/$name.tape"
	cp "$TMP/out" "$TMP/info.json"
	"$HEAPTAPE" dump "$TMP/$name.tape" >"$TMP/dump.ndjson"
	"$HEAPTAPE" export "$TMP/$name.tape" --format pprof -o "$TMP/$name.pb.gz" -f 2>/dev/null
	: >"$TMP/$name.all"
	for metric in allocated-bytes allocated-count live-bytes live-count; do
		"$HEAPTAPE" export "$TMP/$name.tape" --format folded --metric "$metric" >"$TMP/folded" 2>/dev/null ||
			fail "$name $metric as folded stacks" "it failed"
		{ echo "# $metric"; cat "$TMP/folded"; } >>"$TMP/$name.all"
		"$HEAPTAPE" export --format speedscope --metric "$metric" "$TMP/$name.tape" >"$TMP/speedscope.json" 2>/dev/null
		$python "$here/read_speedscope.py" "$TMP/speedscope.json" >"$TMP/read" 2>&1
		same "$name $metric: speedscope and folded stacks agree" "$TMP/read" "$TMP/folded"
		$python "$here/read_pprof.py" "$TMP/$name.pb.gz" "${types[$metric]}" >"$TMP/read" 2>&1
		same "$name $metric: pprof and folded stacks agree" "$TMP/read" "$TMP/folded"
		go_agrees "$name" "$metric"
		case $metric in
		allocated-bytes) equal "$name $metric: the sum is info's" "$(sum_of "$TMP/folded")" "$(json "$TMP/info.json" 'd["requested_bytes"]')" ;;
		allocated-count) equal "$name $metric: the sum is dump's" "$(sum_of "$TMP/folded")" "$(count_dump)" ;;
		live-bytes) equal "$name $metric: the sum is info's" "$(sum_of "$TMP/folded")" "$(json "$TMP/info.json" 'd["live_at_end"]["bytes"]')" ;;
		live-count) equal "$name $metric: the sum is info's" "$(sum_of "$TMP/folded")" "$(json "$TMP/info.json" 'd["live_at_end"]["objects"]')" ;;
		esac
	done
}

count_dump() { # calls that allocate, neither failed nor level 2
	$python -c '
import json, sys
ops = {"malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign", "valloc", "pvalloc", "new"}
print(sum(e["op"] in ops and not e.get("failed") and not e.get("sub") for e in map(json.loads, open(sys.argv[1], encoding="utf-8"))))
' "$TMP/dump.ndjson"
}

# Go's tool is not installed for this: where it is, it must read the file and come to the same sum.
go_agrees() { # NAME METRIC
	local total
	if ! command -v go >/dev/null; then
		[ -n "${go_told:-}" ] || skip "go tool pprof" "no go on this machine; the profile is read by tests/export/read_pprof.py"
		go_told=1
		return
	fi
	total=$(HOME=$TMP timeout 60 go tool pprof -raw "$TMP/$1.pb.gz" 2>&1 | awk -v type="${types[$2]}" '
		$1 ~ /^[a-z_]+\/[a-z]+/ && !at { for (i = 1; i <= NF; i++) if (index($i, type "/") == 1) at = i; next }
		/^Locations/ { at = 0; over = 1 }
		at && !over { sub(/:.*/, ""); n += $at }
		END { print n + 0 }')
	equal "$1 $2: go tool pprof reads the same sum" "$total" "$(sum_of "$TMP/folded")"
}

golden_text() { # NAME FILE
	if [ "${HEAPTAPE_GOLDEN:-}" = write ]; then cp "$2" "$golden/$1"; fi
	same "golden $1" "$2" "$golden/$1"
}

tape embedded embedded
check_tape embedded
golden_text export.folded "$TMP/embedded.all"
"$HEAPTAPE" export "$TMP/embedded.tape" --format speedscope >"$TMP/out"
golden_text export.speedscope.json "$TMP/out"
tape unnamed
check_tape unnamed
golden_text export.unnamed.folded "$TMP/unnamed.all"
equal "pprof's default is the metric" "$("$HEAPTAPE" export "$TMP/embedded.tape" --format pprof --metric live-count | $python "$here/read_pprof.py" /dev/stdin)" inuse_objects
"$HEAPTAPE" export "$TMP/embedded.tape" --format pprof >"$TMP/again.gz"
same "pprof is the same each time" "$TMP/again.gz" "$TMP/embedded.pb.gz"
run export "$TMP/unnamed.tape" --format folded
[[ $err == *"5 of 5 places have no name"*"--debug-dir"* ]] && pass "names that lack are told of" || fail "names that lack are told of" "$err"
run export "$TMP/embedded.tape" --format folded
[ -z "$err" ] && pass "with embedded names nothing lacks" || fail "with embedded names nothing lacks" "$err"

# ---- dump --stacks: the same names, event by event ----
"$HEAPTAPE" dump --stacks "$TMP/embedded.tape" >"$TMP/dump.ndjson" 2>"$TMP/err"
"$HEAPTAPE" dump --stacks --format csv "$TMP/embedded.tape" >"$TMP/dump.csv" 2>>"$TMP/err"
$python - "$TMP/dump.ndjson" "$TMP/dump.csv" <<'P' && pass "dump --stacks" || fail "dump --stacks"
import json, sys, urllib.parse
events = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
rows = open(sys.argv[2], encoding="utf-8").read().splitlines()[1:]
assert len(events) == len(rows)
for event, row in zip(events, rows):
    detail = dict(part.split("=", 1) for part in row.split(",")[10].split() if "=" in part)
    assert ("frames" in event) == ("stack" in event) == ("frames" in detail), (event, row)
    if "frames" in event:
        assert [urllib.parse.unquote(f) for f in detail["frames"].split(";")] == event["frames"], (event, row)
assert events[0]["frames"] == ["malloc", 'shop::add(int; char) (/src/"shop".cc:12)', "main (/src/main\u00ff.cc:3)"], events[0]
assert events[1]["frames"][1:4] == ["shop::inner<int>() (/src/inline.h:7)", "shop::grow up (/src/shop.cc:40)",
                                    "LazyCompile:*add /app/a.js:3"], events[1]
P
"$HEAPTAPE" dump "$TMP/embedded.tape" | grep -q frames && fail "dump without --stacks" "it has frames" || pass "dump without --stacks"

# ---- a real program, whose names come from its files ----
cat >"$TMP/shop.c" <<'C'
#define MARK(name) __asm__ volatile(".globl " #name "\n" #name ": nop" : : : "memory")
static inline __attribute__((always_inline)) void deep(void) { MARK(mark_inner); }
__attribute__((noinline)) void work(int n) { while (n--) { deep(); } MARK(mark_outer); }
int main(int argc, char **argv) { (void)argv; work(argc); MARK(mark_main); return 0; }
C
mark() { nm "$TMP/shop" | awk -v name="$1" '$3 == name { print "0x" $1 }'; }
program_tape() { # the offset of a return address is one behind the place
	tape program program "$TMP/shop" "$1" "$(mark mark_inner)" "$(printf '0x%x' $(($(mark mark_outer) + 1)))" \
		"$(printf '0x%x' $(($(mark mark_main) + 1)))"
}
build_id() { readelf -n "$TMP/shop" | awk '/Build ID/ { print $3 }'; }
if ! (cd "$TMP" && gcc -g -O2 shop.c -o shop); then
	fail "a program to name" "gcc failed"
else
	id=$(build_id)
	program_tape "$id"
	check_tape program
	grep -q '^main;work;work;deep 1190$' "$TMP/program.all" && pass "names come from the program" || fail "names come from the program" "$(head -n3 "$TMP/program.all")"
	$python - "$TMP/program.tape" "$HEAPTAPE" <<'P' && pass "files and lines come from the program" || fail "files and lines come from the program"
import json, subprocess, sys
d = json.loads(subprocess.run([sys.argv[2], "export", sys.argv[1], "--format", "speedscope"], stdout=subprocess.PIPE).stdout)
lines = {f["name"]: (f.get("file", "").rsplit("/")[-1], f.get("line")) for f in d["shared"]["frames"]}
assert lines["deep"] == ("shop.c", 2) and lines["work"] == ("shop.c", 3) and lines["main"] == ("shop.c", 4), lines
P
	objcopy --only-keep-debug "$TMP/shop" "$TMP/shop.dbg" && strip "$TMP/shop"
	run export "$TMP/program.tape" --format folded
	grep -q '^shop+0x[0-9a-f]*;shop+0x[0-9a-f]*;shop+0x[0-9a-f]* 1190$' "$TMP/out" && pass "a stripped program has places" || fail "a stripped program has places" "$(cat "$TMP/out" "$TMP/err")"
	mkdir -p "$TMP/debug/.build-id/${id:0:2}" "$TMP/serve" && cp "$TMP/shop.dbg" "$TMP/debug/.build-id/${id:0:2}/${id:2}.debug"
	run export "$TMP/program.tape" --format folded --debug-dir "$TMP/debug"
	grep -q '^main;work;work;deep 1190$' "$TMP/out" && pass "--debug-dir" || fail "--debug-dir" "$(cat "$TMP/out" "$TMP/err")"
	(cd "$TMP" && mv shop shop.right && gcc -g -O1 shop.c -o shop)
	run export "$TMP/program.tape" --format folded
	if [[ $err == *"$TMP/shop is another build"*"not used"* ]] && ! grep -q work "$TMP/out"; then pass "another build is not used, and told of"; else
		fail "another build is not used, and told of" "$err"
	fi
	mv "$TMP/shop.right" "$TMP/shop"

	# ---- the network: a server of our own, asked only when told to ----
	cp "$TMP/shop.dbg" "$TMP/serve/$id"
	$python "$here/serve.py" "$TMP/serve" "$TMP/port" "$TMP/asked" &
	server=$!
	PIDS+=("$server")
	for _ in $(seq 100); do [ -s "$TMP/port" ] && break; sleep 0.1; done
	: >"$TMP/asked"
	export DEBUGINFOD_URLS="http://127.0.0.1:$(cat "$TMP/port")" DEBUGINFOD_CACHE_PATH="$TMP/cache" DEBUGINFOD_TIMEOUT=5
	run export "$TMP/program.tape" --format folded
	if [ "$status" = 0 ] && [ ! -s "$TMP/asked" ]; then pass "no server is asked without --debuginfod"; else
		fail "no server is asked without --debuginfod" "$(cat "$TMP/asked" "$TMP/err")"
	fi
	if ! ldconfig -p | grep -q 'libdebuginfod\.so\.1'; then skip "--debuginfod" "no libdebuginfod on this machine"; else
		run export "$TMP/program.tape" --format folded --debuginfod
		if grep -q "/buildid/$id/debuginfo" "$TMP/asked" && grep -q '^main;work;work;deep 1190$' "$TMP/out"; then pass "--debuginfod"; else
			fail "--debuginfod" "$(cat "$TMP/asked" "$TMP/out" "$TMP/err")"
		fi
		cp "$TMP/serve/$id" "$TMP/serve.right"
		gcc -g -O1 "$TMP/shop.c" -o "$TMP/serve/$id" && rm -rf "$TMP/cache"
		run export "$TMP/program.tape" --format folded --debuginfod
		if [[ $err == *"another build"* ]] && ! grep -q work "$TMP/out"; then pass "a server's wrong file is not used"; else
			fail "a server's wrong file is not used" "$err"
		fi
	fi
	unset DEBUGINFOD_URLS
	end_target "$server"
	refused "--debuginfod without a server" 2 "DEBUGINFOD_URLS" export "$TMP/program.tape" --format folded --debuginfod
fi

# ---- our names beside another program's: this build's own binary, which has debug information and inlined functions ----
if ! command -v addr2line >/dev/null; then skip "names agree with addr2line" "no addr2line on this machine"; else
	read -r vaddr start nbytes < <(readelf -SW "$HEAPTAPE" | sed 's/\[ */[/' | awk '$2 == ".text" { print "0x" $4, "0x" $5, "0x" $6 }')
	end=$((start + nbytes))
	tape places places "$HEAPTAPE" "$(readelf -n "$HEAPTAPE" | awk '/Build ID/ { print $3 }')" "$start" "$end" 2000
	"$HEAPTAPE" dump --stacks "$TMP/places.tape" >"$TMP/places.ndjson" 2>"$TMP/err"
	if $python "$here/agree.py" "$HEAPTAPE" "$start" "$vaddr" "$end" 2000 <"$TMP/places.ndjson" >"$TMP/out" 2>&1; then
		pass "names agree with addr2line: $(head -n 1 "$TMP/out")"
	else
		fail "names agree with addr2line" "$(head -n 6 "$TMP/out")"
	fi
fi

# ---- recorded, then read where the program is gone ----
embedded_names() {
	local record=("$HEAPTAPE" record -q --embed-symbols -f -o "$TMP/live.tape")
	if ! "$HEAPTAPE" record --help | grep -q -- --stacks; then skip "record --embed-symbols" "this build records no stacks"; return; fi
	need_root "record --embed-symbols" || return
	cat >"$TMP/gone.c" <<'C'
#include <stdlib.h>
static inline __attribute__((always_inline)) void *make(int n) { return malloc((size_t)n + 100); }
__attribute__((noipa)) void *shelf(int n) { void *p = make(n); __asm__ volatile("" : : "r"(p) : "memory"); return p; }
int main(void) { for (int i = 0; i < 1000; i++) { void *p = shelf(i); if (i % 2) free(p); } }
C
	(cd "$TMP" && gcc -g -O2 gone.c -o gone) || { fail "record --embed-symbols" "gcc failed"; return; }
	chmod 755 "$TMP"
	if ! "${record[@]}" -- "$TMP/gone" 2>"$TMP/err"; then fail "record --embed-symbols" "$(cat "$TMP/err")"; return; fi
	rm "$TMP/gone"
	run export "$TMP/live.tape" --format folded --metric allocated-count
	# What is above is the allocator's own code, which may have names too.
	if [ "$(grep -E '(^|;)main;shelf;make(;| )' "$TMP/out" | awk '{ n += $NF } END { print n }')" = 1000 ]; then pass "record --embed-symbols"; else
		fail "record --embed-symbols" "$err $(tail -n 3 "$TMP/out")"
	fi
}
embedded_names

# ---- the course of a recording: Perfetto and CSV, against what report says ----
course() { # TAPE
	local table tape=$TMP/$1.tape
	mkdir -p "$TMP/csv"
	"$HEAPTAPE" report "$tape" --json >"$TMP/report.json" 2>/dev/null
	"$HEAPTAPE" export -q "$tape" --format perfetto --points 200 -o "$TMP/course.perfetto" -f
	for table in time stacks sizes threads pairs; do "$HEAPTAPE" export -q "$tape" --format csv --table $table >"$TMP/csv/$table.csv"; done
	check "$1: Perfetto, CSV and report agree" $python "$here/read_course.py" "$TMP/course.perfetto" "$TMP/report.json" "$TMP/csv"
}
course embedded
[ -e "$TMP/live.tape" ] && course live
equal "CSV is the time line unless told otherwise" "$("$HEAPTAPE" export -q "$TMP/embedded.tape" --format csv)" "$("$HEAPTAPE" export -q "$TMP/embedded.tape" --format csv --table time)"
equal "--points" "$("$HEAPTAPE" export -q "$TMP/embedded.tape" --format csv --points 7 | wc -l)" 8

# ---- refusals ----
refused "a metric of a time line" 2 "no --metric" export "$TMP/embedded.tape" --format perfetto --metric live-bytes
refused "a table of stacks for flame graphs" 2 "--table is for csv" export "$TMP/embedded.tape" --format folded --table sizes
refused "another table" 2 "no table" export "$TMP/embedded.tape" --format csv --table size
refused "no points" 2 "--points wants" export "$TMP/embedded.tape" --format csv --points 0
refused "points of a table" 2 "--points is for" export "$TMP/embedded.tape" --format csv --table sizes --points 10
echo old >"$TMP/there"
refused "a file that exists" 1 "-f to overwrite" export "$TMP/embedded.tape" --format folded -o "$TMP/there"
equal "it was left alone" "$(cat "$TMP/there")" old
check "-f overwrites" "$HEAPTAPE" export -q "$TMP/embedded.tape" --format folded -o "$TMP/there" -f
grep -q malloc "$TMP/there" && pass "and writes" || fail "and writes" "$(cat "$TMP/there")"
cp "$TMP/embedded.tape" "$TMP/itself.tape"
refused "the tape itself" 1 "the tape itself" export "$TMP/itself.tape" --format folded -o "$TMP/itself.tape" -f
same "the tape is still one" "$TMP/itself.tape" "$TMP/embedded.tape"
equal "the output is for its owner alone" "$("$HEAPTAPE" export -q "$TMP/embedded.tape" --format folded -o "$TMP/mode" && stat -c %a "$TMP/mode")" 600
refused "no format" 2 "--format" export "$TMP/embedded.tape"
refused "another format" 2 "no format" export "$TMP/embedded.tape" --format svg
refused "another metric" 2 "no metric" export "$TMP/embedded.tape" --format folded --metric bytes
refused "no tape" 2 "which tape" export --format folded
refused "a file that is no tape" 1 "give a file that heaptape record wrote" export "$TMP/there" --format folded
refused "a tape that is not there" 1 "No such file" export "$TMP/nothing" --format folded
head -c 700 "$TMP/embedded.tape" >"$TMP/cut.tape"
run export "$TMP/cut.tape" --format folded
[ "$status" = 0 ] && [[ $err == *"has no end"* ]] && pass "a tape cut off is read, and told of" || fail "a tape cut off is read, and told of" "$status $err"
cp "$TMP/embedded.tape" "$TMP/damaged.tape"
printf '\xff\xff\xff' | dd of="$TMP/damaged.tape" bs=1 seek=200 conv=notrunc status=none
run export "$TMP/damaged.tape" --format folded -o "$TMP/none"
[ "$status" = 1 ] && [[ $err == *"--salvage"* ]] && [ ! -e "$TMP/none" ] && pass "a damaged tape is refused, and leaves no file" || fail "a damaged tape is refused, and leaves no file" "$status $err"
run export "$TMP/damaged.tape" --format folded --salvage
[ "$status" = 0 ] && [[ $err == *"damaged block"* ]] && pass "--salvage" || fail "--salvage" "$status $err"
if [ -w /dev/full ]; then
	for format in folded speedscope pprof perfetto csv; do
		"$HEAPTAPE" export "$TMP/embedded.tape" --format $format >/dev/full 2>"$TMP/err"
		[ $? = 1 ] && grep -q "No space" "$TMP/err" && pass "a full disk fails $format" || fail "a full disk fails $format" "$(cat "$TMP/err")"
	done
fi
exit 0
