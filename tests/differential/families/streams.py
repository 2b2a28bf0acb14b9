"""Streams without groups: adding, reading, deleting, trimming, and clients that wait for entries.

The sequences run with `stream-node-max-entries 1`, so that Redis's `~` trims as exactly as leat's.
`*` stands for the clock in one sequence only; elsewhere ids are given, or the clock is far behind.
"""

from families import command, commands, draw, hello, typed
from families.connection import token
from steps import Step

FUTURE = "99999999999999"
ONE_BY_ONE = ["CONFIG", "SET", "stream-node-max-entries", "1"]


def stream_id(g):
    r = g.rng.random()
    if r < 0.55:
        return "%d-%d" % (g.rng.randint(0, 30), g.rng.randint(0, 3))
    if r < 0.8:
        return str(g.rng.randint(0, 30))
    if r < 0.9:
        return g.pick(["0-0", "0", "0-1", "18446744073709551615", "18446744073709551615-18446744073709551615",
                       "18446744073709551614-18446744073709551615", "5-18446744073709551615", "1-18446744073709551614"])
    return g.pick(["", "-", "+", "$", "x", "1-", "-1", "1-x", "1-1-1", " 1", "1 ", "01-01", "+1", "1-+1", "0x1",
                   "18446744073709551616", "1-18446744073709551616", "(1", "(1-1", ">", "-1-1", "1--1", "1.0"])


def new_id(g):
    """Mostly behind what is there."""
    r = g.rng.random()
    if r < 0.5:
        return "%d-*" % g.rng.randint(0, 40)
    if r < 0.85:
        return "%d-%d" % (g.rng.randint(1, 40), g.rng.randint(0, 3))
    if r < 0.97:
        return stream_id(g)
    return g.pick(["18446744073709551615-*", "0-*", "-*", "x-*", "**", "*-*", "*-1", "1-*-*", "5-*x"])


def fields(g):
    return g.some(lambda: [g.field(), g.text()], 1, 3) if g.chance(0.95) else g.some(g.text, 0, 5)


def trim(g):
    strategy = g.rng.random()
    if strategy < 0.5:
        args = [g.case("MAXLEN")] + g.maybe(0.6, g.pick("=~"))
        args += [g.pick(["0", "1", "2", "3", "5", "10", "100", g.small()])]
    else:
        args = [g.case("MINID")] + g.maybe(0.6, g.pick("=~")) + [stream_id(g)]
    approximately = "~" in args
    return args + g.maybe(0.3 if approximately else 0.04, g.case("LIMIT"), g.small(-1, 3))


def xadd(g):
    options = [g.maybe(0.2, g.case("NOMKSTREAM")), trim(g) if g.chance(0.3) else []]
    g.rng.shuffle(options)
    return ["XADD", g.key("x")] + options[0] + options[1] + [new_id(g)] + fields(g)


def bound(g):
    if g.chance(0.4):
        return g.pick("-+")
    return g.maybe(0.2, "(") and "(" + stream_id(g) or stream_id(g)


def xread(g, block=0.1):
    keys = g.some(lambda: g.key("x"), 1, 3)
    ids = [g.pick(["0", "0-0", "$", stream_id(g), stream_id(g)]) for _ in keys]
    ids = ["0" if i == "+" else i for i in ids]  # 7.4's: see tests/written
    if g.chance(0.05):
        ids = ids[1:] + g.maybe(0.3, "0", "1")
    options = [g.maybe(0.4, g.case("COUNT"), g.small(-1, 5)), g.maybe(block, g.case("BLOCK"), "10"),
               g.maybe(0.02, "NOACK"), g.maybe(0.02, "GROUP", "g", "c")]
    g.rng.shuffle(options)
    return ["XREAD"] + sum(options, []) + [g.case("STREAMS")] + keys + ids


def xsetid(g):
    return (["XSETID", g.key("x"), stream_id(g)] + g.maybe(0.4, g.case("ENTRIESADDED"), g.small(-1, 30))
            + g.maybe(0.4, g.case("MAXDELETEDID"), stream_id(g)))


def xrange(g):
    return [g.pick(["XRANGE", "XREVRANGE"]), g.key("x"), bound(g), bound(g)] + g.maybe(
        0.3, g.case("COUNT"), g.small(-1, 5))


