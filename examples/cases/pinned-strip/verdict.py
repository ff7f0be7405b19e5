#!/usr/bin/python3
"""verdict.py DIR - what run.sh has found: blocks before and after nine tenths of the strings went, and the finding."""
import json
import sys


def plateaus(folder, mode):
    """The full collection with most live blocks, and the last one before the program ends."""
    with open(f'{folder}/{mode}.report.json') as f:
        report = json.load(f)
    columns = report['runtime']['columns']
    rows = [dict(zip(columns, row)) for row in report['runtime']['rows']]
    full = [r for r in rows if r['ghc.generation'] == max(r['ghc.generation'] for r in rows)][:-1]
    high = max(full, key=lambda r: (r['ghc.live_blocks'], r['ghc.live_pinned']))
    return report, high, full[-1]


def main():
    folder = sys.argv[1]
    print('\n== the answer')
    print(f"{'':8}{'pinned blocks':>18}{'live blocks':>20}{'free':>8}{'heap':>12}")
    for mode in ('strip', 'take'):
        report, high, low = plateaus(folder, mode)
        share = 100 * low['ghc.free_blocks'] / (low['ghc.free_blocks'] + low['ghc.live_blocks'])
        print(f"{mode:8}{high['ghc.live_pinned']:9d} -> {low['ghc.live_pinned']:5d}{high['ghc.live_blocks']:11d} -> {low['ghc.live_blocks']:5d}"
              f"{share:6.0f} %{low['ghc.megablocks']:8d} MiB")
    for mode in ('strip', 'take'):
        found = [f['title'] for f in plateaus(folder, mode)[0]['findings'] if f['rule'] == 'pinned-blocks']
        print(f"{mode}: " + (f'{found[0]} [pinned-blocks]' if found else 'no finding of that kind'))


main()
