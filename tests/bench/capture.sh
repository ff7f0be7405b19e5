#!/usr/bin/env bash
# capture.sh - what recording costs beside the least that is possible, beside the usual way to trace an allocator, and
# beside other tools; printed with the goals, never judged. All variants of a figure come from one interleaved run. Each
# ns figure is the best window of all rounds (the undisturbed cost), and the median of the rounds' medians.
#   CAPTURE_ROUNDS  rounds (3)
set -u
. "$ROOT/tests/lib.sh"

ROUNDS=${CAPTURE_ROUNDS:-3}
BENCH=$BUILD/bench

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { if (NR) printf "%.1f", v[int((NR + 1) / 2)] }'; }
least() { sort -n "$1" | head -n1; }
ratio() { awk -v a="${1:-}" -v b="${2:-}" 'BEGIN { if (a > 0 && b > 0) printf "%.2f", a / b; else printf "-" }'; }

# ---- things that stand beside heaptape: begin_X PID LIBRARY, end_tool ----

# bpftrace's own table of live blocks; nothing is printed for each call. It needs a tracefs to take its probes away, which is
# mounted for it alone.
begin_bpftrace() {
	local program="uprobe:$2:malloc { @size[tid] = arg0; }
		uretprobe:$2:malloc /@size[tid]/ { @live[retval] = @size[tid]; delete(@size[tid]); }
		uprobe:$2:free { delete(@live[arg0]); }"
	BPFTRACE_MAP_KEYS_MAX=1000000 unshare -m bash -c 'ulimit -l unlimited; mount -t tracefs tracefs /sys/kernel/tracing
		exec bpftrace -p "$0" -e "$1"' "$1" "$program" >"$TMP/bpftrace.out" 2>&1 &
	TOOL=$!
	PIDS+=("$TOOL")
	sleep 2
	grep -q Attaching "$TMP/bpftrace.out" && kill -0 "$TOOL" 2>/dev/null
}

# begin_probe PID FILE WORDS...: capture_probe, which says when it is ready.
begin_probe() {
	local ready
	rm -f "$TMP/probe.in" "$TMP/probe.out"
	mkfifo "$TMP/probe.in" "$TMP/probe.out"
	"$BENCH/capture_probe" "$@" <"$TMP/probe.in" >"$TMP/probe.out" 2>"$TMP/probe.err" &
	TOOL=$!
	PIDS+=("$TOOL")
	exec 7>"$TMP/probe.in"
	read -r ready <"$TMP/probe.out"
	[ "$ready" = ready ]
}

begin_heaptape() { # PID ARGS...
	local pid=$1
	shift
	start_recorder -q -p "$pid" -o "$TMP/t.tape" -f "$@" >"$TMP/record.json" || return 1
	TOOL=$RECORDER
}

end_tool() {
	exec 7>&-
	kill -INT "$TOOL" 2>/dev/null
	wait "$TOOL" 2>/dev/null
}

# As the verb has them; older ones have no stacks at all.
STACKS=()
"$HEAPTAPE" record --help | grep -q -- --stacks && STACKS=(--stacks none)

# ---- (a) a pair of malloc and free ----

# start_timed MODE... with LIB: a target that answers each line; it stands on descriptors 3 (answers) and 4.
start_timed() {
	rm -f "$TMP/t.in" "$TMP/t.out"
	mkfifo "$TMP/t.in" "$TMP/t.out"
	LD_PRELOAD=$LIB "$BENCH/capture_target" "$@" <"$TMP/t.in" >"$TMP/t.out" &
	TARGET=$!
	PIDS+=("$TARGET")
	exec 4>"$TMP/t.in" 3<"$TMP/t.out"
}
end_timed() {
	exec 4>&- 3<&-
	wait "$TARGET" 2>/dev/null
}
time_round() { # NAME
	local best middle
	echo go >&4
	read -r best middle <&3
	echo "$best" >>"$TMP/$1.best"
	echo "$middle" >>"$TMP/$1.median"
}

