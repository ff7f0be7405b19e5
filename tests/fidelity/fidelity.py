# SPDX-License-Identifier: BSD-2-Clause
"""fidelity.py - does what a replay predicts come true?

Each workload is recorded under the allocator that it runs with; the tape is replayed under several; and the real program
is run under each of them. At every phase the anonymous memory that the replay predicts is held against the real one.

  predicted = replayed(phase) - replayed(first phase) + real(first phase)

where `replayed` is the replayed allocator's memory and what the tape says the process held around its allocator. The first
phase comes before any load, so what both sides begin with is measured, never fitted. With --late
the recorder attaches when the first load stands, and what lived then comes from the tape's baseline:

  predicted = replayed(phase) + real(first phase)

Usage: fidelity.py --heaptape PATH --programs DIR [--runs N] [--only NAME,...] [--allocators NAME,...] [--keep DIR]
                   [--replay-options "..."] [--json FILE] [--median PERCENT --worst PERCENT]
Exit status 1 if the median error, or an error less the spread of the real runs, is beyond the limit given, or a workload failed.
"""

import argparse
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import workloads

PRELOAD = {
    'glibc': '/lib/x86_64-linux-gnu/libc.so.6',
    'jemalloc': '/usr/lib/*/libjemalloc.so.2',
    'mimalloc': '/usr/lib/*/libmimalloc.so.2.0',
    'tcmalloc': '/usr/lib/*/libtcmalloc_minimal.so.4',
}
ALLOCATORS = ('glibc', 'jemalloc', 'mimalloc', 'tcmalloc', 'glibc,MALLOC_ARENA_MAX=1')
ORDER_MATTERS = 0.05  # allocators nearer to each other than this may change places


def preload_env(allocator, recorded):
    name, *settings = allocator.split(',')
    env = dict(s.split('=', 1) for s in settings)
    if name != recorded:
        found = glob.glob(PRELOAD[name])
        if not found:
            return None
        env['LD_PRELOAD'] = found[0]
    return env


def child_of(pid):
    for stat in glob.glob('/proc/[0-9]*/stat'):
        try:
            with open(stat) as f:
                text = f.read()
        except OSError:
            continue
        if int(text[text.rindex(')') + 2:].split()[1]) == pid:
            return int(text.split()[0])
    raise RuntimeError('the recorder has no child')


def anon_bytes(pid):
    with open(f'/proc/{pid}/status') as f:
        for line in f:
            if line.startswith('RssAnon:'):
                return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def last_anon_bytes(pid, process):
    """The most recent figure of a process that runs to its end."""
    last = 0
    while process.poll() is None:
        try:
            last = anon_bytes(pid) or last
        except OSError:
            break
        time.sleep(0.001)
    return last


def lead(workload, folder, prefix, env, recorder=False):
    """Runs the workload through its phases: [(name, anonymous bytes, unix time)]."""
    run = workloads.Run(workload, folder, prefix, env)
    points = []
    try:
        pid = None
        for name in workload.phases(run):
            if pid is None:
                pid = child_of(run.process.pid) if recorder else run.process.pid
            if name == 'end':
                points.append((name, last_anon_bytes(pid, run.process), time.time()))
            else:
                points.append((name, anon_bytes(pid), time.time()))
                time.sleep(0.1)
        if recorder:
            try:
                os.kill(pid, 15)
            except ProcessLookupError:
                pass
            run.process.wait(60)
    finally:
        run.close()
    if not points:
        with open(folder + '/stderr') as f:
            raise RuntimeError(f'{workload.name} came to no phase: {f.read()[-500:]}')
    return points


def record(args, workload, folder):
    tape = folder + '/t.tape'
    points = lead(workload, folder, [args.heaptape, 'record', '-q', '-f', '-o', tape] + args.record_options.split() + ['--'], {}, True)
    info = json.loads(subprocess.run([args.heaptape, 'info', tape, '--json'], capture_output=True, text=True, check=True).stdout)
    return tape, info, points


