# SPDX-License-Identifier: BSD-2-Clause
"""read_course.py PERFETTO REPORT CSV-FOLDER: what export wrote of a tape's course, against what report says as JSON.

Protocol buffers are read by hand here, by the numbers of Perfetto's own format, so that a wrong number is seen.
"""
import csv
import json
import struct
import sys


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data):
    """{number: [values]} of a message; nested messages are bytes."""
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif key & 7 == 2:
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
            assert len(value) == length
        else:
            raise ValueError(f"wire type {key & 7}")
        found.setdefault(key >> 3, []).append(value)
    return found


def one(message, number, absent=None):
    return message.get(number, [absent])[0]


def read_perfetto(path):
    tracks, events, clocks = {}, [], {}
    for packet in map(fields, fields(open(path, "rb").read())[1]):
        if 60 in packet:
            track = fields(one(packet, 60))
            tracks[one(track, 1)] = track
        elif 11 in packet:
            event = fields(one(packet, 11))
            assert one(event, 11) in tracks, "an event before its track"
            assert one(packet, 10) == 1
            events.append((one(packet, 8), one(event, 11), one(event, 9), event))
        elif 6 in packet:
            clocks = {one(fields(c), 1): one(fields(c), 2) for c in fields(one(packet, 6))[1]}
        else:
            raise ValueError(f"a packet of {list(packet)}")
    return tracks, events, clocks


def check_perfetto(path, report):
    tracks, events, clocks = read_perfetto(path)
    line = report["timeline"]
    names = {one(t, 2, b"").decode(): uuid for uuid, t in tracks.items() if 8 in t}
    process = [t for t in tracks.values() if 3 in t]
    assert len(process) == 1
    for uuid, track in tracks.items():
        assert 3 in track or one(track, 5) == one(process[0], 1), "a track without its process"

    def counter(name):
        return [(ns, one(e, 30) if 30 in e else one(e, 44)) for ns, uuid, kind, e in events if uuid == names[name] and kind == 4]

    assert counter("live, requested") == [(p["ns"], p["live_bytes"]) for p in line]
    assert counter("live objects") == [(p["ns"], p["live"]) for p in line]
    assert counter("resident, as the kernel counts") == [(p["ns"], p["rss_anon"]) for p in line if p["rss_anon"] is not None]
    assert ("of it holes" in names) == report["summary"]["has_pages"]
    if report["summary"]["has_pages"]:
        assert counter("of it holes") == [(p["ns"], p["holes"]) for p in line]
        assert counter("allocator's resident memory") == [(p["ns"], p["resident"]) for p in line]
    begin = [report["summary"]["first_ns"]] + [p["ns"] for p in line]
    for (ns, rate), since, point in zip(counter("allocations/s"), begin, line):
        assert ns == since
        want = point["allocations"] * 1e9 / (point["ns"] - since) if point["ns"] > since else 0
        assert abs(rate - want) <= 1e-6 * want, (rate, want)
    threads = {one(fields(one(t, 4)), 2): (uuid, one(fields(one(t, 4)), 5, b"").decode()) for uuid, t in tracks.items() if 4 in t}
    assert {tid: name for tid, (_, name) in threads.items()} == {t["tid"]: t["name"] for t in report["threads"] if t["tid"]}
    for thread in report["threads"]:
        if not thread["tid"]:
            continue
        slices = [(ns, kind) for ns, uuid, kind, _ in events if uuid == threads[thread["tid"]][0]]
        assert [kind for _, kind in slices] == [1, 2]
        assert thread["started_ns"] in (None, slices[0][0]) and thread["ended_ns"] in (None, slices[1][0])
    assert not clocks or (clocks[6] == 0 and clocks[1] > 1e18)
    return len(events)


def rows(folder, table):
    with open(f"{folder}/{table}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def number(text):
    return int(text) if text else None


def check_csv(folder, report):
    time = rows(folder, "time")
    assert [(number(r["ns"]), number(r["live_bytes"]), number(r["frees"]), number(r["rss_anon_bytes"])) for r in time] == \
        [(p["ns"], p["live_bytes"], p["frees"], p["rss_anon"]) for p in report["timeline"]]
    assert [number(r["holes_bytes"]) for r in time] == \
        [p["holes"] if report["summary"]["has_pages"] else None for p in report["timeline"]]
    stacks = {number(r["stack_number"]): r for r in rows(folder, "stacks")}
    assert len(stacks) == len(report["stacks"]) and report["stacks_left_out"] == 0
    for stack in report["stacks"]:
        row = stacks[stack["stack"]]
        for column in ("allocations", "allocated_bytes", "live", "live_bytes", "pinned_bytes"):
            assert number(row[column]) == stack[column], (column, row, stack)
        assert row["stack"]
    for table, key in (("sizes", "sizes"), ("threads", "threads"), ("pairs", "freed_by_others")):
        assert len(rows(folder, table)) == len(report[key]), table
    assert [number(r["peak_live_bytes"]) for r in rows(folder, "sizes")] == [s["peak_live_bytes"] for s in report["sizes"]]
    assert [(number(r["tid"]), r["name"], number(r["ended_ns"])) for r in rows(folder, "threads")] == \
        [(t["tid"], t["name"], t["ended_ns"]) for t in report["threads"]]
    assert [number(r["owner_silent_bytes"]) for r in rows(folder, "pairs")] == [p["owner_silent_bytes"] for p in report["freed_by_others"]]


if __name__ == "__main__":
    document = json.load(open(sys.argv[2], encoding="utf-8"))
    check_csv(sys.argv[3], document)
    print(check_perfetto(sys.argv[1], document), "events")
