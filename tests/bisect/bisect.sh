#!/usr/bin/env bash
# bisect.sh - the verbs that find what made an allocator worse, and what would make it better.
# By itself: ROOT=. BUILD=build bash tests/bisect/bisect.sh
set -u
RESULTS=${RESULTS:-/dev/null}
. "$ROOT/tests/lib.sh"

allocators=$BUILD/replay-allocators
export HEAPTAPE_CACHE=$TMP/cache

# Runs heaptape; status, out and err hold what came of it.
run() {
	timeout 300 "$HEAPTAPE" "$@" >"$TMP/out" 2>"$TMP/err"
	status=$?
	err=$(cat "$TMP/err")
}

is() { # NAME PYTHON-EXPRESSION: true of the JSON that was printed last
	local got
	got=$(json "$TMP/out" "$2" 2>&1 | tail -n1)
	if [ "$got" = True ]; then pass "$1"; else fail "$1" "$2 is $got; status $status, stderr: $err"; fi
}

ended() { # NAME STATUS [PATTERN]: how the last run ended, and what it said
	if [ "$status" = "$2" ] && [[ $err == *"${3:-}"* ]]; then pass "$1"; else
		fail "$1" "status $status instead of $2, stderr: $err"
	fi
}

tape() { # NAME ARGS...: makes $TMP/NAME.tape
	local name=$1
	shift
	"$BUILD/make_tape" "$TMP/$name.tape" "$@" >/dev/null || { fail "make_tape" "$name"; exit 1; }
}

test_check() {
	local other
	other=$(library mimalloc)
	run check "$TMP/small.tape" --lib "$allocators/alloc_bump.so,BUMP_MEMORY=shared" --against glibc --json
	ended "check: an allocator that gives nothing back is worse" 1
	is "and says so" 'd["verdict"] == "worse" and d["growth"] > 0.03 and d["p"] < 0.02 and len(d["lib"]["runs"]) == len(d["against"]["runs"]) >= 5'
	run check "$TMP/small.tape" --lib glibc --against "$allocators/alloc_bump.so,BUMP_MEMORY=shared" --json
	ended "check: the other way round it is not" 0
	is "and says so" 'd["verdict"] == "not worse"'
	run check "$TMP/small.tape" --lib glibc --against glibc --max-growth 20% --metric holes
	ended "check: an allocator is no worse than itself" 0
	run check "$TMP/small.tape" --lib glibc --against glibc --metric cpu-time --max-growth 0 --repeat 5 --json
	is "check: whatever comes of noise, status and verdict agree" "d['verdict'] == ['not worse', 'worse', 'could not tell'][$status] and (d['why'] != '') == ($status == 2)"
	run check "$TMP/small.tape" --lib "$allocators/alloc_crash.so" --against glibc --json
	ended "check: one that crashes cannot be told of" 2 "did not get through the replay: crashed"
	run check "$TMP/small.tape" --lib glibc
	ended "check: wrong usage is said differently" 2 "see heaptape check --help"
	run check "$TMP/small.tape" --lib glibc --against glibc --metric size
	ended "check: a metric that is none" 2 "one of peak-resident"
	if [ -z "$other" ]; then skip "check: two installed libraries" "mimalloc is not installed"; else
		run check "$TMP/small.tape" --lib "$other" --against glibc --json --max-growth 1%
		ended "check: mimalloc takes more than glibc for a small heap" 1
		is "with both builds named" 'd["lib"]["build_id"] != d["against"]["build_id"] != ""'
	fi
}

tape small plain 60000 500 2
test_check

build="cc -O1 -w -fPIC -shared -fno-builtin -o out.so alloc.c"
commit_of() { git -C "$repo" rev-parse "$1^{commit}"; }
# All that a user sees of a repository.
picture() {
	git -C "$repo" status --porcelain --branch
	git -C "$repo" branch -a -v
	git -C "$repo" for-each-ref
	git -C "$repo" worktree list
	git -C "$repo" stash list
	cat "$repo/.git/HEAD"
	sha256sum "$repo/.git/index"
	ls "$repo/.git" | grep -vx packed-refs # git makes one, without a ref in it, whenever any ref is deleted
	grep -v '^#' "$repo/.git/packed-refs"
}
bisect() { run bisect "$TMP/single.tape" --repo "$repo" --build "$build" --lib out.so --json "$@"; }

