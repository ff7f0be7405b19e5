# SPDX-License-Identifier: BSD-2-Clause
"""The real programs that replays are held against, and how each is led from phase to phase.

A workload starts a command and yields the name of a phase whenever the program has come to rest. The driver reads the
process's memory there and lets it go on. What is done in a phase depends on nothing but the workload's own seed.
"""

import os
import pty
import random
import shutil
import signal
import socket
import subprocess
import time
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
QUIET_S = 0.25


class Workload:
    """One program. `argv` is what is run, `phases(run)` leads it; `run` is a Run."""

    name = ''
    recorded = 'glibc'      # the allocator that it runs with by itself
    needs = ()              # commands without which it is skipped
    env = {}

    def __init__(self, programs):
        self.programs = programs

    def argv(self, run):
        raise NotImplementedError

    def phases(self, run):
        """Programs that say "phase NAME" and wait for a line."""
        for line in run.lines():
            if line.startswith('phase '):
                time.sleep(QUIET_S)
                yield line.split()[1]
                run.send('\n')


def free_port():
    """One that nobody has, below those that the kernel gives to clients: thousands of connections have just been closed."""
    while True:
        port = 20000 + random.SystemRandom().randrange(12000)
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
                return port
            except OSError:
                continue


class Run:
    """A started command: its pipes, and the folder that is its own."""

    def __init__(self, workload, folder, prefix, env):
        self.folder = folder
        self.port = free_port()
        self.seed = random.Random(workload.name)
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.process = subprocess.Popen(prefix + workload.argv(self), stdin=subprocess.PIPE, stdout=slave,
                                        stderr=open(folder + '/stderr', 'ab'), cwd=folder, env={**os.environ, **workload.env, **env})
        os.close(slave)
        self.rest = b''

    def lines(self):
        while True:
            while b'\n' in self.rest:
                line, self.rest = self.rest.split(b'\n', 1)
                yield line.decode(errors='replace').strip()
            try:
                got = os.read(self.master, 65536)
            except OSError:
                got = b''
            if not got:
                return
            self.rest += got

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        os.close(self.master)
        self.process.stdin.close()


class SleepingOwner(Workload):
    def __init__(self, programs, blocks, kib, mode):
        super().__init__(programs)
        self.args = [str(blocks), str(kib), '2', mode]
        self.name = f'owner-{mode}-{kib}K'

    def argv(self, run):
        return [self.programs + '/sleeping_owner'] + self.args


class Queue(Workload):
    name = 'queue'

    def argv(self, run):
        return [self.programs + '/queue', '400000']


class Python(Workload):
    name = 'python3-malloc'
    env = {'PYTHONMALLOC': 'malloc', 'PYTHONHASHSEED': '0'}

    def argv(self, run):
        return ['/usr/bin/python3', HERE + '/python_grow.py']


class PythonArenas(Python):
    name = 'python3'
    env = {'PYTHONHASHSEED': '0'}


class Sqlite(Workload):
    name = 'sqlite3'
    needs = ('sqlite3',)
    steps = (
        ('start', ''),
        ('filled', 'create table t(a integer primary key, b text, c blob);'
                   'insert into t select value, hex(randomblob(value % 90)), zeroblob(value % 300) from generate_series(1, 150000);'),
        ('indexed', 'create index i on t(b); create index j on t(c, a);'),
        ('deleted', 'delete from t where a % 5 <> 0; update t set b = b || b where a % 3 = 0;'),
        ('grouped', 'create table u as select b, count(*) n, group_concat(a) g from t group by substr(b, 1, 2); drop table t; vacuum;'),
    )

    def argv(self, run):
        return ['sqlite3', ':memory:']

    def phases(self, run):
        lines = run.lines()
        for name, sql in self.steps:
            # Its output goes to a terminal, so that it comes line by line.
            run.send(sql + f'\n.print phase\n')
            for line in lines:
                if line == 'phase':
                    break
            time.sleep(QUIET_S)
            yield name
        run.send('.quit\n')


class Compile(Workload):
    """The compiler proper waits for its input; its end is the last phase. Its garbage collected heap is not malloc's."""

    name = 'cc1plus'
    needs = ('g++',)

    def argv(self, run):
        source = run.folder + '/x.cc'
        if not os.path.exists(run.folder + '/x.ii'):
            with open(source, 'w') as f:
                f.write('#include <algorithm>\n#include <map>\n#include <regex>\n#include <string>\n#include <iostream>\n'
                        'int main(int c, char **v) { std::map<std::string, std::regex> m;'
                        'for (int i = 0; i < c; i++) m[v[i]] = std::regex(v[i]); std::smatch s; std::string t = v[0];'
                        'return std::regex_search(t, s, m.begin()->second) && std::count(t.begin(), t.end(), c); }\n')
            subprocess.run(['g++', '-E', '-o', run.folder + '/x.ii', source], check=True)
        cc1plus = subprocess.run(['gcc', '-print-prog-name=cc1plus'], capture_output=True, text=True, check=True).stdout.strip()
        return [cc1plus, '-quiet', '-fpreprocessed', '-O1', '-o', '/dev/null', '-']

    def phases(self, run):
        time.sleep(1)
        yield 'start'
        with open(run.folder + '/x.ii', 'rb') as f:
            run.process.stdin.write(f.read())
        run.process.stdin.close()
        yield 'end'


