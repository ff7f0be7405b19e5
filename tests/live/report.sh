#!/usr/bin/env bash
# report.sh - heaptape report on programs that have a disease, and on ones that have not; its figures against the kernel's.
set -u
. "$ROOT/tests/lib.sh"

PROGRAMS=$BUILD/tests/fidelity

# recorded CMD...: a tape of it, and what report says of that as JSON.
recorded() {
	timeout 60 "$HEAPTAPE" record -q -f -o "$TMP/t.tape" -- "$@" >/dev/null 2>"$TMP/record.err" </dev/null &&
		"$HEAPTAPE" report "$TMP/t.tape" --json >"$TMP/report.json" 2>"$TMP/report.err"
}

is() { # NAME PYTHON-EXPRESSION: true of the last report
	local got
	got=$(json "$TMP/report.json" "$2" 2>&1)
	if [ "$got" = True ]; then pass "$1"; else fail "$1" "$2 is ${got##*$'\n'}; $(head -c 2000 "$TMP/report.json")"; fi
}

# The rule fires, and names the function that is to blame among its stacks.
blames() { # DISEASE RULE
	recorded "$LIVE/sick" "$1" || { fail "report: $1" "$(cat "$TMP/record.err" "$TMP/report.err" 2>/dev/null | tail -n1)"; return; }
	is "report: $1 is found" "'$2' in [f['rule'] for f in d['findings']]"
	is "report: $1 is blamed on the right code" "any('$1' in [d['frames'][i]['function'] for s in d['stacks'] if s['stack'] in f['stacks'] for i in s['frames']] for f in d['findings'] if f['rule'] == '$2')"
}

# What the tape's mappings and faults tell is in memory, against what the kernel counted, while the program rests at its end.
adds_up() {
	is "report: $1: resident memory is the kernel's within 1 %" "max(abs(p['resident'] + p['around'] - p['rss_anon']) / p['rss_anon'] for p in d['timeline'][-10:]) < 0.01"
	is "report: $1: the parts add up" "all(s['requested'] + s['holes'] + s['retained'] + s['metadata'] == s['resident'] for s in [d['split']] + d['timeline'])"
}

# A line for each of its four steps.
owner() { # MODE
	(for _ in 1 2 3 4; do sleep 0.5; echo; done) |
		timeout 60 "$HEAPTAPE" record -q -f -o "$TMP/t.tape" -- "$PROGRAMS/sleeping_owner" 2000 40 2 "$1" >/dev/null 2>"$TMP/record.err" &&
		"$HEAPTAPE" report "$TMP/t.tape" --json >"$TMP/report.json" 2>"$TMP/report.err"
}

names=("heaptape report on live programs")
need_root "${names[@]}" || exit 0
blames leak leak
blames pinned pinned-pages
blames peak left-by-peak
adds_up peak
blames growth realloc-growth
blames churn large-churn
blames brief temporary
blames regions regions
is "report: groups of objects that die together are counted" "any(1000 <= s['groups'] <= 1100 and 149000 <= s['died_in_groups'] <= 150000 for s in d['stacks'])"
recorded "$LIVE/sick" healthy
is "report: a healthy program has no finding" "d['findings'] == []"
adds_up healthy
is "report: what lives is what info says" "d['summary']['live_bytes'] == $("$HEAPTAPE" info "$TMP/t.tape" --json | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["live_at_end"]["bytes"])')"
owner main
is "report: a sleeping owner is found, with both threads" "any(f['rule'] == 'sleeping-owner' and f['bytes'] > 20 << 20 for f in d['findings']) and len(d['freed_by_others']) >= 1"
owner same
is "report: and not where the owner frees itself" "'sleeping-owner' not in [f['rule'] for f in d['findings']]"
for by in stack size thread module region; do
	check "report --by $by prints a table" test "$("$HEAPTAPE" report "$TMP/t.tape" --by $by 2>/dev/null | wc -l)" -gt 3
