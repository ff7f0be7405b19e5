#!/usr/bin/env bash
# custom.sh - allocators that are described, by name or by profile: every call of a program that counts its own is on the tape once; Python's
# and Apache's; what is refused.
set -u
. "$ROOT/tests/lib.sh"

PROFILE=$ROOT/tests/live/custom.profile
EXAMPLES=$ROOT/examples/profiles

# refused NAME STATUS PATTERN ARGS...: record with ARGS ends with STATUS and says PATTERN.
refused() {
	local name=$1 status=$2 pattern=$3 got
	shift 3
	timeout 60 "$HEAPTAPE" record -q -f -o "$TMP/refused.tape" "$@" >"$TMP/out" 2>&1
	got=$?
	if [ "$got" = "$status" ] && grep -q -e "$pattern" "$TMP/out"; then pass "$name"; else
		fail "$name" "status $got, not $status: $(tail -n1 "$TMP/out")"
	fi
}

# start_calls ARGS...: custom_calls, begun and waiting for release_target.
start_calls() {
	start_target "$LIVE/custom_calls" "$@" wait
	for _ in $(seq 100); do
		grep -q custom_calls "/proc/$TARGET/maps" 2>/dev/null && grep -q 'libc\.so' "/proc/$TARGET/maps" && return
		sleep 0.1
	done
}

# Wrong descriptions need no rights.
refused "custom: a description without a size" 2 "at 9: alloc needs size" --alloc-fn 'zmalloc()->ret' -- true
refused "custom: an argument that is in no register" 2 "at 14: only arg1 to arg6" --alloc-fn 'zmalloc(size=arg9)' -- true
refused "custom: free gives nothing" 2 "at 16: free gives nothing" --free-fn 'zfree(ptr=arg1)->ret' -- true
refused "custom: a function twice" 2 "described twice" --alloc-fn 'z(size=arg1)' --free-fn 'z(ptr=arg1)' -- true
printf 'allocator a\nalloc z(size=arg1)\nfrei z(ptr=arg1)\n' >"$TMP/bad.profile"
refused "custom: a profile's third line" 2 "bad.profile:3:1: a line begins with" --profile "$TMP/bad.profile" -- true
refused "custom: a profile that is not there" 2 "No such file" --profile "$TMP/none.profile" -- true
refused "custom: a file that is no text" 2 "no profile" --profile "$HEAPTAPE" -- true
refused "custom: a runtime's name" 2 "runtime's name" --alloc-fn 'z(size=arg1)' --alloc-name go -- true
refused "custom: two of one name" 2 "two allocators are called python" --profile "$EXAMPLES/python.profile" --alloc-name python --alloc-fn 'z(size=arg1)' -- true

names=("custom: every call once" "custom: every call once, attached, by perf events" "custom: behind an exec, described on the command line"
	"custom: the report of one allocator" "custom: functions that are not there" "custom: a Go program" "custom: Python" "custom: pools of apr, which come by dlopen")
need_root "${names[@]}" || exit 0

name="custom: every call once"
"$HEAPTAPE" record -q -f -o "$TMP/a.tape" --profile "$PROFILE" -- "$LIVE/custom_calls" 3 3000 >"$TMP/a.counts" 2>"$TMP/err"
check "$name" "$ROOT/tests/live/custom.py" "$HEAPTAPE" "$TMP/a.tape" "$TMP/a.counts"

name="custom: the report of one allocator"
"$HEAPTAPE" report "$TMP/a.tape" --allocator pools --json >"$TMP/pools.json" 2>/dev/null
read -r _ births nbytes _ < <(grep pools "$TMP/a.counts")
check "$name: its births are the program's, and nothing of pools that were destroyed lives" test \
	"$(json "$TMP/pools.json" "tuple(sum(s[k] for s in d['sizes']) for k in ('allocations', 'allocated_bytes', 'live'))")" = "($births, $nbytes, 0)"
