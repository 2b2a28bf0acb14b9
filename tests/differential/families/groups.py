"""Consumer groups: reading, acknowledging, claiming, looking, and clients that wait as a group.

A consumer that a command names is created before it: since 7.2 every command that names one does so,
7.0 only when it has something for it. Ids are given, so that they are the same on both servers.
"""

from families import command, commands, draw, hello
from families.connection import token
from families.streams import ONE_BY_ONE, bound, fields, new_id, stream_id, trim
from steps import Step

GROUPS = ["g1", "g2", "g3"]
CONSUMERS = ["alice", "bob", "carol"]


def group(g):
    return g.pick(GROUPS) if g.chance(0.96) else g.pick(["nogroup", "", b"\x00g"])


def consumer(g):
    return g.pick(CONSUMERS) if g.chance(0.96) else g.text()


def key(g):
    return g.key("x") if g.chance(0.3) else g.pick(["x1", "x2"])


def some_ids(g):
    return g.some(lambda: "%d-%d" % (g.rng.randint(0, 30), g.rng.randint(0, 3)) if g.chance(0.95) else stream_id(g), 1, 6)


def idle(g):
    """Times that no sequence takes, or none at all."""
    return g.pick(["0", "0", "0", "0", "-1", "10000000", g.int()])


def xgroup(g):
    where = [key(g), group(g)]
    place = g.pick(["0", "$", "$", stream_id(g), stream_id(g)])
    read = g.maybe(0.15, g.case("ENTRIESREAD"), g.small(-2, 20))
    return ["XGROUP"] + g.pick([
        ["CREATE"] + where + [place] + g.maybe(0.4, g.case("MKSTREAM")) + read,
        ["CREATE"] + where + [place] + g.maybe(0.4, g.case("MKSTREAM")) + read,
        ["SETID"] + where + [place] + read,
        ["CREATECONSUMER"] + where + [consumer(g)],
        ["DELCONSUMER"] + where + [consumer(g)],
        ["DESTROY"] + where if g.chance(0.3) else ["SETID"] + where + ["0"],
    ])


def xreadgroup(g, block=0.08):
    keys = g.some(lambda: key(g), 1, 2)
    ids = [g.pick([">", ">", ">", "0", stream_id(g)]) for _ in keys]
    if g.chance(0.04):
        ids = ids[1:] + g.maybe(0.3, "0", "1")
    options = [["GROUP", group(g), consumer(g)] if g.chance(0.98) else [], g.maybe(0.6, g.case("COUNT"), g.small(-1, 5)),
               g.maybe(block, g.case("BLOCK"), "10"), g.maybe(0.12, g.case("NOACK"))]
    g.rng.shuffle(options)
    return ["XREADGROUP"] + sum(options, []) + [g.case("STREAMS")] + keys + ids


def xclaim(g):
    options = [g.maybe(0.12, g.case("IDLE"), g.pick(["0", "1000", "100000", "-5", g.int()])),
               g.maybe(0.08, g.case("TIME"), g.pick(["0", "1000", "-1", "99999999999999", g.int()])),
               g.maybe(0.2, g.case("RETRYCOUNT"), g.small(-1, 9)), g.maybe(0.25, g.case("FORCE")),
               g.maybe(0.25, g.case("JUSTID")), g.maybe(0.08, g.case("LASTID"), stream_id(g))]
    g.rng.shuffle(options)
    return ["XCLAIM", key(g), group(g), consumer(g), idle(g)] + some_ids(g) + sum(options, [])


def xautoclaim(g):
    return (["XAUTOCLAIM", key(g), group(g), consumer(g), idle(g), g.pick(["-", "0", "(5-1", stream_id(g)])]
            + g.maybe(0.5, g.case("COUNT"), g.small(-1, 5)) + g.maybe(0.25, g.case("JUSTID")))


