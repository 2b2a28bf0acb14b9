"""The families: each gives sequences of steps from a random generator.

`SEQUENCES` maps a family's name to a function (gen, length) -> steps. A grammar is a list of
(weight, function of gen returning one command); `commands` turns grammars into steps.
"""

from steps import Step, mutate, tame
from support.resp import to_bytes


def draw(gen, grammar, broken=0.12):
    """One command of the grammar, now and then broken."""
    weights = [w for w, _ in grammar]
    args = gen.rng.choices(grammar, weights)[0][1](gen)
    args = [to_bytes(a) for a in args]
    if gen.chance(0.1):
        args[0] = args[0].lower()
    if gen.chance(broken):
        args = [to_bytes(a) for a in mutate(gen, args)]
    return tame(args)


def settle(step):
    """The step, and behind one that may set an expiry in the past a write to the key that changes
    nothing: when a key that nobody writes to goes is each server's own business."""
    options = {bytes(a).upper() for a in step.args}
    if len(step.args) > 1 and options & {b"EXAT", b"PXAT", b"EXPIREAT", b"PEXPIREAT"}:
        return [step, command(step.conn, "SETRANGE", step.args[1], "0", "")]
    return [step]


def commands(gen, grammar, length, conn=0, broken=0.12):
    return [s for _ in range(length) for s in settle(Step("cmd", conn, draw(gen, grammar, broken)))]


def command(conn, *args):
    return Step("cmd", conn, [to_bytes(a) for a in args])


def hello(gen, conn=0):
    """Half of all sequences speak RESP3."""
    return [command(conn, "HELLO", "3")] if gen.chance(0.5) else []


def typed(grammar, others=None):
    """A sequence that works one family, seeds the other types, and looks at what there is."""
    def sequence(gen, length):
        steps = hello(gen)
        steps += [command(0, *c) for c in SEEDS if gen.chance(0.5)]
        mixed = grammar + LOOKS + (others or [])
        return steps + commands(gen, mixed, length)
    return sequence


SEEDS = [
    ["SET", "s1", "hello"], ["SET", "s2", "10"], ["HSET", "h1", "f1", "v1", "f2", "2"],
    ["RPUSH", "l1", "a", "b", "c", "a"], ["SADD", "t1", "a", "b", "c"], ["SADD", "t2", "1", "2", "3"],
    ["ZADD", "z1", "1", "a", "2", "b", "3", "c"], ["ZADD", "z2", "0", "a", "0", "b", "0", "c", "0", "d"],
]

LOOKS = [
    (1, lambda g: ["TYPE", g.any_key()]),
    (1, lambda g: ["EXISTS"] + g.some(g.any_key)),
    (1, lambda g: ["DEL", g.any_key()]),
    (1, lambda g: ["OBJECT", "ENCODING", g.any_key()]),
]


def all_sequences():
    from families import (connection, encodings, groups, hashes, introspection, keys, lists, notifications, protocol,
                          pubsub, sets, streams, strings, transactions, zsets)
    found = {}
    for module in (strings, keys, hashes, lists, sets, zsets, streams, groups, encodings, transactions, connection, pubsub,
                   notifications, introspection, protocol):
        found.update(module.SEQUENCES)
    return found
