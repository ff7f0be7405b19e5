#!/usr/bin/env bash
# limits.sh - few rights, bad input, and processes that nobody asked to record.
set -u
. "$ROOT/tests/lib.sh"

# refuses NAME STATUS PATTERN CMD...: CMD must end with STATUS and one line on stderr that matches PATTERN.
refuses() {
	local name=$1 want=$2 pattern=$3 status
	shift 3
	timeout 30 "$@" >"$TMP/out" 2>"$TMP/err" </dev/null
	status=$?
	if [ $status = "$want" ] && [ "$(wc -l <"$TMP/err")" = 1 ] && grep -qE -- "$pattern" "$TMP/err"; then pass "$name"; else
		fail "$name" "status $status (wanted $want): $(head -c 400 "$TMP/err")"
	fi
}

bad_files() {
	local tape="$TMP/good.tape"
	"$HEAPTAPE" record -q -o "$tape" -- "$LIVE/churn" 0.2 1 >/dev/null || { fail "a tape to damage" "record failed"; return; }
	: >"$TMP/empty.tape"
	echo "this is no tape at all, but long enough to hold a head of one" >"$TMP/text.tape"
	head -c 20 "$tape" >"$TMP/head.tape"
	/usr/bin/python3 - "$tape" "$TMP" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
half = len(data) // 2
flipped = bytearray(data); flipped[half] ^= 1
open(sys.argv[2] + "/flipped.tape", "wb").write(flipped)
open(sys.argv[2] + "/cut.tape", "wb").write(data[:half])
PY
	refuses "a file that is not there" 1 "nothere" "$HEAPTAPE" info "$TMP/nothere.tape"
	refuses "an empty file" 1 "empty.tape" "$HEAPTAPE" info "$TMP/empty.tape"
	refuses "a file that is no tape" 1 "text.tape" "$HEAPTAPE" info "$TMP/text.tape"
	refuses "the head of a tape alone" 1 "head.tape" "$HEAPTAPE" info "$TMP/head.tape"
	refuses "a flipped bit is refused with its offset" 1 "offset [0-9]+" "$HEAPTAPE" info "$TMP/flipped.tape"
	refuses "a folder" 1 "$TMP" "$HEAPTAPE" info "$TMP"
	check "--salvage reads around the flipped bit" "$HEAPTAPE" info --salvage "$TMP/flipped.tape"
	check "a tape cut in two reads up to its last whole block" "$HEAPTAPE" info "$TMP/cut.tape"
	refuses "an output that exists" 1 "exists|there already" "$HEAPTAPE" record -q -o "$tape" -- /bin/true
	refuses "an output in no folder" 1 "No such file" "$HEAPTAPE" record -q -o "$TMP/no/such/t.tape" -- /bin/true
}

# A program of 14 instructions' bytes for 32-bit processors: it sleeps.
make_elf32() {
	/usr/bin/python3 - "$1" <<'PY'
import struct, sys
code = bytes([0xb8, 29, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7])  # again: mov $pause, %eax; int $0x80; jmp again
head = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0x8048054, 52, 0, 0, 52, 32, 1, 0, 0, 0)
ph = struct.pack("<IIIIIIII", 1, 0, 0x8048000, 0x8048000, 84 + len(code), 84 + len(code), 5, 4096)
open(sys.argv[1], "wb").write(head + ph + code)
PY
	chmod +x "$1"
}

