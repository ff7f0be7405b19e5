#!/usr/bin/python3
"""verdict.py DIR - what run.sh has found: the heap under each setting by the runtime's own figures, and what holds it."""
import json
import re
import sys


def collections(path):
    """The full collections of the second half of a recording, without the last of all, and the report."""
    with open(path) as f:
        report = json.load(f)
    columns = report['runtime']['columns']
    rows = [dict(zip(columns, row)) for row in report['runtime']['rows']]
    oldest = max(r['ghc.generation'] for r in rows)
    full = [r for r in rows if r['ghc.generation'] == oldest][:-1]
    return report, full[len(full) // 2:]


def main():
    folder = sys.argv[1]
    with open(f'{folder}/variants') as f:
        variants = re.findall(r'^(\S+):', f.read(), re.M)
    print('\n== the heap in the last two days, by the runtime itself (MiB)')
    print(f"{'':12}{'heap, at most':>15}{'mean':>8}{'live, at least':>16}{'at most':>9}{'free blocks':>13}")
    base = None
    for variant in variants:
        _, rows = collections(f'{folder}/{variant}.report.json')
        heap = [r['ghc.megablocks'] for r in rows]
        live = [r['ghc.live_bytes'] / 2**20 for r in rows]
        free = sum(r['ghc.free_blocks'] / (r['ghc.free_blocks'] + r['ghc.live_blocks']) for r in rows) / len(rows)
        base = base or sum(heap) / len(heap)
        print(f"{variant:12}{max(heap):15d}{sum(heap) / len(heap):8.0f}{min(live):16.0f}{max(live):9.0f}{100 * free:11.0f} %"
              f"   {100 * (sum(heap) / len(heap) / base - 1):+.0f} %")
    report, _ = collections(f'{folder}/{variants[0]}.report.json')
    found = next((f for f in report['findings'] if f['rule'] == 'heap-at-peak'), None)
    print('\n== the answer')
    print(f"{found['title']} [heap-at-peak]\n{found['evidence']}" if found else 'no finding of that kind')
    pinned = [s for s in report['stacks'] if any(report['frames'][f].get('function') == 'stg_newPinnedByteArrayzh' for f in s['frames'])]
    callers = {}
    for s in pinned:
        names = [report['frames'][f].get('function') for f in s['frames']]
        caller = names[names.index('stg_newPinnedByteArrayzh') + 1]
        callers[caller] = callers.get(caller, 0) + s['allocated_bytes']
    top = max(callers, key=callers.get)
    print(f'{top} makes {100 * callers[top] / sum(callers.values()):.2f} % of all pinned bytes')


main()
