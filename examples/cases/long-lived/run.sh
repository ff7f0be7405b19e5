#!/usr/bin/env bash
# A table that never changes is copied at every full collection. How much, and what would a compact region save?
# Usage: sudo examples/cases/long-lived/run.sh [-o DIR] [-n ROWS]    (under two minutes on 2 CPUs; -o keeps the tapes and all figures)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=long-lived dir='' rows=50000
. "$here/../lib.sh"
while [ $# -gt 0 ]; do
	case $1 in
	-o) [ $# -gt 1 ] || die "-o wants a folder"; dir=$2; shift ;;
	-n) [ $# -gt 1 ] || die "-n wants a number"; rows=$2; shift ;;
	*) die "no option '$1'; see the head of $0" ;;
	esac
	shift
done
begin
compile_haskell "$here/Rows.hs" "$dir/rows" -O1

cat >"$dir/variants" <<'V'
heap:      GHCRTS=-T -- heap
region:    GHCRTS=-T -- region
heap-A64m: GHCRTS="-T -A64m" -- heap
heap-xn:   GHCRTS="-T -xn" -- heap
heap-c:    GHCRTS="-T -c" -- heap
V
say "$rows rows on the heap, in a compact region, and on the heap under other settings: heaptape rerun"
"$heaptape" rerun --variants "$dir/variants" -f -o "$dir" -- "$dir/rows" "$rows" {}
for tape in "$dir"/*.1.tape; do "$heaptape" report "$tape" --json >"${tape%.1.tape}.report.json" 2>/dev/null; done
/usr/bin/python3 "$here/verdict.py" "$dir"