bad_targets() {
	local pid kthread
	refuses "no such pid" 1 "no process has pid 4194000" "$HEAPTAPE" record -q -p 4194000 -o "$TMP/x.tape"
	refuses "a pid that is no number" 2 "abc" "$HEAPTAPE" record -q -p abc -o "$TMP/x.tape"
	refuses "neither process nor command" 2 "-p PID" "$HEAPTAPE" record -q -o "$TMP/x.tape"
	refuses "an unknown option" 2 "--wrong" "$HEAPTAPE" record --wrong
	refuses "an unknown verb" 2 "no verb 'frobnicate'" "$HEAPTAPE" frobnicate
	refuses "a command that is not there" 1 "nonexistent" "$HEAPTAPE" record -q -o "$TMP/x.tape" -f -- "$TMP/nonexistent"
	refuses "a user that is not there" 1 "nosuchuser" "$HEAPTAPE" record -q -o "$TMP/x.tape" -f --user nosuchuser -- /bin/true
	refuses "a backend that is not there" 2 "backend" "$HEAPTAPE" record --backend magic -p 1
	kthread=$(ps -eo pid,ppid,comm | awk '$3 == "kthreadd" || $3 ~ /^kworker/ { print $1; exit }')
	if [ -n "$kthread" ]; then
		refuses "a kernel thread" 1 "kernel thread" "$HEAPTAPE" record -q -p "$kthread" -o "$TMP/x.tape" -f
	else
		skip "a kernel thread" "none can be seen here"
	fi
	"$LIVE/churn" 20 2 >/dev/null &
	pid=$!
	PIDS+=($pid)
	sleep 0.2
	refuses "a thread of a process" 1 "use -p $pid" "$HEAPTAPE" record -q -o "$TMP/x.tape" -f \
		-p "$(ls /proc/$pid/task | tail -n1)"
	end_target $pid
	make_elf32 "$TMP/elf32"
	"$TMP/elf32" 2>/dev/null &
	pid=$!
	PIDS+=($pid)
	sleep 0.2
	if kill -0 $pid 2>/dev/null; then
		refuses "a 32-bit target" 1 "32-bit" "$HEAPTAPE" record -q -p $pid -o "$TMP/x.tape" -f
		end_target $pid
	else
		skip "a 32-bit target" "this kernel runs no 32-bit programs"
	fi
}

# By number, as Debian 12's setpriv does not know the younger names.
BPF=cap_39
FEW=$BPF,cap_38,cap_19  # + perfmon, sys_ptrace
MORE=$FEW,cap_2,cap_40  # + dac_read_search, checkpoint_restore

# with CAPS: the words that run a command as nobody with these capabilities only, in WITH.
with() {
	local set="-all${1:+,+${1//,/,+}}"
	WITH=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps "$set" --ambient-caps "$set" --bounding-set "$set")
}

rights() {
	local dir="$TMP/rights" pid
	mkdir -p "$dir" "$TMP/bin"
	chmod 755 "$TMP"
	chmod 777 "$dir"
	# The build folder may lie where nobody may look.
	cp "$HEAPTAPE" "$TMP/bin/heaptape"
	setpriv --reuid 12345 --regid 12345 --clear-groups "$LIVE/churn" 60 2 >/dev/null &
	pid=$!
	PIDS+=($pid)
	sleep 0.2
	kill -0 $pid 2>/dev/null || { skip "rights" "another user cannot run the test program"; return; }
	with ""
	refuses "no rights at all" 1 "CAP_|run as root" "${WITH[@]}" "$TMP/bin/heaptape" record -q -p $pid -o "$dir/x.tape" -f
	with $BPF
	refuses "BPF alone" 1 "CAP_|run as root" "${WITH[@]}" "$TMP/bin/heaptape" record -q -p $pid -o "$dir/x.tape" -f
	with $MORE
	check "five capabilities are enough" "${WITH[@]}" "$TMP/bin/heaptape" record -p $pid -o "$dir/five.tape" -f --duration 500ms
	check "what five capabilities record is whole" /usr/bin/python3 -c "
import json, subprocess
d = json.loads(subprocess.check_output(['$HEAPTAPE', 'info', '--json', '$dir/five.tape']))
assert d['events']['total'] > 10000 and d['lost']['total'] == 0 and d['other']['fault'] >= 0, d"
	with $FEW
	"${WITH[@]}" "$TMP/bin/heaptape" record -p $pid -o "$dir/three.tape" -f --duration 500ms >"$TMP/out" 2>"$TMP/err"
	if [ $? = 0 ] && grep -q "cannot be read back.*CAP_DAC_READ_SEARCH" "$TMP/err" && grep -q "madvise are not recorded" "$TMP/err"; then
		pass "three capabilities record, and say what is off"
	else
		fail "three capabilities record, and say what is off" "$(cat "$TMP/err")"
	fi
	with ""
	"${WITH[@]}" "$TMP/bin/heaptape" doctor >"$TMP/out" 2>&1
	if [ $? = 1 ] && grep -q "setcap" "$TMP/out"; then pass "doctor without rights says how to get them"; else
		fail "doctor without rights says how to get them" "$(head -n3 "$TMP/out")"
	fi
	check "doctor as root" "$HEAPTAPE" doctor
	end_target $pid
	mode=$(stat -c %a "$dir/five.tape")
	if [ "$mode" = 600 ]; then pass "a tape is its owner's alone"; else fail "a tape is its owner's alone" "mode $mode"; fi
}