"$HEAPTAPE" report "$TMP/a.tape" >"$TMP/all.txt" 2>/dev/null
check "$name: the plain report names the option" grep -q "sub-allocations of pools, inside objects of others; --allocator pools" "$TMP/all.txt"
"$HEAPTAPE" report "$TMP/a.tape" --allocator nobody >/dev/null 2>"$TMP/err"
check "$name: one that is not on the tape" grep -q "no call of an allocator that is called nobody" "$TMP/err"

name="custom: every call once, attached, by perf events"
start_calls 4 1000
start_recorder -q -f -o "$TMP/b.tape" --backend perf --profile "$PROFILE" -p "$TARGET"
release_target
wait "$TARGET" "$RECORDER" 2>/dev/null
check "$name" "$ROOT/tests/live/custom.py" "$HEAPTAPE" "$TMP/b.tape" "$TMP/target.out"

name="custom: behind an exec, described on the command line"
"$HEAPTAPE" record -q -f -o "$TMP/c.tape" --alloc-name z --alloc-fn 'zmalloc(size=arg1)->ret' --realloc-fn 'zrealloc(old=arg1,size=arg2)->ret' \
	--free-fn 'zfree(ptr=arg1)' -- env "$LIVE/custom_calls" 1 1000 >"$TMP/c.counts" 2>"$TMP/err"
check "$name" "$ROOT/tests/live/custom.py" "$HEAPTAPE" "$TMP/c.tape" "$TMP/c.counts" z

name="custom: functions that are not there"
start_calls 1 10
refused "$name: all of them" 1 "none of its functions (nozalloc)" -p "$TARGET" --alloc-fn 'nozalloc(size=arg1)'
timeout 60 "$HEAPTAPE" record -f -o "$TMP/refused.tape" -d 0.2s -p "$TARGET" --alloc-fn 'zmalloc(size=arg1)' --free-fn 'nozfree(ptr=arg1)' >/dev/null 2>"$TMP/err"
check "$name: one of them is told" grep -q "custom: nozfree: not found by name" "$TMP/err"
release_target
wait "$TARGET"

# A section that only Go's linker makes.
name="custom: a Go program"
objcopy --add-section .gopclntab="$PROFILE" "$LIVE/custom_calls" "$TMP/gopher"
timeout 60 "$HEAPTAPE" record -f -o "$TMP/refused.tape" --alloc-fn 'zmalloc(size=arg1)' -- "$TMP/gopher" 1 10 >/dev/null 2>"$TMP/err"
check "$name has moving stacks, and goes on" grep -q "a return probe would kill it" "$TMP/err"

# Calls of Python's own allocator that a program makes by name, beside what the interpreter counts.
name="custom: Python"
cat >"$TMP/calls.py" <<'PY'
import ctypes, gc, sys
api = ctypes.pythonapi
for name in ("PyObject_Malloc", "PyObject_Calloc", "PyObject_Realloc", "PyMem_Malloc"):
    getattr(api, name).restype = ctypes.c_void_p
P, N = ctypes.c_void_p, ctypes.c_size_t
gc.disable()
before = sys.getallocatedblocks()
small = [api.PyObject_Malloc(N(461)) for _ in range(500)] + [api.PyObject_Calloc(N(1), N(461)) for _ in range(500)]
large = [api.PyMem_Malloc(N(70001)) for _ in range(100)]
for p in small[:300]:
    api.PyObject_Free(P(p))
grown = [api.PyObject_Realloc(P(p), N(70003)) for p in small[300:400]]
for p in large[:40]:
    api.PyMem_Free(P(p))
