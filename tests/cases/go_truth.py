#!/usr/bin/python3
"""go_truth.py TAPE OUT START_UNIX_NS: reads `heaptape dump` of TAPE from stdin, and says at each snapshot that the program printed to OUT how far
the tape's sums are from the runtime's own statistics: heap in use in bytes, the others in parts of what the runtime says."""
import json
import re
import sys


class Heap:
    def __init__(self):
        self.page, self.size, self.inuse, self.alloc = {}, {}, 0, 0
        self.place, self.users, self.mallocs, self.frees, self.homeless = {}, {}, 0, 0, 0
        self.tiny = 0  # live objects inside another's place: the runtime counts them as freed at once

    def span(self, e):
        start, nbytes = int(e['addr'], 16), e['size']
        each = int(e['use'].split()[0]) if e['use'][0].isdigit() else nbytes
        self.inuse += nbytes
        for p in range(start >> 13, (start + nbytes) >> 13):
            self.page[p] = (start, each)

    def span_free(self, e):
        start = int(e['addr'], 16)
        self.inuse -= e['size']
        for p in range(start >> 13, (start + e['size']) >> 13):
            self.page.pop(p, None)

    def malloc(self, e):
        addr = int(e['addr'], 16)
        self.mallocs += 1
        if addr >> 13 not in self.page:
            self.homeless += 1
            return
        start, each = self.page[addr >> 13]
        place = start + (addr - start) // each * each, each
        self.place[addr] = place
        self.tiny += addr != place[0] and each == 16
        self.users[place] = self.users.get(place, 0) + 1
        self.alloc += each * (self.users[place] == 1)

    def free(self, e):
        self.frees += 1
        addr = int(e['addr'], 16)
        place = self.place.pop(addr, None)
        if place:
            self.tiny -= addr != place[0] and place[1] == 16
            self.users[place] -= 1
            if not self.users[place]:
                del self.users[place]
                self.alloc -= place[1]


def main():
    start = int(sys.argv[2])
    with open(sys.argv[1]) as f:
        shots = [dict(re.findall(r'(\w+) (\w+)', line)) for line in f if line.startswith('snapshot')]
    heap, worst = Heap(), {'inuse': 0, 'alloc': 0.0, 'mallocs': 0.0, 'frees': 0.0}
    steps = {'span': heap.span, 'span_free': heap.span_free, 'malloc': heap.malloc, 'free': heap.free}
    figures, nr = [], 0

    def compare(shot):
        worst['inuse'] = max(worst['inuse'], abs(heap.inuse - int(shot.get('inuse', 0))))
        for key, value in (('alloc', heap.alloc), ('mallocs', heap.mallocs), ('frees', heap.frees + heap.tiny)):
            worst[key] = max(worst[key], abs(value / int(shot[key]) - 1) if int(shot[key]) > 1000 else 0)

    for line in sys.stdin:
        e = json.loads(line)
        while nr < len(shots) and e['ns'] + start > int(shots[nr]['ns']):
            compare(shots[nr])
            nr += 1
        if e['op'] == 'figure' and e['name'] == 'go.heap_in_use_bytes':
            figures.append(abs(heap.inuse - e['value']))
        if e['op'] in steps:
            steps[e['op']](e)
    json.dump(dict(worst, snapshots=nr, figures=len(figures), figures_off=max(figures, default=-1), figures_differ=sum(f != 0 for f in figures), homeless=heap.homeless), sys.stdout)


main()
