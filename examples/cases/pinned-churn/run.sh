#!/usr/bin/env bash
# A service whose heap stays at its peak while what lives in it halves every night: what holds it, and which setting of the collector helps?
# Usage: sudo examples/cases/pinned-churn/run.sh [-o DIR] [-c CLIENTS]    (under two minutes on 2 CPUs; -o keeps the tapes and all figures)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=pinned-churn dir='' clients=5000
. "$here/../lib.sh"
while [ $# -gt 0 ]; do
	case $1 in
	-o) [ $# -gt 1 ] || die "-o wants a folder"; dir=$2; shift ;;
	-c) [ $# -gt 1 ] || die "-c wants a number"; clients=$2; shift ;;
	*) die "no option '$1'; see the head of $0" ;;
	esac
	shift
done
begin
compile_haskell "$here/Churn.hs" "$dir/churn" -O1 -threaded

cat >"$dir/variants" <<'V'
A16m:      GHCRTS="-T -A16m"
A4m:       GHCRTS="-T -A4m"
A16m-F1.2: GHCRTS="-T -A16m -F1.2"
A4m-F1.2:  GHCRTS="-T -A4m -F1.2"
A16m-xn:   GHCRTS="-T -A16m -xn"
A16m-c:    GHCRTS="-T -A16m -c"
V
say "$clients clients over four days of load, under each setting: heaptape rerun"
"$heaptape" rerun --variants "$dir/variants" -f -o "$dir" -- "$dir/churn" "$clients" 32
for tape in "$dir"/*.1.tape; do "$heaptape" report "$tape" --json >"${tape%.1.tape}.report.json" 2>/dev/null; done
/usr/bin/python3 "$here/verdict.py" "$dir"
