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

names=("case: sleeping owner")
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
exit 0
