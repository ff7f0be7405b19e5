#!/usr/bin/env bash
# slurm.sh - runs made by a real Slurm: a controller and a node of our own, here, for as long as the test takes.
# By itself: ROOT=. BUILD=build bash tests/replay/slurm.sh
set -u
RESULTS=${RESULTS:-/dev/null}
. "$ROOT/tests/lib.sh"

allocators=$BUILD/replay-allocators
cpus=$(nproc)

lacks() {
	local program
	for program in munged slurmctld slurmd sbatch squeue scancel scontrol; do command -v $program >/dev/null || { echo $program; return 0; }; done
	return 1
}

# A free port, for what only this test talks to.
port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

configure() {
	mkdir -p "$TMP/munge" "$TMP/state" "$TMP/spool" && chmod 755 "$TMP" && chmod 700 "$TMP/munge"
	dd if=/dev/urandom of="$TMP/munge/key" bs=1024 count=1 status=none && chmod 400 "$TMP/munge/key"
	cat >"$TMP/slurm.conf" <<C
ClusterName=heaptape
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$(port)
SlurmdPort=$(port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$TMP/munge/socket
CryptoType=crypto/munge
StateSaveLocation=$TMP/state
SlurmdSpoolDir=$TMP/spool
SlurmctldPidFile=$TMP/slurmctld.pid
SlurmdPidFile=$TMP/slurmd.pid
SlurmctldLogFile=$TMP/slurmctld.log
SlurmdLogFile=$TMP/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MinJobAge=300
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=10 State=UP
C
	export SLURM_CONF=$TMP/slurm.conf
}

start_cluster() {
	munged --foreground --force --key-file="$TMP/munge/key" --socket="$TMP/munge/socket" --pid-file="$TMP/munge/pid" \
		--log-file="$TMP/munge/log" --seed-file="$TMP/munge/seed" >"$TMP/munged.out" 2>&1 &
	MUNGED=$!
	PIDS+=("$MUNGED")
	for _ in $(seq 50); do [ -S "$TMP/munge/socket" ] && break; sleep 0.1; done
	slurmctld -D >"$TMP/slurmctld.out" 2>&1 &
	SLURMCTLD=$!
	PIDS+=("$SLURMCTLD")
	slurmd -D >"$TMP/slurmd.out" 2>&1 &
	SLURMD=$!
	PIDS+=("$SLURMD")
	for _ in $(seq 200); do [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && return 0; sleep 0.1; done
	return 1
}

stop_cluster() {
	scontrol shutdown >/dev/null 2>&1
	for _ in $(seq 50); do kill -0 "$SLURMCTLD" 2>/dev/null || kill -0 "$SLURMD" 2>/dev/null || break; sleep 0.1; done
	end_target "$SLURMD" "$SLURMCTLD" "$MUNGED"
}

replay() { # OPTIONS...
	timeout 120 "$HEAPTAPE" replay "$TMP/single.tape" --json --alloc glibc --alloc "$allocators/alloc_bump.so" --repeat 3 "$@" >"$TMP/out" 2>"$TMP/err"
}
memory() { # of the result that was printed last
	/usr/bin/python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
print([(r["allocator"]["label"], r["peak_resident"], r["end_resident"], r["end_split"], r["timeline"], r.get("recorded"), len(r["runs"])) for r in d["results"]])' "$TMP/out"
}

merged() {
	replay && memory >"$TMP/local"
	replay --executor slurm --jobs "$cpus"
	if memory >"$TMP/cluster" && cmp -s "$TMP/local" "$TMP/cluster"; then pass "a result made by Slurm is that of a local one"; else
		fail "a result made by Slurm is that of a local one" "see below"
		tail -n 3 "$TMP/err" "$TMP/slurmctld.log" "$TMP/slurmd.log" | sed 's/^/      /'
		diff "$TMP/local" "$TMP/cluster" | cut -c 1-400
	fi
	check "and says what its times are worth" test "$(json "$TMP/out" 'any("CPUs of their own" in w for w in d["warnings"])')" = True
	check "nothing is left beside the tape" test "$(find "$TMP" -maxdepth 1 -name 'heaptape-runs-*' | wc -l)" = 0
}

# A job that is killed once leaves no result: it is asked for again, and the answer is whole.
lost() {
	local victim
	replay --executor slurm --jobs 1 &
	local pid=$!
	PIDS+=("$pid")
	for _ in $(seq 100); do
		victim=$(squeue -h -r -t PENDING -o %i 2>/dev/null | tail -n 1)
		[ -n "$victim" ] && scancel "$victim" && break
		sleep 0.05
	done
	wait "$pid"
	if [ -n "$victim" ] && memory >"$TMP/cluster" && cmp -s "$TMP/local" "$TMP/cluster" && grep -q "submitted again" "$TMP/err"; then
		pass "a lost job is run again, and the result is whole"
	else
		fail "a lost job is run again, and the result is whole" "cancelled: ${victim:-none}; $(tail -n 2 "$TMP/err")"
	fi
}

failing() {
	timeout 120 "$HEAPTAPE" replay "$TMP/single.tape" --json --alloc "$allocators/alloc_crash.so" --executor slurm >"$TMP/out" 2>"$TMP/err"
	check "an allocator that crashes on a node is its own failure" test "$(json "$TMP/out" 'd["results"][0]["error"]["kind"]')" = crashed
	timeout 120 "$HEAPTAPE" replay "$TMP/single.tape" --alloc glibc --executor slurm:--partition=none >"$TMP/out" 2>"$TMP/err"
	if [ $? = 1 ] && grep -q "sbatch failed: .*partition" "$TMP/err"; then pass "what sbatch refuses is told"; else
		fail "what sbatch refuses is told" "$(tail -n 2 "$TMP/err")"
	fi
	timeout 60 env PATH=/nowhere "$HEAPTAPE" replay "$TMP/single.tape" --alloc glibc --executor slurm >"$TMP/out" 2>"$TMP/err"
	if [ $? = 1 ] && grep -q "sbatch is not installed" "$TMP/err"; then pass "without Slurm it says what to do"; else
		fail "without Slurm it says what to do" "$(tail -n 2 "$TMP/err")"
	fi
}

tunes() {
	printf 'MALLOC_ARENA_MAX 1 2\nMALLOC_TOP_PAD_ 0 1048576\n' >"$TMP/space"
	HEAPTAPE_CACHE=$TMP/cache timeout 240 "$HEAPTAPE" tune "$TMP/single.tape" --alloc glibc --space "$TMP/space" --executor slurm --jobs "$cpus" --json >"$TMP/out" 2>"$TMP/err"
	check "tune by Slurm comes to an end, with all its choices" test "$(json "$TMP/out" 'd["choices"] >= 5 and d["runs"] > 20 and not d["failed"]')" = True
}

need_root "Slurm" || exit 0
missing=$(lacks) && { skip "runs by Slurm" "$missing is not installed; tests/setup.sh test brings it"; exit 0; }
"$BUILD/make_tape" "$TMP/single.tape" single 50000 2000 1 >/dev/null || { fail "make_tape" "it failed"; exit 0; }
configure
if ! start_cluster; then
	fail "a Slurm of our own" "it did not come up: $(tail -n 3 "$TMP/slurmctld.out" "$TMP/slurmd.out" "$TMP/slurmctld.log" "$TMP/slurmd.log" 2>&1 | tail -n 12)"
	exit 0
fi
merged
lost
failing
[ -n "${HEAPTAPE_TEST_FULL:-}" ] && tunes
stop_cluster
exit 0