test_bisect() {
	repo=$TMP/repo
	check "a repository with a history" bash "$ROOT/tests/bisect/make_repo.sh" "$repo" "$ROOT/tests/bisect/small_alloc.c"
	picture >"$TMP/before" 2>/dev/null
	rm -f "$TMP/page.html"
	bisect --good v1 --bad v56 --metric holes -o "$TMP/page.html"
	ended "bisect: holes" 0
	is "are of the commit that pads blocks" "d['first_bad']['id'] == '$(commit_of v27)' and 'The body of v27' in d['first_bad']['message']"
	is "what does not build is skipped, with the reason" 'any(r["side"] == "skip" and "unfinished" in r["reason"] for r in d["revisions"])'
	is "the comparison shows what grew" '(lambda f: f["split_after"]["end"]["holes"] > 1.1 * f["split_before"]["end"]["holes"] and f["split_after"]["end"]["requested"] == f["split_before"]["end"]["requested"])(d["first_bad"])'
	is "the way is told in order" "[r['id'] for r in d['revisions']][0] == '$(commit_of v1)' and [r['id'] for r in d['revisions']][-1] == '$(commit_of v56)'"
	check "the page has every run, the first bad one, and what grew" /usr/bin/python3 -c "
import json, re
d, page = json.load(open('$TMP/out')), open('$TMP/page.html', encoding='utf-8').read()
assert page.count('<circle') == sum(len(r['runs']) for r in d['revisions']), page.count('<circle')
assert '<tr class=\"first\"><td><code>' + d['first_bad']['id'] in page and 'The body of v27' in page
assert 'at the end, first bad' in page and '<script' not in page and 'http' not in page"
	bisect --good v26 --bad v27 -o "$TMP/page.html"
	ended "a page that is there stays" 1 "-f"
	bisect --good v11 --bad v18 --metric metadata
	ended "bisect: metadata" 0
	is "is of another commit" "d['first_bad']['id'] == '$(commit_of v13)'"
	bisect --good v14 --bad v28 --first-parent -- knobs.h
	ended "bisect: along the first parents, by path" 0
	is "finds the same, and no side branch" "d['first_bad']['id'] == '$(commit_of v27)' and not any(r['title'].startswith('side') for r in d['revisions'])"
	bisect --good v28 --bad v40 --metric peak-resident
	ended "bisect: without a regression it says so" 3
	is "by its outcome" 'd["outcome"] == "ends alike"'
	bisect --good v1 --bad v20 --metric holes
	ended "bisect: an end that does not build" 1 "bad end"
	bisect --good v26 --bad v27
	is "bisect: neighbours" "d['first_bad']['before'] == '$(commit_of v26)'"
	bisect --good v19 --bad v29 --script 'awk "/KNOB_PAD/ { print \$3 }" knobs.h'
	is "bisect: any number that a script prints" "d['first_bad']['id'] == '$(commit_of v27)' and d['metric'] == 'script'"
	run bisect "$TMP/single.tape" --repo "$repo" --build 'cp knobs.h built' --script 'awk "/KNOB_META/ { print \$3 }" built' --json --good v9 --bad v19
	is "bisect: in what was built, without a library" "d['first_bad']['id'] == '$(commit_of v13)'"
	bisect --good v1 --bad nosuch
	ended "bisect: no such revision" 1 "no commit 'nosuch'"
	bisect --good v24 --bad v36
	is "bisect: what crashes is skipped, with the reason" "d['first_bad']['id'] == '$(commit_of v27)' and any(r['side'] == 'skip' and 'crashed' in r['reason'] for r in d['revisions'])"
	picture >"$TMP/after" 2>/dev/null
	check "the user's checkout, branches, refs and index are as before" diff "$TMP/before" "$TMP/after"
}

