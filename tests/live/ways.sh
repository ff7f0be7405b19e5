#!/usr/bin/env bash
# ways.sh - wherever the process lives: containers of other libcs, overlays, files that were replaced or removed, static programs,
# programs without a file. Each target makes calls of which it knows how many; all must be on the tape, and the tape must say by
# which way the allocator's file was reached.
set -u
. "$ROOT/tests/lib.sh"
. "$ROOT/tests/debian.sh"

CALLS=${WAYS_CALLS:-4000}
FLAGS=(-D_GNU_SOURCE -O2 -fno-builtin -pthread -Wall)
# What the tests make is not remembered in the machine's cache.
export HEAPTAPE_CACHE=$TMP/cache
mkdir -m 700 "$HEAPTAPE_CACHE"

# begin CMD...: starts the target, which waits; PID is the program itself, below whatever unshare put above it.
begin() {
	local child
	start_target "$@"
	sleep 0.3
	PID=$TARGET
	while child=$(ps -o pid= --ppid "$PID" | head -n1 | tr -d ' ') && [ -n "$child" ]; do PID=$child; done
	PIDS+=("$PID")
}

# exactly NAME WAY [RECORD-ARGS...]: records PID to its end: every call, once, and the file reached by a way that matches.
exactly() {
	local name=$1 way=$2
	shift 2
	if ! start_recorder -p "$PID" -o "$TMP/t.tape" -f -q "$@"; then
		fail "$name" "$(tail -n1 "$TMP/record.err")"
		end_target "$PID" "$TARGET"
		return 1
	fi
	release_target
	wait "$TARGET" || fail "$name: target" "ended with status $?: $(cat "$TMP/target.err")"
	wait "$RECORDER" || { fail "$name: recorder" "$(tail -n1 "$TMP/record.err")"; return 1; }
	"$HEAPTAPE" dump "$TMP/t.tape" >"$TMP/dump"
	"$HEAPTAPE" info "$TMP/t.tape" --json >"$TMP/info.json"
	check "$name" /usr/bin/python3 - "$TMP/dump" "$TMP/info.json" "$CALLS" "$way" <<'PY'
import json, re, sys
dump, info, calls, way = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3]), sys.argv[4]
births, blocks = {}, {}
frees = 0
for line in open(dump):
    e = json.loads(line)
    op = e.get("op")
    if op in ("malloc", "calloc", "realloc") and e.get("size") in (1111, 2222, 3333):
        births[op, e["size"]] = births.get((op, e["size"]), 0) + 1
        if "old" in e: blocks.pop(e["old"], None)
        blocks[e["addr"]] = e["size"]
    elif op == "free" and blocks.pop(e["addr"], None):
        frees += 1
want = {("malloc", 1111): calls, ("calloc", 2222): calls // 2, ("realloc", 3333): calls // 4}
assert births == want, (births, want)
assert frees == calls + calls // 2 and not blocks, (frees, len(blocks))
assert info["lost"]["total"] == 0, info["lost"]
ways = [a.get("way") for a in info["allocators"]]
assert any(re.fullmatch(way, w) for w in ways), ways
PY
}

# ---- roots of containers ----

contained=(unshare --mount --pid --fork --kill-child --user --map-root-user chroot)

trixie_root() { # FOLDER: another glibc than this machine's, and the program
	local files
	files=$(debian_kept libc6-trixie) || {
		debian_open trixie || return 1
		if debian_unpack libc6 "$DEB/root" './usr/lib/x86_64-linux-gnu/libc.so.6' './usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2' './usr/lib64/*'; then
			files=$(debian_keep libc6-trixie "$DEB/root")
		fi
		debian_close
	}
	[ -n "$files" ] || return 1
	cp -a "$files" "$1"
	ln -s usr/lib "$1/lib"
	ln -s usr/lib64 "$1/lib64"
	cp "$TMP/exact" "$1/exact"
}

