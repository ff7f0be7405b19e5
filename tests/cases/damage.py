#!/usr/bin/python3
"""damage.py HEAPTAPE PROGRAM COPY: false bytes in what heaptape reads of a Go program's file. `heaptape probe` of each must end, well or with a
reason, and in time. Prints how many it was asked and how many ways it ended; the seed is printed, or given in HEAPTAPE_SEED."""
import os
import random
import subprocess
import sys
import time

SECTIONS = ('.gopclntab', '.go.buildinfo', '.debug_info', '.debug_abbrev', '.symtab')


def sections(path):
    """(offset, size) of the sections by their names."""
    found = {}
    for line in subprocess.run(['readelf', '-SW', path], capture_output=True, text=True, check=True).stdout.splitlines():
        words = line.replace('[ ', '[').split()
        if len(words) > 5 and words[0].startswith('[') and words[1] in SECTIONS:
            found[words[1]] = int(words[4], 16), int(words[5], 16)
    return found


def main():
    heaptape, program, copy = sys.argv[1:]
    seed = int(os.environ.get('HEAPTAPE_SEED', time.time_ns()))
    rng, whole, ends = random.Random(seed), open(program, 'rb').read(), {}
    print('HEAPTAPE_SEED', seed)
    where = sections(program)
    for turn in range(60):
        data = bytearray(whole)
        offset, size = where[rng.choice(sorted(where))]
        for _ in range(rng.choice((1, 8, 200))):
            # Heads more often than the rest: counts and offsets stand there.
            at = offset + rng.randrange(min(size, 256) if rng.random() < 0.5 else size)
            data[at] = rng.choice((0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)))
        with open(copy, 'wb') as f:
            f.write(data)
        end = subprocess.run([heaptape, 'probe', '--lib', copy], capture_output=True, text=True, errors='replace', timeout=20)
        refused = 'not recorded' in end.stdout or end.returncode == 1
        ends[end.returncode, refused] = ends.get((end.returncode, refused), 0) + 1
    print(ends)
    assert {code for code, _ in ends} <= {0, 1} and {refused for _, refused in ends} == {True, False}, ends


main()
