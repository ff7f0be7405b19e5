#!/usr/bin/env bash
# docs.sh - help, manual pages and README say what the program does.
set -u
. "$ROOT/tests/lib.sh"

verbs=$("$HEAPTAPE" --help | awk '/^  [a-z]+ /{ print $1 }')
[ -n "$verbs" ] || fail "the verbs" "none in heaptape --help"
for verb in $verbs; do
	"$HEAPTAPE" "$verb" --help >"$TMP/help" 2>"$TMP/err"
	status=$?
	if [ $status = 0 ] && [ ! -s "$TMP/err" ] && grep -q "^usage: heaptape $verb" "$TMP/help" && grep -q "exit status" "$TMP/help"; then
		pass "$verb --help"
	else
		fail "$verb --help" "status $status, $(cat "$TMP/err")"
	fi
	"$HEAPTAPE" man "$verb" >"$TMP/$verb.1"
	if command -v man >/dev/null; then
		if [ -z "$(LC_ALL=C.UTF-8 MANWIDTH=100 man --warnings=all -l "$TMP/$verb.1" 2>&1 >/dev/null)" ]; then pass "the manual page of $verb"; else
			fail "the manual page of $verb" "$(man --warnings=all -l "$TMP/$verb.1" 2>&1 >/dev/null | head -n2)"
		fi
	else
		skip "the manual page of $verb" "no man on this machine"
	fi
	# Every long option in the help is an option of the manual page too, and the other way round.
	diff <(grep -oE '^ .{4,6}--[a-z-]+' "$TMP/help" | grep -oE -- '--[a-z-]+' | grep -vE -- '--(help|quiet|verbose)' | sort -u) \
		<(sed 's/\\f[BR]//g; s/\\-/-/g' "$TMP/$verb.1" | grep -oE -- '--[a-z-]+' | sort -u) >"$TMP/diff" 2>&1
	lacking=$(grep '^<' "$TMP/diff" | head -n1)
	if [ -z "$lacking" ]; then pass "help and manual of $verb agree"; else fail "help and manual of $verb agree" "$lacking"; fi
	grep -q "heaptape $verb" "$ROOT/README.md" && pass "README names $verb" || fail "README names $verb" "it does not"
done
# The first commands that README shows must be ones that exist.
for script in examples/demo.sh tests/run.sh; do
	if grep -q "sudo $script" "$ROOT/README.md" && [ -x "$ROOT/$script" ]; then pass "README's $script"; else fail "README's $script" "missing"; fi
done
exit 0