# row NAME CAPS PID STATUS PATTERN ARGS...: what a set of capabilities gives for a process, and what is said of what it does not
# give; "" as a pattern: nothing may be said to be missing.
row() {
	local name=$1 caps=$2 pid=$3 want=$4 pattern=$5 status
	shift 5
	with "$caps"
	"${WITH[@]}" env HEAPTAPE_CACHE=off "$TMP/bin/heaptape" record -p "$pid" -o "$TMP/rights/row.tape" -f --duration 200ms --plans simple "$@" \
		>"$TMP/out" 2>"$TMP/err" </dev/null
	status=$?
	if [ $status != "$want" ] || { [ -z "$pattern" ] && grep warning "$TMP/err" | grep -qv "no tracefs is mounted"; } || ! grep -qE -- "$pattern" "$TMP/err"; then
		fail "$name" "status $status (wanted $want): $(head -c 600 "$TMP/err")"
	elif [ $status = 0 ] && ! "$HEAPTAPE" info --json "$TMP/rights/row.tape" | grep -qE '"malloc":[[:space:]]*[0-9]{3}'; then
		fail "$name" "no calls on the tape"
	else
		pass "$name"
	fi
}

# Capabilities by number: bpf 39, perfmon 38, sys_ptrace 19, dac_read_search 2, checkpoint_restore 40, sys_admin 21.
rights_rows() {
	local other own replaced
	setpriv --reuid 12345 --regid 12345 --clear-groups "$LIVE/churn" 60 2 >/dev/null &
	other=$!
	setpriv --reuid 65534 --regid 65534 --clear-groups "$LIVE/churn" 60 2 >/dev/null &
	own=$!
	mkdir -p "$TMP/libc"
	cp -L "$(ldd "$LIVE/churn" | sed -n 's/.*libc.so.6 => \([^ ]*\) .*/\1/p')" "$TMP/libc/libc.so.6"
	LD_LIBRARY_PATH=$TMP/libc setpriv --reuid 12345 --regid 12345 --clear-groups "$LIVE/churn" 60 2 >/dev/null &
	replaced=$!
	PIDS+=("$other" "$own" "$replaced")
	sleep 0.3
	kill -0 $other 2>/dev/null || { skip "sets of capabilities" "another user cannot run the test program"; return; }
	cp "$TMP/libc/libc.so.6" "$TMP/libc/new" && mv "$TMP/libc/new" "$TMP/libc/libc.so.6"

	row "perfmon alone" cap_38 $other 1 "no right to record.*CAP_BPF"
	row "bpf and perfmon, another's process" cap_39,cap_38 $other 1 "no allocator found.*CAP_SYS_PTRACE"
	row "bpf and perfmon, one's own process" cap_39,cap_38 $own 0 "madvise are not recorded"
	row "bpf, perfmon and ptrace" cap_39,cap_38,cap_19 $other 0 "cannot be read back.*CAP_DAC_READ_SEARCH"
	row "the same and dac_read_search: all but map_files" cap_39,cap_38,cap_19,cap_2 $other 0 ""
	row "the same on a library that was replaced" cap_39,cap_38,cap_19,cap_2 $replaced 1 "no allocator found.*libc.so.6.*CAP_CHECKPOINT_RESTORE"
	row "and checkpoint_restore, on the same" $MORE $replaced 0 ""
	row "perf events without sys_admin" $MORE $other 1 "perf-event uprobe needs CAP_SYS_ADMIN" --backend perf
	row "perf events, sys_admin and ptrace" cap_21,cap_19 $other 0 "CAP_DAC_READ_SEARCH" --backend perf
	row "and dac_read_search, on a library that was replaced" cap_21,cap_19,cap_2 $replaced 0 "" --backend perf
	end_target $other $own $replaced
}

