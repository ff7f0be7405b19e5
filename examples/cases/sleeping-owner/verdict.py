#!/usr/bin/python3
"""verdict.py DIR - what run.sh has found: the finding, and replays of the glibc tape beside what the program itself saw."""
import json
import re
import sys

REPLAYED = {'glibc': 'glibc', 'mimalloc': 'mimalloc', 'one-arena': 'glibc,MALLOC_ARENA_MAX=1'}


def load(path):
    with open(path) as f:
        return json.load(f)


def seen(path):
    """What the program printed: (live, resident) at each of its steps."""
    with open(path) as f:
        return [tuple(map(int, m)) for m in re.findall(r'live (\d+) resident (\d+)', f.read())]


def predicted(replay, alloc):
    result = next(r for r in replay['results'] if r['allocator']['label'] == alloc)
    return max(p.get('process', p['resident']) for p in result['timeline'])


def main():
    folder = sys.argv[1]
    for name in ('large', 'small'):
        report, replay = load(f'{folder}/{name}.report.json'), load(f'{folder}/{name}.replay.json')
        finding = next((f for f in report['findings'] if f['rule'] == 'sleeping-owner'), None)
        owned = sum(p['owner_silent_bytes'] for p in report['freed_by_others'])
        print(f'\n== {name} blocks: the answer')
        print(f"glibc's tape: {owned / 1e6:.1f} MB were freed by another thread while their owner was silent")
        print('finding: ' + (finding['title'] + ' [sleeping-owner]' if finding else 'none'))
        print(f"{'':12}{'live':>10}{'really, at most':>26}{'replay of the glibc tape says':>32}")
        for variant in [v['name'] for v in load_variants(f'{folder}/{name}.variants')]:
            steps = seen(f'{folder}/{name}/{variant}.1.out')
            live, real = steps[0][0], max(resident for _, resident in steps)
            text = f'{variant:12}{live / 1e6:7.1f} MB{real / 1e6:16.1f} MB = {real / live:.2f}x'
            if variant in REPLAYED:
                said = predicted(replay, REPLAYED[variant])
                text += f'{said / 1e6:16.1f} MB ({100 * (said / real - 1):+.2f} %)'
            print(text)


def load_variants(path):
    with open(path) as f:
        return [{'name': line.split(':')[0]} for line in f if line.strip()]


main()