# File offsets of the emulated sites that begin a malloc or a free: each call passes one, but for rare ways.
emulated_sites() { # PROBE.json PATH
	/usr/bin/python3 - "$1" "$2" <<'PY'
import json, os, sys
same = lambda a, b: os.path.realpath(a) == os.path.realpath(b)
found = {}
for a in json.load(open(sys.argv[1]))["allocators"]:
    for f in a["functions"] if same(a["path"], sys.argv[2]) else []:
        name = f["name"].split("_")[-1]
        if f["op"] == name and name in ("malloc", "free") and f["name"] in (name, "__libc_" + name, "mi_" + name, "tc_" + name, "je_" + name):
            for s in f["sites"]:
                if s["role"] not in ("finish", "guard", "own") and s["class"] == "emulated":
                    found.setdefault(name, set()).add(s["offset"])
if len(found) == 2:
    print(*found["malloc"], *found["free"])
PY
}

pairs_of() { # ALLOCATOR
	local allocator=$1 path offsets
	LIB=$(library "$allocator")
	[ "$allocator" = glibc ] || [ -n "$LIB" ] || { echo "  $allocator: not on this machine"; return; }
	path=${LIB:-$(ldd "$HEAPTAPE" | awk '/libc\.so/ { print $3 }')}
	start_timed pairs 64
	sleep 0.2
	"$HEAPTAPE" probe -p "$TARGET" --json >"$TMP/sites.json"
	offsets=$(emulated_sites "$TMP/sites.json" "$path")
	for _ in $(seq "$ROUNDS"); do
		time_round "$allocator.plain"
		if [ -n "$offsets" ]; then
			# shellcheck disable=SC2086 # words
			begin_probe "$TARGET" "$path" empty $offsets && time_round "$allocator.floor"
			end_tool
		fi
		begin_heaptape "$TARGET" --faults off --mappings off --json "${STACKS[@]}" && time_round "$allocator.heaptape"
		end_tool
		begin_probe "$TARGET" "$path" usual && time_round "$allocator.usual"
		end_tool
		if command -v bpftrace >/dev/null && begin_bpftrace "$TARGET" "$path"; then
			time_round "$allocator.bpftrace"
			end_tool
		fi
	done
	end_timed
	print_pairs "$allocator"
}

print_pairs() { # ALLOCATOR
	local variant best=() at=0
	for variant in plain floor heaptape usual bpftrace; do
		best[at]=
		if [ -s "$TMP/$1.$variant.best" ]; then
			best[at]=$(least "$TMP/$1.$variant.best")
			printf '  %-10s %-44s %9.1f ns best %9.1f ns median\n' "$1" "${words[$variant]}" "${best[at]}" "$(median "$TMP/$1.$variant.median")"
		fi
		at=$((at + 1))
	done
	printf '  %-10s heaptape is %s of the floor (goal: glibc at most 1.15); the usual way is %s of heaptape (goal: at least %s), bpftrace %s\n' \
		"$1" "$(ratio "${best[2]}" "${best[1]}")" "$(ratio "${best[3]}" "${best[2]}")" "$([ "$1" = glibc ] && echo 3 || echo 4)" \
		"$(ratio "${best[4]}" "${best[2]}")"
}
declare -A words=([plain]="not probed" [floor]="two empty programs, emulated instructions" [heaptape]="heaptape record"
	[usual]="entry + return probe, free: first instruction" [bpftrace]="the same by bpftrace, a table of live blocks")

# ---- (b) programs ----

REDIS_REQUESTS=${CAPTURE_REDIS_REQUESTS:-30000}

wait_redis() { for _ in $(seq 100); do redis-cli -p "$1" ping >/dev/null 2>&1 && return 0; sleep 0.1; done; return 1; }

