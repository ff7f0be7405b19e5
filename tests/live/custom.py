#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""custom.py HEAPTAPE TAPE COUNTS [NAME...]: what a tape says of described allocators against what their program counted itself.

COUNTS: lines NAME BIRTHS BYTES ENDS (tests/live/custom_calls.c prints them). With names only these are compared."""
import json
import subprocess
import sys

heaptape, tape, counts = sys.argv[1:4]
ask = lambda *words: subprocess.run([heaptape, *words], capture_output=True, text=True, check=True).stdout
told = {w[0]: [int(x) for x in w[1:]] for w in (line.split() for line in open(counts)) if len(w) == 4}
names = [a["name"] for a in json.loads(ask("info", tape, "--json"))["allocators"]]
seen = {name: [0, 0, 0] for name in names}
inside, wrong = {name: 0 for name in names}, []
for line in ask("dump", tape).splitlines():
    e = json.loads(line)
    if "alloc" not in e or e.get("failed") or e["op"] not in ("malloc", "realloc", "free"):
        continue
    name = names[e["alloc"]]
    if e["op"] != "free":
        seen[name][0] += 1
        seen[name][1] += e["size"]
        inside[name] += bool(e.get("sub"))
    seen[name][2] += e["op"] == "free" or bool(e.get("old"))
    if name in told and (e.get("unknown") or e.get("implied_free")):
        wrong.append(e)
# xmalloc hands malloc's own blocks on: counted as nested, and no event.
expected = {n: c for n, c in told.items() if n != "handed" and (len(sys.argv) == 4 or n in sys.argv[4:])}
for name, want in expected.items():
    if seen.get(name) != want:
        sys.exit(f"{name}: the program counted {want} (births, bytes, ends), the tape {seen.get(name)}")
if "handed" in seen and any(seen["handed"]):
    sys.exit(f"handed on blocks have events: {seen['handed']}")
if wrong:
    sys.exit(f"{len(wrong)} events contradict the live set, the first: {wrong[0]}")
for name in expected:
    if inside[name] != (0 if name == "slab" else seen[name][0]):
        sys.exit(f"{name}: {inside[name]} of {seen[name][0]} births are sub-allocations")
print("ok")
