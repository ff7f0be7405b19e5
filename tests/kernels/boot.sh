#!/usr/bin/env bash
# boot.sh KERNEL ARCHIVE SECONDS [WORD...] - boots the kernel image under qemu, without any help of this processor's, with the
# archive as its root, hands the words to the guest and prints what the guest prints. Exit status: the guest's; 98 if the guest's
# kernel came to grief (its words are printed), 99 if the guest did not end within SECONDS.
set -euo pipefail
kernel=$1 archive=$2 seconds=$3
shift 3
log=$(mktemp "${TMPDIR:-/tmp}/heaptape-guest.XXXXXX")
trap 'rm -f "$log"' EXIT
# The guest has no network and no disk; memory is all it needs.
timeout "$seconds" qemu-system-x86_64 -M pc -nodefaults -vga none -display none -accel tcg,tb-size=256 -cpu "${GUEST_CPU:-qemu64}" -smp "${GUEST_CPUS:-1}" \
	-m 1G -no-reboot -serial stdio -kernel "$kernel" -initrd "$archive" \
	-append "console=ttyS0 quiet loglevel=3 panic=-1 reboot=t mitigations=off random.trust_cpu=on no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1 guest=$(IFS=,; echo "$*")" \
	>"$log" 2>&1 </dev/null || true
tr -d '\r' <"$log" | sed -n '/^guest: begins/,$p' | grep -v '^guest: \(begins\|ended\)' || true
status=$(tr -d '\r' <"$log" | sed -n 's/^guest: ended with \([0-9]*\)$/\1/p')
if grep -qE 'Oops|Kernel panic|BUG: |double fault' "$log"; then
	tr -d '\r' <"$log" | grep -m1 -A40 -E 'Oops|Kernel panic|BUG: |double fault' | sed 's/^/guest: /'
	exit 98
fi
[ -n "$status" ] || { echo "the guest did not end within $seconds s; its last words: $(tail -n2 "$log" | tr -d '\r' | tr '\n' ' ')"; exit 99; }
exit "$status"
