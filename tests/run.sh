#!/usr/bin/env bash
# tests/run.sh [WORD...] - installs what is missing, builds, tests. Ends in one line: N passed, N failed, N skipped.
# Words:
#   ci          what .ci/run calls: all of the following, small sizes (default)
#   all         the same at full sizes
#   warnings    gcc and clang, warnings are errors
#   unit        the unit tests
#   sanitizers  the unit tests under address and undefined-behaviour sanitizers
#   fuzz        libFuzzer on every reader (FUZZ_SECONDS each)
#   fuzz-long   the same, ten minutes each
#   truth       the tape against an independent recorder, on live programs
#   stacks      call stacks against programs that know their own, and against another unwinder
#   survive     targets and tapes when recorders come, go and are killed
#   baseline    what lived before a recording, against a recorder that was there from the start
#   ring        a ring of a live process: size, what copies it, full disks, killed recorders (RING_KILLS); cut and strip
#   limits      rights, bad input, bystanders
#   custom      allocators that are described: every call of a program that counts its own; Python's, Apache's
#   ways        wherever the process lives: containers, other libcs, overlays, replaced and deleted files, static programs
#   moving      targets that do not hold still: 10,000 threads, exec, death and leaving namespaces, two recorders, a debugger
#   follow      children of the target: each on a tape of its own, held at birth, and let go whatever becomes of recorders (FOLLOW_KILLS)
#   kernels     other kernels, booted under qemu; ci boots one
#   replay      the player under real and under broken allocators
#   bisect      check, bisect, tune: libraries, commits and settings that take more or less, told apart from noise; shrink
#   slurm       the same played by a Slurm of the test's own
#   fidelity    real programs under several allocators against what replays of one tape predict; ci has a short form
#   report      what heaptape report finds in sick and in healthy programs, and its figures against the kernel's
#   html        the HTML report in Debian's Chromium: what it draws, what it does, what names cannot do to it
#   rerun       heaptape rerun on programs of which is known what a setting does, and on variants that fail
#   cases       examples/cases at small sizes, against what their programs and runtimes know and against runs that nobody records
#   cases-large the block counts that were published of the strip case, at its full size
#   golden      probe plans against those that were read and kept; with --bless behind it, keeps them as they are now
#   export      call stacks for other tools, read back by readers of their own
#   docs        help, manual pages, README
#   bench       what recording costs, printed and not judged
#   bench-capture  the same beside the least possible, the usual way to trace, and other tools
#   bench-tape  bytes an event of whole programs beside heaptrack's, writing and reading rates, memory; printed and not judged
#   bench-html  the HTML report of 10 million events: time, size, and how fast it answers, printed
#   bench-baseline  how long a heap is read at attach, and how long its process stands for it, printed and not judged
#   bench-stacks  what call stacks cost, and beside heaptrack, printed and not judged
# The live tests need root and are skipped, with the reason, without it.
set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${BUILD:-$ROOT/build}
RESULTS=$(mktemp)
trap 'rm -f "$RESULTS"' EXIT
export ROOT BUILD RESULTS

"$ROOT/tests/setup.sh" test || exit 1

# Seconds each word may take in the ci form; more is told, and fails the word.
declare -A budget=([warnings]=240 [unit]=90 [sanitizers]=240 [fuzz]=240 [fuzz-long]=2400 [truth]=420 [survive]=300 [baseline]=120 [ring]=210 [limits]=150 [custom]=60 [ways]=90 [moving]=90 [follow]=180 [kernels]=600 [replay]=240 [bisect]=300 [slurm]=120
	[fidelity]=180 [report]=90 [html]=90 [rerun]=60 [cases]=240 [cases-large]=400 [golden]=60 [docs]=30 [export]=60 [bench]=600 [bench-capture]=900 [stacks]=300 [bench-stacks]=900 [bench-baseline]=600 [bench-runtime]=300 [bench-tape]=900 [bench-html]=300)
full= fidelity= kernels= follow=

note() { echo "$2" >>"$RESULTS"; printf '%-5s %s\n' "$1" "$3"; }
ran() { # NAME STATUS LOG
	if [ "$2" = 0 ]; then note ok pass "$1"; else
		note FAIL fail "$1"
		tail -n 25 "$3" | sed 's/^/      /'
	fi
}

