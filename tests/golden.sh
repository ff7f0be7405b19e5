#!/usr/bin/env bash
# golden.sh - the probe plans of the allocators on this machine against those that somebody has read and kept
# (tests/golden/plans, one file for each build id). With BLESS=1 the kept ones are replaced, and the difference is shown.
#
# For a build that nobody has read, the check with known calls must pass, and no function may need more traps than in the
# kept plan of the same allocator.
set -u
. "$ROOT/tests/lib.sh"

GOLDEN="$ROOT/tests/golden/plans"

# As text: a line for each function with its usual traps (emulated stepped returns), then one for each site.
plan_text() { # PROBE.json
	python3 - "$1" <<'PY'
import json, sys
for a in json.load(open(sys.argv[1]))["allocators"]:
    print("# %s %s check: %s, %d replaced" % (a["name"], a["build_id"], a["check"]["made"], a["check"]["replaced"]))
    for f in a["functions"]:
        print("%s %.1f %.1f %.1f %s%s" % (f["name"], f["emulated"], f["stepped"], f["returns"], f["check"], "; " + f["why"] if f["why"] else ""))
        for s in f["sites"]:
            where = " ".join("%s=%s" % (k, s[k]) for k in ("size", "times", "overflow", "block", "old", "align") if k in s)
            print(("  0x%x %s %s %s%s %s" % (s["offset"], s["role"], s["class"], s["insn"], " if " + s["if"] if "if" in s else "", where)).rstrip())
PY
}

# compare GOLDEN NEW SAME-BUILD: sites equal, traps no more; for another build, traps alone.
compare_plans() {
	python3 - "$1" "$2" "$3" <<'PY'
import sys
SLACK = 0.15  # what is usual is counted, and rounded
def read(path):
    functions, name = {}, None
    for line in open(path).read().splitlines()[1:]:
        if not line.startswith(" "):
            words = line.split(" ", 4)
            name = words[0]
            functions[name] = ([float(w) for w in words[1:4]], words[4].split(";")[0], [])
        else:
            functions[name][2].append(line)
    return functions
old, new, same = read(sys.argv[1]), read(sys.argv[2]), sys.argv[3] == "1"
bad = []
cost = lambda t: t[0] + 8 * t[1] + 1.1 * t[2]
for name, (traps, check, sites) in new.items():
    if check not in ("passed", "unchecked"):
        bad.append("%s: check %s" % (name, check))
    if name not in old:
        if same: bad.append("%s is not in the kept plans" % name)
        continue
    if cost(traps) > cost(old[name][0]) * 1.05 + SLACK:
        bad.append("%s takes %s traps (emulated, stepped, return), kept: %s" % (name, traps, old[name][0]))
    if same and sites != old[name][2]:
        bad.append("%s: other sites: %s, kept: %s" % (name, sites, old[name][2]))
if same:
    bad += ["%s is gone" % name for name in old if name not in new]
print("\n".join(bad))
sys.exit(bool(bad))
PY
}

make_plans() { # LIBRARY: into new.plans
	"$HEAPTAPE" probe --no-cache --lib "$1" --json >"$TMP/probe.json" 2>"$TMP/probe.err" && plan_text "$TMP/probe.json" >"$TMP/new.plans"
}

for allocator in glibc jemalloc mimalloc tcmalloc; do
	lib=$(library $allocator)
	[ $allocator = glibc ] && lib=$(ldd "$HEAPTAPE" | awk '/libc\.so/ { print $3 }')
	if [ -z "$lib" ]; then skip "golden plans of $allocator" "not on this machine"; continue; fi
	make_plans "$lib" || { fail "golden plans of $allocator" "$(cat "$TMP/probe.err")"; continue; }
	if ! head -n1 "$TMP/new.plans" | grep -q "check: scratch process, 0 replaced"; then
		if [ "$(id -u)" != 0 ]; then skip "golden plans of $allocator" "no rights to check plans"; continue; fi
		fail "golden plans of $allocator" "$(head -n1 "$TMP/new.plans") $(cat "$TMP/probe.err")"
		continue
	fi
	build_id=$(head -n1 "$TMP/new.plans" | cut -d' ' -f3)
	kept="$GOLDEN/$allocator.$build_id.plans"
	if [ "${BLESS:-0}" = 1 ]; then
		diff -u "$kept" "$TMP/new.plans"
		cp "$TMP/new.plans" "$kept"
		pass "golden plans of $allocator: kept as they are now"
		continue
	fi
	if [ -e "$kept" ]; then
		# The weights are counted: on a machine that did something else meanwhile, once more.
		for _ in 1 2; do compare_plans "$kept" "$TMP/new.plans" 1 >/dev/null && break || make_plans "$lib"; done
		check "golden plans of $allocator" compare_plans "$kept" "$TMP/new.plans" 1
	else
		any=$(ls "$GOLDEN/$allocator".*.plans | head -n1)
		check "plans of $allocator $build_id, a build that nobody has read, need no more traps" compare_plans "$any" "$TMP/new.plans" 0
	fi
done