own_root() { # FOLDER: this machine's libc in a root of its own
	mkdir -p "$1"/lib64 "$1"/lib/x86_64-linux-gnu
	cp -L /lib64/ld-linux-x86-64.so.2 "$1/lib64/"
	cp -L /lib/x86_64-linux-gnu/libc.so.6 "$1/lib/x86_64-linux-gnu/"
	cp "$TMP/exact" "$1/exact"
}

containers() {
	local plans
	if trixie_root "$TMP/trixie" 2>"$TMP/fetch.err"; then
		begin "${contained[@]}" "$TMP/trixie" /exact "$CALLS"
		exactly "own user, pid and mount namespaces, another glibc" map_files
	else
		skip "own user, pid and mount namespaces, another glibc" "$(tail -n1 "$TMP/fetch.err")"
	fi
	mkdir -p "$TMP/musl/lib"
	cp -L /lib/ld-musl-x86_64.so.1 "$TMP/musl/lib/"
	cp "$TMP/exact-musl" "$TMP/musl/exact"
	for plans in auto simple; do
		begin "${contained[@]}" "$TMP/musl" /exact "$CALLS"
		exactly "own namespaces, musl, plans $plans" map_files --plans $plans
	done
	check "musl is told from glibc" grep -q '"name":[[:space:]]*"musl"' "$TMP/info.json"
}

# overlaid COMMANDS...: starts the program in an overlay that only its own mount namespace sees.
overlaid() {
	rm -rf "$TMP/overlay"
	mkdir -p "$TMP/overlay"/{upper,work,merged}
	own_root "$TMP/overlay/lower"
	begin unshare --mount --pid --fork --kill-child sh -c "mount -t overlay overlay -o lowerdir=$TMP/overlay/lower,upperdir=$TMP/overlay/upper,workdir=$TMP/overlay/work \
		$TMP/overlay/merged && exec chroot $TMP/overlay/merged /exact $CALLS"
	sleep 0.2
	while child=$(ps -o pid= --ppid "$PID" | head -n1 | tr -d ' ') && [ -n "$child" ]; do PID=$child; done
	[ "$(cat "/proc/$PID/comm" 2>/dev/null)" = exact ]
}

overlays() {
	local libc=lib/x86_64-linux-gnu/libc.so.6 plans
	if ! overlaid; then
		skip "an overlay" "cannot be mounted here: $(head -n1 "$TMP/target.err")"
		end_target "$TARGET"
		return
	fi
	exactly "a file of an overlay's lower layer" map_files --plans simple
	for plans in auto simple; do
		overlaid
		nsenter -t "$PID" -m chmod 700 "$TMP/overlay/merged/$libc"
		if [ -e "$TMP/overlay/upper/$libc" ]; then
			exactly "copied up after it was mapped, plans $plans" "overlay layer $TMP/overlay/lower/$libc" --plans $plans
		else
			fail "copied up after it was mapped" "chmod made no copy"
		fi
	done
	overlaid
	nsenter -t "$PID" -m chmod 700 "$TMP/overlay/merged/$libc"
	mv "$TMP/overlay/lower/$libc" "$TMP/overlay/gone"
	"$HEAPTAPE" record -q -p "$PID" -o "$TMP/none.tape" -f --duration 100ms >"$TMP/out" 2>"$TMP/err" </dev/null
	if [ $? = 1 ] && grep -q "no way leads to the file that it has mapped" "$TMP/err"; then pass "no way left is an error, not a quiet tape"; else
		fail "no way left is an error, not a quiet tape" "$(cat "$TMP/err")"
	fi
	end_target "$PID" "$TARGET"
}

# ---- files that are no longer what their names say ----

replaced() {
	local folder="$TMP/own-libc" now
	for now in replaced removed; do
		mkdir -p "$folder"
		cp -L /lib/x86_64-linux-gnu/libc.so.6 "$folder/"
		begin env LD_LIBRARY_PATH="$folder" "$TMP/exact" "$CALLS"
		if [ $now = replaced ]; then
			cp -L /lib/x86_64-linux-gnu/libc.so.6 "$folder/new" && mv "$folder/new" "$folder/libc.so.6"
		else
			rm "$folder/libc.so.6"
		fi
		exactly "a library that was $now while in use" map_files --plans simple
		rm -rf "$folder"
	done
}