def xpending(g):
    if g.chance(0.35):
        return ["XPENDING", key(g), group(g)]
    return (["XPENDING", key(g), group(g)] + g.maybe(0.3, g.case("IDLE"), idle(g))
            + [bound(g), bound(g), g.pick(["10", "100", g.small()])] + g.maybe(0.4, consumer(g)))


GRAMMAR = [
    (7, lambda g: ["XADD", key(g)] + (trim(g) if g.chance(0.1) else []) + [new_id(g)] + fields(g)),
    (3, lambda g: ["XDEL", key(g)] + some_ids(g)),
    (1, lambda g: ["XTRIM", key(g)] + trim(g)),
    (6, xgroup),
    (12, xreadgroup),
    (6, lambda g: ["XACK", key(g), group(g)] + some_ids(g)),
    (6, xclaim),
    (4, xautoclaim),
    (6, xpending),
    (2, lambda g: ["XPENDING", key(g), group(g), "-", "+", "100"]),
    (2, lambda g: ["XINFO", "GROUPS", key(g)]),
    (2, lambda g: ["XINFO", "CONSUMERS", key(g), group(g)]),
    (2, lambda g: ["XINFO", "STREAM", key(g), g.case("FULL")] + g.maybe(0.5, g.case("COUNT"), g.small(-1, 4))),
    (1, lambda g: [g.pick(["COPY", "RENAME"]), g.own_key("x"), g.own_key("x")]),
    (1, lambda g: [g.pick(["XINFO", "XGROUP"]), g.pick(["HELP", "NIX", "help"])] + g.some(g.text, 0, 2)),
]