GRAMMAR = [
    (12, xadd),
    (3, lambda g: ["XLEN", g.key("x")]),
    (5, xrange),
    (2, lambda g: ["XRANGE", g.own_key("x"), "-", "+"]),
    (2, lambda g: ["XREVRANGE", g.own_key("x"), "+", "-"]),
    (3, lambda g: ["XDEL", g.key("x")] + g.some(lambda: stream_id(g), 1, 4)),
    (2, lambda g: ["XTRIM", g.key("x")] + trim(g)),
    (1, xsetid),
    (5, xread),
    (3, lambda g: ["XINFO", "STREAM", g.key("x")]),
]

LOOKS = [
    (1, lambda g: [g.pick(["TYPE", "EXISTS"]), g.own_key("x")]),
    (1, lambda g: ["OBJECT", "ENCODING", g.own_key("x")]),
    (1, lambda g: [g.pick(["DEL", "UNLINK"]), g.own_key("x")]),
    (1, lambda g: [g.pick(["COPY", "RENAME", "RENAMENX"]), g.own_key("x"), g.own_key("x")]),
    (1, lambda g: ["COPY", g.own_key("x"), g.own_key("x"), "REPLACE"]),
    (0.5, lambda g: g.pick([["COPY", g.own_key("x"), "x1", "DB", "1", "REPLACE"], ["MOVE", g.own_key("x"), "1"], ["SWAPDB", "0", "1"]])),
    (0.5, lambda g: g.pick([["EXPIRE", g.own_key("x"), "1000"], ["PERSIST", g.own_key("x")], ["EXPIRETIME", g.key("x")]])),
    (0.3, lambda g: ["SCAN", "0", "COUNT", "1000", "TYPE", "stream"]),
    (1, lambda g: [g.pick(["XINFO", "xinfo"]), g.pick(["HELP", "NIX", "STREAM", "help"])] + g.some(g.text, 0, 2)),
]