build_in() { # FOLDER LOG CMAKE-ARGS...
	local folder=$1 log=$2
	shift 2
	cmake -S "$ROOT" -B "$folder" "$@" >"$log" 2>&1 && cmake --build "$folder" -j "$(nproc)" >>"$log" 2>&1
}

word_build() {
	local log
	log=$(mktemp)
	build_in "$BUILD" "$log" -DHEAPTAPE_WERROR=ON
	ran "build" $? "$log"
	rm -f "$log"
	[ -x "$BUILD/heaptape" ]
}

unit_tests_in() { # FOLDER NAME
	local test log
	log=$(mktemp)
	for test in "$1"/test_*; do
		[ -x "$test" ] || continue
		(cd "$ROOT" && "$test") >"$log" 2>&1
		ran "$2 $(basename "$test")" $? "$log"
	done
	rm -f "$log"
}

word_unit() { unit_tests_in "$BUILD" unit; }

word_warnings() {
	local log
	log=$(mktemp)
	build_in "$BUILD-clang" "$log" -DHEAPTAPE_WERROR=ON -DHEAPTAPE_HTML=OFF -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19
	ran "clang builds without a warning" $? "$log"
	"$BUILD/make_page_tape" "$BUILD-clang/small.tape" small
	"$BUILD-clang/heaptape" report "$BUILD-clang/small.tape" -o "$BUILD-clang/small.html" >"$log" 2>&1
	[ $? = 1 ] && [ ! -e "$BUILD-clang/small.html" ] && grep -q "install npm and node" "$log"
	ran "built without npm, report -o FILE.html says what to install" $? "$log"
	build_in "$BUILD-release" "$log" -DHEAPTAPE_WERROR=ON -DHEAPTAPE_HTML=OFF -DCMAKE_BUILD_TYPE=Release
	ran "gcc -O3 builds without a warning" $? "$log"
	rm -f "$log"
}

word_sanitizers() {
	local log
	log=$(mktemp)
	build_in "$BUILD-asan" "$log" -DHEAPTAPE_WERROR=ON -DHEAPTAPE_HTML=OFF -DHEAPTAPE_SANITIZE=ON -DCMAKE_C_COMPILER=clang-19 \
		-DCMAKE_CXX_COMPILER=clang++-19
	ran "sanitizer build" $? "$log"
	rm -f "$log"
	unit_tests_in "$BUILD-asan" sanitized
}

