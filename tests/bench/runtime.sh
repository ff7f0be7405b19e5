#!/usr/bin/env bash
# runtime.sh - what recording a language's runtime costs its program, by level: the program's own elapsed time, the median of interleaved runs,
# beside its plain run.
set -u
. "$ROOT/tests/lib.sh"

ROUNDS=${RUNTIME_ROUNDS:-5}
CASES=$ROOT/examples/cases
need_root "bench: runtime" || exit 0

# elapsed PROGRAM ARGS...: seconds by the runtime's own clock, under the level in LEVEL ("" plain).
elapsed() {
	local rts=(+RTS "-t$TMP/t" --machine-readable)
	rm -f "$TMP/t"
	case $LEVEL in
	'') "$@" "${rts[@]}" >/dev/null ;;
	none) "$HEAPTAPE" record -q -f -o "$TMP/b.tape" --runtime none -- "$@" "${rts[@]}" >/dev/null 2>&1 ;;
	*) "$HEAPTAPE" record -q -f -o "$TMP/b.tape" --levels "$LEVEL" -- "$@" "${rts[@]}" >/dev/null 2>&1 ;;
	esac
	awk -F'"' '/total_wall_seconds/ { print $4 }' "$TMP/t"
}

# The same of a program whose runtime has no such clock: from its start to its end.
elapsed_go() {
	local json
	case $LEVEL in
	'') /usr/bin/time -f %e -o "$TMP/t" "$@" >/dev/null && cat "$TMP/t" ;;
	*)
		json=$("$HEAPTAPE" record -q --json -f -o "$TMP/b.tape" --levels "$LEVEL" -- "$@" 2>/dev/null | sed -n '/^{/,$p')
		/usr/bin/python3 -c 'import json, sys; print(json.loads(sys.argv[1])["duration_ns"] / 1e9)' "$json" ;;
	esac
}

measure() { # NAME PROGRAM ARGS...
	local name=$1 levels=('' none os os,pages os,pages,objects) run=elapsed i
	shift
	# A Go program has no allocator beside its runtime.
	[ "${1##*/}" = sizeclass ] && levels=('' os os,pages os,pages,objects) run=elapsed_go
	for i in "${!levels[@]}"; do : >"$TMP/times.$i"; done
	for _ in $(seq "$ROUNDS"); do
		for i in "${!levels[@]}"; do LEVEL=${levels[i]} $run "$@" >>"$TMP/times.$i"; done
	done
	for i in "${!levels[@]}"; do
		sort -n "$TMP/times.$i" | awk -v name="$name" -v level="${levels[i]:-plain}" -v plain="${plain:-0}" '
			{ t[NR] = $1 }
			END { m = t[int((NR + 1) / 2)]; printf "%-28s %-18s %7.3f s  x%.2f\n", name, level, m, plain ? m / plain : 1 }' >"$TMP/line"
		[ "$i" = 0 ] && plain=$(sort -n "$TMP/times.0" | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }')
		cat "$TMP/line"
	done
	plain=
}

echo "levels: none: its allocator alone (--runtime none)"
ghc -v0 -O1 -rtsopts -outputdir "$TMP/o1" -o "$TMP/strip" "$CASES/pinned-strip/Strip.hs" || exit 2
ghc -v0 -O1 -rtsopts -threaded -outputdir "$TMP/o2" -o "$TMP/churn" "$CASES/pinned-churn/Churn.hs" || exit 2
ghc -v0 -O1 -rtsopts -outputdir "$TMP/o3" -o "$TMP/rows" "$CASES/long-lived/Rows.hs" || exit 2
GHCRTS= measure "strip, 300,000 strings" "$TMP/strip" 300000 strip
GHCRTS=-T measure "churn, 1,000 clients" "$TMP/churn" 1000 16
GHCRTS=-T measure "rows, 50,000 on the heap" "$TMP/rows" 50000 heap
HOME=$TMP GOCACHE=$TMP/cache GO111MODULE=off go build -o "$TMP/sizeclass" "$CASES/sizeclass/main.go" || exit 2
measure "size classes, 4,000 series" "$TMP/sizeclass" 4000 broken
pass "bench: runtime"
