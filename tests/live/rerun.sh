#!/usr/bin/env bash
# rerun.sh - heaptape rerun: differences that are known beforehand, variants that fail, files that are wrong.
set -u
. "$ROOT/tests/lib.sh"

OWNER=$BUILD/tests/fidelity/sleeping_owner
printf '\n\n\n\n\n\n' >"$TMP/steps"

# rerun VARIANTS ARGS...: the file's text, and what stands behind --variants; the result is in $RESULT.json.
RESULT=$TMP/result
rerun() {
	printf '%s\n' "$1" >"$RESULT.variants"
	shift
	timeout 120 "$HEAPTAPE" rerun --variants "$RESULT.variants" --json "$@" >"$RESULT.json" 2>"$RESULT.err" </dev/null
	STATUS=$?
}

is() { # NAME PYTHON-EXPRESSION: true of the last result; v: its variants by name
	local got
	got=$(/usr/bin/python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
v = {x["name"]: x for x in d["variants"]}
print(eval(sys.argv[2]))' "$RESULT.json" "$2" 2>&1)
	if [ "$got" = True ]; then pass "$1"; else fail "$1" "$2 is ${got##*$'\n'}; $(tail -n1 "$RESULT.err"); $(head -c 3000 "$RESULT.json")"; fi
}

# refused NAME STATUS TEXT ARGS...: rerun ends with this status and says this.
refused() {
	local name=$1 status=$2 text=$3 got
	shift 3
	timeout 30 "$HEAPTAPE" rerun "$@" >"$TMP/out" 2>"$TMP/err" </dev/null
	got=$?
	if [ $got = "$status" ] && grep -qF -- "$text" "$TMP/err"; then pass "$name"; else fail "$name" "status $got: $(tail -n1 "$TMP/err")"; fi
}

wrong_file() { # NAME TEXT-OF-THE-MESSAGE CONTENT
	printf '%b' "$3" >"$TMP/variants"
	refused "rerun: $1" 1 "$2" --variants "$TMP/variants" -- true
}

# ---- without rights ----
refused "rerun: without variants" 2 "--variants FILE" -- true
refused "rerun: without a command" 2 "which command" --variants "$TMP/steps"
refused "rerun: no run at all" 2 "--repeat wants" --variants "$TMP/steps" --repeat 0 -- true
refused "rerun: a time that is none" 2 "--duration wants" --variants "$TMP/steps" --duration soon -- true
refused "rerun: -f alone" 2 "-f is for" --variants "$TMP/steps" -f -- true
refused "rerun: predictions without a tape" 2 "leaves nothing for --predict" --variants "$TMP/steps" --no-record --predict -- true
refused "rerun: no such file" 1 "nowhere: No such file" --variants nowhere -- true
printf 'a:\nb: X=1\n' >"$TMP/variants"
refused "rerun: a base that is none" 2 "no variant in" --variants "$TMP/variants" --base c -- true
refused "rerun: an input that is not there" 1 "--input nowhere" --variants "$TMP/variants" --input nowhere -- true
mkdir "$TMP/full"
touch "$TMP/full/kept"
refused "rerun: a folder with something in it" 1 "not empty" --variants "$TMP/variants" -o "$TMP/full" -- true
wrong_file "a file without a variant" "no variant in it" '# none\n\n'
wrong_file "a name that leads elsewhere" "line 2: a line begins with" 'a:\n../b: X=1\n'
wrong_file "a name with a blank" "line 1: a line begins with" 'a b: X=1\n'
wrong_file "a name with a percent sign" "line 1: a line begins with" 'a%p: X=1\n'
wrong_file "a hidden name" "line 1: a line begins with" '.a: X=1\n'
wrong_file "a name that is too long" "line 1: a line begins with" "$(printf 'a%.0s' {1..41}): X=1\n"
wrong_file "one name twice" "line 3: there is a variant 'a'" 'a:\nb:\na: X=1\n'
wrong_file "a word that is none" "line 1: 'X' is none of" 'a: X\n'
wrong_file "a variable that begins with a digit" "line 1: '1X=2' is none of" 'a: 1X=2\n'
wrong_file "a quote that is open" "line 1: a quote" "a: X='1\n"
wrong_file "bytes that are no text" "line 1: this is no text" 'a: X=\00001\n'
wrong_file "an allocator that nobody knows" "line 2: no allocator is called 'best'" 'a:\nb: alloc:best\n'
wrong_file "an allocator that is not there" "line 1: /nowhere/a.so: No such file" 'a: alloc:/nowhere/a.so\n'
wrong_file "two allocators" "line 1: one allocator a variant" 'a: alloc:glibc alloc:glibc\n'

names=("rerun of live programs")
need_root "${names[@]}" || exit 0

# ---- arguments, findings, allocators, failures: runs beside the others, which take their time ----
(
	RESULT=$TMP/second
	rerun $'main: -- main\nsame: -- same\nwrong: -- main main\nother: alloc:jemalloc LD_PRELOAD= -- main\njemalloc: alloc:jemalloc "X=a b" unset:HOME -- main' \
		--plain --predict --input "$TMP/steps" -- "$OWNER" 1000 40 2 {}
	exit $STATUS
) &
SECOND=$!

# ---- what is known: 1,000 blocks of 40 KiB, replaced by another thread; with an arena for each thread none is used again ----
rerun $'default:\none-arena: MALLOC_ARENA_MAX=1' --repeat 5 --input "$TMP/steps" -o "$TMP/odd %p folder" -- "$OWNER" 1000 40 2 main
STATUS_OF_FIRST=$STATUS
is "rerun: a second arena doubles the memory of a sleeping owner, one arena cures it" \
	"abs(v['default']['peak_resident']['median'] / (2 * 40.96e6) - 1) < 0.1 and abs(v['one-arena']['peak_resident']['median'] / 40.96e6 - 1) < 0.1"
is "rerun: and it is called a difference" \
	"all(-0.55 < v['one-arena'][f]['change'] < -0.42 and v['one-arena'][f]['p'] < 0.05 and v['one-arena'][f]['verdict'] == 'differs' for f in ('peak_resident', 'end_resident'))"
is "rerun: what lives is the same" "all(abs(x['peak_live']['median'] / 40.96e6 - 1) < 0.02 for x in v.values()) and v['one-arena']['peak_live']['verdict'] == 'none'"
is "rerun: fewer pages, fewer faults" "v['one-arena']['faults']['verdict'] == 'differs' and v['one-arena']['faults']['change'] < -0.3"
check "rerun: it ends well" test $STATUS_OF_FIRST = 0
check "rerun -o keeps every tape and what was printed" test "$(ls "$TMP/odd %p folder" | grep -cE '^(default|one-arena)\.[1-5](\.tape|\.out)$')" = 20
check "rerun: its tapes are whole" "$HEAPTAPE" info "$TMP/odd %p folder/one-arena.5.tape"

wait "$SECOND"
STATUS=$?
RESULT=$TMP/second
is "rerun: a finding is gone where its cause is" "[f['rule'] for f in v['main']['findings']].count('sleeping-owner') == 1 and 'sleeping-owner' in v['same']['findings_gone']"
is "rerun: an allocator by its name" "'error' not in v['jemalloc'] and v['jemalloc']['environment'][1:] == ['X=a b', 'HOME']"
is "rerun: runs without recording hold the same memory" "all(abs(x['plain']['peak_resident']['median'] / x['peak_resident']['median'] - 1) < 0.05 for x in v.values() if 'error' not in x)"
is "rerun --predict: a replay of the first tape says what its program holds" "abs(v['main']['predicted_peak_resident'] / (2 * 40.96e6) - 1) < 0.1 and v['jemalloc']['predicted_peak_resident'] > 40.96e6"
is "rerun --predict: not for another program" "'arguments' in v['same']['not_predicted']"
is "rerun: a variant that fails is told, the others go on" "'status 2' in v['wrong']['error'] and 'peak_live' not in v['wrong'] and 'error' not in v['same']"
is "rerun: another allocator than the one asked for is told" "'libjemalloc' in v['other']['error'] and 'libc.so' in v['other']['error']"
is "rerun: with one run nothing is certain" "v['same']['peak_resident']['verdict'] == 'too few runs'"
check "rerun: a failed variant is a failure" test $STATUS = 1
RESULT=$TMP/result
rerun 'jemalloc: alloc:jemalloc "ODD=a  b"' -o "$TMP/maps" -- cat /proc/self/maps /proc/self/environ
check "rerun: the program has the allocator, and its settings" test "$(tr '\0' '\n' <"$TMP/maps/jemalloc.1.out" | grep -cE 'r-xp .*/libjemalloc|^ODD=a  b$')" = 2

cat >"$TMP/rude.sh" <<'RUDE'
printf 'error: \033[2J\377 the end\n' >&2
kill -9 $$
RUDE
rerun 'a: X=1 # no argument' -- bash "$TMP/rude.sh"
is "rerun: a program's last words cannot do anything" "'signal 9' in v['a']['error'] and 'the end' in v['a']['error'] and '\x1b' not in v['a']['error'] and v['a']['environment'] == ['X=1']"
rerun 'a:' --plain -- "$TMP/nowhere"
is "rerun: a command that is not there" "'cannot be run: No such file' in v['a']['error']"
rerun 'a:' --duration 300ms -- sleep 60
is "rerun --duration ends a run" "v['a']['runs_ended_by_duration'] == 1 and v['a']['wall_ns']['median'] < 20e9"

rerun $'a: -- main\nb: MALLOC_ARENA_MAX=1 -- main\nc: alloc:jemalloc LD_PRELOAD= -- main\nd: alloc:jemalloc -- main' --no-record --input "$TMP/steps" -- "$OWNER" 1000 40 2 {}
is "rerun --no-record: the same difference without a tape" \
	"abs(v['a']['peak_resident']['median'] / (2 * 40.96e6) - 1) < 0.1 and abs(v['b']['peak_resident']['median'] / 40.96e6 - 1) < 0.1 and 'peak_live' not in v['a'] and not d['recorded']"
is "rerun --no-record: an allocator that is not there is told" "'never seen' in v['c']['error'] and 'error' not in v['d']"

# A stop ends the program that runs just then, and takes the tapes away.
mkdir "$TMP/tmp"
printf 'a:\n' >"$TMP/variants"
TMPDIR=$TMP/tmp "$HEAPTAPE" rerun --variants "$TMP/variants" -- bash -c "echo \$\$ >$TMP/rerun.pid; exec sleep 100" 2>"$TMP/err" &
RERUN=$!
PIDS+=("$RERUN")
for _ in $(seq 200); do [ -s "$TMP/rerun.pid" ] && break; sleep 0.05; done
sleep 0.5
kill -TERM "$RERUN"
wait "$RERUN"
status=$?
if [ $status = 1 ] && ! kill -0 "$(cat "$TMP/rerun.pid")" 2>/dev/null && [ -z "$(ls "$TMP/tmp")" ] && grep -q 'stopped by a signal' "$TMP/err"; then
	pass "rerun: SIGTERM ends the program too, and nothing is left"
else
	fail "rerun: SIGTERM ends the program too, and nothing is left" "status $status, $(ls "$TMP/tmp"), $(cat "$TMP/err")"
fi
exit 0