programs() {
	local program
	for program in exact-static exact-static-musl exact-own; do
		begin "$TMP/$program" "$CALLS"
		exactly "$program" map_files --plans simple
	done
	cp "$TMP/exact-static" "$TMP/short-lived"
	begin "$TMP/short-lived" "$CALLS"
	rm "$TMP/short-lived"
	exactly "a program that was deleted" map_files --plans simple
	begin /usr/bin/python3 -c "import os, sys
fd = os.memfd_create('program', 0)
os.write(fd, open('$TMP/exact-static', 'rb').read())
os.execve(fd, ['program', '$CALLS'], {})"
	sleep 0.3
	exactly "a program that lies in memory alone" map_files --plans simple
	objcopy --only-keep-debug "$TMP/exact-static" "$TMP/exact-stripped.debug"
	objcopy --add-gnu-debuglink="$TMP/exact-stripped.debug" "$TMP/exact-stripped"
	begin "$TMP/exact-stripped" "$CALLS"
	exactly "a stripped static program with its debug file beside it" map_files --plans simple
	check "whose names come from that file" test "$(json "$TMP/info.json" "[a for a in d['allocators'] if 'found' in a]")" = "[]"
}

# same_places NAME PROGRAM TWIN: of each function found in PROGRAM its twin with names has the very same sites. Musl's malloc is
# probed where all of its names end, which has one that is not recorded by name.
same_places() {
	local inner
	inner=$(nm -S "$3" | sed -n 's/^\([0-9a-f]* [0-9a-f]*\) T __libc_malloc_impl$/\1/p')
	"$HEAPTAPE" probe --lib "$2" --json >"$TMP/stripped.json" && "$HEAPTAPE" probe --lib "$3" --json >"$TMP/named.json" &&
		check "$1" /usr/bin/python3 - "$TMP/stripped.json" "$TMP/named.json" $inner <<'PY'
import json, sys
def places(path):
    root = json.load(open(path))
    return {(f["op"], s["offset"], s["role"]) for a in root["allocators"] for f in a["functions"] for s in f["sites"]}
stripped, named = places(sys.argv[1]), places(sys.argv[2])
inner, nbytes = [int(x, 16) for x in sys.argv[3:]] or (0, 0)
inner &= 0xfffff # these programs are linked at 0x400000
wrong = [p for p in stripped - named if not (p[0] == "malloc" and 0 <= p[1] - inner < nbytes)]
assert len(stripped) >= 4 and not wrong, sorted(wrong)
PY
}

# The folder of another release's libc.a.
trixie_libc() {
	local files
	files=$(debian_kept libc-a-trixie) || {
		debian_open trixie || return 1
		if debian_unpack libc6-dev "$DEB/root" './usr/lib/x86_64-linux-gnu/libc.a'; then files=$(debian_keep libc-a-trixie "$DEB/root"); fi
		debian_close
	}
	[ -n "$files" ] && echo "$files/usr/lib/x86_64-linux-gnu"
}

# one_byte_more PROGRAM TWIN FUNCTION: another version of a function that must be there makes it another libc.
one_byte_more() {
	local name="$(basename "$2"), stripped: with another $3 it is refused"
	/usr/bin/python3 - "$1" "0x$(nm "$2" | sed -n "s/^\([0-9a-f]*\) . $3\$/\1/p" | head -n1)" "$TMP/changed" <<'PY'
import sys
code = bytearray(open(sys.argv[1], "rb").read())
code[(int(sys.argv[2], 16) & 0xfffff) + 1] ^= 8 # of its first or second instruction
open(sys.argv[3], "wb").write(code)
PY
	"$HEAPTAPE" probe --lib "$TMP/changed" >"$TMP/out" 2>"$TMP/err"
	if [ $? = 1 ] && grep -q "its $3 is another one\|its code is none of the libcs" "$TMP/err"; then pass "$name"; else fail "$name" "$(head -n2 "$TMP/out" "$TMP/err")"; fi
}

