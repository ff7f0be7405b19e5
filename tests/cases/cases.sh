#!/usr/bin/env bash
# cases.sh - the case studies in examples/cases at small sizes: what they find, against what their programs know about themselves and
# against runs of them that nobody records.
set -u
. "$ROOT/tests/lib.sh"

# is NAME PYTHON-EXPRESSION: true with what CODE defines.
is() {
	local got
	got=$(/usr/bin/python3 -c "$CODE
print($2)" "$TMP" 2>&1)
	if [ "$got" = True ]; then pass "$1"; else fail "$1" "$2 is ${got##*$'\n'}; $(cat "$TMP/case.log")"; fi
}

if [ "${1:-}" = large ]; then
	name="case: pinned strip, ten million strings"
	need_root "$name" || exit 0
	ghc -v0 -O1 -rtsopts -outputdir "$TMP/objects" -o "$TMP/strip" "$ROOT/examples/cases/pinned-strip/Strip.hs" || exit 2
	for mode in strip take; do
		"$HEAPTAPE" record -q --levels os -o "$TMP/$mode.tape" -- "$TMP/strip" 10000000 $mode +RTS --disable-delayed-os-memory-return >/dev/null
		"$HEAPTAPE" report "$TMP/$mode.tape" --json >"$TMP/$mode.json"
		blocks=$(json "$TMP/$mode.json" "' '.join(str(b) for b in dict.fromkeys(252 * r[d['runtime']['columns'].index('ghc.megablocks')] for r in d['runtime']['rows'][-40:-1]))")
		echo "      $mode: blocks in all at the last collections: $blocks"
		case $mode in
		strip) check "$name, every tenth stays: 473256 blocks, then 385812" test "${blocks#*473256 }" = 385812 ;;
		take) check "$name, the first tenth stays: 473256 blocks, then 108864" grep -q '473256 .*108864$' <<<"$blocks" ;;
		esac
	done
	# An hour of a thousand probes a second, at full speed: programs whose stacks move, and whose threads collect together.
	name="runtimes bear an hour's worth of probes"
	HOME=$TMP GOCACHE=$TMP/cache GO111MODULE=off go build -o "$TMP/goroutines" "$ROOT/tests/cases/goroutines.go" || exit 2
	ghc -v0 -O1 -rtsopts -threaded -outputdir "$TMP/threaded" -o "$TMP/strip_threaded" "$ROOT/examples/cases/pinned-strip/Strip.hs" || exit 2
	for run in "goroutines 12000" "strip_threaded 2000000 strip +RTS -N2"; do
		# shellcheck disable=SC2086
		"$HEAPTAPE" record -q --json -f -o "$TMP/hour.tape" -- "$TMP"/$run >"$TMP/hour.out" 2>"$TMP/hour.err"
		traps=$(sed -n '/^{/,$p' "$TMP/hour.out" | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["traps"])')
		echo "      ${run%% *}: $traps traps"
		check "$name: ${run%% *}" test "$traps" -gt 3600000 -a "$(grep -cE '^(snapshot end|left)' "$TMP/hour.out")" = 1
	done
	exit 0
fi
names=("case: sleeping owner" "case: pinned strip" "case: pinned churn" "case: long-lived" "case: size class")
need_root "${names[@]}" || exit 0

mkdir "$TMP/case"
timeout 120 "$ROOT/examples/cases/sleeping-owner/run.sh" --small -o "$TMP/case" >"$TMP/case.log" 2>&1
check "case: sleeping owner: its script runs" test $? = 0
for kib in 4000 40; do
	nr=$((100000 / kib))
	"$TMP/case/hotels" $nr $kib asleep >"$TMP/glibc.$kib" &
	LD_PRELOAD=$(library mimalloc) "$TMP/case/hotels" $nr $kib asleep >"$TMP/mimalloc.$kib" &
	MALLOC_ARENA_MAX=1 "$TMP/case/hotels" $nr $kib asleep >"$TMP/one-arena.$kib" &
done
wait
CODE='
import json, re, sys
tmp = sys.argv[1]
load = lambda name: json.load(open(tmp + "/case/" + name))
def seen(which, kib):
    steps = re.findall(r"live (\d+) resident (\d+)", open(f"{tmp}/{which}.{kib}").read())
    assert len(steps) == 3, steps
    return [tuple(map(int, s)) for s in steps]
