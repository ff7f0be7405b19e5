#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""follow.py HEAPTAPE FOLDER CHILDREN KIND... - every call of the processes of tests/live/follow.c is on its own tape, once.
CHILDREN: how many tapes beside the first. KIND: what a child is: forked (has its parent's blocks, frees half of them),
execed (starts with nothing), both (forked, made its calls, then replaced itself), chain (forked by one that had freed some), idle
(forked, made no calls), again (execed, and replaced itself). Several kinds: any of them."""
import json
import subprocess
import sys

heaptape, folder, children, kinds = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
KEPT, CALLS = 200, 1000
wrong = []


def run(*args):
    return subprocess.run([heaptape, *args], capture_output=True, text=True, check=True).stdout


def fits(kind, p, events):
    """What does not hold of a child of that kind."""
    kept = [e for e in events if e.get("kept")]
    mine = [e for e in events if not e.get("kept")]
    execs = [i for i, e in enumerate(mine) if e["op"] == "exec"]
    calls = sum(e["op"] == "malloc" and e.get("size") == 777 for e in mine)
    at_start = sum(e["op"] == "malloc" and e.get("size") == 1234 for e in kept)
    at_end = sum(e["op"] == "malloc" and e.get("size") == 555 for e in mine)
    inherited = {e["addr"] for e in kept if e.get("size") == 1234}
    freed = sum(e["op"] == "free" and e["addr"] in inherited for e in mine[: execs[0] if execs else len(mine)])
    want = {
        "forked": dict(calls=CALLS, at_start=KEPT, at_end=0, execs=0, start="fork"),
        "execed": dict(calls=CALLS, at_start=0, at_end=10, execs=0, start="exec"),
        "both": dict(calls=2 * CALLS, at_start=KEPT, at_end=10, execs=1, start="fork"),
        "chain": dict(calls=CALLS, execs=0, start="fork"),
        "again": dict(calls=CALLS, at_start=0, at_end=10, execs=1, start="exec"),
        "idle": dict(calls=0, at_start=KEPT, execs=0, start="fork"),
    }[kind]
    got = dict(calls=calls, at_start=at_start, at_end=at_end, execs=len(execs), start=p["start"])
    bad = [f"{key} {got[key]}, not {value}" for key, value in want.items() if got[key] != value]
    if kind == "forked" and freed != KEPT // 2:
        bad.append(f"{freed} of the parent's blocks freed")
    if kind == "both" and p["live_at_end"]["bytes"] > 100000:
        bad.append("exec has not ended the objects")
    return bad


processes = json.loads(run("info", folder, "--json"))["processes"]
if len(processes) != children + 1:
    wrong.append(f"{len(processes)} tapes, not {children + 1}")
for p in processes:
    name = p["file"]
    if p["lost"] or p["unknown_frees"] or not p["complete"]:
        wrong.append(f"{name}: lost {p['lost']}, {p['unknown_frees']} unknown frees, complete {p['complete']}")
    if not p["parent"]:
        continue
    if p["parent_file"] not in {q["file"] for q in processes}:
        wrong.append(f"{name}: no tape of its parent")
    events = [json.loads(line) for line in run("dump", f"{folder}/{name}").splitlines()]
    problems = [fits(kind, p, events) for kind in kinds]
    if kinds and all(problems):
        wrong.append(f"{name}: " + " | ".join("; ".join(x) for x in problems))
print("\n".join(wrong[:10]))
sys.exit(1 if wrong else 0)
