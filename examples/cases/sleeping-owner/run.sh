#!/usr/bin/env bash
# Why does the memory of a service double when its data is refreshed, and under which allocators? Recorded once under glibc, asked of the tape,
# replayed under other allocators, and held against runs of the program itself.
# Usage: sudo examples/cases/sleeping-owner/run.sh [-o DIR] [--small]     (under two minutes on 2 CPUs; -o keeps the tapes and all figures)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=sleeping-owner
. "$here/../lib.sh"

dir='' large='100 4000' small='10000 40' # hotels and their KiB: 409.6 MB both times
while [ $# -gt 0 ]; do
	case $1 in
	-o) [ $# -gt 1 ] || die "-o wants a folder"; dir=$2; shift ;;
	--small) large='25 4000' small='2500 40' ;;
	*) die "no option '$1'; see the head of $0" ;;
	esac
	shift
done
begin
cc -O2 -g -Wall -pthread -o "$dir/hotels" "$here/hotels.c"

# One size of hotels: real runs, recorded; the first tape's findings; that tape under the other allocators.
play() { # NAME NR KIB VARIANTS ALLOC...
	local name=$1 nr=$2 kib=$3 variants=$4 args=() alloc
	shift 4
	for alloc in "$@"; do args+=(--alloc "$alloc"); done
	printf '%b' "$variants" >"$dir/$name.variants"
	say "$nr hotels of $kib KiB, one thread loads and sleeps, another refreshes: heaptape rerun"
	"$heaptape" rerun --variants "$dir/$name.variants" -f -o "$dir/$name" -q -- "$dir/hotels" "$nr" "$kib" {}
	"$heaptape" report "$dir/$name/glibc.1.tape" --json >"$dir/$name.report.json" 2>/dev/null
	"$heaptape" replay "$dir/$name/glibc.1.tape" "${args[@]}" --json >"$dir/$name.replay.json" 2>/dev/null
}

play large $large 'glibc: -- asleep\nmimalloc: alloc:mimalloc -- asleep\nown-thread: alloc:mimalloc -- self\n' mimalloc glibc
play small $small 'glibc: -- asleep\none-arena: MALLOC_ARENA_MAX=1 -- asleep\nmimalloc: alloc:mimalloc -- asleep\n' glibc mimalloc glibc,MALLOC_ARENA_MAX=1
/usr/bin/python3 "$here/verdict.py" "$dir"
