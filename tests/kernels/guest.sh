#!/bin/busybox sh
# guest.sh - the first program of a guest: runs the tests that the kernel's command line names (guest=WORD,WORD), one line each:
# "ok NAME" or "FAIL NAME", what belongs to it behind it, indented. It counts on busybox alone. Sizes are small: a trap takes
# five times as long here as outside, all else twelve times.
/bin/busybox mkdir -p /bin /dev /proc /sys /tmp
for name in sh mount cat ls echo sleep mkdir mkfifo rm grep sed head tail kill timeout reboot uname tr wc env id dd cut mv cp chmod sync awk; do
	[ -e /bin/$name ] || /bin/busybox ln -s busybox /bin/$name
done
export PATH=/bin:/t
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tracefs tracefs /sys/kernel/tracing
mount -t tmpfs tmp /tmp
exec >/dev/ttyS0 2>&1 </dev/null
echo "guest: begins"
cd /tmp || exit 1
failed=0
log_nr=0

ok() { echo "ok $1"; }
bad() { # NAME FILE...
	echo "FAIL $1"
	failed=1
	shift
	for file in "$@"; do tail -n 12 "$file" | sed 's/^/      /'; done
}

# record_live NAME ARGS...: attaches to $target, lets it begin, waits for both.
record_live() {
	local name=$1
	shift
	rm -f ready
	mkfifo ready
	heaptape record --ready-fd 9 -p $target -o t.tape -f --buffer 4M "$@" 9>ready 2>record.err &
	recorder=$!
	if [ "$(head -c1 ready)" != r ]; then
		kill -9 $target
		bad "$name" record.err
		return 1
	fi
	echo go >&8
	exec 8>&-
	wait $target || { bad "$name: the target" target.err; return 1; }
	wait $recorder || { bad "$name: the recorder" record.err; return 1; }
}
start_target() {
	rm -f go
	mkfifo go
	"$@" <go >target.out 2>target.err &
	target=$!
	exec 8>go
}

# truth NAME NEED PRELOAD RECORD-ARGS -- CMD...: the tape against the independent recorder's log.
truth() {
	local name=$1 need=$2 preload=$3 options=
	shift 3
	while [ "$1" != -- ]; do options="$options $1"; shift; done
	shift
	log=/tmp/log$((log_nr += 1))
	mkdir $log
	start_target env ORACLE_DIR=$log LD_PRELOAD="/t/liboracle.so $preload" "$@"
	sleep 0.5
	record_live "$name" $options || return
	if compare --need "$need" t.tape $log >compare.out 2>&1; then ok "$name ($(tail -n1 compare.out))"; else bad "$name" compare.out record.err; fi
	rm -rf $log
}

doctor() {
	heaptape doctor >doctor.out 2>&1
	status=$?
	head -n2 doctor.out | sed 's/^/      /'
	if [ $status = "${1:-0}" ]; then ok "doctor ends with $status"; else bad "doctor ends with $status, not ${1:-0}" doctor.out; fi
}

# Programs with a heap of their runtime's, which keeps count of it: each collection's row against that count.
languages() {
	name="GHC's blocks are the runtime's own at each collection"
	if heaptape record -q -f -o t.tape -- ghc_strip 5000 strip >target.out 2>record.err &&
		heaptape export -q t.tape --format csv --table runtime >rows.csv 2>>record.err &&
		awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "ghc.live_blocks") live = i; else if ($i ~ /spans/) spans[i] = 1; next }
			{ sum = 0; for (i in spans) sum += $i; bad += sum != 4096 * $live; nr++ }
			END { print nr " collections, " bad + 0 " differ"; exit !(nr > 20 && bad == 0) }' rows.csv >awk.out; then ok "$name"; else bad "$name" awk.out record.err; fi
	name="Go's allocations are as many as the runtime says"
	if heaptape record -q -f -o t.tape -- go_sizeclass 100 broken >target.out 2>record.err && heaptape dump t.tape >dump.out 2>>record.err &&
		grep '"malloc"' dump.out | wc -l | awk -v said="$(tail -n1 target.out | sed 's/.*mallocs \([0-9]*\).*/\1/')" \
			'{ print $1 " on the tape, " said " by the runtime"; exit !(said > 3000 && $1 >= said && $1 < said + 50) }' >awk.out; then ok "$name"; else bad "$name" awk.out record.err; fi
}

ALL=malloc,calloc,realloc,aligned,free,failed
plain() { truth "C, all calls, 3 threads" $ALL "" -- all_calls 3 3000; }
plain_perf() { truth "C, all calls, 3 threads, perf events" $ALL "" --backend perf -- all_calls 3 3000; }
simple() { truth "C, all calls, simple plans" $ALL "" --plans simple -- all_calls 1 8000; }
cxx() { truth "C++, all forms" malloc,aligned,free,failed "" --plans simple -- cxx_calls 60; }
jemalloc() {
	[ -e /t/libjemalloc.so.2 ] || return 0
	truth "C, all calls, jemalloc" $ALL /t/libjemalloc.so.2 -- env ORACLE_NEW=jemalloc all_calls 2 4000 no-pvalloc
}

command_held() {
	log=/tmp/log$((log_nr += 1))
	mkdir $log
	if heaptape record -q -o t.tape -f -- env ORACLE_DIR=$log LD_PRELOAD=/t/liboracle.so churn 0.3 2 >out 2>record.err; then
		if compare --whole --need malloc,free t.tape $log >compare.out 2>&1; then ok "a command from its first call ($(tail -n1 compare.out))"; else
			bad "a command from its first call" compare.out
		fi
	else
		bad "a command from its first call" record.err
	fi
	rm -rf $log
}