# Seconds that the same requests take; the server is ended by its own command, so that heaptrack's wrapper ends as well.
redis_requests() { # PORT NAME
	local begin end
	begin=$(date +%s.%N)
	redis-benchmark -p "$1" -t set,lpush,lpop,sadd,hset -n "$REDIS_REQUESTS" -d 120 -r 100000 -q >/dev/null 2>&1
	end=$(date +%s.%N)
	awk -v a="$begin" -v b="$end" 'BEGIN { print b - a }' >>"$TMP/redis.$2"
}

redis_round() { # VARIANT
	local port=$((17000 + RANDOM % 1000)) dir="$TMP/redis" wrap=() server lib
	rm -rf "$dir" && mkdir "$dir"
	[ "$1" = heaptrack ] && wrap=(heaptrack -o "$TMP/heaptrack.out")
	"${wrap[@]}" redis-server --port $port --save '' --dir "$dir" --pidfile "$dir/pid" --daemonize no >/dev/null 2>&1 &
	PIDS+=("$!")
	wait_redis $port || { echo "  redis-server did not start ($1)"; return; }
	server=$(redis-cli -p $port info server | tr -d '\r' | sed -n 's/^process_id://p')
	PIDS+=("$server")
	lib=$(awk '/libjemalloc/ { print $6; exit }' "/proc/$server/maps")
	lib=${lib:-$(awk '/libc\.so/ { print $6; exit }' "/proc/$server/maps")}
	case $1 in
	heaptape) begin_heaptape "$server" "${STACKS[@]}" || return ;;
	bpftrace) begin_bpftrace "$server" "$lib" || return ;;
	esac
	redis_requests $port "$1"
	case $1 in heaptape | bpftrace) end_tool ;; esac
	redis-cli -p $port shutdown nosave >/dev/null 2>&1
	for _ in $(seq 50); do kill -0 "$server" 2>/dev/null || break; sleep 0.1; done
	rm -f "$TMP"/heaptrack.out*
}

# Builds and drops dictionaries, strings and JSON, each object a malloc; says how long that took, without the start of the
# interpreter or of a tool.
cat >"$TMP/work.py" <<'PY'
import json, sys, time
sys.stdin.readline()
begin = time.monotonic()
for n in range(6):
    d = {i: {"name": "object %d" % i * 3, "values": list(range(i % 20))} for i in range(6000)}
    text = json.dumps(d)
    back = json.loads(text)
    words = sorted(set(text.split()))
print(time.monotonic() - begin)
PY
python_round() { # VARIANT
	local wrap=() script pid
	rm -f "$TMP/py.in"
	mkfifo "$TMP/py.in"
	[ "$1" = heaptrack ] && wrap=(heaptrack -o "$TMP/heaptrack.out")
	PYTHONMALLOC=malloc "${wrap[@]}" /usr/bin/python3 "$TMP/work.py" <"$TMP/py.in" >"$TMP/py.out" 2>/dev/null &
	script=$!
	PIDS+=("$script")
	exec 5>"$TMP/py.in"
	sleep 1
	pid=$script
	case $1 in
	heaptape) begin_heaptape "$pid" "${STACKS[@]}" || return ;;
	bpftrace) begin_bpftrace "$pid" "$(awk '/libc\.so/ { print $6; exit }' "/proc/$pid/maps")" || return ;;
	esac
	echo go >&5
	exec 5>&-
	wait "$script"
	case $1 in heaptape | bpftrace) end_tool ;; esac
	grep -E '^[0-9.]+$' "$TMP/py.out" >>"$TMP/python.$1"
	rm -f "$TMP"/heaptrack.out*
}

programs() { # NAME: redis or python
	local variant round rounds=$(((ROUNDS + 1) / 2))
	for round in $(seq $rounds); do
		for variant in plain heaptape heaptrack bpftrace; do
			case $variant in heaptrack | bpftrace) command -v $variant >/dev/null || continue ;; esac
			"$1_round" $variant
		done
	done
	for variant in plain heaptape heaptrack bpftrace; do
		[ -s "$TMP/$1.$variant" ] || { echo "  $1 under $variant: no figure"; continue; }
		printf '  %-8s %-32s %7.2f s median  %5s times as long\n' "$1" "$variant" "$(median2 "$TMP/$1.$variant")" \
			"$(ratio "$(median2 "$TMP/$1.$variant")" "$(median2 "$TMP/$1.plain")")"
	done
}
median2() { sort -n "$1" | awk '{ v[NR] = $1 } END { if (NR) printf "%.3f", v[int((NR + 1) / 2)] }'; }

