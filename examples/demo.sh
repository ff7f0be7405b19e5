#!/usr/bin/env bash
# Records a live redis-server and says which allocator would hold its data in the least memory.
# Usage: sudo examples/demo.sh        (installs what is missing, builds, records 12 s, replays; some 3 minutes on 2 CPUs)
# What it builds stays in build/; the server, its load and the tape are in a temporary folder and go away.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build}
say() { printf '\n== %s\n' "$*"; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die "recording takes root: sudo $0"
say "1/5  packages"
"$root/tests/setup.sh" demo
say "2/5  build"
cmake -S "$root" -B "$build" -DHEAPTAPE_TESTS=OFF >"$root/.demo.log" 2>&1 &&
	cmake --build "$build" -j "$(nproc)" --target heaptape >>"$root/.demo.log" 2>&1 || { tail -n 20 "$root/.demo.log"; die "the build failed"; }
rm -f "$root/.demo.log"
"$build/heaptape" --version

tmp=$(mktemp -d)
server=0
cleanup() {
	[ "$server" = 0 ] || kill "$server" 2>/dev/null || true
	rm -rf "$tmp"
}
trap cleanup EXIT

say "3/5  a real redis-server, with a load on it"
port=0
for try in $(seq 20); do # a port that nobody listens on
	port=$((20000 + RANDOM % 20000))
	redis-cli -p $port ping >/dev/null 2>&1 || break
done
redis-server --port $port --save '' --appendonly no --dir "$tmp" >"$tmp/redis.log" 2>&1 &
server=$!
for try in $(seq 50); do
	[ "$(redis-cli -p $port ping 2>/dev/null)" = PONG ] && break
	kill -0 $server 2>/dev/null || { cat "$tmp/redis.log"; die "redis-server did not start"; }
	sleep 0.1
done
# Values of four sizes; then half of the keys go, so that holes are left; then values of other sizes.
load() {
	local i size
	for i in 1 2 3; do
		for size in 60 190 700 2800; do
			redis-benchmark -p $port -t set -n 25000 -r 20000 -d $((size + 40 * i)) -q >/dev/null 2>&1 || return 0
		done
		redis-cli -p $port eval "for i = $i, 20000, 2 do redis.call('del', 'key:' .. string.format('%012d', i)) end" 0 >/dev/null 2>&1 || return 0
		redis-benchmark -p $port -t lpush,hset,sadd -n 15000 -r 20000 -d 120 -q >/dev/null 2>&1 || return 0
	done
}
echo "redis-server is process $server, on port $port"

say "4/5  heaptape record: attach to the running server for 12 s"
(while :; do load; done) &
loader=$!
sleep 0.5
"$build/heaptape" record -p $server -o "$tmp/redis.tape" --duration 12s
kill $loader 2>/dev/null || true
wait $loader 2>/dev/null || true
"$build/heaptape" info "$tmp/redis.tape"

say "5/5  heaptape replay: the same calls under other allocators"
"$build/heaptape" replay "$tmp/redis.tape" --alloc glibc --alloc jemalloc --alloc mimalloc --alloc tcmalloc