# Rows of code that has just come may be late on so slow a machine: a stack may be cut, but never wrong.
stacks() {
	rm -f log
	if ! STACK_LOG=/tmp/log heaptape record -q -f -o t.tape --max-frames 200 -- stack_cases_pie 4 /t/stack_plugin0.so \
		/t/stack_plugin1.so /t/stack_plugin2.so >out 2>record.err; then
		bad "call stacks (status $?)" record.err out
		return
	fi
	if compare_stacks --cut-ok --least 100 t.tape log >compare.out 2>&1; then ok "call stacks ($(tail -n1 compare.out))"; else bad "call stacks" compare.out; fi
}

faults() {
	heaptape record -q -o t.tape -f -- churn 0.1 1 >out 2>record.err
	heaptape info t.tape --json >info.json 2>&1
	if grep -qE '"fault":[[:space:]]*[1-9][0-9]' info.json && grep -qE '"brk":[[:space:]]*[1-9]' info.json; then
		ok "page faults and system calls are on the tape"
	else
		bad "page faults and system calls are on the tape" info.json record.err
	fi
}

# A recorder that is killed leaves no probe: read back by what the target's text looks like in a recording after it.
killed() {
	churn 0 1 >/dev/null &
	target=$!
	sleep 0.3
	heaptape probe -p $target --json >probe.json 2>probe.err
	heaptape record -q -p $target -o t.tape -f >out 2>record.err &
	recorder=$!
	sleep 2
	kill -9 $recorder
	wait $recorder
	sleep 0.5
	if heaptape record -q -p $target -o t2.tape -f --duration 300ms >out 2>record.err; then ok "a second recorder after a killed one"; else
		bad "a second recorder after a killed one" record.err
	fi
	kill -9 $target
	wait $target
}

# Children by fork and by posix_spawn (follow.c): 1000 calls and 1100 frees of a forked one, 1000 and 1000 and 10 of a spawned one.
follow() {
	local mode want bad_modes=
	for mode in fork spawn; do
		[ $mode = fork ] && want=2100 || want=2010
		if ! heaptape record --follow-fork --follow-max 2 --plans simple -q -o f.tape -f --json -- follow $mode >f.json 2>record.err; then
			bad "children: $mode" record.err
			return
		fi
		heaptape info f.tape --json >info.json 2>&1
		if [ "$(grep -o '"children_recorded":1,' info.json | wc -l)" != 1 ] || ! grep -q "\"events\":$want,\"lost\":0,\"unknown_frees\":0" info.json; then
			bad_modes="$bad_modes $mode"
			cp info.json "bad.$mode"
		fi
	done
	if [ -z "$bad_modes" ]; then ok "children by fork and posix_spawn, every call"; else bad "children:$bad_modes" record.err bad.*; fi
}

# The fewest capabilities that README names, as nobody, on a process of somebody else's: by uprobe_multi or by perf events.
rights() {
	few=cap_39,cap_38,cap_19 # bpf, perfmon, sys_ptrace
	heaptape doctor | grep -q "ok       uprobe_multi" || few=cap_21,cap_19 # sys_admin, sys_ptrace
	set="-all,+$(echo $few | sed 's/,/,+/g')"
	churn 0 1 >/dev/null &
	target=$!
	sleep 0.3
	rm -rf few
	mkdir -m 777 few
	/t/setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps "$set" --ambient-caps "$set" --bounding-set "$set" \
		heaptape record -p $target -o few/t.tape -f --duration 300ms --plans simple >out 2>record.err
	status=$?
	kill -9 $target
	heaptape info few/t.tape --json >info.json 2>&1
	if [ $status = 0 ] && grep -qE '"malloc":[[:space:]]*[1-9][0-9][0-9]' info.json && grep -q "madvise are not recorded" record.err; then
		ok "rights: $few are enough, and what is off is said"
	else
		bad "rights: $few (status $status)" record.err
	fi
	/t/setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps "-all,+cap_19" --ambient-caps "-all,+cap_19" --bounding-set "-all,+cap_19" \
		heaptape record -p 1 -o few/n.tape -f --duration 300ms >out 2>record.err
	if [ $? = 1 ] && grep -q "no right to record" record.err; then ok "rights: sys_ptrace alone is refused"; else
		bad "rights: sys_ptrace alone is refused" record.err
	fi
}

# For a person: what the kernel says to the programs.
verifier() {
	heaptape record -v -o t.tape -f -- churn 0.1 1 >out 2>&1
	tail -n 60 out
	heaptape info t.tape
}

# What this kernel lacks is said, and nothing is written.
refused() {
	churn 0 1 >/dev/null &
	target=$!
	sleep 0.3
	heaptape record -q -p $target -o none.tape -f --duration 300ms >out 2>record.err
	status=$?
	kill -9 $target
	sed 's/^/      /' record.err
	if [ $status = 1 ] && [ "$(wc -l <record.err)" = 1 ] && grep -q "Linux 5.17" record.err; then ok "record says what is missing"; else
		bad "record says what is missing (status $status)" record.err
	fi
}

for word in $(sed 's/.*guest=\([^ ]*\).*/\1/' /proc/cmdline | tr , ' '); do
	echo "guest: $word at $(cut -d' ' -f1 /proc/uptime) s"
	"$(echo "$word" | cut -d: -f1)" "$(echo "$word" | sed -n 's/[^:]*://p')"
done
echo "guest: ended with $failed"
sync
reboot -f