print("python", len(small), 461 * len(small), 400)
print("glibc", len(large) + len(grown), sys.getallocatedblocks() - before)
PY
"$HEAPTAPE" record -q -f -o "$TMP/py.tape" --profile "$EXAMPLES/python.profile" -- /usr/bin/python3 "$TMP/calls.py" >"$TMP/py.counts" 2>"$TMP/err"
"$HEAPTAPE" dump "$TMP/py.tape" >"$TMP/py.ndjson"
cat >"$TMP/py_check.py" <<'PY'
import json, sys
told = {w[0]: list(map(int, w[1:])) for w in map(str.split, open(sys.argv[1] + "/py.counts"))}
alloc = {a["name"]: i for i, a in enumerate(json.load(open(sys.argv[1] + "/py.info"))["allocators"])}
live, births, ends, moved = set(), 0, 0, {"python": 0, "glibc": 0}
for line in open(sys.argv[1] + "/py.ndjson"):
    e = json.loads(line)
    if e.get("size") in (70001, 70003):
        moved["python" if e["alloc"] == alloc["python"] else "glibc"] += 1
    if e.get("size") == 461 and e["op"] == "malloc" and e["alloc"] == alloc["python"]:
        births += 1
        live.add(e["addr"])
    if e["op"] == "free" and e.get("alloc") == alloc["python"] and e["addr"] in live:
        live.remove(e["addr"])
        ends += 1
assert births == told["python"][0], births
assert ends == told["python"][2], ends
# Above 512 bytes it is malloc's own block, once.
assert moved == {"python": 0, "glibc": told["glibc"][0]}, moved
# The interpreter's count has objects of its own in it (the lists' integers), but never less than what lives here.
assert len(live) == 600 <= told["glibc"][1], (len(live), told)
PY
"$HEAPTAPE" info "$TMP/py.tape" --json >"$TMP/py.info"
check "$name: calls by name, small ones its own, large ones malloc's" /usr/bin/python3 "$TMP/py_check.py" "$TMP"

name="custom: pools of apr, which come by dlopen"
# shellcheck disable=SC2046
if gcc -O1 -o "$TMP/apr_pools" "$ROOT/tests/live/apr_pools.c" $(pkg-config --cflags --libs apr-1) 2>"$TMP/err"; then
	"$HEAPTAPE" record -q -f -o "$TMP/apr.tape" --profile "$EXAMPLES/apr.profile" -- "$TMP/apr_pools" >"$TMP/apr.counts" 2>"$TMP/err"
	"$HEAPTAPE" report "$TMP/apr.tape" --allocator apr --json >"$TMP/apr.json" 2>/dev/null
	read -r _ births nbytes _ < <(grep apr "$TMP/apr.counts")
	check "custom: pools of apr: each birth, and all end with their pools" /usr/bin/python3 - "$TMP/apr.json" "$births" "$nbytes" <<-'PY'
		import json, sys
		d, births, nbytes = json.load(open(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
		got = [sum(s[k] for s in d["sizes"]) for k in ("allocations", "allocated_bytes", "live")]
		# The library takes two pieces of its own from its first pool.
		assert births <= got[0] <= births + 8 and nbytes <= got[1] <= nbytes + 4096, (got, births, nbytes)
		assert got[2] == 0, got
	PY
	cat >"$TMP/late.py" <<-'PY'
		import ctypes
		apr = ctypes.CDLL("libapr-1.so.0")
		apr.apr_initialize()
		pool = ctypes.c_void_p()
		apr.apr_pool_create_ex(ctypes.byref(pool), None, None, None)
		apr.apr_palloc.restype = ctypes.c_void_p
		for i in range(50):
		    apr.apr_palloc(pool, ctypes.c_size_t(4243))
		apr.apr_pool_destroy(pool)
	PY
	"$HEAPTAPE" record -q -f -o "$TMP/late.tape" --profile "$EXAMPLES/apr.profile" -- /usr/bin/python3 "$TMP/late.py" >/dev/null 2>"$TMP/err"
	"$HEAPTAPE" dump "$TMP/late.tape" >"$TMP/late.ndjson"
	check "$name" test "$(grep -c '"size":4243' "$TMP/late.ndjson")" = 50
else
	fail "$name" "$(tail -n1 "$TMP/err")"
fi
