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


class StreamGen(OwnKeys):
    """Streams and groups, with ids of its own that only ever grow: so that each server answers alike."""

    def __init__(self, rng, mark):
        super().__init__(rng, mark)
        self.newest = 1

    def stream(self):
        return "%s:x%d" % (self.mark, self.rng.randint(1, 4))

    def id(self, fresh=False):
        if fresh:
            self.newest += 1
            return "%d-%d" % (self.newest, self.rng.randint(0, 2))
        return "%d-%d" % (max(1, self.newest - self.rng.randrange(self.pick([8, 60, 1000]))), self.rng.randint(0, 2))

    def group(self):
        return self.pick(["g0", "g1"])

    def consumer(self):
        return self.pick(["c0", "c1", "c2"])

    def add(self, *options):
        return ["XADD", self.stream(), *options, self.id(True), "v", "x" * self.pick([1, 50, 900, 2500])]


STREAM_GRAMMAR = [
    (40, lambda g: g.add()),
    (5, lambda g: g.add("MAXLEN", g.rng.randint(20, 200))),
    (6, lambda g: ["XDEL", g.stream()] + [g.id() for _ in range(g.rng.randint(1, 6))]),
    (2, lambda g: ["XTRIM", g.stream(), "MAXLEN", g.rng.randint(20, 300)]),
    (2, lambda g: ["XTRIM", g.stream(), "MINID", g.id()]),
    (3, lambda g: ["XGROUP", "CREATE", g.stream(), g.group(), "0", "MKSTREAM"]),
    (1, lambda g: ["XGROUP", "DELCONSUMER", g.stream(), g.group(), g.consumer()]),
    (0.3, lambda g: ["XGROUP", "DESTROY", g.stream(), g.group()]),
    (12, lambda g: ["XREADGROUP", "GROUP", g.group(), g.consumer(), "COUNT", g.rng.randint(1, 20),
                    "STREAMS", g.stream(), ">"]),
    (10, lambda g: ["XACK", g.stream(), g.group()] + [g.id() for _ in range(g.rng.randint(1, 8))]),
    (4, lambda g: ["XCLAIM", g.stream(), g.group(), g.consumer(), "0"] + [g.id() for _ in range(4)]),
    (1, lambda g: ["COPY", g.stream(), g.stream(), "REPLACE"]),
    (0.5, lambda g: ["RENAME", g.stream(), g.stream()]),
    (0.5, lambda g: ["DEL", g.stream()]),
    (5, lambda g: ["RPUSH", g.own_key("l"), g.id()]),
    (4, lambda g: ["LPOP", g.own_key("l")]),
]


def stream_unit(gen):
    def one():
        return [to_bytes(a) for a in gen.rng.choices(STREAM_GRAMMAR, [w for w, _ in STREAM_GRAMMAR])[0][1](gen)]
    if gen.chance(0.1):
        return Unit([[b"MULTI"]] + [one() for _ in range(gen.rng.randint(1, 5))] + [[b"EXEC"]])
    return Unit([one()])


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
    generator, unit = OwnKeys, staticmethod(random_unit)

    def __init__(self, port, mark, seed):
        super().__init__(daemon=True)
        self.port, self.mark = port, mark
        self.gen = self.generator(random.Random(seed), mark)
        self.units = []
        self.failure = None

    def run(self):
        try:
            conn = Connection(self.port, timeout=30)
            while True:
                burst = [self.unit(self.gen) for _ in range(self.gen.pick([1, 1, 2, 8, 32]))]
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


class StreamWriter(Writer):
    generator, unit = StreamGen, staticmethod(stream_unit)


def plain(reply):
    """Without the type marks."""
    kind, value = reply
    return [plain(v) for v in value] if isinstance(value, list) else value


def stream_of(conn, key):
    """Its entries, its groups, and what is pending with whom and how often delivered."""
    groups = []
    for info in plain(conn.call("XINFO", "GROUPS", key)):
        fields = dict(zip(info[::2], info[1::2]))
        pending = [[p[0], p[1], p[3]] for p in plain(conn.call("XPENDING", key, fields[b"name"], "-", "+", 100000))]
        # (7.2 makes a consumer that claims nothing, 7.0 does not.)
        consumers = sorted(c[1] for c in plain(conn.call("XINFO", "CONSUMERS", key, fields[b"name"])) if int(c[3]) > 0)
        groups.append((fields[b"name"], fields[b"last-delivered-id"], consumers, pending))
    info = plain(conn.call("XINFO", "STREAM", key))
    fields = dict(zip(info[::2], info[1::2]))
    known = [fields[n] for n in (b"length", b"last-generated-id", b"max-deleted-entry-id", b"entries-added")]
    return plain(conn.call("XRANGE", key, "-", "+")), sorted(groups), known


def state_of(conn, mark):
    """Every key of a writer: type, value, and whether it has an expiry."""
    keys = sorted(k for _, k in conn.call("KEYS", mark + ":*")[1])
    readers = {b"string": lambda k: ("GET", k), b"hash": lambda k: ("HGETALL", k),
               b"list": lambda k: ("LRANGE", k, "0", "-1"),
               b"set": lambda k: ("SMEMBERS", k), b"zset": lambda k: ("ZRANGE", k, "0", "-1", "WITHSCORES")}
    found = {}
    for key in keys:
        kind = conn.call("TYPE", key)[1]
        if kind == b"stream":
            found[key] = (kind, stream_of(conn, key), False)
            continue
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


def shorten(ours, theirs):
    """Of two long values what differs, and a little of what is before it."""
    ours, theirs = re.sub("x{20,}", "x..", repr(ours)), re.sub("x{20,}", "x..", repr(theirs))
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), 0)
    return tuple(t if len(t) < 600 else "..." + t[max(0, at - 300):at + 300] + "..." for t in (ours, theirs))


def difference(ours, theirs):
    lines = []
    for key in sorted(set(ours) | set(theirs)):
        if ours.get(key) != theirs.get(key):
            lines.append("%r: recovered %s, should be %s" % ((key,) + shorten(ours.get(key), theirs.get(key))))
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
        left = difference(recovered, state_of(oracle, writer.mark))
        if not left:
            return None
        if len(left) < len(first):
            first = left
    return "writer %s, %d acknowledged, %d under way:\n%s\nlast acknowledged: %r\nunder way: %r" % (
        writer.mark, len(done), len(under_way), first,
        [u.commands for u in done[-5:]], [u.commands for u in under_way[:5]])