peak = lambda which, kib: max(r for _, r in seen(which, kib))
live = 25 * 4000 * 1024
def said(name, alloc):
    r = next(r for r in load(name + ".replay.json")["results"] if r["allocator"]["label"] == alloc)
    return max(p.get("process", p["resident"]) for p in r["timeline"])
def off(name, alloc, which, kib):
    return abs(said(name, alloc) / peak(which, kib) - 1)
owned = lambda name: [p for p in load(name + ".report.json")["freed_by_others"] if p["owner_silent_bytes"]]
rules = lambda name: [f["rule"] for f in load(name + ".report.json")["findings"]]
'
is "case: sleeping owner: the program's own sum" "all(step[0] == live for kib in (4000, 40) for step in seen('glibc', kib))"
is "case: sleeping owner: the program really doubles under mimalloc, and not under glibc" "peak('mimalloc', 4000) > 1.95 * live and peak('glibc', 4000) < 1.1 * live"
is "case: sleeping owner: every byte that the refresher freed was the sleeper's" "all(len(owned(n)) == 1 and owned(n)[0]['owner_silent_bytes'] == owned(n)[0]['bytes'] == live for n in ('large', 'small'))"
is "case: sleeping owner: that is the finding on both tapes" "all('sleeping-owner' in rules(n) for n in ('large', 'small'))"
is "case: sleeping owner: the tape of glibc predicts mimalloc within 2 %" "off('large', 'mimalloc', 'mimalloc', 4000) < 0.02 and off('small', 'mimalloc', 'mimalloc', 40) < 0.02"
is "case: sleeping owner: small blocks double under glibc too, as predicted within 2 %" "peak('glibc', 40) > 1.95 * live and off('small', 'glibc', 'glibc', 40) < 0.02"
is "case: sleeping owner: one arena cures it, as predicted within 2 %" "peak('one-arena', 40) < 1.05 * live and off('small', 'glibc,MALLOC_ARENA_MAX=1', 'one-arena', 40) < 0.02"
is "case: sleeping owner: the script's last lines say so" "all(w in open(tmp + '/case.log').read() for w in ('102.4 MB were freed by another thread while their owner was silent', '[sleeping-owner]', 'one-arena'))"

# ---- programs with GHC's runtime, against that runtime's own statistics ----

# What Python code of the checks below knows: `rows` of a report as dictionaries, the full collections among them, without the last of all.
RUNTIME='
import json, re, sys
tmp = sys.argv[1]
def runtime(path):
    r = json.load(open(path))["runtime"]
    return [dict(zip(r["columns"], row)) for row in r["rows"]]
def full(rows):
    return [r for r in rows if r["ghc.generation"] == max(x["ghc.generation"] for x in rows)][:-1]
finding = lambda path, rule: next((f for f in json.load(open(path))["findings"] if f["rule"] == rule), None)
spans = lambda r: sum(v for k, v in r.items() if k.startswith("spans.")) // 4096
'

# ghc_case NAME SCRIPT ARGS...: runs it into $TMP/SCRIPT.
ghc_case() {
	local name=$1 script=$2
	shift 2
	mkdir "$TMP/$script"
	timeout 200 "$ROOT/examples/cases/$script/run.sh" -o "$TMP/$script" "$@" >"$TMP/case.log" 2>&1
	check "$name: its script runs" test $? = 0
}

strings=200000
name="case: pinned strip"
ghc_case "$name" pinned-strip -n $strings
# The runtime's own inventory of its blocks, printed by its debugging version at each collection; recorded at the same time.
ghc -v0 -rtsopts -debug -outputdir "$TMP/debug" -o "$TMP/strip_debug" "$ROOT/examples/cases/pinned-strip/Strip.hs"
for run in "strip" "take"; do
	"$HEAPTAPE" record -q -f -o "$TMP/debug.$run.tape" -- "$TMP/strip_debug" 20000 $run +RTS -Dg --disable-delayed-os-memory-return \
		>/dev/null 2>"$TMP/debug.$run.err"
	"$HEAPTAPE" report "$TMP/debug.$run.tape" --json >"$TMP/debug.$run.json" 2>/dev/null
