"""Sets."""

from families import typed


def many(g):
    return g.some(lambda: g.key("t"), 1, 3)


def counted(g):
    keys = many(g)
    return [str(len(keys)) if g.chance(0.9) else g.small(-1, 5)] + keys


GRAMMAR = [
    (6, lambda g: ["SADD", g.key("t")] + g.some(g.member, 1, 5)),
    (3, lambda g: ["SREM", g.key("t")] + g.some(g.member)),
    (3, lambda g: ["SMEMBERS", g.key("t")]),
    (1, lambda g: ["SCARD", g.key("t")]),
    (2, lambda g: ["SISMEMBER", g.key("t"), g.member()]),
    (2, lambda g: ["SMISMEMBER", g.key("t")] + g.some(g.member)),
    (2, lambda g: ["SMOVE", g.key("t"), g.key("t"), g.member()]),
    (1, lambda g: ["SPOP", g.key("t")] + g.maybe(0.6, g.small(-2, 6))),
    (2, lambda g: ["SRANDMEMBER", g.key("t")] + g.maybe(0.7, g.small(-6, 8))),
    (3, lambda g: [g.pick(["SINTER", "SUNION", "SDIFF"])] + many(g)),
    (3, lambda g: [g.pick(["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"]), g.key("t")] + many(g)),
    (2, lambda g: ["SINTERCARD"] + counted(g) + g.maybe(0.5, g.case("LIMIT"), g.small(-1, 4))),
    (1, lambda g: ["SSCAN", g.key("t"), g.pick(["0", "0", "0", "x"])] + g.maybe(0.4, "MATCH", g.pattern())
     + g.maybe(0.4, "COUNT", g.small(0, 10))),
]

SEQUENCES = {"sets": typed(GRAMMAR)}