def streams(gen, length):
    """All commands on few streams, inside MULTI too."""
    steps = [command(0, *ONE_BY_ONE)] + typed(GRAMMAR, LOOKS)(gen, length - length // 4)
    for _ in range(length // 20):
        steps += [command(0, "MULTI")] + commands(gen, GRAMMAR, gen.rng.randint(1, 4)) + [command(0, "EXEC")]
    return steps


def clock(gen, length):
    """`*`: behind ids of the future its answer is known; otherwise it is the time."""
    steps = hello(gen) + [command(0, *ONE_BY_ONE)]
    for n in range(max(length // 12, 3)):
        key = "x%d" % (n % 3)
        steps += [command(0, "DEL", key), command(0, "XADD", key, "*", "f", "v"), command(0, "XADD", key, "1-1", "f", "v"),
                  command(0, "XLEN", key), command(0, "XADD", key, FUTURE + gen.pick(["-1", "", "-18446744073709551614"]), "f", "v"),
                  command(0, "XADD", key, "*", "f", "v"), command(0, "XADD", key, "maxlen", gen.pick("=~"), "2", "*", "a", "b"),
                  command(0, "XADD", key, "NOMKSTREAM", "*", "f"), command(0, "XREVRANGE", key, "+", FUTURE),
                  command(0, "XREAD", "STREAMS", key, "$")]
    return steps


def many(gen, length):
    """Longer streams, read and cut in pieces."""
    steps = hello(gen) + [command(0, *ONE_BY_ONE)]
    number = 0
    for _ in range(max(length // 40, 2)):
        value = gen.pick(["", "v", "value " * 30, "w" * 1000])
        for _ in range(gen.rng.randint(5, 30)):
            number += gen.rng.randint(0, 2)
            steps.append(command(0, "XADD", "x1", "%d-*" % number, "n", str(number), *fields(gen)[:2] * gen.rng.randint(0, 5),
                                 *gen.maybe(0.2, "more", value)))
        for _ in range(6):
            a, b = gen.rng.randint(0, number + 2), gen.rng.randint(0, number + 2)
            steps.append(command(0, *gen.pick([
                ["XRANGE", "x1", str(a), str(b)], ["XREVRANGE", "x1", str(b), "(%d" % a, "COUNT", "7"],
                ["XRANGE", "x1", "(%d-0" % a, "+", "COUNT", "11"], ["XREAD", "COUNT", "9", "STREAMS", "x1", str(a)],
                ["XDEL", "x1"] + ["%d-%d" % (n, gen.rng.randint(0, 2)) for n in range(a, a + 6)], ["XINFO", "STREAM", "x1"],
                ["XTRIM", "x1", "MINID", "=", str(a // 3)], ["XTRIM", "x1", "MAXLEN", "~", "60"],
                ["XREVRANGE", "x1", "+", "-"]])))
    return steps + [command(0, "COPY", "x1", "x2"), command(0, "XRANGE", "x2", "-", "+"), command(0, "XINFO", "STREAM", "x2")]


# ---- Waiting ----

KEYS = ["x1", "x2", "x3"]


def waiting(g):
    """(7.0 answers only the first stream that has something, each key once; 7.2 runs the command
    again: see tests/written.)"""
    keys = g.rng.sample(KEYS, g.rng.randint(1, 3))
    ids = [g.pick(["$", "$", "0", "5", "1000"]) for _ in keys]
    return ["XREAD"] + g.maybe(0.4, "COUNT", g.pick(["1", "2", "10"])) + [
        "BLOCK", g.pick(["0", "300000", "900000"]), "STREAMS"] + keys + ids


def feeding(g, number):
    key = g.pick(KEYS)
    add = ["XADD", key, "%d-*" % number, "n", str(number)]
    way = g.rng.randint(0, 8)
    if way < 4:
        return [command(0, *add)]
    if way == 4:
        inside = g.pick([[["XADD", key, "%d-*" % number, "again", "x"]], [["DEL", key]],
                         [["DEL", key], ["SET", key, "x"], ["DEL", key]], []])
        return [command(0, *c) for c in [["MULTI"], add] + inside + [["EXEC"]]]
    if way == 5:
        return [command(0, *c) for c in (["DEL", "feed"], ["XADD", "feed", str(number), "f", "v"],
                                         [g.pick(["RENAME", "COPY"]), "feed", key])]
    if way == 6:
        return [command(0, *c) for c in (["SET", key, "x"], ["DEL", key])]
    if way == 7:
        return [command(0, *c) for c in (["SELECT", "1"], ["XADD", key, str(number), "f", "v"], ["DEL", key], ["SELECT", "0"])]
    return [command(0, "XDEL", key, "1-1"), command(0, "XSETID", key, "%d-5" % number)]


def blocking(gen, length):
    """Clients that wait for entries of several streams, and what serves them."""
    steps = hello(gen) + hello(gen, 1) + hello(gen, 2) + hello(gen, 3)
    heard = gen.chance(0.5)
    if heard:
        steps += [command(0, "CONFIG", "SET", "notify-keyspace-events", "KEA"), token(4, "PSUBSCRIBE", "__key*__:*")]
    number = 10
    for _ in range(max(length // 20, 4)):
        steps += [command(0, "XADD", key, "1-*", "f", "v") for key in KEYS if gen.chance(0.5)]
        waiters = list(range(1, gen.rng.randint(2, 4)))
        for conn in waiters:
            steps.append(Step("send", conn, command(conn, *waiting(gen)).args))
        for _ in range(gen.rng.randint(1, 4)):
            number += 1
            steps += feeding(gen, number)
            steps += [token(4)] if heard else []
        for key in KEYS:  # whoever still waits is served
            steps += [command(0, "DEL", key), command(0, "XADD", key, "2000-1", "last", "one")]
        steps += [Step("recv", conn, []) for conn in waiters]
        steps += [token(4)] if heard else []
        steps += [command(0, "XRANGE", key, "-", "+") for key in KEYS] + [command(0, "FLUSHALL")]
        steps += [token(4)] if heard else []
    return steps


def timeouts(gen, length):
    """Waits that end in vain."""
    steps = hello(gen, 1) + hello(gen, 2)
    for _ in range(max(length // 60, 2)):
        for conn in (1, 2):
            args = draw(gen, [(1, lambda g: xread(g, 1))], 0.1)
            steps.append(Step("send", conn, args))
        steps += [Step("recv", 1, []), Step("recv", 2, []), command(0, "XADD", "x1", "99-*", "f", "v")]
        steps += [command(0, "XLEN", "x1"), command(0, "MULTI"),
                  command(0, "XREAD", "BLOCK", "0", "STREAMS", "x1", "$"), command(0, "EXEC")]
    return steps


SEQUENCES = {"streams": streams, "streamclock": clock, "longstreams": many, "streamblocking": blocking,
             "streamtimeouts": timeouts}