def record_late(args, workload, folder):
    """Attaches when the first load stands; the tape begins with what lived then."""
    tape = folder + '/t.tape'
    run = workloads.Run(workload, folder, [], {})
    points, recorder = [], None
    try:
        for i, name in enumerate(workload.phases(run)):
            if i == 1:
                ready, told = os.pipe()
                recorder = subprocess.Popen([args.heaptape, 'record', '-f', '-o', tape, '-p', str(run.process.pid), '--ready-fd', str(told)]
                                            + args.record_options.split(), pass_fds=(told,), stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=open(folder + '/stderr', 'ab'))
                os.close(told)
                if os.read(ready, 1) != b'r':
                    raise RuntimeError(f'{workload.name}: the recorder did not attach')
                os.close(ready)
                time.sleep(2)  # what lived before is read while the program rests
            if i:
                end = name == 'end'
                points.append((name, last_anon_bytes(run.process.pid, run.process) if end else anon_bytes(run.process.pid), time.time()))
                time.sleep(0.1)
    finally:
        run.close()
        if recorder:
            recorder.wait(120)
    info = json.loads(subprocess.run([args.heaptape, 'info', tape, '--json'], capture_output=True, text=True, check=True).stdout)
    return tape, info, points


def replay(args, workload, tape, info, points, allocators):
    start = info['start_unix_ns']
    at = [max(int(t * 1e9) - int(start), 1) for _, _, t in points]
    cmd = [args.heaptape, 'replay', tape, '--json', '--at', ','.join(f'{ns / 1e9:.9f}s' for ns in at)]
    cmd += ['--plan-cache', 'off'] + args.replay_options.split()
    for a in allocators:
        cmd += ['--alloc', a]
    out = subprocess.run(cmd, capture_output=True, text=True)
    if not out.stdout:
        raise RuntimeError(f'replay: {out.stderr.strip()}')
    doc = json.loads(out.stdout)
    predicted = {}
    for a, r in zip(allocators, doc['results']):
        if 'error' in r:
            predicted[a] = r['error']['text']
            continue
        line = r['timeline']
        # The end of a tape is its last checkpoint, whatever the clock said when the program was seen to be gone.
        predicted[a] = [next((p.get('process', p['resident']) for p in line if p['ns'] >= ns - 2), line[-1].get('process', line[-1]['resident'])) for ns in at]
    return doc, predicted


def real_runs(args, workload, allocator, folder):
    env = preload_env(allocator, workload.recorded)
    if env is None:
        return None
    return [lead(workload, folder, [], env) for _ in range(args.runs)]


class Pair:
    """One workload, allocator and phase."""

    def __init__(self, workload, allocator, phase, real, predicted):
        self.workload, self.allocator, self.phase = workload, allocator, phase
        self.real = statistics.median(real)
        self.spread = (max(real) - min(real)) / self.real
        self.predicted = predicted
        self.error = predicted / self.real - 1

    def line(self):
        return (f'{self.workload:<18} {self.allocator:<25} {self.phase:<10} {self.real / 2**20:9.1f} '
                f'{100 * self.spread:7.1f} {self.predicted / 2**20:9.1f} {100 * self.error:+8.1f}')


def late_pairs_of(workload, allocator, runs, predicted):
    """The replay holds the heap, and what faulted around it since; the process itself is what it was before any load."""
    names = [name for name, _, _ in runs[0]][1:]
    firsts = statistics.median(r[0][1] for r in runs)
    return [Pair(workload.name, allocator, name, [r[i + 1][1] for r in runs], predicted[i] + firsts) for i, name in enumerate(names)]


def pairs_of(workload, allocator, runs, predicted):
    names = [name for name, _, _ in runs[0]]
    firsts = statistics.median(r[0][1] for r in runs)
    return [Pair(workload.name, allocator, name, [r[i][1] for r in runs], predicted[i] - predicted[0] + firsts)
            for i, name in enumerate(names) if i]


def span(points):
    return points[-1][2] - points[0][2]


def wrong_orders(pairs):
    """Allocators that really differ by more than ORDER_MATTERS, and that the replay puts the other way round."""
    wrong = []
    for a in pairs:
        for b in pairs:
            if (a.workload, a.phase) == (b.workload, b.phase) and a.real > b.real * (1 + ORDER_MATTERS) and a.predicted <= b.predicted:
                wrong.append((a, b))
    return wrong


