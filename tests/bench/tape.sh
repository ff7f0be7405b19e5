#!/usr/bin/env bash
# tape.sh - how large tapes are, and what writing and reading them takes: bytes an event of whole programs, as recorded,
# stripped and without addresses, with heaptrack's files beside them; memory of the recorder and of a reader. Printed, not judged.
set -u
. "$ROOT/tests/lib.sh"

PORT=${BENCH_PORT:-18765}
REQUESTS=${BENCH_REQUESTS:-300000}
need_root "bench-tape" || exit 0

# NAME TAPE [NOTE]: bytes a call of the tape, and of what strip leaves of it.
sizes() {
	local nr full stripped bare
	"$HEAPTAPE" strip -q -f "$2" -o "$TMP/s.tape" && "$HEAPTAPE" strip -q -f "$2" --addresses -o "$TMP/b.tape" || return
	nr=$("$HEAPTAPE" info "$2" --json | /usr/bin/python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["events"]["total"], d["lost"]["total"])')
	full=$(stat -c %s "$2") stripped=$(stat -c %s "$TMP/s.tape") bare=$(stat -c %s "$TMP/b.tape")
	awk -v name="$1" -v n="${nr% *}" -v lost="${nr#* }" -v f="$full" -v s="$stripped" -v b="$bare" -v note="${3:-}" 'BEGIN {
		printf "%s: %d calls, %d lost: %.2f bytes a call; stripped %.2f; without addresses %.2f%s\n", name, n, lost, f / n, s / n, b / n, note }'
}

# The size of heaptrack's file for the same program.
tracked() { # CMD...
	command -v heaptrack >/dev/null || return
	rm -f "$TMP"/ht*
	timeout 300 heaptrack -o "$TMP/ht" "$@" >/dev/null 2>&1
	ls "$TMP"/ht* >/dev/null 2>&1 && echo "; heaptrack's file: $(cat "$TMP"/ht* | wc -c) bytes beside $(stat -c %s "$TMP/p.tape")"
}

program() { # NAME CMD...
	local name=$1
	shift
	"$HEAPTAPE" record -q -f -o "$TMP/p.tape" -- "$@" >/dev/null 2>"$TMP/err" || { skip "bench-tape $name" "$(tail -n1 "$TMP/err")"; return; }
	sizes "$name" "$TMP/p.tape" "$(tracked "$@")"
}

load() { timeout 300 redis-benchmark -q -p "$PORT" -n "$REQUESTS" -r 100000 -d 64 -P 16 -t set,get,lpush,lpop,sadd,hset >/dev/null 2>&1; }

start_redis() { # PREFIX...
	rm -rf "$TMP/redis" && mkdir "$TMP/redis"
	"$@" redis-server --port "$PORT" --dir "$TMP/redis" --save '' --appendonly no >/dev/null 2>&1 &
	TARGET=$!
	PIDS+=("$TARGET")
	for _ in $(seq 100); do redis-cli -p "$PORT" ping >/dev/null 2>&1 && return; sleep 0.1; done
}

redis() {
	command -v redis-server >/dev/null || { skip "bench-tape redis" "no redis-server"; return; }
	local rss
	start_redis
	start_recorder -q -f -p "$TARGET" -o "$TMP/p.tape" || { skip "bench-tape redis" "no recorder"; return; }
	load
	rss=$(awk '/VmHWM/ { print $2 }' "/proc/$RECORDER/status")
	kill -INT "$RECORDER"
	wait "$RECORDER"
	end_target "$TARGET"
	if command -v heaptrack >/dev/null; then
		start_redis heaptrack -o "$TMP/hr"
		load
		redis-cli -p "$PORT" shutdown nosave >/dev/null 2>&1
		wait "$TARGET" 2>/dev/null
	fi
	sizes redis "$TMP/p.tape" "; heaptrack's file: $(cat "$TMP"/hr* 2>/dev/null | wc -c) bytes beside $(stat -c %s "$TMP/p.tape")"
	echo "the recorder's resident set: at most $rss KiB, its BPF rings included"
}