def known(step):
    """Commands that create what this one names, where it names a consumer."""
    args, name = step.args, step.name()
    if name in (b"XCLAIM", b"XAUTOCLAIM") and len(args) > 3:
        return [command(step.conn, "XGROUP", "CREATECONSUMER", *args[1:4])]
    upper = [bytes(a).upper() for a in args]
    if name != b"XREADGROUP" or b"GROUP" not in upper or b"STREAMS" not in upper:
        return []
    at, streams = upper.index(b"GROUP"), upper.index(b"STREAMS") + 1
    keys = args[streams:streams + (len(args) - streams) // 2]
    return [command(step.conn, "XGROUP", "CREATECONSUMER", k, *args[at + 1:at + 3]) for k in keys if at + 2 < streams]


def prepared(steps):
    return [s for step in steps for s in known(step) + [step]]


def create(gen, number=2):
    steps = [command(0, *ONE_BY_ONE)]
    for stream in ("x1", "x2"):
        for n in range(gen.rng.randint(2, 12)):
            steps.append(command(0, "XADD", stream, "%d-*" % (n + gen.rng.randint(0, 3) if n == 0 else 2 * n), "n", str(n)))
        for name in GROUPS[:number]:
            steps.append(command(0, "XGROUP", "CREATE", stream, name, gen.pick(["0", "$", "3"])))
            steps += [command(0, "XGROUP", "CREATECONSUMER", stream, name, c) for c in CONSUMERS]
    return steps


def groups(gen, length):
    """All commands on few streams with few groups, inside MULTI too."""
    steps = hello(gen) + create(gen) + prepared(commands(gen, GRAMMAR, length - length // 4))
    for _ in range(length // 20):
        inside = prepared(commands(gen, GRAMMAR, gen.rng.randint(1, 4)))
        steps += [command(0, "MULTI")] + inside + [command(0, "EXEC")]
    return steps


def careful(gen, length):
    """The same without mistakes: sequences get further."""
    steps = hello(gen) + create(gen, 3) + prepared(commands(gen, GRAMMAR, length, broken=0))
    return steps + [command(0, "XPENDING", k, n, "-", "+", "1000") for k in ("x1", "x2") for n in GROUPS]


def events(gen, length):
    """Which keyspace events come, and in what order; that groups break no WATCH."""
    steps = create(gen) + [command(0, "CONFIG", "SET", "notify-keyspace-events", "KEA"), token(4, "PSUBSCRIBE", "__key*__:*")]
    for step in prepared(commands(gen, GRAMMAR, length // 3, broken=0.03)):
        watched = gen.chance(0.2)
        steps += [command(1, "WATCH", "x1", "x2"), command(1, "MULTI"), command(1, "PING")] if watched else []
        steps += [step, token(4)]
        steps += [command(1, "EXEC")] if watched else []
    return steps


# ---- Waiting ----

def waiting(g):
    keys = g.rng.sample(["x1", "x2", "x3"], g.rng.randint(1, 3))
    return (["XREADGROUP", "GROUP", g.pick(GROUPS[:2]), g.pick(CONSUMERS)] + g.maybe(0.4, "COUNT", g.pick(["1", "2", "10"]))
            + g.maybe(0.15, "NOACK") + ["BLOCK", g.pick(["0", "300000", "900000"]), "STREAMS"] + keys + [">"] * len(keys))


def feeding(g, number):
    """(An entry that is added and deleted in one transaction wakes with nothing in 7.0: see tests/written.)"""
    stream = g.pick(["x1", "x2", "x3"])
    add = ["XADD", stream, "%d-*" % number, "n", str(number)]
    way = g.rng.randint(0, 4)
    if way < 3:
        return [command(0, *add)]
    if way == 3:
        return [command(0, *c) for c in (["MULTI"], add, ["XADD", stream, "%d-*" % number, "again", "x"], ["EXEC"])]
    return [command(0, "XGROUP", "CREATE", stream, "other", "0"), command(0, "XGROUP", "DESTROY", stream, "other")]


def blocking(gen, length):
    """Members of groups that wait for several streams, and what serves them."""
    steps = sum((hello(gen, conn) for conn in range(4)), [])
    number = 10
    for _ in range(max(length // 24, 4)):
        for stream in ("x1", "x2", "x3"):
            for name in GROUPS[:2]:
                steps.append(command(0, "XGROUP", "CREATE", stream, name, "$", "MKSTREAM"))
                steps += [command(0, "XGROUP", "CREATECONSUMER", stream, name, c) for c in CONSUMERS]
        waiters = list(range(1, gen.rng.randint(2, 4)))
        for conn in waiters:
            steps.append(Step("send", conn, command(conn, *waiting(gen)).args))
        for _ in range(gen.rng.randint(1, 4)):
            number += 1
            steps += feeding(gen, number)
        for _ in waiters:  # whoever still waits is served
            number += 1
            steps += [command(0, "XADD", stream, "%d-*" % number, "last", "one") for stream in ("x1", "x2", "x3")]
        steps += [Step("recv", conn, []) for conn in waiters]
        for stream in ("x1", "x2", "x3"):
            steps += [command(0, "XPENDING", stream, name, "-", "+", "100") for name in GROUPS[:2]]
        steps += [command(0, "FLUSHALL")]
    return steps


def timeouts(gen, length):
    """Waits that end in vain, and MULTI, where nobody waits."""
    steps = create(gen) + hello(gen, 1) + hello(gen, 2)
    for _ in range(max(length // 60, 2)):
        for conn in (1, 2):
            sent = Step("send", conn, draw(gen, [(1, lambda g: xreadgroup(g, 1))], 0.1))
            steps += known(sent) and [command(0, *c.args) for c in known(sent)]
            steps.append(sent)
        steps += [Step("recv", 1, []), Step("recv", 2, []), command(0, "XADD", "x1", "99-*", "f", "v")]
        steps += [command(0, *c) for c in (["MULTI"], ["XREADGROUP", "GROUP", "g1", "bob", "BLOCK", "0", "STREAMS", "x1", ">"],
                                           ["XREADGROUP", "GROUP", "g1", "bob", "BLOCK", "0", "STREAMS", "x1", ">"], ["EXEC"])]
    return steps


SEQUENCES = {"groups": groups, "groupscareful": careful, "groupevents": events, "groupblocking": blocking,
             "grouptimeouts": timeouts}