# Programs without a name in them, of libcs that are known by their code; and one that has another allocator.
stripped() {
	local libc program other
	for libc in gnu musl; do
		program=exact-static
		[ $libc = gnu ] || program=exact-static-musl
		if ! "$BUILD/make_signatures" --known /usr/lib/x86_64-linux-$libc/libc.a; then
			skip "$program, stripped" "this machine's libc.a is none of those in userspace/sites/signatures_table.c"
			continue
		fi
		strip -o "$TMP/nameless" "$TMP/$program"
		begin "$TMP/nameless" "$CALLS"
		exactly "$program, stripped: found by its code" map_files --plans simple
		check "$program, stripped: the tape says so" test "$(json "$TMP/info.json" "len([a for a in d['allocators'] if 'found' in a])")" = 1
		same_places "$program, stripped: the same places as by its names" "$TMP/nameless" "$TMP/$program"
		one_byte_more "$TMP/nameless" "$TMP/$program" "$([ $libc = gnu ] && echo calloc || echo __libc_free)"
	done
	if other=$(trixie_libc 2>"$TMP/fetch.err") && { "$BUILD/make_signatures" --known "$other/libc.a" || ! echo "not in the table" >"$TMP/fetch.err"; } &&
		gcc "${FLAGS[@]}" -static -s -L"$other" -o "$TMP/nameless" "$ROOT/tests/live/exact.c" 2>"$TMP/fetch.err"; then
		begin "$TMP/nameless" "$CALLS"
		exactly "another glibc, static and stripped: found by its code" map_files --plans simple
		check "and the tape says which" grep -q '"found":[[:space:]]*"glibc 2.41' "$TMP/info.json"
	else
		skip "another glibc, static and stripped" "$(tail -n1 "$TMP/fetch.err")"
	fi
	strip -o "$TMP/nameless" "$TMP/exact-static-own"
	begin "$TMP/nameless" "$CALLS"
	"$HEAPTAPE" record -q -p "$PID" -o "$TMP/stripped.tape" --duration 100ms >"$TMP/out" 2>"$TMP/err" </dev/null
	if [ $? = 1 ] && grep -q "static and stripped, and its code is none of the libcs" "$TMP/err" && [ ! -e "$TMP/stripped.tape" ]; then
		pass "a stripped program with an allocator that nobody knows is refused, with the reason"
	else
		fail "a stripped program with an allocator that nobody knows is refused, with the reason" "$(cat "$TMP/err")"
	fi
	end_target "$PID"
	strip -o "$TMP/nameless" "$TMP/exact-static-own-musl"
	check "musl's own malloc beside the program's: refused" grep -q "but the program has another one of its own\|none of the libcs" \
		<("$HEAPTAPE" probe --lib "$TMP/nameless" 2>&1)
}

need_root "ways" || exit 0
if ! { gcc "${FLAGS[@]}" -o "$TMP/exact" "$ROOT/tests/live/exact.c" && gcc "${FLAGS[@]}" -static -o "$TMP/exact-static" "$ROOT/tests/live/exact.c" &&
	gcc "${FLAGS[@]}" -DOWN_ALLOCATOR -rdynamic -o "$TMP/exact-own" "$ROOT/tests/live/exact.c" &&
	musl-gcc "${FLAGS[@]}" -o "$TMP/exact-musl" "$ROOT/tests/live/exact.c" &&
	musl-gcc "${FLAGS[@]}" -static -o "$TMP/exact-static-musl" "$ROOT/tests/live/exact.c" &&
	gcc "${FLAGS[@]}" -DOWN_ALLOCATOR -static -o "$TMP/exact-static-own" "$ROOT/tests/live/exact.c" &&
	musl-gcc "${FLAGS[@]}" -DOWN_ALLOCATOR -static -Wl,--undefined=__libc_malloc,--undefined=__libc_free -o "$TMP/exact-static-own-musl" "$ROOT/tests/live/exact.c" &&
	strip -o "$TMP/exact-stripped" "$TMP/exact-static"; } 2>"$TMP/err"; then
	fail "ways" "the programs do not compile: $(head -n3 "$TMP/err")"
	exit 0
fi
containers
overlays
replaced
programs
stripped
exit 0