# Noise as wide as 24 MiB, where the difference is one of some 100 KiB.
test_noise() {
	build="cc -O1 -w -fPIC -shared -fno-builtin -DKNOB_NOISE=25165824 -o out.so alloc.c"
	bisect --good v26 --bad v27 --metric peak-resident
	ended "bisect: noise larger than the difference: refuses" 3
	build="cc -O1 -w -fPIC -shared -fno-builtin -DKNOB_NOISE=100000 -o out.so alloc.c"
	bisect --good v24 --bad v28 --metric peak-resident
	is "bisect: noise smaller than the difference: finds it" "d['first_bad']['id'] == '$(commit_of v27)'"
	build="cc -O1 -w -fPIC -shared -fno-builtin -o out.so alloc.c"
}

# Killed at its second step; the same command then goes on, and leaves nothing behind.
test_killed() {
	local slow="$build; sleep 0.3" pid
	rm -f "$TMP/err"
	"$HEAPTAPE" bisect "$TMP/single.tape" --repo "$repo" --build "$slow" --lib out.so --json --good v14 --bad v40 \
		>"$TMP/out" 2>"$TMP/err" &
	pid=$!
	PIDS+=("$pid")
	for _ in $(seq 600); do grep -qs "step 2:" "$TMP/err" && break; sleep 0.05; done
	kill -9 "$pid"
	wait "$pid" 2>/dev/null
	check "bisect: killed in the middle" grep -q "step 2:" "$TMP/err"
	run bisect "$TMP/single.tape" --repo "$repo" --build "$slow" --lib out.so --json --good v14 --bad v40
	ended "bisect: the same command goes on" 0 "revisions that an earlier search has measured"
	is "and finishes" "d['first_bad']['id'] == '$(commit_of v27)'"
	picture >"$TMP/after" 2>/dev/null
	check "nothing is left in the repository" diff "$TMP/before" "$TMP/after"
}

# A build that hangs is ended with all that it started, and its revision is skipped.
test_build_timeout() {
	local slow="if grep -q 'version 26' doc/version; then sleep 1000 & wait; fi; $build" begin=$SECONDS
	bisect --good v24 --bad v27 --build "$slow" --build-timeout 2s
	is "bisect: a build that hangs is skipped, and told" "any('does not build within' in r.get('reason', '') for r in d['revisions'])"
	check "bisect: and does not hold it up" [ $((SECONDS - begin)) -lt 60 ]
}

# A title that would be a program in a page.
test_hostile_title() {
	local page=$TMP/hostile.html
	git -C "$repo" commit -q --allow-empty -m '<script>alert(1)</script> & "it"'
	git -C "$repo" tag hostile
	bisect --good v26 --bad hostile -o "$page"
	check "bisect: names are escaped in the page" /usr/bin/python3 -c "
page = open('$page', encoding='utf-8').read()
assert '<script' not in page and '&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;it&quot;' in page"
}

# Runs at once find the same.
test_jobs() {
	bisect --good v1 --bad v40 --metric metadata --jobs "$(nproc)"
	is "bisect: --jobs finds the same commit" "d['first_bad']['id'] == '$(commit_of v13)'"
}

