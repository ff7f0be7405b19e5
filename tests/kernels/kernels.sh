#!/usr/bin/env bash
# kernels.sh [SERIES...] - heaptape on other kernels: each is booted under qemu without this processor's help, and the truth tests
# run in it at small sizes (guest.sh). Without a word: 6.1, 6.12, the newest that Debian has, and 5.10, where heaptape must refuse.
set -u
. "$ROOT/tests/lib.sh"
here=$ROOT/tests/kernels
full=
[ $# -gt 0 ] || { full=1; set -- 6.1 6.12 newest 5.10; }

# words_of SERIES: what is tested there; of 6.1 alone, as ci has it, less.
words_of() {
	case $1 in
	5.10) echo doctor:1 refused ;;
	6.1) echo doctor plain stacks faults languages ${full:+rights command_held follow killed simple cxx jemalloc} ;;
	*) echo doctor plain languages plain_perf simple cxx jemalloc stacks command_held follow faults rights killed ;;
	esac
}

# cpu_of SERIES: qemu 7.2 makes mistakes in cmpxchg16b that bring kernels before 7 to grief in their allocator, now and then. Later ones
# do not use it there, but allocate nothing for BPF programs on a processor without it.
cpu_of() { [ "$1" = newest ] && echo qemu64 || echo qemu64,-cx16; }

make_archive() {
	local files=("$BUILD/heaptape" "$BUILD/heaptape-scratch" "$(command -v setpriv)") name lib
	for name in all_calls cxx_calls churn follow compare compare_stacks stack_cases_pie; do files+=("$LIVE/$name"); done
	files+=("$LIVE"/liboracle.so "$LIVE"/stack_plugin{0,1,2}.so)
	lib=$(library jemalloc)
	[ -z "$lib" ] || files+=("$lib")
	ghc -v0 -O1 -rtsopts -outputdir "$TMP/ghc" -o "$TMP/ghc_strip" "$ROOT/examples/cases/pinned-strip/Strip.hs" &&
		HOME=$TMP GOCACHE=$TMP/cache GO111MODULE=off go build -o "$TMP/go_sizeclass" "$ROOT/examples/cases/sizeclass/main.go" || return 1
	"$here/root.sh" "$TMP/root.cpio" "${files[@]}" "$TMP/ghc_strip" "$TMP/go_sizeclass"
}

# boot SERIES: a boot that ended in the guest's kernel coming to grief is shown and tried once more; nothing else is.
boot() {
	local series=$1 kernel name status try words
	kernel=$("$here/fetch.sh" "$series" 2>"$TMP/fetch.err") || { skip "kernel $series" "$(tail -n1 "$TMP/fetch.err")"; return; }
	name="kernel $(basename "$kernel" | sed 's/^vmlinuz-//')"
	read -ra words <<<"${KERNEL_WORDS:-$(words_of "$series")}"
	for try in 1 2; do
		GUEST_CPU=$(cpu_of "$series") "$here/boot.sh" "$kernel" "$TMP/root.cpio" "${KERNEL_SECONDS:-240}" "${words[@]}" >"$TMP/guest.out"
		status=$?
		[ $status = 98 ] && [ $try = 1 ] || break
		printf 'note  %s: the guest came to grief and is booted once more\n' "$name"
		grep '^guest: ' "$TMP/guest.out" | sed 's/^/      /'
	done
	while IFS= read -r line; do
		case $line in
		"ok "*) pass "$name: ${line#ok }" ;;
		"FAIL "*) fail "$name: ${line#FAIL }" ;;
		Killed | *"reboot: Restarting system"*) ;;
		*) printf '%s\n' "$line" ;;
		esac
	done <"$TMP/guest.out"
	# A test of the guest that failed has been told; one that was never reached has not.
	[ $status -le 1 ] || fail "$name" "the guest did not run all its tests (status $status): $(tail -n1 "$TMP/guest.out")"
}

need_root kernels || exit 0
if [ "$(uname -m)" != x86_64 ]; then skip kernels "guests are built for x86-64 alone"; exit 0; fi
if ! "$ROOT/tests/setup.sh" kernels 2>"$TMP/setup.err"; then skip kernels "$(tail -n1 "$TMP/setup.err")"; exit 0; fi
make_archive || { fail kernels "the guest's root cannot be made"; exit 0; }
for series in "$@"; do boot "$series"; done
exit 0
