"""Hashes."""

from families import typed


def pairs(g):
    return [g.field(), g.text()]


def hrandfield(g):
    args = ["HRANDFIELD", g.key("h")]
    if g.chance(0.7):
        args.append(g.pick([g.small(-6, 8), g.small(-6, 8), "0", "100"]))
        args += g.maybe(0.5, g.case("WITHVALUES"))
    return args


GRAMMAR = [
    (6, lambda g: ["HSET", g.key("h")] + g.some(lambda: pairs(g))),
    (2, lambda g: ["HMSET", g.key("h")] + g.some(lambda: pairs(g))),
    (2, lambda g: ["HSETNX", g.key("h"), g.field(), g.text()]),
    (3, lambda g: ["HGET", g.key("h"), g.field()]),
    (2, lambda g: ["HMGET", g.key("h")] + g.some(g.field)),
    (3, lambda g: ["HGETALL", g.key("h")]),
    (1, lambda g: ["HKEYS", g.key("h")]),
    (1, lambda g: ["HVALS", g.key("h")]),
    (1, lambda g: ["HLEN", g.key("h")]),
    (1, lambda g: ["HSTRLEN", g.key("h"), g.field()]),
    (1, lambda g: ["HEXISTS", g.key("h"), g.field()]),
    (3, lambda g: ["HDEL", g.key("h")] + g.some(g.field)),
    (3, lambda g: ["HINCRBY", g.key("h"), g.field(), g.int()]),
    (3, lambda g: ["HINCRBYFLOAT", g.key("h"), g.field(), g.float()]),
    (2, hrandfield),
    (1, lambda g: ["HSCAN", g.key("h"), g.pick(["0", "0", "0", "x", "-1"])] + g.maybe(0.4, "MATCH", g.pattern())
     + g.maybe(0.4, "COUNT", g.small(0, 10))),
    (1, lambda g: ["HSET", g.key("h"), g.field(), g.pick([g.int(), g.float()])]),
]

SEQUENCES = {"hashes": typed(GRAMMAR)}