# ---- (c) planning and checking ----

# Whatever remembers results, remembers them here: nobody's cache is used or spoilt.
plan_once() { # NAME LIB: how long the command takes, ms, and what record says of its check
	local begin end
	begin=$(date +%s%N)
	"$HEAPTAPE" probe --lib "$2" >/dev/null
	end=$(date +%s%N)
	printf '  %-10s %-8s probe --lib %6d ms' "$1" "$3" $(((end - begin) / 1000000))
	LD_PRELOAD=$([ "$1" = glibc ] || echo "$2") "$LIVE/churn" 20 1 >/dev/null &
	TARGET=$!
	PIDS+=("$TARGET")
	sleep 0.2
	begin=$(date +%s%N)
	"$HEAPTAPE" record -v -p "$TARGET" -o "$TMP/t.tape" -f --duration 1ms 2>"$TMP/record.err"
	end=$(date +%s%N)
	printf '; record, whole %6d ms; its check: %s\n' $(((end - begin) / 1000000)) \
		"$(sed -n "s/.*$(basename "$2")[^(]*known calls.*(\([^()]*\))\$/\1/p" "$TMP/record.err" | tail -n1)"
	end_target "$TARGET"
}

planning() {
	local allocator lib
	export XDG_CACHE_HOME="$TMP/cache" HEAPTAPE_CACHE="$TMP/cache"
	for allocator in glibc jemalloc mimalloc tcmalloc; do
		lib=$(library $allocator)
		[ $allocator = glibc ] && lib=$(ldd "$HEAPTAPE" | awk '/libc\.so/ { print $3 }')
		[ -n "$lib" ] || continue
		rm -rf "$TMP/cache"
		mkdir "$TMP/cache"
		plan_once $allocator "$lib" first
		plan_once $allocator "$lib" again
	done
	unset XDG_CACHE_HOME HEAPTAPE_CACHE
}

# ---- (d) attaching ----

stalls() {
	local try plain attached held=0 begin
	LIB=
	start_timed gaps 4 3
	for try in $(seq 5); do
		echo go >&4
		read -r plain <&3
		echo go >&4
		sleep 0.5
		begin_heaptape "$TARGET" "${STACKS[@]}" || return
		sleep 0.5
		end_tool
		read -r attached <&3
		[ $((attached - plain)) -le 20000 ] && held=$((held + 1))
		printf '  try %d: longest gap %8.1f ms alone, %8.1f ms attached to and detached from\n' "$try" \
			"$(awk "BEGIN { print $plain / 1000 }")" "$(awk "BEGIN { print $attached / 1000 }")"
	done
	end_timed
	echo "  within 20 ms of each other in $held of 5 tries (goal: 3)"
}

need_root "bench-capture" || exit 0
what=${CAPTURE_ONLY:-pairs redis python planning stalls}
for part in $what; do
	case $part in
	pairs)
		echo "malloc(64) and free, one thread, $ROUNDS rounds"
		for allocator in glibc jemalloc mimalloc tcmalloc; do pairs_of $allocator; done
		;;
	redis)
		echo "redis-server under redis-benchmark"
		if command -v redis-server >/dev/null; then programs redis; else skip "redis" "no redis-server on this machine"; fi
		;;
	python)
		echo "python3 with PYTHONMALLOC=malloc"
		programs python
		;;
	planning)
		echo "planning and checking all functions (goal: first 2 s, from the cache 20 ms)"
		planning
		;;
	stalls)
		echo "attaching to 4 threads, 3 s each"
		stalls
		;;
	esac
done
pass "bench-capture: printed"
exit 0