class Server(Workload):
    """Redis or memcached over one connection, so that requests come in one order."""

    def connect(self, run):
        for _ in range(200):
            try:
                return socket.create_connection(('127.0.0.1', run.port))
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f'{self.name}: the server does not answer')


def resp(*words):
    out = b'*%d\r\n' % len(words)
    for w in words:
        w = w if isinstance(w, bytes) else str(w).encode()
        out += b'$%d\r\n%s\r\n' % (len(w), w)
    return out


class Redis(Server):
    recorded = 'jemalloc'
    needs = ('redis-server',)

    def argv(self, run):
        return ['redis-server', '--port', str(run.port), '--save', '', '--appendonly', 'no', '--dir', run.folder]

    @staticmethod
    def call(sock, requests):
        """Sends batches, and waits for each one's replies."""
        for begin in range(0, len(requests), 500):
            batch = requests[begin:begin + 500]
            sock.sendall(b''.join(batch) + resp('ECHO', 'done'))
            got = b''
            while not got.endswith(b'$4\r\ndone\r\n'):
                got = (got + sock.recv(65536))[-64:]


class RedisMixed(Redis):
    name = 'redis-mixed'

    def phases(self, run):
        sock = self.connect(run)
        rng = run.seed
        time.sleep(QUIET_S)
        yield 'start'
        self.call(sock, [resp('SET', f'k{i}', b'v' * rng.randrange(1, 1200)) for i in range(120000)])
        time.sleep(QUIET_S)
        yield 'loaded'
        self.call(sock, [resp('DEL', f'k{i}') for i in range(120000) if rng.random() < 0.7])
        time.sleep(QUIET_S)
        yield 'deleted'
        self.call(sock, [resp('HSET', f'h{i % 9000}', f'f{i}', b'w' * rng.randrange(1, 300)) for i in range(120000)])
        self.call(sock, [resp('APPEND', f'k{rng.randrange(120000)}', b'a' * rng.randrange(1, 900)) for i in range(60000)])
        time.sleep(QUIET_S)
        yield 'other'


class RedisExpiry(Redis):
    name = 'redis-expiry'

    def phases(self, run):
        sock = self.connect(run)
        rng = run.seed
        time.sleep(QUIET_S)
        yield 'start'
        self.call(sock, [resp('SET', f'k{i}', b'v' * rng.randrange(50, 700), *(('EX', '3600') if i % 10 else ())) for i in range(150000)])
        time.sleep(QUIET_S)
        yield 'loaded'
        self.call(sock, [resp('PEXPIRE', f'k{i}', '1') for i in range(150000) if i % 10])
        for _ in range(600):
            sock.sendall(resp('DBSIZE'))
            if sock.recv(64) == b':15000\r\n':
                break
            time.sleep(0.1)
        time.sleep(QUIET_S)
        yield 'expired'


class Memcached(Server):
    name = 'memcached'
    needs = ('memcached',)

    def argv(self, run):
        return ['memcached', '-u', 'nobody', '-l', '127.0.0.1', '-p', str(run.port), '-m', '256', '-c', '4000', '-t', '4']

    @staticmethod
    def ask(sock, data, end):
        sock.sendall(data)
        got = b''
        while not got.endswith(end):
            got = (got + sock.recv(65536))[-64:]

    def phases(self, run):
        rng = run.seed
        self.connect(run).close()
        time.sleep(QUIET_S)
        yield 'start'
        socks = [self.connect(run) for _ in range(1000)]
        for sock in socks:
            self.ask(sock, b'version\r\n', b'\r\n')
        time.sleep(QUIET_S)
        yield 'connected'
        for i in range(60000):
            value = b'v' * rng.randrange(1, 1500)
            self.ask(socks[i % len(socks)], b'set k%d 0 0 %d\r\n%s\r\n' % (i, len(value), value), b'\r\n')
        time.sleep(QUIET_S)
        yield 'stored'
        for i in range(0, 2000):
            keys = b' '.join(b'k%d' % rng.randrange(60000) for _ in range(90))
            self.ask(socks[i % len(socks)], b'get ' + keys + b'\r\n', b'END\r\n')
        time.sleep(QUIET_S)
        yield 'read'
        for sock in socks:
            sock.close()
        time.sleep(QUIET_S)
        yield 'closed'


def all_workloads(programs):
    return [
        RedisMixed(programs), RedisExpiry(programs), Python(programs), PythonArenas(programs), Sqlite(programs), Compile(programs),
        Memcached(programs), Queue(programs),
        SleepingOwner(programs, 50, 4000, 'main'), SleepingOwner(programs, 4000, 40, 'main'),
        SleepingOwner(programs, 50, 4000, 'thread'), SleepingOwner(programs, 50, 4000, 'poke'),
        SleepingOwner(programs, 50, 4000, 'same'),
    ]


def missing(workload):
    return [c for c in workload.needs if not shutil.which(c)]
