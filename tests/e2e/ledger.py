"""Clients that write and keep a ledger, and the audit of a server by it.

Each writer has keys of its own and notes every command it sent and every reply it got. After the
server was killed, what it holds must be what redis-server holds after the same commands: all that
were acknowledged, and then possibly some of those under way, in order, transactions whole.
"""

import random
import re
import socket
import threading

from families import draw, hashes, lists, sets, strings, zsets
from families.keys import copy, expire
from steps import Gen
from support.resp import Closed, Connection, encode, to_bytes

GRAMMAR = strings.GRAMMAR + hashes.GRAMMAR + lists.GRAMMAR + sets.GRAMMAR + zsets.GRAMMAR + [
    (6, expire), (3, copy),
    (2, lambda g: ["PERSIST", g.any_key()]),
    (2, lambda g: [g.pick(["DEL", "UNLINK"])] + g.some(g.any_key)),
    (3, lambda g: [g.pick(["RENAME", "RENAMENX"]), g.any_key(), g.any_key()]),
]
FIXED_KEY = re.compile(rb"[a-z][0-9]$")  # some of the grammar names keys itself
READS = (b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER", b"HSCAN", b"SSCAN", b"ZSCAN", b"OBJECT")


class OwnKeys(Gen):
    """The differential test's generator, on keys that begin with the writer's mark."""

    def __init__(self, rng, mark):
        super().__init__(rng)
        self.mark = mark

    def key(self, kind):
        return self.own_key(kind)

    def own_key(self, kind):
        return "%s:%s%d" % (self.mark, kind, self.rng.randint(1, 4))


class Unit:
    """What is applied whole: one command, or a transaction."""

    def __init__(self, commands):
        self.commands = commands
        self.replies = []


def random_unit(gen):
    def one():
        while True:
            args = draw(gen, GRAMMAR, 0)
            name, options = args[0].upper(), {a.upper() for a in args[1:]}
            # What runs out by itself may be gone on one side a moment earlier than on the other.
            if name in READS or options & {b"EXAT", b"PXAT", b"DB"} or name in (b"EXPIREAT", b"PEXPIREAT"):
                continue
            return [to_bytes("%s:" % gen.mark) + a if FIXED_KEY.match(a) else a for a in args]
    if gen.chance(0.1):
        inner = [c for c in (one() for _ in range(gen.rng.randint(1, 5))) if c[0].upper() != b"SPOP"]
        return Unit([[b"MULTI"]] + inner + [[b"EXEC"]])
    return Unit([one()])


class Writer(threading.Thread):
    def __init__(self, port, mark, seed):
        super().__init__(daemon=True)
        self.port, self.mark = port, mark
        self.gen = OwnKeys(random.Random(seed), mark)
        self.units = []
        self.failure = None

    def run(self):
        try:
            conn = Connection(self.port, timeout=30)
            while True:
                burst = [random_unit(self.gen) for _ in range(self.gen.pick([1, 1, 2, 8, 32]))]
                self.units += burst
                conn.send(b"".join(encode(c) for unit in burst for c in unit.commands))
                for unit in burst:
                    for _ in unit.commands:
                        unit.replies.append(conn.read()[1])
        except (Closed, ConnectionError):
            pass  # the server was killed: the ledger is complete
        except (socket.timeout, Exception) as e:  # noqa: B014 (kept for the report)
            self.failure = e

    def acknowledged(self):
        return sum(len(u.replies) == len(u.commands) for u in self.units)


def state_of(conn, mark):
    """Every key of a writer: type, value, and whether it has an expiry."""
    keys = sorted(k for _, k in conn.call("KEYS", mark + ":*")[1])
    readers = {b"string": lambda k: ("GET", k), b"hash": lambda k: ("HGETALL", k),
               b"list": lambda k: ("LRANGE", k, "0", "-1"),
               b"set": lambda k: ("SMEMBERS", k), b"zset": lambda k: ("ZRANGE", k, "0", "-1", "WITHSCORES")}
    found = {}
    for key in keys:
        kind = conn.call("TYPE", key)[1]
        value = conn.call(*readers[kind](key))[1]
        if kind == b"hash":
            value = sorted(zip([v for _, v in value[::2]], [v for _, v in value[1::2]]))
        elif kind == b"set":
            value = sorted(v for _, v in value)
        elif kind == b"zset":
            value = [float(v) if at % 2 else v for at, (_, v) in enumerate(value)]
        found[key] = (kind, value, int(conn.call("TTL", key)[1]) >= 0)
    return found


def apply(oracle, unit, recovered):
    """The unit as it went there. A random choice is repeated as it fell; if its reply was lost, as
    the recovered state shows it fell."""
    name = unit.commands[0][0].upper()
    if name == b"SPOP":
        key = unit.commands[0][1]
        if unit.replies:
            kind, value = unit.replies[0]
            drawn = [v for _, v in value] if isinstance(value, list) else [value] if kind == b"$" and value else []
            if kind == b"$" and value == b"":
                drawn = [b""]
        else:
            before = {v for _, v in oracle.call("SMEMBERS", key)[1] or []}
            after = recovered.get(key, (None, [], None))[1]
            drawn = sorted(before - set(after))
        if drawn:
            oracle.call("SREM", key, *drawn)
        return
    for command in unit.commands:
        oracle.call(*[to_bytes(a) for a in command])


def difference(ours, theirs):
    lines = []
    for key in sorted(set(ours) | set(theirs)):
        if ours.get(key) != theirs.get(key):
            lines.append("%r: recovered %r, should be %r" % (key, ours.get(key), theirs.get(key)))
    return "\n".join(lines[:10])


def audit(conn, oracle, writer):
    """None, or what is wrong. Afterwards the oracle is where the server is."""
    recovered = state_of(conn, writer.mark)
    done = [u for u in writer.units if len(u.replies) == len(u.commands)]
    under_way = writer.units[len(done):]
    for unit in done:
        apply(oracle, unit, recovered)
    expected = state_of(oracle, writer.mark)
    first = difference(recovered, expected)
    if not first:
        return None
    for unit in under_way:
        apply(oracle, unit, recovered)
        if state_of(oracle, writer.mark) == recovered:
            return None
    return "writer %s, %d acknowledged, %d under way:\n%s\nlast acknowledged: %r\nunder way: %r" % (
        writer.mark, len(done), len(under_way), first,
        [u.commands for u in done[-5:]], [u.commands for u in under_way[:5]])