bystander() {
	local by
	"$LIVE/churn" 20 1 >/dev/null &
	by=$!
	"$LIVE/churn" 20 1 >/dev/null &
	TARGET=$!
	PIDS+=("$by" "$TARGET")
	sleep 0.2
	"$HEAPTAPE" probe -p "$by" --json >"$TMP/probe.json"
	for backend in multi perf; do
		start_recorder -q -p "$TARGET" -o "$TMP/b.tape" -f --backend $backend || { fail "bystander, $backend" "no recorder"; continue; }
		sleep 0.2
		local theirs ours
		theirs=$(/usr/bin/python3 "$ROOT/tests/live/text_bytes.py" "$by" "$TMP/probe.json")
		ours=$(/usr/bin/python3 "$ROOT/tests/live/text_bytes.py" "$TARGET" "$TMP/probe.json")
		kill -INT "$RECORDER"
		wait "$RECORDER"
		if [ "$theirs" = "breakpoints 0 other 0" ] && [[ $ours =~ ^breakpoints\ [1-9][0-9]*\ other\ 0$ ]]; then
			pass "a bystander's text is untouched, $backend"
		else
			fail "a bystander's text is untouched, $backend" "bystander: $theirs, target: $ours"
		fi
	done
	end_target "$by" "$TARGET"
}

estimate() {
	local probe
	refuses "an estimate of a file" 2 "file makes none" "$HEAPTAPE" probe --lib /bin/true --estimate 1s
	refuses "an estimate over no time" 2 "--estimate wants a time" "$HEAPTAPE" probe -p 1 --estimate soon
	"$LIVE/churn" 20 2 >/dev/null &
	TARGET=$!
	PIDS+=("$TARGET")
	sleep 0.2
	"$HEAPTAPE" probe -p "$TARGET" --json >"$TMP/probe.json"
	"$HEAPTAPE" probe -p "$TARGET" --estimate 300ms --json >"$TMP/e.json" 2>"$TMP/err"
	check "an estimate counts calls and knows what a trap costs" /usr/bin/python3 -c "
import json; e = json.load(open('$TMP/e.json'))['estimate']
assert e['calls'] > 1000 and e['traps'] >= e['calls'] and e['trap_ns'] > 0 and e['cpus'] > 0, e"
	"$HEAPTAPE" probe -p "$TARGET" --estimate 100ms >"$TMP/out" 2>"$TMP/err"
	if grep -qE '^[0-9,]+ calls/s: recording will take about [0-9.]+ (of a CPU|CPUs)$' "$TMP/out"; then pass "an estimate in words"; else
		fail "an estimate in words" "$(cat "$TMP/out" "$TMP/err")"
	fi
	probe=$(/usr/bin/python3 "$ROOT/tests/live/text_bytes.py" "$TARGET" "$TMP/probe.json")
	if [ "$probe" = "breakpoints 0 other 0" ]; then pass "an estimate leaves no probe behind"; else
		fail "an estimate leaves no probe behind" "$probe"
	fi
	end_target "$TARGET"
}

