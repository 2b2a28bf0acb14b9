"""Strings: all but bit operations and LCS."""

from families import command, commands, hello, typed
from steps import Step

FUTURE_S, FUTURE_MS = "4102444800", "4102444800123"


def expiry(g):
    """An expiry option that cannot run out within the sequence, or lies in the past."""
    return g.pick([
        ["EX", g.pick(["100", "1000", "99999"])], ["PX", g.pick(["100000", "999999"])],
        ["EXAT", FUTURE_S], ["PXAT", FUTURE_MS], ["KEEPTTL"], ["KEEPTTL"],
        ["EXAT", "1"], ["PXAT", "1"],
        ["EX", g.pick(["0", "-1", "abc", "9223372036854775807", "9223372036854775", "", "1.5"])],
        ["PX", g.pick(["0", "-1", "abc", "9223372036854775807", "9223372036854775000"])],
        ["EXAT", g.pick(["0", "-1", "9223372036854775807", "x"])],
        ["PXAT", g.pick(["0", "-1", "9223372036854775807", "x"])],
    ])


def set_(g):
    args = ["SET", g.key("s"), g.text()]
    options = []
    if g.chance(0.35):
        options.append([g.case(g.pick(["NX", "XX"]))])
    if g.chance(0.3):
        options.append([g.case("GET")])
    if g.chance(0.35):
        options.append([g.case(part) for part in expiry(g)])
    if g.chance(0.04):
        options.append(expiry(g))
    g.rng.shuffle(options)
    return args + [token for option in options for token in option]


def getex(g):
    return ["GETEX", g.key("s")] + (g.pick([["PERSIST"], expiry(g), expiry(g)]) if g.chance(0.8) else [])


def pairs(g):
    return [g.key("s"), g.text()]


def index(g):
    return g.pick(["0", "1", "-1", "2", "-2", "5", "-5", "100", "-100", g.small(-8, 8), "9223372036854775807",
                   "-9223372036854775808"])


GRAMMAR = [
    (6, set_),
    (6, lambda g: ["GET", g.key("s")]),
    (2, lambda g: ["GETSET", g.key("s"), g.text()]),
    (2, lambda g: ["GETDEL", g.key("s")]),
    (3, getex),
    (2, lambda g: ["SETNX", g.key("s"), g.text()]),
    (2, lambda g: ["SETEX", g.key("s"), g.pick(["100", "0", "-1", "x", "9223372036854775807", "1000"]), g.text()]),
    (2, lambda g: ["PSETEX", g.key("s"), g.pick(["100000", "0", "-1", "x", "9223372036854775807"]), g.text()]),
    (2, lambda g: ["MSET"] + g.some(lambda: pairs(g))),
    (2, lambda g: ["MSETNX"] + g.some(lambda: pairs(g))),
    (2, lambda g: ["MGET"] + g.some(g.any_key)),
    (3, lambda g: ["APPEND", g.key("s"), g.text()]),
    (2, lambda g: ["STRLEN", g.key("s")]),
    (3, lambda g: ["SETRANGE", g.key("s"), g.pick(["0", "1", "3", "7", "40", "-1", "536870912", "x"]),
                   g.pick([g.text(), "", "xy"])]),
    (3, lambda g: [g.pick(["GETRANGE", "SUBSTR"]), g.key("s"), index(g), index(g)]),
    (3, lambda g: ["INCR", g.key("s")]),
    (2, lambda g: ["DECR", g.key("s")]),
    (3, lambda g: ["INCRBY", g.key("s"), g.int()]),
    (3, lambda g: ["DECRBY", g.key("s"), g.int()]),
    (4, lambda g: ["INCRBYFLOAT", g.key("s"), g.float()]),
    (2, lambda g: ["SET", g.key("s"), g.pick([g.int(), g.float()])]),
    (1, lambda g: ["OBJECT", "ENCODING", g.key("s")]),
    (2, lambda g: [g.pick(["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"]), g.key("s")]),
]

def short_lives(gen, length):
    """Keys that run out while we watch."""
    steps = hello(gen)
    for _ in range(max(length // 60, 2)):
        ms = str(gen.rng.randint(1, 8))
        key = gen.key("s")
        steps.append(command(0, *gen.pick([
            ["SET", key, "v", "PX", ms], ["PSETEX", key, ms, "v"]])))
        if gen.chance(0.5):
            steps += [command(0, "SET", "s1", "v"), command(0, "PEXPIRE", "s1", ms),
                      command(0, "HSET", "h1", "f", "v"), command(0, "PEXPIRE", "h1", ms)]
        steps.append(Step("sleep", 0, [30]))
        steps += commands(gen, GRAMMAR, 6, broken=0)
        steps += [command(0, "GET", key), command(0, "TTL", key), command(0, "EXISTS", key, "h1"),
                  command(0, "HGETALL", "h1"), command(0, "KEYS", "*")]
    return steps


SEQUENCES = {"strings": typed(GRAMMAR), "expiry": short_lives}
