#!/usr/bin/python3
"""verdict.py DIR - what run.sh has found: free places by epoch, a heat map of size classes by collection, and the finding."""
import json
import re
import sys

SHADES = ' .:-=+*#%@'


def load(folder, mode):
    with open(f'{folder}/{mode}.report.json') as f:
        report = json.load(f)
    columns = report['runtime']['columns']
    rows = [dict(zip(columns, row)) for row in report['runtime']['rows']]
    with open(f'{folder}/{mode}.out') as f:
        shots = [dict(re.findall(r'(\w+) (\w+)', line)) for line in f if line.startswith('snapshot')]
    return report, rows, shots


def heat_map(rows):
    """A line a class, a column a collection: how full its spans were, for the classes that ever held most free places."""
    classes = [c[len('spans.'):] for c in rows[0] if re.match(r'spans\.\d', c)]
    free = {c: max(r['spans.' + c] - r['taken.' + c] for r in rows) for c in classes}
    print(f"{'size class':>16}  full, by collection ('{SHADES}': 0 to 100 %){'':6}free places, at most")
    for c in sorted(sorted(classes, key=free.get)[-14:], key=lambda c: int(c.split()[0])):
        cells = ''.join(SHADES[min(9, 10 * r['taken.' + c] // r['spans.' + c])] if r['spans.' + c] >= 1 << 20 else ' ' for r in rows)
        print(f'{c:>16}  |{cells}|{"":{max(0, 44 - len(cells))}}{free[c] / 2**20:8.1f} MiB')


def main():
    folder = sys.argv[1]
    runs = {mode: load(folder, mode) for mode in ('broken', 'fixed')}
    print('\n== HeapInuse - HeapAlloc by the program itself, MiB')
    print(f"{'':12}" + ''.join(f'{mode:>10}' for mode in runs))
    for a, b in zip(runs['broken'][2], runs['fixed'][2]):
        print(f"{a['snapshot']:12}" + ''.join(f"{(int(s['inuse']) - int(s['alloc'])) / 2**20:10.1f}" for s in (a, b)))
    for mode in runs:
        print(f'\n== {mode}: spans by size class and collection')
        heat_map(runs[mode][1])
    print('\n== the answer')
    for mode, (report, _, _) in runs.items():
        found = next((f for f in report['findings'] if f['rule'] == 'classes-left'), None)
        print(f'{mode}: ' + (f"{found['title']} [classes-left]" if found else 'no finding of that kind'))


main()