done
ghc -v0 -rtsopts -threaded -outputdir "$TMP/threaded" -o "$TMP/strip_threaded" "$ROOT/examples/cases/pinned-strip/Strip.hs"
"$HEAPTAPE" record -q -f -o "$TMP/threaded.tape" -- "$TMP/strip_threaded" 50000 strip +RTS -N2 >/dev/null 2>"$TMP/threaded.err"
"$HEAPTAPE" report "$TMP/threaded.tape" --json >"$TMP/threaded.json" 2>/dev/null
"$HEAPTAPE" record -q -f --levels os -o "$TMP/os.tape" -- "$TMP/pinned-strip/strip" 20000 strip >/dev/null 2>&1
"$HEAPTAPE" report "$TMP/os.tape" --json >"$TMP/os.json" 2>/dev/null
"$HEAPTAPE" record -q -f --backend perf -o "$TMP/perf.tape" -- "$TMP/pinned-strip/strip" 20000 strip >/dev/null 2>&1
"$HEAPTAPE" report "$TMP/perf.tape" --json >"$TMP/perf.json" 2>/dev/null
CODE=$RUNTIME"
n = $strings
"'
def inventory(run):
    """Free blocks after each collection: every second inventory, the first of a pair is printed before it."""
    text = open(f"{tmp}/debug.{run}.err", errors="replace").read()
    return [int(b) for b in re.findall(r"^  free +: +(\d+) blocks", text, re.M)][1::2]