reader() { # a tape of about 1 GiB: random calls, which compress badly
	"$BUILD/bench_large_tape" "$TMP/large.tape" "${BENCH_TAPE_NBYTES:-1073741824}" || return
	/usr/bin/python3 - "$HEAPTAPE" "$TMP/large.tape" <<-'PY'
		import os, resource, subprocess, sys, time
		begin = time.time()
		subprocess.run([sys.argv[1], "dump", "--format", "csv", sys.argv[2]], stdout=subprocess.DEVNULL, check=True)
		print("a tape of %d MiB: read by dump in %.0f s with %d MiB resident" % (os.stat(sys.argv[2]).st_size >> 20,
		      time.time() - begin, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10))
	PY
	rm -f "$TMP/large.tape"
}

# What the recorder holds for each live object, beside what it holds for a program of none: the live set alone, and while a
# forked copy makes a keyframe of it (pages that either changes since the fork are both's).
memory() {
	/usr/bin/python3 - "$HEAPTAPE" "$BUILD/bench/live_objects" "$TMP/m.tape" ${BENCH_LIVE:-1000000 10000000} <<-'PY'
		import os, subprocess, sys, time
		heaptape, program, tape, counts = sys.argv[1], sys.argv[2], sys.argv[3], [int(n) for n in sys.argv[4:]]
		def pss(pid): # KiB; shared with the copy: half each
		    try: return sum(int(l.split()[1]) for l in open("/proc/%d/smaps_rollup" % pid) if l.startswith("Pss:"))
		    except OSError: return 0
		def children(pid):
		    try: return [int(p) for p in open("/proc/%d/task/%d/children" % (pid, pid)).read().split()]
		    except OSError: return []
		def run(nr, keyframe):
		    target = subprocess.Popen([program, str(nr), "30"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
		    target.stdout.readline()
		    ready, done = os.pipe()
		    recorder = subprocess.Popen([heaptape, "record", "-q", "-f", "-p", str(target.pid), "-o", tape, "--keyframe", keyframe,
		                                 "--ready-fd", str(done)], pass_fds=[done])
		    os.read(ready, 1)
		    target.stdin.write(b"go\n"), target.stdin.flush()
		    target.stdout.readline()
		    most = 0
		    end = time.time() + 9
		    while time.time() < end:
		        most = max(most, pss(recorder.pid) + sum(pss(c) for c in children(recorder.pid)))
		        time.sleep(0.02)
		    target.kill(), recorder.wait()
		    return most
		base = run(1000, "0")
		print("the recorder of a program without live objects: %d KiB, rings included" % base)
		for nr in counts:
		    alone, together = run(nr, "0"), run(nr, "4s")
		    print("of one with %d: %d KiB, %.1f bytes an object; with keyframes %d KiB, %.1f bytes" %
		          (nr, alone, (alone - base) * 1024 / nr, together, (together - base) * 1024 / nr))
	PY
}

cat >"$TMP/unit.cc" <<'EOC'
#include <algorithm>
#include <map>
#include <regex>
#include <string>
int main() { std::map<std::string, std::regex> m; return static_cast<int>(m.size()); }
EOC
redis
PYTHONMALLOC=malloc program "python3" /usr/bin/python3 -c 'import json
for i in range(10): json.loads(json.dumps([{str(k): [k, str(k), {"v": float(k)}] for k in range(5000)}]))'
program "a C++ compile" "$(g++ -print-prog-name=cc1plus)" -quiet -O1 -D_GNU_SOURCE -imultiarch "$(g++ -print-multiarch)" "$TMP/unit.cc" -o "$TMP/unit.s"
reader
"$BUILD/bench/feed_ring" "$TMP/feed.tape" && rm -f "$TMP/feed.tape"
memory
echo pass >>"$RESULTS"
exit 0
