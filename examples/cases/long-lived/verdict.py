#!/usr/bin/python3
"""verdict.py DIR - what run.sh has found: bytes copied and the heap under each variant, and the finding."""
import json
import re
import sys


def main():
    folder = sys.argv[1]
    with open(f'{folder}/variants') as f:
        variants = re.findall(r'^(\S+):', f.read(), re.M)
    print('\n== by the runtime itself')
    print(f"{'':12}{'collections':>12}{'full':>6}{'copied':>12}{'heap, at most':>15}{'regions':>12}")
    for variant in variants:
        with open(f'{folder}/{variant}.report.json') as f:
            runtime = json.load(f)['runtime']
        rows = [dict(zip(runtime['columns'], row)) for row in runtime['rows']]
        oldest = max(r['ghc.generation'] for r in rows)
        print(f"{variant:12}{len(rows):12d}{sum(r['ghc.generation'] == oldest for r in rows):6d}"
              f"{sum(r['ghc.copied_bytes'] for r in rows) / 1e6:9.1f} MB{max(r['ghc.megablocks'] for r in rows) * 2**20 / 1e6:12.1f} MB"
              f"{max(r.get('spans.compact', 0) for r in rows) / 1e6:9.1f} MB")
    print('\n== the answer')
    for variant in ('heap', 'region'):
        with open(f'{folder}/{variant}.report.json') as f:
            found = next((f for f in json.load(f)['findings'] if f['rule'] == 'recopied'), None)
        print(f'{variant}: ' + (f"{found['title']} [recopied]" if found else 'no finding of that kind'))


main()