# All readers at once: each is one thread.
word_fuzz() {
	local log target folder name pids=()
	log=$(mktemp) folder=$(mktemp -d)
	build_in "$BUILD-fuzz" "$log" -DHEAPTAPE_FUZZ=ON -DHEAPTAPE_HTML=OFF -DHEAPTAPE_TESTS=OFF -DCMAKE_C_COMPILER=clang-19
	ran "fuzz build" $? "$log"
	for target in "$BUILD-fuzz"/fuzz_*; do
		[ -x "$target" ] || continue
		name=$(basename "$target")
		mkdir "$folder/$name"
		[ -d "$ROOT/tests/fuzz/seeds" ] && cp "$ROOT"/tests/fuzz/seeds/* "$folder/$name" 2>/dev/null
		(cd "$folder" && "$target" -max_total_time="${FUZZ_SECONDS:-40}" -rss_limit_mb=2048 -timeout=10 "$name" >"$name.log" 2>&1) &
		pids+=("$!:$name")
	done
	for target in "${pids[@]}"; do
		name=${target#*:}
		wait "${target%%:*}"
		ran "$name for ${FUZZ_SECONDS:-40} s" $? "$folder/$name.log"
	done
	rm -rf "$log" "$folder"
}

word_fuzz-long() { FUZZ_SECONDS=600 word_fuzz; }
word_truth() { bash "$ROOT/tests/live/truth.sh"; }
word_stacks() { bash "$ROOT/tests/live/stacks.sh"; }
word_survive() { bash "$ROOT/tests/live/survive.sh"; }
word_baseline() { bash "$ROOT/tests/live/baseline.sh"; }
word_ring() { bash "$ROOT/tests/live/ring.sh" && bash "$ROOT/tests/live/ring_triggers.sh"; }
word_custom() { bash "$ROOT/tests/live/custom.sh"; }
word_limits() { bash "$ROOT/tests/live/limits.sh"; }
word_ways() { bash "$ROOT/tests/live/ways.sh"; }
word_follow() { bash "$ROOT/tests/live/follow.sh" $follow; }
word_moving() { bash "$ROOT/tests/live/moving.sh"; }
word_kernels() { bash "$ROOT/tests/kernels/kernels.sh" $kernels; }
word_replay() { bash "$ROOT/tests/replay/replay.sh"; }
word_slurm() { bash "$ROOT/tests/replay/slurm.sh"; }
word_bisect() { bash "$ROOT/tests/bisect/bisect.sh"; }
word_fidelity() {
	[ -n "$fidelity" ] || "$ROOT/tests/setup.sh" bench || return 1
	bash "$ROOT/tests/fidelity/fidelity.sh" $fidelity
}
word_rerun() { bash "$ROOT/tests/live/rerun.sh"; }
word_cases() { bash "$ROOT/tests/cases/cases.sh"; }
word_cases-large() { bash "$ROOT/tests/cases/cases.sh" large; }
word_report() { bash "$ROOT/tests/live/report.sh"; }
word_html() { bash "$ROOT/tests/web/web.sh"; }
word_golden() { bash "$ROOT/tests/golden.sh"; }
word_export() { bash "$ROOT/tests/export/export.sh"; }
word_docs() { bash "$ROOT/tests/docs.sh"; }
# The tools to compare with are needed here alone.
word_bench-capture() { "$ROOT/tests/setup.sh" bench && bash "$ROOT/tests/bench/capture.sh"; }
word_bench-tape() { bash "$ROOT/tests/bench/tape.sh" && "$BUILD/bench_tape"; }
word_bench-html() { PAGE_EVENTS=10000000 bash "$ROOT/tests/web/web.sh" large; }
word_bench-runtime() { bash "$ROOT/tests/bench/runtime.sh"; }
word_bench-baseline() { bash "$ROOT/tests/bench/baseline.sh"; }
word_bench-stacks() { bash "$ROOT/tests/bench/stacks.sh"; }
word_bench() { bash "$ROOT/tests/bench/record.sh" && bash "$ROOT/tests/bench/replay.sh" && "$BUILD/bench_tape"; }

words=()
for word in "$@"; do
	if [ "$word" = --bless ]; then export BLESS=1; else words+=("$word"); fi
done
[ ${#words[@]} -gt 0 ] || words=(ci)
case ${words[0]} in
ci)
	fidelity=short kernels=6.1 follow=short
	words=(unit golden truth stacks survive baseline ring limits custom ways follow kernels replay slurm bisect fidelity report html rerun cases export docs warnings sanitizers fuzz) ;;
all)
	full=1
	export HEAPTAPE_TEST_FULL=1 TRUTH_ROUNDS=200000 TRUTH_REDIS_REQUESTS=400000 TRUTH_REDIS_EVENTS=20000000 SURVIVE_KILLS=100 RING_KILLS=200 BASELINE_BLOCKS=10000000 FUZZ_SECONDS=600 FOLLOW_KILLS=40 SHRINK_EVENTS=1000000
	words=(unit golden truth stacks survive baseline ring limits custom ways moving follow kernels replay slurm bisect fidelity report html rerun cases export docs warnings sanitizers fuzz)
	;;
esac
# A test script that ends early must not pass for one that found nothing wrong.
run_word() {
	local begin=$SECONDS before took
	before=$(wc -l <"$RESULTS")
	echo "== $1"
	"word_$1" || [ $? = 1 ] || note FAIL fail "$1: its script was ended"
	[ "$(wc -l <"$RESULTS")" -gt "$before" ] || note FAIL fail "$1: nothing was tested"
	took=$((SECONDS - begin))
	echo "== $1: $took s of ${budget[$1]}"
	[ -n "$full" ] || [ "$took" -le "${budget[$1]}" ] || note FAIL fail "$1: over its budget"
}

for word in "${words[@]}"; do
	[ -n "${budget[$word]:-}" ] || { echo "tests/run.sh: no word '$word'; see its head" >&2; exit 2; }
done
word_build || exit 1
for word in "${words[@]}"; do run_word "$word"; done

passed=$(grep -c pass "$RESULTS") failed=$(grep -c fail "$RESULTS") skipped=$(grep -c skip "$RESULTS")
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