def one_workload(args, workload, allocators, folder):
    tape, info, recorded = (record_late if args.late else record)(args, workload, folder)
    doc, predicted = replay(args, workload, tape, info, recorded, allocators)
    pairs, failed = [], 0
    print(f"# {workload.name}: {doc['plan']['events']} calls, {doc['plan']['lost']} lost; while recorded "
          + ', '.join(f'{n} {b / 2**20:.1f}' for n, b, _ in recorded), flush=True)
    for warning in sorted(set(doc['warnings'])):
        print(f'#   {warning}')
    for a in allocators:
        runs = real_runs(args, workload, a, folder)
        if runs is None:
            print(f'#   {a}: not installed')
            continue
        if isinstance(predicted[a], str):
            print(f'FAIL {workload.name} {a}: {predicted[a]}')
            failed += 1
            continue
        if a == workload.recorded:
            print(f"#   from the first phase to the last: recorded {span(recorded):.2f} s, less the traps "
                  f"{span(recorded) - doc['plan']['trap_total_ns'] / 1e9:.2f} s, really {statistics.median(map(span, runs)):.2f} s")
        mine = (late_pairs_of if args.late else pairs_of)(workload, a, runs, predicted[a])
        for p in mine:
            print(p.line(), flush=True)
        pairs += mine
    if args.keep:
        shutil.copy(tape, os.path.join(args.keep, workload.name + '.tape'))
        with open(os.path.join(args.keep, workload.name + '.json'), 'w') as f:
            json.dump({'points': recorded, 'replay': doc}, f)
    return pairs, failed


def summary(pairs):
    errors = sorted(abs(p.error) for p in pairs)
    by_workload = {}
    for p in pairs:
        by_workload.setdefault(p.workload, []).append(abs(p.error))
    worst = sorted(by_workload, key=lambda w: -max(by_workload[w]))[:2]
    wrong = wrong_orders(pairs)
    print(f'{len(pairs)} pairs: median error {100 * statistics.median(errors):.2f} %, worst {100 * errors[-1]:.1f} %, '
          f'{sum(e <= 0.05 for e in errors)} within 5 %, {sum(e <= 0.02 for e in errors)} within 2 %')
    print('worst workloads: ' + ', '.join(f'{w} ({100 * max(by_workload[w]):.1f} %)' for w in worst))
    for a, b in wrong:
        print(f'order: {a.workload} {a.phase}: {a.allocator} {a.real / 2**20:.1f} really needs more than {b.allocator} {b.real / 2**20:.1f} MiB; '
              f'predicted {a.predicted / 2**20:.1f} and {b.predicted / 2**20:.1f}')
    print(f'{len(wrong)} pairs of allocators in the wrong order')
    return statistics.median(errors), errors[-1], wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--heaptape', required=True)
    parser.add_argument('--programs', required=True)
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--only', default='')
    parser.add_argument('--allocators', default=';'.join(ALLOCATORS), help='separated by semicolons')
    parser.add_argument('--record-options', default='')
    parser.add_argument('--replay-options', default='')
    parser.add_argument('--late', action='store_true', help='attach when the first load stands')
    parser.add_argument('--keep')
    parser.add_argument('--json')
    parser.add_argument('--median', type=float)
    parser.add_argument('--worst', type=float)
    args = parser.parse_args()
    args.heaptape, args.programs = os.path.abspath(args.heaptape), os.path.abspath(args.programs)
    pairs, failed, skipped = [], 0, 0
    print(f'{"workload":<18} {"allocator":<25} {"phase":<10} {"real MiB":>9} {"spread%":>7} {"predicted":>9} {"error %":>8}')
    for workload in workloads.all_workloads(args.programs):
        if args.only and workload.name not in args.only.split(','):
            continue
        if workloads.missing(workload):
            print(f'SKIP {workload.name}: no {" ".join(workloads.missing(workload))} on this machine')
            skipped += 1
            continue
        with tempfile.TemporaryDirectory(prefix='heaptape-fidelity.') as folder:
            os.chmod(folder, 0o755)
            try:
                got, bad = one_workload(args, workload, args.allocators.split(';'), folder)
            except (RuntimeError, OSError, subprocess.SubprocessError) as e:
                print(f'FAIL {workload.name}: {e}')
                got, bad = [], 1
        pairs += got
        failed += bad
    if not pairs:
        return 1
    median, worst, wrong = summary(pairs)
    if args.json:
        with open(args.json, 'w') as f:
            json.dump([vars(p) for p in pairs], f)
    # Real runs that differ among themselves cannot be met more closely than that.
    too_far = [p for p in pairs if args.worst is not None and abs(p.error) > args.worst / 100 + p.spread]
    for p in too_far:
        print(f'too far: {p.line()}')
    if args.median is not None and 100 * median > args.median:
        too_far.append(median)
    return 1 if failed or too_far or (wrong and args.worst is not None) else 0


if __name__ == '__main__':
    sys.exit(main())
