# A dictionary of strings and lists that grows, shrinks, and grows again with other sizes.
# Prints "phase NAME" after each step and waits for a line on its input.
import random
import sys


def phase(name):
    print('phase', name, flush=True)
    sys.stdin.readline()


def text(rng, most):
    return 'x' * rng.randrange(1, most)


rng = random.Random(7)
phase('start')
table = {i: [text(rng, 700) for _ in range(4)] for i in range(60000)}
phase('grown')
for i in list(table):
    if rng.random() < 0.8:
        del table[i]
phase('shrunk')
table.update({-i: [text(rng, 3000), (i, str(i))] for i in range(1, 30000)})
phase('other')
table.clear()
phase('cleared')