strip, take = (runtime(f"{tmp}/pinned-strip/{m}.report.json") for m in ("strip", "take"))
high = lambda rows: max(full(rows), key=lambda r: (r["ghc.live_blocks"], r["ghc.live_pinned"]))
# A one-byte string takes 32 bytes; two more blocks are the runtime of the program.
pinned = -(-n * 32 // 4096) + 2
share = lambda r: r["ghc.free_blocks"] / (r["ghc.free_blocks"] + r["ghc.live_blocks"])
'
is "$name: the sum of all spans is the runtime's own count of blocks at every collection" \
	"all(spans(r) == r['ghc.live_blocks'] for rows in (strip, take) for r in rows) and len(strip) > 40"
is "$name: the same with its threaded runtime" "all(spans(r) == r['ghc.live_blocks'] for r in runtime(tmp + '/threaded.json')) and len(runtime(tmp + '/threaded.json')) > 40"
is "$name: free blocks are those of the runtime's own inventory" \
	"all([r['ghc.free_blocks'] for r in runtime(f'{tmp}/debug.{m}.json')] == inventory(m) and len(inventory(m)) > 30 for m in ('strip', 'take'))"
is "$name: every tenth string keeps every block, the first tenth a tenth of them" \
	"high(strip)['ghc.live_pinned'] == full(strip)[-1]['ghc.live_pinned'] == pinned and abs(full(take)[-1]['ghc.live_pinned'] - pinned / 10) < 5"
is "$name: three quarters of the heap are free" "0.6 < share(full(strip)[-1]) < 0.8"
is "$name: that is the finding, and only there" \
	"'(%d -> %d)' % (pinned, pinned) in finding(tmp + '/pinned-strip/strip.report.json', 'pinned-blocks')['title'] and not finding(tmp + '/pinned-strip/take.report.json', 'pinned-blocks')"
is "$name: by its own figures alone" "len(runtime(tmp + '/os.json')) > 30 and 'ghc.live_pinned' not in runtime(tmp + '/os.json')[0] and spans(runtime(tmp + '/os.json')[0]) == 0"
is "$name: by perf events too" "all(spans(r) == r['ghc.live_blocks'] for r in runtime(tmp + '/perf.json')) and len(runtime(tmp + '/perf.json')) > 30"
cp "$TMP/pinned-strip/strip" "$TMP/stripped" && strip "$TMP/stripped"
"$HEAPTAPE" record -q -f --runtime ghc -o "$TMP/x.tape" -- "$TMP/stripped" 1000 strip >/dev/null 2>"$TMP/err"
check "$name: a program without symbols is refused by name" grep -q "symbols were stripped" "$TMP/err"

name="case: pinned churn"
ghc_case "$name" pinned-churn -c 1500
CODE=$RUNTIME'
folder = tmp + "/pinned-churn/"
rows = runtime(folder + "A16m.report.json")
told = [tuple(map(int, re.findall(r"\d+", line))) for line in open(folder + "A16m.1.out") if line.startswith("tick")]
by_tick = full(rows)[-len(told):]
found = finding(folder + "A16m.report.json", "heap-at-peak")
numbers = [float(x) for x in re.findall(r"([\d.]+) %", found["evidence"])] if found else []
variants = re.findall(r"^(\S+):", open(folder + "variants").read(), re.M)
'
is "$name: live bytes and the heap are what the program's own statistics say, at each of its collections" \
	"len(told) == 32 and all(r['ghc.live_bytes'] == t[1] and r['ghc.megablocks'] << 20 == t[2] for r, t in zip(by_tick, told))"
is "$name: blocks are exact under every setting that copies or compacts" \
	"len(variants) == 6 and all(spans(r) == r['ghc.live_blocks'] for v in variants if 'xn' not in v for r in runtime(folder + v + '.report.json'))"
is "$name: the heap stays at its peak, held by large and pinned objects of one place, a tenth lost to rounding" \
	"found and numbers[0] > 90 and numbers[1] > 98 and 8 < numbers[2] < 15"
"$HEAPTAPE" export -q "$TMP/pinned-churn/A16m.1.tape" --format csv --table runtime -o "$TMP/course.csv" 2>/dev/null
"$HEAPTAPE" export -q "$TMP/pinned-churn/A16m.1.tape" --format perfetto -o "$TMP/course.perfetto" 2>/dev/null
CODE+='
import csv
sys.path.insert(0, "'$ROOT'/tests/export")
from read_course import fields, one, read_perfetto
table = list(csv.DictReader(open(tmp + "/course.csv")))
tracks, events, _ = read_perfetto(tmp + "/course.perfetto")
def counter(name):
    """The values of a counter in the order of their times."""
    number = next(n for n, t in tracks.items() if one(t, 2) == name.encode())
    return [one(e, 30) for ns, track, kind, e in sorted(events, key=lambda e: e[0]) if track == number]
'
is "$name: other tools are told the runtime's figures and spans" \
	"[int(r['ghc.live_blocks']) for r in table] == [r['ghc.live_blocks'] for r in rows] == counter('ghc.live_blocks') and [int(r['spans pinned bytes']) for r in table] == [r['spans.pinned'] for r in rows] == counter('spans: pinned')"
is "$name: the script's last line names the place" "'Data.ByteString.\$wreplicate makes 99.9' in open(tmp + '/case.log').read()"

# A program that runs already, stopped for a moment.
GHCRTS=-T "$TMP/pinned-churn/churn" 3000 100000 >"$TMP/late.out" &
PIDS+=($!)
disown
sleep 1
"$HEAPTAPE" record -q -f --levels pages --baseline pause -d 4s -p $! -o "$TMP/late.tape" >/dev/null 2>"$TMP/late.err"
kill -9 $!
"$HEAPTAPE" report "$TMP/late.tape" --json >"$TMP/late.json" 2>/dev/null
is "$name: attached late, blocks are those of the runtime but for calls under way when it stood" \
	"len(runtime(tmp + '/late.json')) > 10 and all(abs(spans(r) - r['ghc.live_blocks']) < 16 for r in runtime(tmp + '/late.json'))"

name="case: long-lived"
ghc_case "$name" long-lived -n 20000
CODE=$RUNTIME'
folder = tmp + "/long-lived/"
def own(variant):
    words = open(f"{folder}{variant}.1.out").read().split()
    return {w: int(words[words.index(w) + 1]) for w in ("region", "copied", "most_in_use", "full") if w in words}
rows = {v: runtime(f"{folder}{v}.report.json") for v in ("heap", "region", "heap-A64m", "heap-c")}
'
is "$name: copied bytes and the heap are what the program's own statistics say" \
	"all(sum(r['ghc.copied_bytes'] for r in rows[v][:-1]) == own(v)['copied'] and max(r['ghc.megablocks'] for r in rows[v]) << 20 == own(v)['most_in_use'] for v in rows)"
is "$name: the region's blocks are what it says of itself" "max(r['spans.compact'] for r in rows['region']) == own('region')['region'] > 20e6"
is "$name: a region saves nine tenths of the copying, as measured by running it" "own('region')['copied'] * 9 < own('heap')['copied']"
is "$name: that is the finding, and gone with the region" \
	"finding(folder + 'heap.report.json', 'recopied') and not finding(folder + 'region.report.json', 'recopied')"

# ---- Go ----

name="case: size class"
mkdir "$TMP/sizeclass"
timeout 200 "$ROOT/examples/cases/sizeclass/run.sh" -o "$TMP/sizeclass" -n 2500 >"$TMP/case.log" 2>&1
check "$name: its script runs" test $? = 0

# go_truth NAME: $TMP/NAME.tape against what its program printed to $TMP/NAME.out, into $TMP/NAME.truth.
go_truth() {
	local started
	started=$("$HEAPTAPE" info "$TMP/$1.tape" --json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["start_unix_ns"])')
	"$HEAPTAPE" dump "$TMP/$1.tape" | /usr/bin/python3 "$ROOT/tests/cases/go_truth.py" "$TMP/$1.out" "$started" >"$TMP/$1.truth"
}

# go_record NAME PROGRAM ARGS...
go_record() {
	local run=$1
	shift
	timeout 120 "$HEAPTAPE" record -q -f -o "$TMP/$run.tape" -- "$@" >"$TMP/$run.out" 2>"$TMP/$run.err" && go_truth "$run"
}

go_truth sizeclass/broken
go_truth sizeclass/fixed
CODE=$RUNTIME'
import os
# The runtime adds to its count while another thread may be between its call and its end: few moments, and few spans.
nearly = lambda differ, all, most: differ * 20 <= all and most <= 65536
truth = lambda run: json.load(open(f"{tmp}/{run}.truth"))
# As near as the runtime itself is: a block of several tiny objects counts once there.
def good(run, snapshots, figures=1):
    t = truth(run)
    return t["inuse"] == 0 and t["alloc"] < 0.002 and t["mallocs"] < 0.0005 and t["frees"] < 0.0005 and t["snapshots"] == snapshots and \
        t["homeless"] == 0 and (t["figures"] > 20 and nearly(t["figures_differ"], t["figures"], t["figures_off"])) == bool(figures)
def share(path, size):
    """How full the spans of a class were at the collection before the snapshot in the middle of the sixth epoch."""
    rows = runtime(path + ".report.json")
    shot = next(l.split() for l in open(path + ".out") if " middle6 " in l)
    ns = int(shot[3]) - json.load(open(path + ".info"))["start_unix_ns"]
    row = [r for r in rows if r["ns"] <= ns][-1]
    return row[f"taken.{size}"] / row[f"spans.{size}"]
'
"$HEAPTAPE" info "$TMP/sizeclass/broken.tape" --json >"$TMP/sizeclass/broken.info"
is "$name: HeapInuse to the byte, HeapAlloc, Mallocs and Frees as the program's own statistics, at every snapshot" \
	"good('sizeclass/broken', 12) and good('sizeclass/fixed', 12)"
is "$name: what was restored is near 39 % in the middle of the sixth epoch" \
	"all(0.36 < share(tmp + '/sizeclass/broken', c) < 0.43 for c in ('1792 noscan', '2304 noscan', '3456 noscan'))"
is "$name: that is the finding, and only there" \
	"'noscan' in finding(tmp + '/sizeclass/broken.report.json', 'classes-left')['title'] and not finding(tmp + '/sizeclass/fixed.report.json', 'classes-left')"
check "$name: damaged files are read to an end" timeout 100 /usr/bin/python3 "$ROOT/tests/cases/damage.py" "$HEAPTAPE" "$TMP/sizeclass/sizeclass" "$TMP/damaged"
"$HEAPTAPE" probe --lib "$TMP/sizeclass/sizeclass" --json >"$TMP/probe.json" 2>/dev/null
is "$name: probe tells where its probes would stand, and no return probe among them" \
	"{p['kind'] for p in json.load(open(tmp + '/probe.json'))['runtime']['probes']} <= {'emulated', 'stepped'} and any(p['function'] == 'runtime.mallocgc' for p in json.load(open(tmp + '/probe.json'))['runtime']['probes'])"
is "$name: info tells the runtime, its version and levels" \
	"json.load(open(tmp + '/sizeclass/broken.info'))['runtime']['levels'] == 'os,pages,objects' and json.load(open(tmp + '/sizeclass/broken.info'))['runtime']['version'].startswith('go1.')"
is "$name: the script draws it" "open(tmp + '/case.log').read().count('free places, at most') == 2"

# A program that runs already: every span is known at the first collection after the attach.
"$TMP/sizeclass/sizeclass" 2500 broken 300 >"$TMP/late.out" &
PIDS+=($!)
until grep -q epoch1 "$TMP/late.out"; do sleep 0.1; done
"$HEAPTAPE" record -q -f --levels pages -p $! -o "$TMP/late.tape" >/dev/null 2>"$TMP/late.err"
"$HEAPTAPE" report "$TMP/late.tape" --json >"$TMP/late.json" 2>/dev/null
is "$name: attached late, HeapInuse is exact from the first collection on" \
	"len(runtime(tmp + '/late.json')) > 10 and (lambda off: nearly(sum(o != 0 for o in off), len(off), max(off)))([abs(4096 * spans(r) - r['go.heap_in_use_bytes']) for r in runtime(tmp + '/late.json')])"
newer=/usr/lib/go-1.23/bin/go
if [ -x $newer ]; then
	HOME=$TMP GOCACHE=$TMP/cache GO111MODULE=off $newer build -o "$TMP/sizeclass123" "$ROOT/examples/cases/sizeclass/main.go"
	HOME=$TMP GOCACHE=$TMP/cache GO111MODULE=off $newer build -ldflags '-s -w' -o "$TMP/stripped123" "$ROOT/examples/cases/sizeclass/main.go"
	go_record go123 "$TMP/sizeclass123" 1000 broken
	is "go 1.23: the same" "good('go123', 12)"
	go_record gostripped123 "$TMP/stripped123" 1000 broken
	is "go 1.23: the same of a stripped program, without the runtime's own count" "good('gostripped123', 12, 0)"
else
	skip "go 1.23" "golang-1.23-go is not on this machine"
	skip "go 1.23, stripped" "golang-1.23-go is not on this machine"
fi
HOME=$TMP GOCACHE=$TMP/cache GO111MODULE=off go build -ldflags '-s -w' -o "$TMP/stripped" "$ROOT/examples/cases/sizeclass/main.go"
go_record gostripped "$TMP/stripped" 1000 broken
is "go 1.19: a stripped program, without the runtime's own count" "good('gostripped', 12, 0)"
HOME=$TMP GOCACHE=$TMP/cache GO111MODULE=off go build -o "$TMP/goroutines" "$ROOT/tests/cases/goroutines.go"
go_record gostacks "$TMP/goroutines" "${GO_ROUTINES:-1500}"
check "go: goroutines whose stacks move while they are probed end as they should" grep -q "^snapshot end" "$TMP/gostacks.out"
CODE=$RUNTIME'
said = dict(re.findall(r"(\w+) (\d+)", open(tmp + "/gostacks.out").read()))
births = 0
for line in open(tmp + "/gostacks.dump"):
    births += "\"op\":\"malloc\"" in line
stacks = json.load(open(tmp + "/gostacks.json"))
grown = [s for s in stacks["stacks"] if any(stacks["frames"][f].get("function") == "main.grow" for f in s["frames"])]
'
"$HEAPTAPE" dump "$TMP/gostacks.tape" >"$TMP/gostacks.dump"
"$HEAPTAPE" report "$TMP/gostacks.tape" --json >"$TMP/gostacks.json" 2>/dev/null
is "go: and every allocation is on the tape once" "abs(births / int(said['mallocs']) - 1) < 0.0005"
is "go: with the stacks of its deep calls" "sum(s['allocations'] for s in grown) > 0.9 * births and max(len(s['frames']) for s in grown) > 60"

# ---- runtimes that nobody knows ----
if command -v node >/dev/null; then
	"$HEAPTAPE" record -q -f -o "$TMP/v8.tape" -- node -e 'let a = []; for (let i = 0; i < 1e6; i++) a.push({ i })' >/dev/null 2>"$TMP/err"
	"$HEAPTAPE" report "$TMP/v8.tape" --json >"$TMP/v8.json" 2>/dev/null
	"$HEAPTAPE" report "$TMP/v8.tape" >"$TMP/v8.txt" 2>/dev/null
	CODE='
import json, sys
d = json.load(open(sys.argv[1] + "/v8.json"))
'
	is "V8: its objects are not seen, and that is said on the tape and in the report" \
		"d['summary']['unseen_runtime'] == 'V8' and 'V8' in open(sys.argv[1] + '/v8.txt').read() and max(p['around'] for p in d['timeline']) > 20e6"
else
	skip "V8" "node is not on this machine"
fi
exit 0
