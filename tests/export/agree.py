#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Holds names against binutils' addr2line:  agree.py FILE START(file offset) START(address) END(offset) NR  <dump --stacks
The events of the dump are one-frame stacks, spread over the part of the file as make_profile does it. What lies in no function
(padding between them) is left out: addr2line gives it the name of the function in front of it."""
import bisect
import json
import re
import subprocess
import sys

path, start, vaddr, end, nr = sys.argv[1], *(int(a, 0) for a in sys.argv[2:6])
addresses = [start + (end - start) * i // nr - start + vaddr for i in range(nr)]
theirs = subprocess.run(["addr2line", "-a", "-f", "-i", "-C", "-e", path], input="\n".join(map(hex, addresses)), text=True,
                        stdout=subprocess.PIPE, check=True).stdout.splitlines()
chains, lines = [], iter(theirs)
for line in lines:
    if line.startswith("0x") and re.fullmatch("0x[0-9a-f]+", line):
        chains.append([])
    else:
        chains[-1].append((line, next(lines)))
assert len(chains) == nr, f"addr2line answered for {len(chains)} of {nr} places"


functions = sorted((int(f[0], 16), int(f[1], 16)) for f in
                   (line.split() for line in subprocess.run(["nm", "-S", path], text=True, stdout=subprocess.PIPE,
                                                            check=True).stdout.splitlines()) if len(f) == 4 and f[2] in "tTwWi")


def in_function(address):
    at = bisect.bisect(functions, (address, 1 << 64)) - 1
    return at >= 0 and address < functions[at][0] + functions[at][1]


def plain(function):
    """addr2line gives DWARF's plain names where it has no linkage names; parameters and suffixes are left out."""
    return re.sub(r"(\(.*|\.(cold|part|isra|constprop|lto_priv|localalias)[.0-9]*| \[clone.*)", "", function).split("::")[-1].split(" ")[-1]


def place(text):
    file, _, line = text.partition(":")
    line = re.sub(r" \(discriminator.*", "", line)
    return (file.rsplit("/", 1)[-1], int(line)) if line.isdigit() else ("", 0)


same = unknown = 0
different = []
for address, chain, event in zip(addresses, chains, map(json.loads, sys.stdin)):
    ours = [re.fullmatch(r"(.*?)(?: \(([^()]*):(\d+)\))?", f).groups() for f in event["frames"]]
    if chain[0][0] == "??" or not in_function(address):
        unknown += 1
        continue
    got = [(plain(f), (file or "").rsplit("/", 1)[-1] if int(line or 0) else "", int(line or 0)) for f, file, line in ours]
    want = [(plain(f), *place(at)) for f, at in chain]
    if got == want:
        same += 1
    else:
        different.append((hex(address), got, want))
print(f"{same} of {nr - unknown} places as addr2line has them ({unknown} in no function)")
for d in different[:40]:
    print(" ", *d, sep="\n    ")
sys.exit(not same or len(different) * 200 > nr - unknown)
