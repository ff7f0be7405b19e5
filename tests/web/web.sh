#!/usr/bin/env bash
# web.sh - the HTML report in a browser: what it draws, what it does when it is used, and what it must never do.
# PAGE_EVENTS: calls on the large tape (300,000). Screenshots stay in the build folder, web-tests/screenshots.
set -u
. "$ROOT/tests/lib.sh"

WORK=$BUILD/web-tests
EVENTS=${PAGE_EVENTS:-300000}
only=${1:-}

report() { "$HEAPTAPE" report -q "$@" 2>"$TMP/err"; }

# What a person meets before there is any browser.
refusals() {
	printf x >"$TMP/there.html"
	report "$TMP/small.tape" -o "$TMP/there.html"
	if [ $? = 1 ] && [ "$(cat "$TMP/there.html")" = x ] && grep -q -- "-f to overwrite" "$TMP/err"; then pass "a file that is there stays as it is without -f"; else
		fail "a file that is there stays as it is without -f" "$(cat "$TMP/err")"
	fi
	check "and is overwritten with -f" "$HEAPTAPE" report -q "$TMP/small.tape" -f -o "$TMP/there.html"
	report "$TMP/small.tape" -o "$TMP/x.txt"
	[ $? = 2 ] && [ ! -e "$TMP/x.txt" ] && pass "a name that tells no format is refused" || fail "a name that tells no format is refused" "$(cat "$TMP/err")"
	report "$TMP/small.tape" --json -o "$TMP/x.html"
	[ $? = 2 ] && [ ! -e "$TMP/x.html" ] && pass "--json beside -o is refused" || fail "--json beside -o is refused" "$(cat "$TMP/err")"
	report "$TMP/small.tape" --replay "$TMP/small.tape" -o "$TMP/y.html"
	[ $? = 1 ] && grep -q "no results of a replay" "$TMP/err" && [ ! -e "$TMP/y.html" ] && pass "what is no replay's result is refused" ||
		fail "what is no replay's result is refused" "$(cat "$TMP/err")"
	report "$TMP/small.tape" -o "$TMP/doc.json" && [ "$(json "$TMP/doc.json" "d['summary']['peak_live_bytes']")" = $(((16 << 20) + 256)) ] &&
		pass "-o FILE.json is the document" || fail "-o FILE.json is the document" "$(cat "$TMP/err")"
}

# What is packed into a page, as the browser unpacks it.
unpacked() { /usr/bin/python3 -c 'import base64,re,sys,zlib; sys.stdout.buffer.write(zlib.decompress(base64.b64decode(re.search(rb"octet-stream\">([^<]*)<", open(sys.argv[1],"rb").read())[1])))' "$1"; }

# The allocators side by side, in one command.
from_replay() {
	"$HEAPTAPE" replay -q "$TMP/small.tape" --alloc glibc --plan-cache off -o "$TMP/replay.html" >"$TMP/out" 2>"$TMP/err" && unpacked "$TMP/replay.html" >"$TMP/doc.json" &&
		[ "$(json "$TMP/doc.json" "len(d['replay']['results']), d['summary']['peak_live_bytes'], len(d['map']) == len(d['moments']['ns'])")" = "(1, $(((16 << 20) + 256)), True)" ] && grep -q glibc "$TMP/out" &&
		pass "replay -o FILE.html writes the report with its results, and prints them" || fail "replay -o FILE.html writes the report with its results, and prints them" "$(cat "$TMP/err")"
	"$HEAPTAPE" replay -q "$TMP/small.tape" --alloc glibc --plan-cache off -o "$TMP/replay.html" >"$TMP/out" 2>"$TMP/err"
	[ $? = 1 ] && [ ! -s "$TMP/out" ] && grep -q -- "-f to overwrite" "$TMP/err" && pass "and replays nothing where the file is there" || fail "and replays nothing where the file is there" "$(cat "$TMP/err")"
}

