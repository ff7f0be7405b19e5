#!/usr/bin/env bash
# A database's heap grows for a day after each restart, then falls. Recorded as it is, and with what it reads at its start shaped like what
# comes later.
# Usage: sudo examples/cases/sizeclass/run.sh [-o DIR] [-n SERIES]    (under two minutes on 2 CPUs; -o keeps the tapes and all figures)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=sizeclass dir='' series=8000
. "$here/../lib.sh"
while [ $# -gt 0 ]; do
	case $1 in
	-o) [ $# -gt 1 ] || die "-o wants a folder"; dir=$2; shift ;;
	-n) [ $# -gt 1 ] || die "-n wants a number"; series=$2; shift ;;
	*) die "no option '$1'; see the head of $0" ;;
	esac
	shift
done
begin
command -v "${GO:=go}" >/dev/null || "$root/tests/setup.sh" languages
HOME=$tmp GOCACHE=$tmp/cache GO111MODULE=off "$GO" build -o "$dir/sizeclass" "$here/main.go" || die "go could not compile main.go"

for mode in broken fixed; do
	say "$series series, $mode: heaptape record"
	"$heaptape" record -f -o "$dir/$mode.tape" -q -- "$dir/sizeclass" "$series" $mode >"$dir/$mode.out"
	"$heaptape" report "$dir/$mode.tape" --json >"$dir/$mode.report.json" 2>/dev/null
done
/usr/bin/python3 "$here/verdict.py" "$dir"
