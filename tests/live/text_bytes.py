#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""text_bytes.py PID PROBE.json: how many sites of `heaptape probe --json` show a breakpoint in PID's memory, and how many
bytes of those libraries' whole text differ from the file for another reason. Prints "breakpoints N other N"."""
import json
import sys

pid, probe = sys.argv[1], json.load(open(sys.argv[2]))
breakpoints = other = 0
with open(f"/proc/{pid}/mem", "rb") as mem:
    for line in open(f"/proc/{pid}/maps"):
        fields = line.split()
        if len(fields) < 6 or "x" not in fields[1]:
            continue
        for allocator in probe["allocators"]:
            if allocator["path"] != fields[5]:
                continue
            start, end = (int(x, 16) for x in fields[0].split("-"))
            offset = int(fields[2], 16)
            mem.seek(start)
            now = mem.read(end - start)
            with open(fields[5], "rb") as f:
                f.seek(offset)
                was = f.read(end - start)
            for at in (i for i in range(len(was)) if was[i] != now[i]) if was != now[: len(was)] else ():
                if now[at] == 0xCC:
                    breakpoints += 1
                else:
                    other += 1
print(f"breakpoints {breakpoints} other {other}")