# Without the registry the build goes on, says so, and tries again the next time.
without_npm() {
	mkdir "$TMP/nothing"
	sh "$ROOT/userspace/report/web/build.sh" "$TMP/nothing" /bin/false "$(command -v node)" 2>"$TMP/err"
	if [ $? = 0 ] && [ ! -s "$TMP/nothing/page.html" ] && [ "$TMP/nothing/page.html" -ot "$ROOT/CMakeLists.txt" ] && grep -q "without the HTML report" "$TMP/err"; then
		pass "where npm fails the build goes on without the report, and tries again"
	else
		fail "where npm fails the build goes on without the report, and tries again" "$(cat "$TMP/err")"
	fi
	for lock in userspace/report/web tests/web; do
		if grep -qE '"resolved"|https?:' "$ROOT/$lock/package-lock.json"; then fail "$lock: no address in the lock file" "there is one"; else pass "$lock: no address in the lock file"; fi
	done
}

# All but the packed data is the same, byte for byte, whatever is on the tape.
structure() {
	for name in small hostile empty; do sed -E 's/(type="application\/octet-stream">)[A-Za-z0-9+\/=]*</\1</' "$WORK/$name.html" >"$TMP/$name.bare"; done
	if cmp -s "$TMP/small.bare" "$TMP/hostile.bare" && cmp -s "$TMP/small.bare" "$TMP/empty.bare"; then pass "names change nothing outside of the packed data"; else
		fail "names change nothing outside of the packed data" "the pages differ"
	fi
}

# The driver's packages, unless those that the lock file asks for are there.
install_driver() {
	cmp -s "$ROOT/tests/web/package-lock.json" "$WORK/package-lock.json" && [ -d "$WORK/node_modules/playwright-core" ] && return
	cp "$ROOT"/tests/web/package*.json "$WORK"
	(cd "$WORK" && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline >"$WORK/npm.log" 2>&1) || { rm -f "$WORK/package-lock.json"; return 1; }
}

if [ ! -s "$BUILD/report/web/page.html" ]; then
	skip "the HTML report" "heaptape was built without it: npm is missing or its registry out of reach"
	exit 0
fi
mkdir -p "$WORK"
for name in small hostile empty runtime; do "$BUILD/make_page_tape" "$TMP/$name.tape" $name || fail "the tapes" "make_page_tape $name"; done
"$BUILD/make_page_tape" "$TMP/large.tape" large "$EVENTS" 1500 || fail "the tapes" "make_page_tape large"
if [ -z "$only" ]; then
	refusals
	from_replay
	without_npm
fi
"$HEAPTAPE" replay -q "$TMP/small.tape" --alloc glibc --alloc jemalloc --repeat 5 --latency on --plan-cache off -f -o "$WORK/replay.json" >/dev/null 2>"$TMP/err" &&
	report "$TMP/small.tape" --replay "$WORK/replay.json" -f -o "$WORK/small.html" && pass "a report with a replay in it" || fail "a report with a replay in it" "$(cat "$TMP/err")"
begin=$(date +%s%N)
report "$TMP/large.tape" -f -o "$WORK/large.html" || fail "the large report" "$(cat "$TMP/err")"
echo "large.tape: $EVENTS events, $(stat -c %s "$TMP/large.tape") bytes; its report took $((($(date +%s%N) - begin) / 1000000)) ms"
[ "$(stat -c %s "$WORK/large.html")" -lt 3000000 ] && pass "the large report is under 3 MB" || fail "the large report is under 3 MB" "$(stat -c %s "$WORK/large.html") bytes"
for name in hostile empty runtime; do report "$TMP/$name.tape" -f -o "$WORK/$name.html" || fail "the report of $name.tape" "$(cat "$TMP/err")"; done
[ -n "$only" ] || structure

chromium=$(command -v chromium || command -v chromium-browser || true)
if [ -z "$chromium" ]; then
	skip "the HTML report in a browser" "chromium is not installed (tests/setup.sh test)"
elif ! install_driver; then
	skip "the HTML report in a browser" "playwright-core cannot be installed: $(tail -n1 "$WORK/npm.log")"
else
	timeout 300 node "$ROOT/tests/web/drive.mjs" "$WORK" "$WORK/screenshots" "$WORK" "$chromium" $only >"$TMP/driven" 2>&1
	status=$?
	while IFS= read -r line; do
		case $line in
		"ok "*) pass "${line#ok }" ;;
		"FAIL "*) fail "${line#FAIL }" ;;
		*) echo "$line" ;;
		esac
	done <"$TMP/driven"
	[ $status = 0 ] || fail "the browser's driver" "status $status"
fi
exit 0