test_candidates() {
	local libs=() i
	for i in 0 1 2 3 4 5; do
		printf '#define KNOB_PAD %d\n#define KNOB_META 64\n#define KNOB_CRASH %d\n' $((i > 3 ? 48 : 0)) $((i == 2)) >"$TMP/knobs.h"
		cp "$ROOT/tests/bisect/small_alloc.c" "$TMP/alloc.c"
		(cd "$TMP" && $build && mv out.so "release$i.so")
		libs+=("$TMP/release$i.so")
	done
	run bisect "$TMP/single.tape" --candidates "${libs[@]}" --json
	ended "bisect: releases in order" 0
	is "the first bad one is named" 'd["first_bad"]["id"].endswith("release4.so") and d["first_bad"]["before"].endswith("release3.so")'
	if [ -z "$(library mimalloc)" ]; then skip "bisect: installed allocators in order" "mimalloc is not installed"; else
		run bisect "$TMP/single.tape" --candidates glibc,MALLOC_TOP_PAD_=0 glibc "$(library mimalloc)" --json
		is "bisect: installed allocators in order" 'd["first_bad"]["id"].startswith("/") and d["first_bad"]["before"] == "glibc"'
	fi
	run bisect "$TMP/single.tape" --candidates glibc glibc,GLIBC_TUNABLES=glibc.malloc.tcache_count=0 --metric holes --json
	ended "bisect: glibc with and without its thread cache" 0
	run bisect "$TMP/single.tape" --candidates "${libs[0]}" "${libs[2]}" "${libs[5]}" --json
	ended "bisect: where only a failing one stands between" 4
	is "it says that it is one of them" 'len(d["candidates"]) == 2'
}

# As root, on somebody's repository, nothing runs as root.
test_somebody() {
	need_root "bisect: builds are the owner's" || return
	mkdir "$TMP/theirs" "$TMP/bin"
	cp "$HEAPTAPE" "$BUILD/heaptape-player" "$TMP/bin/"
	cp "$TMP/single.tape" "$TMP/theirs/own.tape"
	chmod 600 "$TMP/theirs/own.tape"
	cp -r "$repo" "$TMP/theirs/repo"
	mkdir "$TMP/theirs/cache"
	chown -R 65534:65534 "$TMP/theirs/repo" "$TMP/theirs/cache"
	chmod 755 "$TMP" "$TMP/bin" "$TMP/theirs"
	HEAPTAPE_CACHE=$TMP/theirs/cache HEAPTAPE=$TMP/bin/heaptape run bisect "$TMP/theirs/own.tape" --repo "$TMP/theirs/repo" \
		--build "$build && id -u >$TMP/theirs/cache/uid" --lib out.so --good v25 --bad v28 --json
	ended "bisect: as root, on somebody's repository" 0
	check "builds are the owner's" [ "$(cat "$TMP/theirs/cache/uid")" = 65534 ]
	check "and nothing in it became root's" [ -z "$(find "$TMP/theirs/repo" "$TMP/theirs/cache" -uid 0)" ]
}

# Where the least memory is taken is drawn at random.
test_tune() {
	local best=$((2 + RANDOM % 11))
	printf '#define KNOB_PAD 0\n#define KNOB_META 64\n#define KNOB_CRASH 0\n#define KNOB_BEST %d\n' $best >"$TMP/knobs.h"
	cp "$ROOT/tests/bisect/small_alloc.c" "$TMP/alloc.c"
	(cd "$TMP" && $build && mv out.so tuned.so)
	printf '# the default is 0\nSMALL_PAD 1..12\n' >"$TMP/space"
	run tune "$TMP/single.tape" --alloc "$TMP/tuned.so" --space "$TMP/space" --json
	ended "tune: a setting whose best value was drawn: $best" 0
	is "is found" "min(d['finalists'], key=lambda c: c['peak_resident']['median'])['settings'] == 'SMALL_PAD=$best' and any(c['on_front'] and c['settings'] == 'SMALL_PAD=$best' and c['peak_resident']['better'] for c in d['finalists'])"
	is "with its gain over the defaults" 'd["gain"] and max(c["peak_resident"].get("gain", 0) for c in d["finalists"]) > 0.05'
	run tune "$TMP/single.tape" --alloc "$TMP/tuned.so" --space "$TMP/space" --json
	is "tune: what was measured is known the next time" 'd["runs"] <= 1 and d["runs_known"] > 50 and d["gain"]'
	printf 'SMALL_NOTHING 1\n' >"$TMP/space"
	run tune "$TMP/single.tape" --alloc "$TMP/tuned.so" --space "$TMP/space" --json
	is "tune: where no setting does anything, no memory is claimed" 'not any(c["peak_resident"].get("better") for c in d["finalists"])'
	run tune "$TMP/single.tape" --alloc glibc --budget 1 --json
	ended "tune: a budget that is soon used up" 0
	is "is said" 'd["out_of_budget"] and len(d["finalists"]) >= 1'
	run tune "$TMP/single.tape" --alloc "$TMP/tuned.so"
	ended "tune: an allocator without a table" 2 "--space FILE brings one"
	printf 'ONE\n' >"$TMP/space"
	run tune "$TMP/single.tape" --alloc glibc --space "$TMP/space"
	ended "tune: a table without values" 1 "line 1"
}

