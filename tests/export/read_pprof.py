#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Reads a pprof profile by the wire format alone, without the code that wrote it, checks what pprof's documentation demands, and
prints one of its values as folded stacks:  read_pprof.py FILE alloc_space|alloc_objects|inuse_space|inuse_objects"""
import gzip
import sys


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """Pairs of field number and value: an int, or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 2:
            length, at = varint(data, at)
            value = data[at:at + length]
            assert len(value) == length, "a field reaches beyond its message"
            at += length
        else:
            raise AssertionError(f"wire type {kind} in field {key >> 3}")
        yield key >> 3, value


def message(data, single, many=()):
    """A message as a dict: fields of `single` hold one value (0 if absent), those of `many` a list."""
    out = {name: 0 for name in single.values()}
    many = dict(many)
    out.update({name: [] for name in many.values()})
    for number, value in fields(data):
        if number in single:
            out[single[number]] = value
        elif number in many:
            out[many[number]].append(value)
        else:
            raise AssertionError(f"field {number} is not known")
    return out


def packed(values):
    """Repeated numbers, packed into bytes or one by one."""
    out = []
    for value in values:
        if isinstance(value, int):
            out.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = varint(value, at)
            out.append(number)
    return out


def read(path):
    data = gzip.open(path).read()
    p = message(data, {9: "time_nanos", 10: "duration_nanos", 11: "period_type", 12: "period", 14: "default_sample_type"},
                {1: "sample_type", 2: "sample", 3: "mapping", 4: "location", 5: "function", 6: "string_table"})
    strings = [s.decode("utf-8") for s in p["string_table"]]
    assert strings[0] == "", "the first string must be empty"

    def text(number):
        assert 0 <= number < len(strings), "a string's number beyond the table"
        return strings[number]

    types = []
    for t in p["sample_type"]:
        t = message(t, {1: "type", 2: "unit"})
        types.append((text(t["type"]), text(t["unit"])))
    mappings, functions, locations = {}, {}, {}
    for m in p["mapping"]:
        m = message(m, {1: "id", 2: "start", 3: "limit", 4: "offset", 5: "file", 6: "build_id", 7: "f", 8: "n", 9: "l", 10: "i"})
        assert m["id"] and m["id"] not in mappings and m["start"] < m["limit"]
        m["file"], m["build_id"] = text(m["file"]), text(m["build_id"])
        for other in mappings.values():
            assert m["limit"] <= other["start"] or other["limit"] <= m["start"], "mappings overlap"
        mappings[m["id"]] = m
    for f in p["function"]:
        f = message(f, {1: "id", 2: "name", 3: "system_name", 4: "filename"})
        assert f["id"] and f["id"] not in functions and text(f["name"])
        text(f["filename"])
        functions[f["id"]] = f
    for loc in p["location"]:
        loc = message(loc, {1: "id", 2: "mapping", 3: "address"}, {4: "line"})
        assert loc["id"] and loc["id"] not in locations and loc["line"]
        loc["line"] = [message(line, {1: "function", 2: "line"}) for line in loc["line"]]
        for line in loc["line"]:
            assert line["function"] in functions, "a line without a function"
        if loc["mapping"]:
            m = mappings[loc["mapping"]]
            assert m["start"] <= loc["address"] < m["limit"], "an address outside its mapping"
        locations[loc["id"]] = loc
    samples = []
    for s in p["sample"]:
        s = message(s, {}, {1: "location", 2: "value"})
        where, values = packed(s["location"]), packed(s["value"])
        assert len(values) == len(types) and where
        samples.append(([locations[i] for i in where], values))
    return p, types, strings, functions, samples, mappings


def main():
    p, types, strings, functions, samples, _ = read(sys.argv[1])
    if len(sys.argv) < 3:
        print(strings[p["default_sample_type"]])
        return
    at = [t[0] for t in types].index(sys.argv[2])
    assert types[at][1] == ("bytes" if sys.argv[2].endswith("space") else "count")
    lines = {}
    for where, values in samples:
        names = [strings[functions[line["function"]]["name"]] for loc in where for line in loc["line"]]
        key = ";".join(n.replace(";", ":") for n in reversed(names))
        lines[key] = lines.get(key, 0) + values[at]
    for key in sorted(lines, key=lambda k: k.encode()):
        if lines[key]:
            print(key, lines[key])


main()