done
"$HEAPTAPE" report "$TMP/t.tape" --at 100ms --json >"$TMP/report.json" 2>/dev/null
is "report --at tells that moment" "d['summary']['at_ns'] == 100000000"
"$HEAPTAPE" report "$TMP/t.tape" --at peak --json >"$TMP/report.json" 2>/dev/null
is "report --at peak tells the peak" "d['summary']['live_bytes'] == d['summary']['peak_live_bytes']"
"$HEAPTAPE" strip "$TMP/t.tape" -o "$TMP/s.tape" >/dev/null 2>&1
"$HEAPTAPE" report "$TMP/s.tape" --json >"$TMP/report.json" 2>/dev/null
is "report of a stripped tape: one row without a stack" "len(d['stacks']) == 1 and d['stacks'][0]['live_bytes'] == d['summary']['live_bytes']"
"$HEAPTAPE" record -q -f -o "$TMP/a.tape" -- "$LIVE/sick" healthy >/dev/null 2>&1
"$HEAPTAPE" record -q -f -o "$TMP/b.tape" -- "$LIVE/sick" leak >/dev/null 2>&1
"$HEAPTAPE" diff "$TMP/a.tape" "$TMP/b.tape" --json >"$TMP/report.json" 2>"$TMP/report.err"
is "diff: the stack that is new comes among the first, with all of its bytes" "any('leak' in s['stack'] and s['before']['live_bytes'] == 0 and s['after']['live_bytes'] == 80000 * 300 for s in d['stacks'][:2])"
"$HEAPTAPE" record -q -f -o "$TMP/b.tape" -- "$LIVE/sick" healthy >/dev/null 2>&1
"$HEAPTAPE" diff "$TMP/a.tape" "$TMP/b.tape" --json --top 1000 >"$TMP/report.json" 2>"$TMP/report.err"
is "diff: two runs of one program, at other addresses, have the same stacks" "len(d['stacks']) > 1 and all(s['before']['allocations'] == s['after']['allocations'] > 0 for s in d['stacks'])"
"$HEAPTAPE" diff "$TMP/a.tape" "$TMP/a.tape" --json --top 1000 >"$TMP/report.json" 2>/dev/null
is "diff: a tape does not differ from itself" "all(s['before'] == s['after'] for s in d['stacks'])"

# --live on a terminal of the test's own.
live() { # SECONDS COLUMNS ROWS ENDING
	"$LIVE/churn" 0 2 >/dev/null &
	TARGET=$!
	PIDS+=("$TARGET")
	TERM=xterm timeout 90 /usr/bin/python3 "$ROOT/tests/live/watch.py" "$@" "$HEAPTAPE" record -p "$TARGET" -f -o "$TMP/l.tape" --live >"$TMP/report.json" 2>"$TMP/report.err"
	end_target "$TARGET"
}
live 5 80 24 c
is "record --live: screens, with rates and the stacks that hold most" "d['status'] == 0 and len(d['screens']) >= 2 and 'churn <' in d['screens'][-1] and '/s: allocations' in d['screens'][-1] and 'lost      0 calls' in d['screens'][-1]"
is "record --live: no line is wider than the terminal, nor lower" "0 < d['widest'] <= 80 and 0 < d['lowest'] <= 24"
is "record --live: the terminal is as it was, and the messages follow" "d['back'] and d['cursor'] and d['unchanged'] is not False and 'found glibc' in d['first'] and 'next: heaptape replay' in d['first']"
NO_COLOR=1 live 4 40 8 t
is "record --live: a small terminal without colours, ended by SIGTERM" "d['status'] == 0 and not d['colours'] and 0 < d['widest'] <= 40 and 0 < d['lowest'] <= 8 and d['back'] and d['cursor']"
check "record --live: no terminal is told" test "$("$HEAPTAPE" record -p $$ --live </dev/null 2>&1 | grep -c 'wants a terminal')" = 1
check "report: wrong usage is told" test "$("$HEAPTAPE" report "$TMP/t.tape" --by colour >/dev/null 2>&1; echo $?)" = 2