# A thread frees what a sleeping one owns, in blocks of 40 KiB: with one arena half the memory does.
test_tune_arenas() {
	need_root "tune: the case that one arena helps" || return
	yes "" | "$HEAPTAPE" record -q -o "$TMP/owner.tape" -- "$BUILD/tests/fidelity/sleeping_owner" 500 40 2 main >/dev/null 2>"$TMP/err"
	printf 'MALLOC_ARENA_MAX 1\n' >"$TMP/space"
	run tune "$TMP/owner.tape" --alloc glibc --space "$TMP/space" --json
	is "tune: the case that one arena helps" 'any("MALLOC_ARENA_MAX=1" in c["settings"] and c["on_front"] and c["peak_resident"]["gain"] > 0.3 for c in d["finalists"])'
}

# An allocator that fails where a block of 7777 bytes is asked for while one of 3333 lives: once on the tape.
test_shrink() {
	local failing="$HEAPTAPE replay -q \$HEAPTAPE_TAPE --alloc $TMP/planted.so --order strict --json --plan-cache off | grep -q '\"kind\":\"crashed\"'"
	printf '#define KNOB_PAD 0\n#define KNOB_META 64\n#define KNOB_CRASH 0\n#define KNOB_PLANTED\n' >"$TMP/knobs.h"
	cp "$ROOT/tests/bisect/small_alloc.c" "$TMP/alloc.c"
	(cd "$TMP" && $build && mv out.so planted.so)
	"$BUILD/plant_tape" "$TMP/planted.tape" "${SHRINK_EVENTS:-100000}"
	run shrink "$TMP/planted.tape" --check "$failing" -o "$TMP/small-planted.tape"
	ended "shrink: a regression planted among ${SHRINK_EVENTS:-100000} events" 0 "events by"
	run info "$TMP/small-planted.tape" --json
	"$HEAPTAPE" dump "$TMP/small-planted.tape" --format ndjson >"$TMP/dump"
	check "is under 100 events" [ "$(wc -l <"$TMP/dump")" -lt 100 ]
	check "both blocks among them" [ "$(grep -cE '"size": ?(3333|7777)\b' "$TMP/dump")" -ge 2 ]
	check "and still fails" env HEAPTAPE_TAPE="$TMP/small-planted.tape" sh -c "$failing"
	run replay "$TMP/small-planted.tape" --alloc glibc --verify --json
	ended "it is a valid tape" 0
	run shrink "$TMP/planted.tape" --check false -o "$TMP/other.tape"
	ended "shrink: what the whole tape does not show" 1 "does not end with status 0 for the whole tape"
	check "leaves no file" [ ! -e "$TMP/other.tape" ]
	run shrink "$TMP/planted.tape" --check true -o "$TMP/planted.tape"
	ended "shrink: never over the tape itself" 1 "the tape itself"
	run shrink "$TMP/planted.tape" --check "[ -e $TMP/odd ] && rm $TMP/odd || ! touch $TMP/odd" -o "$TMP/other.tape"
	ended "shrink: a check that is not sure of itself" 1 "at some times"
}

"$BUILD/make_tape" "$TMP/single.tape" small 20000 6000 >/dev/null
test_bisect
test_noise
test_killed
test_build_timeout
test_hostile_title
test_jobs
test_candidates
test_somebody
test_tune
test_tune_arenas
test_shrink