# What costs too much gives up stacks, then ends; each step stands on the tape, and no call is missing before the end.
max_cost() {
	refuses "a limit without its unit" 2 "--max-cost wants" "$HEAPTAPE" record -p $$ --max-cost 20
	refuses "a limit beyond all" 2 "--max-cost wants" "$HEAPTAPE" record -p $$ --max-cost 100%
	"$LIVE/churn" 0 1 >/dev/null &
	TARGET=$!
	PIDS+=("$TARGET")
	timeout 60 "$HEAPTAPE" record -p "$TARGET" -o "$TMP/m.tape" -f --free-stacks --max-cost 2% --duration 30s 2>"$TMP/err"
	end_target "$TARGET"
	"$HEAPTAPE" info "$TMP/m.tape" --json >"$TMP/m.json"
	check "--max-cost gives up stacks of frees, then of busy sites, then ends" /usr/bin/python3 -c "
import json; d = json.load(open('$TMP/m.json'))
assert d['record']['end'] == 'cost' and d['record']['max_cost'] == '2', d['record']
assert 1e9 < d['no_free_stacks_from_ns'] < d['thinned_from_ns'] < d['duration_ns'] < 30e9, d
assert d['unknown_frees'] == 0 and d['lost']['total'] == 0, d"
	"$HEAPTAPE" dump "$TMP/m.tape" >"$TMP/m.ndjson"
	check "--max-cost: stacks are as its marks say" /usr/bin/python3 -c "
import json
def part(first, last, ops): return [e for e in events if e['op'] in ops and first < e['ns'] < last]
events = [json.loads(line) for line in open('$TMP/m.ndjson')]
at = {e['mark']: e['ns'] for e in events if e['op'] == 'mark'}
a, b, c, end = at['no-free-stacks'], at['thinned'], at['detached'], at['end']
share = lambda events: sum('stack' in e for e in events) / len(events)
assert share(part(0, a - 10e6, ('free',))) > 0.99 and share(part(a + 10e6, end, ('free',))) == 0
assert share(part(0, b - 10e6, ('malloc',))) > 0.99 and 0.03 < share(part(b + 10e6, end, ('malloc',))) < 0.12"
	"$HEAPTAPE" report "$TMP/m.tape" >"$TMP/out" 2>/dev/null
	check "--max-cost: a report says what it lacks" grep -q '\[thinned-stacks\]' "$TMP/out"
	sleep 60 &
	TARGET=$!
	PIDS+=("$TARGET")
	timeout 30 "$HEAPTAPE" record -q -p "$TARGET" -o "$TMP/m.tape" -f --max-cost 1% --duration 4s 2>"$TMP/err"
	end_target "$TARGET"
	"$HEAPTAPE" info "$TMP/m.tape" --json >"$TMP/m.json"
	check "--max-cost lets an idle target be" test "$(json "$TMP/m.json" "d['record']['end'], d['thinned_from_ns']")" = "('duration', None)"
	rm -f "$TMP/m.ndjson" "$TMP/m.tape"
}

privacy() {
	"$HEAPTAPE" record -q --no-cmdline -o "$TMP/p.tape" -f -- "$LIVE/churn" 0.1 1 >/dev/null
	"$HEAPTAPE" info "$TMP/p.tape" --json >"$TMP/p.json"
	if [ "$(json "$TMP/p.json" "d['target'].get('cmdline')")" = None ]; then pass "--no-cmdline leaves the arguments out"; else
		fail "--no-cmdline leaves the arguments out" "$(json "$TMP/p.json" "d['target']")"
	fi
}

need_root "bad files" "bad targets" "rights" "sets of capabilities" "bystander" "estimate" "max cost" "privacy" || exit 0
bad_files
bad_targets
rights
rights_rows
bystander
estimate
max_cost
privacy
exit 0
