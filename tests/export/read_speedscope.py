#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Reads a speedscope file, checks the rules of its schema, and prints it as folded stacks:  read_speedscope.py FILE"""
import json
import sys

UNITS = {"none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"}


def only(d, required, optional=()):
    missing = set(required) - set(d)
    assert not missing, f"{missing} are missing"
    assert not set(d) - set(required) - set(optional), f"{set(d) - set(required) - set(optional)} are not known"


def main():
    d = json.load(open(sys.argv[1], encoding="utf-8"))
    only(d, ["$schema", "shared", "profiles"], ["name", "activeProfileIndex", "exporter"])
    assert d["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    only(d["shared"], ["frames"])
    for frame in d["shared"]["frames"]:
        only(frame, ["name"], ["file", "line", "col"])
        assert isinstance(frame["name"], str) and isinstance(frame.get("file", ""), str)
        assert isinstance(frame.get("line", 0), int)
    (profile,) = d["profiles"]
    only(profile, ["type", "name", "unit", "startValue", "endValue", "samples", "weights"])
    assert profile["type"] == "sampled" and profile["unit"] in UNITS and d["activeProfileIndex"] == 0
    assert len(profile["samples"]) == len(profile["weights"])
    assert all(isinstance(w, int) and w > 0 for w in profile["weights"])
    assert profile["startValue"] == 0 and sum(profile["weights"]) == profile["endValue"]
    lines = {}
    for sample, weight in zip(profile["samples"], profile["weights"]):
        assert sample and all(0 <= i < len(d["shared"]["frames"]) for i in sample)
        key = ";".join(d["shared"]["frames"][i]["name"].replace(";", ":") for i in sample)
        lines[key] = lines.get(key, 0) + weight
    for key in sorted(lines, key=lambda k: k.encode()):
        print(key, lines[key])


main()
