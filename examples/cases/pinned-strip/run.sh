#!/usr/bin/env bash
# A program drops nine tenths of its data and keeps its memory. Recorded twice: keeping every tenth string, and the first tenth.
# Usage: sudo examples/cases/pinned-strip/run.sh [-o DIR] [-n STRINGS]    (under two minutes on 2 CPUs; -o keeps the tapes and all figures)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=pinned-strip dir='' strings=1000000
. "$here/../lib.sh"
while [ $# -gt 0 ]; do
	case $1 in
	-o) [ $# -gt 1 ] || die "-o wants a folder"; dir=$2; shift ;;
	-n) [ $# -gt 1 ] || die "-n wants a number"; strings=$2; shift ;;
	*) die "no option '$1'; see the head of $0" ;;
	esac
	shift
done
begin
compile_haskell "$here/Strip.hs" "$dir/strip" -O1

for mode in strip take; do
	say "$strings one-byte strings, $mode: heaptape record"
	"$heaptape" record -f -o "$dir/$mode.tape" -q -- "$dir/strip" "$strings" $mode +RTS --disable-delayed-os-memory-return
	"$heaptape" report "$dir/$mode.tape" --json >"$dir/$mode.report.json" 2>/dev/null
done
/usr/bin/python3 "$here/verdict.py" "$dir"
